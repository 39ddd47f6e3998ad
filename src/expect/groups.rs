//! By what the records of a window are grouped.

use std::collections::HashMap;

use crate::plan::Plan;

/// The parts of the key: none of them is one group of all records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct By {
    /// Each GPU, by its key.
    pub gpu: bool,
    /// Each language model.
    pub model: bool,
    /// Each host.
    pub host: bool,
}

/// What the records of a group have in common: what is not grouped by is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group<'p> {
    /// The host.
    pub host: Option<&'p str>,
    /// The GPU, `HOST/GPU_INDEX`.
    pub gpu: Option<&'p str>,
    /// The language model.
    pub model: Option<&'p str>,
}

/// The group of every GPU. Whatever a broken value says, its key says from which GPU it is.
#[derive(Debug)]
pub(super) struct Groups<'p> {
    groups: Vec<Group<'p>>,
    /// By the number of the GPU.
    of_gpu: Vec<usize>,
}

impl<'p> Groups<'p> {
    pub(super) fn new(plan: &'p Plan, by: By) -> Self {
        let mut made = Self { groups: Vec::new(), of_gpu: Vec::new() };
        // Rows of the seed that share an index are one GPU.
        let mut known = HashMap::new();
        for gpu in 0..plan.gpus() {
            let key = plan.key_of(gpu);
            let host = key.rsplit_once('/').map_or(key, |(host, _)| host);
            let group = Group {
                host: by.host.then_some(host),
                gpu: by.gpu.then_some(key),
                model: by.model.then(|| plan.model_of(gpu)),
            };
            let place = *known.entry(group).or_insert_with(|| {
                made.groups.push(group);
                made.groups.len() - 1
            });
            made.of_gpu.push(place);
        }
        made
    }

    /// The number of a GPU's group.
    pub(super) fn of_gpu(&self, gpu: usize) -> usize {
        self.of_gpu[gpu]
    }

    pub(super) fn get(&self, group: usize) -> Group<'p> {
        self.groups[group]
    }
}
