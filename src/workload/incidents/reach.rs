//! The GPUs of a run that an incident is about.

use super::GpuPattern;
use crate::workload::seed::Row;

/// The GPUs of a pattern: these rows on these hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    hosts: Vec<bool>,
    rows: Vec<bool>,
    /// Whether all rows are.
    whole_hosts: bool,
}

impl Reach {
    /// The GPUs of a run that a pattern means.
    #[must_use]
    pub fn new(gpus: &GpuPattern, hosts: &[String], rows: &[Row]) -> Self {
        let rows: Vec<_> = rows.iter().map(|row| gpus.has_index(row.gpu_index)).collect();
        Self {
            hosts: hosts.iter().map(|host| gpus.has_host(host)).collect(),
            whole_hosts: rows.iter().all(|has| *has),
            rows,
        }
    }

    /// Whether a GPU is one of them.
    #[must_use]
    pub fn has(&self, host: usize, row: usize) -> bool {
        self.hosts[host] && self.rows[row]
    }

    /// Whether GPUs of a host are among them.
    #[must_use]
    pub fn has_host(&self, host: usize) -> bool {
        self.hosts[host]
    }

    /// Whether all GPUs of a host are.
    pub(super) fn has_whole_host(&self, host: usize) -> bool {
        self.whole_hosts && self.hosts[host]
    }

    /// The GPUs, by the numbers of host and row.
    pub fn gpus(&self) -> impl Iterator<Item = (usize, usize)> {
        let numbers = |all: &'_ [bool]| -> Vec<usize> {
            all.iter().enumerate().filter(|(_, has)| **has).map(|(number, _)| number).collect()
        };
        let (hosts, rows) = (numbers(&self.hosts), numbers(&self.rows));
        hosts.into_iter().flat_map(move |host| rows.clone().into_iter().map(move |row| (host, row)))
    }
}
