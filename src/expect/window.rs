//! One window while it is open.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use super::figures::{Figures, View};
use super::value::Fields;
use crate::event::Kind;

/// A record as it counts.
pub(super) struct Counted<'a> {
    pub(super) kind: Kind,
    pub(super) seq: u64,
    pub(super) fields: Option<&'a Fields>,
    /// Cost of its request, micro-USD.
    pub(super) cost: u64,
    /// Whether its window is closed when it comes.
    pub(super) is_late: bool,
}

/// A window of event time.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Records of it that are held back, or have a copy to come.
    pub(super) to_come: u64,
    /// What each group comes to so far.
    pub(super) cells: BTreeMap<usize, Cell>,
}

/// What the records of a group in a window come to so far.
#[derive(Debug, Default)]
pub(super) struct Cell {
    figures: [Figures; View::ALL.len()],
    /// The pairs of which a record of a topic came.
    seen: [RoaringTreemap; 2],
    readable: [RoaringTreemap; 2],
    in_time: [RoaringTreemap; 2],
}

impl Cell {
    pub(super) fn add(&mut self, record: &Counted<'_>) {
        let Counted { kind, seq, fields, cost, is_late } = *record;
        let topic = kind as usize;
        let is_first = self.seen[topic].insert(seq);
        if fields.is_some() {
            self.readable[topic].insert(seq);
            if !is_late {
                self.in_time[topic].insert(seq);
            }
        }
        for (view, figures) in View::ALL.into_iter().zip(&mut self.figures) {
            let counts = match view {
                View::All => true,
                View::LateDropped => !is_late,
                View::Deduplicated => is_first,
            };
            if counts {
                figures.add(kind, fields, cost);
            }
        }
    }

    /// What it comes to in each view.
    pub(super) fn finish(self) -> impl Iterator<Item = (View, Figures)> {
        let both = |[metric, usage]: &[RoaringTreemap; 2]| metric.intersection_len(usage);
        let [readable, in_time] = [both(&self.readable), both(&self.in_time)];
        View::ALL.into_iter().zip(self.figures).map(move |(view, figures)| {
            let pairs = if view == View::LateDropped { in_time } else { readable };
            (view, Figures { pairs, ..figures })
        })
    }
}
