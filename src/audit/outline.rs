//! How far a run got: which records of its pairs were to be in the topics.

use std::collections::BTreeSet;

use super::Expectation;
use crate::event::Kind;
use crate::faults::Fault;
use crate::plan::{Act, Emission, Plan};

/// A record of the plan: its kind, and the place of its pair in the shard.
type Held = BTreeSet<(Kind, u64)>;

/// How far a run got.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Places of the shard that there are records of; `None` if that is not known.
    pub(super) end: Option<u64>,
    /// Records that were sent, or are to be; `None` if that is not known.
    pub(super) records: Option<u64>,
    /// How many of them are copies that the fault `duplicate` makes.
    pub(super) sent_copies: u64,
    /// Records of these pairs that were not sent, because the run was stopped before their time.
    originals: Held,
    /// The same of copies that the fault `duplicate` makes.
    copies: Held,
}

impl Outline {
    pub(super) fn of(expectation: &Expectation<'_>) -> Self {
        let Expectation { plan, verdicts, planned, .. } = expectation;
        let generated = verdicts.as_ref().map(|both| both.each_ref().map(|of| of.generated));
        if plan.is_clean() {
            // No report makes a run longer than its settings do.
            let most = plan.schedule.planned_pairs().or(*planned).unwrap_or(u64::MAX);
            let end = generated.map(|[metric, token]| metric.max(token).min(most)).or(*planned);
            return Self { end, records: end.map(|end| 2 * end), ..Self::default() };
        }
        if generated.is_none() && planned.is_none() {
            return Self::default();
        }
        Self::follow(plan, generated)
    }

    /// Whether a record was not sent, though its pair had begun.
    pub(super) fn is_unsent(&self, kind: Kind, place: u64, is_copy: bool) -> bool {
        let held = if is_copy { &self.copies } else { &self.originals };
        held.contains(&(kind, place))
    }

    /// Follows the emissions of a run that generated so many records of each topic: the place where it
    /// was stopped is where the next one is. The order is made again, not remembered.
    fn follow(plan: &Plan, generated: Option<[u64; 2]>) -> Self {
        let mut outline = Self::default();
        let (mut begun, mut records) = (0, 0);
        let mut last = None;
        for emission in plan.emissions() {
            let Some(place) = plan.shard().place_of(emission.seq) else { continue };
            let Emission { kind, act, .. } = emission;
            let is_copy = emission.faults.has(Fault::Duplicate);
            let is_beyond = generated.is_some_and(|of| emission.place >= of[kind as usize]);
            if act == Act::Send && is_beyond {
                if last == Some(place) && !emission.comes_apart() {
                    outline.originals.insert((kind, place));
                }
                outline.end = Some(begun);
                break;
            }
            if !emission.comes_apart() {
                begun = begun.max(place + 1);
                last = Some(place);
            }
            match act {
                Act::Send if is_copy => drop(outline.copies.remove(&(kind, place))),
                Act::Send => {
                    outline.originals.remove(&(kind, place));
                    if emission.comes_again {
                        outline.copies.insert((kind, place));
                    }
                }
                Act::Hold => drop(outline.originals.insert((kind, place))),
                Act::Drop => {}
            }
            records += u64::from(act == Act::Send);
            outline.sent_copies += u64::from(act == Act::Send && is_copy);
        }
        // The copy of what was not sent was not sent either.
        for (kind, place) in &outline.originals {
            if plan.faults_at(plan.shard().seq_at(*place), *kind).has(Fault::Duplicate) {
                outline.copies.insert((*kind, *place));
            }
        }
        let pairs = || {
            plan.schedule.planned_pairs().unwrap_or_else(|| plan.schedule.clone().count() as u64)
        };
        outline.end = outline.end.or_else(|| Some(pairs()));
        outline.records = Some(records);
        outline
    }
}
