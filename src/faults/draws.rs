//! Which kinds hit which record, and what they do to it.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::kind::Scope;
use super::value::{self, Change};
use super::{Fault, FaultSet, Faults, Parameter};
use crate::event::Kind;
use crate::workload::Stream;

/// The faults of a run, ready to be asked about any of its records.
#[derive(Debug, Default)]
pub struct Armed {
    faults: Faults,
    tests: Vec<Test>,
    /// For each topic and kind, what it does to a record that it hits.
    details: [Vec<Option<Stream>>; 2],
}

/// One draw for each pair.
#[derive(Debug, Clone, Copy)]
struct Test {
    stream: Stream,
    last_hit: u64,
    /// What a hit sets: the kinds of the metric in the lower half, those of the usage in the upper.
    bits: u32,
}

/// How long a record is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Until this long after its time.
    Time(Duration),
    /// Until so many pairs of the run have passed, or the last one.
    Pairs(u64),
}

/// What is done to a record: all that makes it differ from a clean run's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// The kinds in force.
    pub faults: FaultSet,
    /// How long it is held back.
    pub hold: Option<Hold>,
    /// How far `ts` and record timestamp are off.
    pub shift: Option<SignedDuration>,
    /// How long after it, as it is sent, a copy follows.
    pub copy_after: Option<Duration>,
}

impl Armed {
    /// The faults of a run.
    #[must_use]
    pub fn new(faults: &Faults, run_seed: u64, run_id: &str) -> Self {
        let mut armed = Self { faults: faults.clone(), ..Self::default() };
        armed.details = [0, 1].map(|_| vec![None; Fault::ALL.len()]);
        for setting in faults.iter() {
            let fault = setting.fault;
            let stream = |what: &str, of: &str| {
                Stream::new(run_seed, &format!("fault {} {what} {of}", fault.word()), run_id)
            };
            for kind in Kind::BOTH {
                let detail = stream("detail", kind.schema_name());
                armed.details[kind as usize][fault as usize] = Some(detail);
            }
            let Some(last_hit) = setting.probability.last_hit() else { continue };
            let bit =
                |kind: Kind| 1_u32 << (fault as u32 + if kind == Kind::Token { 16 } else { 0 });
            let mut test = |of: &str, bits| {
                armed.tests.push(Test { stream: stream("hits", of), last_hit, bits });
            };
            match fault.scope() {
                Scope::Pairs => test("pair", bit(Kind::Metric) | bit(Kind::Token)),
                Scope::Topic(kind) => test(kind.schema_name(), bit(kind)),
                Scope::Records => {
                    Kind::BOTH.into_iter().for_each(|kind| test(kind.schema_name(), bit(kind)));
                }
            }
        }
        armed
    }

    /// Whether no kind is on.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether kinds are on that change how many records there are.
    #[must_use]
    pub fn change_the_number_of_records(&self) -> bool {
        [Fault::Drop, Fault::Duplicate].into_iter().any(|fault| self.faults.get(fault).is_some())
    }

    /// The kinds in force at both records of a pair.
    #[must_use]
    pub fn of_pair(&self, seq: u64) -> [FaultSet; 2] {
        let mut bits = 0_u32;
        for test in &self.tests {
            bits |= test.bits * u32::from(test.stream.number(seq) <= test.last_hit);
        }
        if bits == 0 {
            return [FaultSet::NONE; 2];
        }
        [bits & 0xffff, bits >> 16]
            .map(|bits| FaultSet::of_bits(u16::try_from(bits).unwrap_or(0)).in_force())
    }

    /// What is done to a record.
    #[must_use]
    pub fn declared(&self, seq: u64, kind: Kind) -> Declared {
        let faults = self.of_pair(seq)[kind as usize];
        Declared {
            faults,
            hold: self.hold(seq, kind, faults),
            shift: self.shift(faults),
            copy_after: self.copy_after(seq, kind, faults),
        }
    }

    /// How long a record with these faults is held back.
    #[must_use]
    pub(crate) fn hold(&self, seq: u64, kind: Kind, faults: FaultSet) -> Option<Hold> {
        if faults.has(Fault::Late) {
            return self.faults.delay(Fault::Late).map(Hold::Time);
        }
        if !faults.has(Fault::OutOfOrder) {
            return None;
        }
        match self.faults.get(Fault::OutOfOrder)?.parameter {
            Parameter::Pairs(most) => {
                let mut rng = self.detail(Fault::OutOfOrder, seq, kind)?;
                Some(Hold::Pairs(rng.random_range(1..=most.max(1))))
            }
            _ => None,
        }
    }

    /// How far the times of a record with these faults are off.
    #[must_use]
    pub(crate) fn shift(&self, faults: FaultSet) -> Option<SignedDuration> {
        if faults.has(Fault::ClockSkew) { self.faults.shift() } else { None }
    }

    /// How long after a record with these faults its copy follows.
    #[must_use]
    pub(crate) fn copy_after(&self, seq: u64, kind: Kind, faults: FaultSet) -> Option<Duration> {
        if !faults.has(Fault::Duplicate) {
            return None;
        }
        let most = self.faults.delay(Fault::Duplicate)?;
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        let mut rng = self.detail(Fault::Duplicate, seq, kind)?;
        Some(Duration::from_millis(rng.random_range(0..=most_ms)))
    }

    /// Does to a clean value what these faults do to it; `None` if they leave it alone.
    pub(crate) fn change(
        &self,
        seq: u64,
        kind: Kind,
        faults: FaultSet,
        value: &mut Vec<u8>,
    ) -> Option<Change> {
        let fault = faults.value_change()?;
        let mut rng = self.detail(fault, seq, kind)?;
        let parameter = self.faults.get(fault)?.parameter;
        Some(value::apply(fault, parameter, &mut rng, value))
    }

    fn detail(&self, fault: Fault, seq: u64, kind: Kind) -> Option<Pcg64Mcg> {
        self.details[kind as usize].get(fault as usize)?.as_ref().map(|stream| stream.at(seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultSetting;

    const PAIRS: u64 = 100_000;

    fn armed(faults: &[(Fault, &str)]) -> Armed {
        let mut set = Faults::default();
        for (fault, probability) in faults {
            let parameter = fault.default_parameter();
            let probability = probability.parse().unwrap();
            assert!(set.add(FaultSetting { fault: *fault, probability, parameter }));
        }
        Armed::new(&set, 7, "run")
    }

    /// The pairs at which a kind is in force.
    fn hits(armed: &Armed, fault: Fault, kind: Kind) -> Vec<u64> {
        (0..PAIRS).filter(|seq| armed.of_pair(*seq)[kind as usize].has(fault)).collect()
    }

    #[test]
    fn each_kind_hits_as_often_as_it_is_told() {
        // 1 % of 100,000 is 1000, and six standard deviations are 189: one in 10^9 runs is outside.
        for fault in Fault::ALL {
            let armed = armed(&[(fault, "0.01")]);
            let [metric, token] = Kind::BOTH.map(|kind| hits(&armed, fault, kind).len());
            let expected = match fault.scope() {
                Scope::Topic(Kind::Metric) => [true, false],
                Scope::Topic(Kind::Token) => [false, true],
                _ => [true, true],
            };
            for (count, is_hit) in [metric, token].into_iter().zip(expected) {
                let within = if is_hit { 811..=1189 } else { 0..=0 };
                assert!(within.contains(&count), "{}: {count}", fault.word());
            }
        }
    }

    #[test]
    fn a_probability_of_one_hits_all_and_of_zero_none() {
        let all = armed(&[(Fault::Malformed, "1"), (Fault::Late, "0")]);
        assert!((0..1000).all(|seq| all.of_pair(seq) == [Fault::Malformed.into(); 2]));
        assert!(armed(&[(Fault::Drop, "0")]).is_off());
    }

    #[test]
    fn switching_a_kind_on_moves_no_hit_of_another() {
        let alone = armed(&[(Fault::Late, "0.01")]);
        let together =
            armed(&[(Fault::Oversize, "0.1"), (Fault::Duplicate, "0.1"), (Fault::Late, "0.01")]);
        for kind in Kind::BOTH {
            let before = hits(&alone, Fault::Late, kind);
            assert_eq!(hits(&together, Fault::Late, kind), before);
            for seq in before {
                let (alone, together) = (alone.declared(seq, kind), together.declared(seq, kind));
                assert_eq!(alone.hold, together.hold);
            }
        }
    }

    #[test]
    fn records_of_a_pair_are_hit_apart_but_for_the_clock_of_their_host() {
        let both = |fault: Fault| {
            let armed = armed(&[(fault, "0.1")]);
            let pairs =
                (0..PAIRS).filter(|seq| armed.of_pair(*seq).iter().all(|set| set.has(fault)));
            pairs.count()
        };
        // 1 % of 100,000 by chance.
        assert!((811..=1189).contains(&both(Fault::Malformed)), "{}", both(Fault::Malformed));
        assert!((9_400..=10_600).contains(&both(Fault::ClockSkew)), "{}", both(Fault::ClockSkew));
    }

    #[test]
    fn delays_are_within_their_parameter_and_reach_both_ends() {
        let armed = armed(&[(Fault::Duplicate, "1"), (Fault::OutOfOrder, "1")]);
        let (mut copies, mut holds) = (Vec::new(), Vec::new());
        for seq in 0..5_000 {
            let declared = armed.declared(seq, Kind::Metric);
            copies.push(declared.copy_after.unwrap());
            match declared.hold {
                Some(Hold::Pairs(pairs)) => holds.push(pairs),
                other => panic!("{other:?}"),
            }
        }
        let (min, max) = (copies.iter().min().unwrap(), copies.iter().max().unwrap());
        assert!(
            min.as_millis() < 50 && (4_950..=5_000).contains(&max.as_millis()),
            "{min:?} {max:?}"
        );
        assert_eq!((holds.iter().min(), holds.iter().max()), (Some(&1), Some(&50)));
    }
}
