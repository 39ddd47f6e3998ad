//! An answer key against what was found: what it declares, kind by kind.

use roaring::RoaringTreemap;
use serde::Serialize;

use super::name;
use super::slots::Slot;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};

/// A record that an answer key declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its topic.
    pub kind: Kind,
    /// Its pair.
    pub seq: u64,
    /// Whether it is a copy that the fault `duplicate` made.
    pub is_copy: bool,
    /// The kinds in force.
    pub faults: FaultSet,
    /// Whether it was sent.
    pub is_sent: bool,
}

/// What an answer key declares, held against what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyAccount {
    /// Whether all that is declared was found, and nothing else.
    pub agrees: bool,
    /// Records by topic and kind.
    pub records: Vec<KeyRow>,
    /// Its lines against those that the plan makes.
    pub lines: KeyLines,
    /// Incidents that are declared, in words, and that the run does not have.
    pub incidents_not_found: Vec<String>,
    /// Incidents that the run has, and are not declared.
    pub incidents_undeclared: Vec<String>,
}

/// The lines of an answer key against those that the plan makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyLines {
    /// Lines that were compared with one of the plan.
    pub compared: u64,
    /// Lines that are not the plan's, or that it makes and that are not there.
    pub wrong: u64,
    /// The first of these.
    pub first: Vec<KeyDifference>,
    /// Whether the clock gave the times: what follows from all of them was not compared.
    pub is_live: bool,
}

/// A line that is not as the plan makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyDifference {
    /// Its number, from 1; of one that is not there, where it should be.
    pub line: u64,
    /// What stands there; null if the plan makes one more.
    pub found: Option<String>,
    /// What the plan makes; null if it makes none.
    pub plan: Option<String>,
    /// Fields that differ, the first of them.
    pub fields: Vec<KeyFieldDifference>,
}

/// A field that is not as the plan makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyFieldDifference {
    /// JSON pointer.
    pub field: String,
    /// What stands there, as JSON.
    pub found: String,
    /// What the plan makes.
    pub plan: String,
}

/// The records of one kind in one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Event type.
    pub event: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Records that are declared.
    pub declared: u64,
    /// Of these, those that were found as they are declared; of `drop`, that are not there.
    pub found: u64,
    /// Records that were found with it, and are not declared.
    pub undeclared: u64,
    /// The first pair that is declared, and was not found.
    pub first_not_found: Option<u64>,
    /// The first pair that was found, and is not declared.
    pub first_undeclared: Option<u64>,
}

/// The declarations of an answer key so far.
#[derive(Debug)]
pub(super) struct KeyCheck {
    rows: [Vec<KeyRow>; 2],
    /// The places that are declared, by topic, slot and kind.
    listed: [Vec<RoaringTreemap>; 4],
    incidents: Vec<String>,
    lines: KeyLines,
}

impl KeyCheck {
    pub(super) fn new() -> Self {
        let row = |kind: Kind, fault: Fault| KeyRow {
            event: name(kind),
            kind: fault.word(),
            ..KeyRow::default()
        };
        Self {
            rows: Kind::BOTH.map(|kind| Fault::ALL.map(|fault| row(kind, fault)).into()),
            listed: [(); 4].map(|()| vec![RoaringTreemap::new(); Fault::ALL.len()]),
            incidents: Vec::new(),
            lines: KeyLines::default(),
        }
    }

    fn listed(&mut self, kind: Kind, slot: Slot, fault: Fault) -> &mut RoaringTreemap {
        &mut self.listed[kind as usize * 2 + slot as usize][fault as usize]
    }

    /// Notes a declaration, and whether the record was found as it says.
    pub(super) fn declared(&mut self, record: &KeyRecord, place: Option<u64>, is_found: bool) {
        let slot = if record.is_copy { Slot::Copy } else { Slot::Original };
        for fault in record.faults.iter() {
            let row = &mut self.rows[record.kind as usize][fault as usize];
            row.declared += 1;
            row.found += u64::from(is_found);
            if !is_found {
                let first = row.first_not_found.unwrap_or(record.seq);
                row.first_not_found = Some(first.min(record.seq));
            }
            if let Some(place) = place {
                self.listed(record.kind, slot, fault).insert(place);
            }
        }
    }

    pub(super) fn lines(&mut self, lines: KeyLines) {
        self.lines = lines;
    }

    pub(super) fn incident(&mut self, text: String) {
        self.incidents.push(text);
    }

    /// Notes a record that was found with these faults. They come in ascending order.
    pub(super) fn found(
        &mut self,
        kind: Kind,
        slot: Slot,
        (place, seq): (u64, u64),
        faults: FaultSet,
    ) {
        for fault in faults.iter() {
            if !self.listed(kind, slot, fault).contains(place) {
                let row = &mut self.rows[kind as usize][fault as usize];
                row.undeclared += 1;
                row.first_undeclared.get_or_insert(seq);
            }
        }
    }

    /// The account, for a run with these incidents.
    pub(super) fn account(self, planned: impl Iterator<Item = String>) -> KeyAccount {
        let mut declared = self.incidents;
        let undeclared: Vec<_> = planned
            .filter(|text| match declared.iter().position(|declared| declared == text) {
                Some(at) => {
                    declared.remove(at);
                    false
                }
                None => true,
            })
            .collect();
        let rows = self.rows.into_iter().flatten();
        let rows: Vec<_> = rows.filter(|row| row.declared + row.undeclared > 0).collect();
        KeyAccount {
            agrees: rows.iter().all(|row| row.declared == row.found && row.undeclared == 0)
                && self.lines.wrong == 0
                && declared.is_empty()
                && undeclared.is_empty(),
            records: rows,
            lines: self.lines,
            incidents_not_found: declared,
            incidents_undeclared: undeclared,
        }
    }
}
