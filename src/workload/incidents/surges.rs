//! Surges: the schedule's time runs faster while they last.

use jiff::Timestamp;

use super::{IncidentKind, Planned};

const NS_PER_MS: i128 = 1_000_000;

/// A stretch of a run with more arrivals than usual.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Surge {
    /// From the start of the run, ns.
    from_ns: u64,
    to_ns: u64,
    /// How many times as many come.
    factor: f64,
    /// How long all these would take without it, ns.
    usual_ns: u64,
}

/// The surges of a run: stretches that do not overlap, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Surges(Vec<Surge>);

impl Surges {
    /// The surges among the incidents of a run that starts at `start`; `None` if there is none.
    pub(super) fn new(planned: &[Planned], start: Timestamp) -> Option<Self> {
        let start_ns = start.as_nanosecond();
        let offset = |ms: i64| {
            let ns = i128::from(ms) * NS_PER_MS - start_ns;
            u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
        };
        let surges = planned.iter().filter(|p| p.incident.kind == IncidentKind::Surge);
        let surges: Vec<_> = surges
            .map(|p| (offset(p.from_ms), offset(p.to_ms), p.incident.parameter))
            .filter(|(from, to, _)| from < to)
            .collect();
        let mut borders: Vec<_> = surges.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
        borders.sort_unstable();
        borders.dedup();
        let stretch = |pair: &[u64]| {
            let (from_ns, to_ns) = (pair[0], pair[1]);
            let here = surges.iter().filter(|(from, to, _)| *from <= from_ns && to_ns <= *to);
            let factor: f64 = here.map(|(_, _, factor)| factor).product();
            let usual_ns = scaled(to_ns - from_ns, factor);
            (factor > 1.0).then_some(Surge { from_ns, to_ns, factor, usual_ns })
        };
        let stretches: Vec<_> = borders.windows(2).filter_map(stretch).collect();
        (!stretches.is_empty()).then_some(Self(stretches))
    }

    /// When a pair comes that would come `usual_ns` after the start: exact outside of the surges.
    #[must_use]
    pub fn moved(&self, usual_ns: u64) -> u64 {
        let mut gained = 0;
        for surge in &self.0 {
            let Some(into) = usual_ns.checked_sub(surge.from_ns + gained) else { break };
            if into < surge.usual_ns {
                return surge.from_ns + scaled(into, 1.0 / surge.factor);
            }
            gained += surge.usual_ns - (surge.to_ns - surge.from_ns);
        }
        usual_ns - gained
    }

    /// How many times as many pairs as usual come at a time after the start.
    #[must_use]
    pub fn factor(&self, offset_ns: u64) -> f64 {
        let here = |surge: &&Surge| (surge.from_ns..surge.to_ns).contains(&offset_ns);
        self.0.iter().find(here).map_or(1.0, |surge| surge.factor)
    }

    /// Where the factor changes: time after the start, s, and the factor from there on.
    pub(in crate::workload) fn changes(&self) -> Vec<(f64, f64)> {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let ends =
            |surge: &Surge| [(seconds(surge.from_ns), surge.factor), (seconds(surge.to_ns), 1.0)];
        self.0.iter().flat_map(ends).collect()
    }
}

/// `ns` times a factor, which is right to a nanosecond for 104 days.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to the range")]
fn scaled(ns: u64, factor: f64) -> u64 {
    (ns as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: u64 = 1_000_000_000;

    fn surges(of: &[(u64, u64, f64)]) -> Surges {
        let surge = |(from, to, factor): &(u64, u64, f64)| Surge {
            from_ns: from * SEC,
            to_ns: to * SEC,
            factor: *factor,
            usual_ns: scaled((to - from) * SEC, *factor),
        };
        Surges(of.iter().map(surge).collect())
    }

    #[test]
    fn time_runs_faster_within_a_surge_and_as_ever_outside() {
        let surges = surges(&[(10, 20, 3.0), (30, 40, 2.0)]);
        for (usual, moved) in [(0, 0), (9, 9), (10, 10), (13, 11), (37, 19), (40, 20), (41, 21)] {
            assert_eq!(surges.moved(usual * SEC), moved * SEC, "{usual}");
        }
        // 20 s more have come in the first surge, 10 s more in the second.
        for (usual, moved) in [(50, 30), (60, 35), (70, 40), (100, 70)] {
            assert_eq!(surges.moved(usual * SEC), moved * SEC, "{usual}");
        }
        assert_eq!(surges.moved(100 * SEC + 7), 70 * SEC + 7, "exact behind a surge");
        for (at, factor) in [(9, 1.0), (10, 3.0), (19, 3.0), (20, 1.0), (35, 2.0)] {
            assert!((surges.factor(at * SEC) - factor).abs() < 1e-9, "{at}");
        }
    }
}
