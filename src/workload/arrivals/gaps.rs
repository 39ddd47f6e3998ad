//! The gaps between pairs, as multiples of the mean: the arrivals of a trace, played at any rate.

use rand::Rng;
use rand_distr::{Distribution, Exp1, Gamma, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::{Law, Timing};
use crate::workload::Name;
use crate::workload::math::exp;
use crate::workload::rng::Stream;

/// The law of the gaps.
#[derive(Debug, Clone)]
pub(super) enum Gaps {
    /// All equal.
    Equal,
    /// Exponential, as from independent users.
    Exponential(Stream),
    /// A gamma renewal process whose rate drifts.
    Drifting(Box<Drifting>),
    /// Bursts and silences.
    Bursts(Box<Bursts>),
}

impl Gaps {
    /// The gaps of a run.
    pub(super) fn new(timing: &Timing, run_seed: u64, run_id: &str) -> Self {
        let stream = |name| Stream::new(run_seed, name, run_id);
        let own = match (timing.law, timing.workload) {
            (Law::Fixed, _) => return Self::Equal,
            (Law::Workload, Name::Chat) => {
                let per_minute = 60.0 / timing.mean.as_secs_f64();
                let drift = stream("arrivals-drift");
                Drifting::new(stream("arrivals"), drift, per_minute).map(Self::Drifting)
            }
            (Law::Workload, Name::Code) => {
                Bursts::new(stream("arrivals"), stream("arrivals-bursts")).map(Self::Bursts)
            }
            // The traces of reason and long publish no arrivals, and uniform has no trace.
            _ => None,
        };
        own.unwrap_or_else(|| Self::Exponential(stream("arrivals")))
    }

    /// The gap after pair `seq`, as a multiple of the mean; `None` if all gaps are equal. Calls
    /// come in the order of `seq`.
    pub(super) fn next(&mut self, seq: u64) -> Option<f64> {
        match self {
            Self::Equal => None,
            Self::Exponential(stream) => Some(Exp1.sample(&mut stream.at(seq))),
            Self::Drifting(drifting) => Some(drifting.next(seq)),
            Self::Bursts(bursts) => Some(bursts.next(seq)),
        }
    }
}

/// A gamma distribution with a shape below 1.
///
/// It is made from one with a shape above 1: `G(a) = G(a + 1) * U^(1/a)`, and `-ln U` is
/// exponential. `Gamma` would do the same with the platform's power function, which is slower and
/// differs in its last bits between platforms.
#[derive(Debug, Clone, Copy)]
struct SmallGamma {
    above: Gamma<f64>,
    shape: f64,
}

impl SmallGamma {
    fn new(shape: f64, scale: f64) -> Option<Self> {
        Some(Self { above: Gamma::new(shape + 1.0, scale).ok()?, shape })
    }

    fn sample(&self, rng: &mut impl Rng) -> f64 {
        let exponential: f64 = Exp1.sample(rng);
        self.above.sample(rng) * exp(-exponential / self.shape)
    }
}

/// Minutes in a period of the drift, because the trace is an hour long.
const HOUR: usize = 60;

/// Conversation of the Azure LLM inference trace 2023 (CC-BY-4.0): gamma shape of the gaps without
/// the drift; pairs per minute; standard deviation and autocorrelation after a minute of the
/// logarithm of the rate.
const CHAT_SHAPE: f64 = 0.90;
const CHAT_PER_MINUTE: f64 = 331.8;
const DRIFT_LOG_SD: f64 = 0.22;
const DRIFT_AUTOCORRELATION: f64 = 0.78;

/// Gamma gaps at a rate that changes every minute of the trace.
///
/// The spread of the rate was measured around the mean of the trace's hour. So every hour here has
/// exactly that spread and the mean 1, and SLEEP_SEC stays the mean. At rates above the trace's, a
/// minute of the drift has as many pairs as the trace's and is shorter, so runs of seconds keep
/// their mean too.
#[derive(Debug, Clone)]
pub(super) struct Drifting {
    gamma: SmallGamma,
    gaps: Stream,
    drift: Stream,
    /// Rate of each minute of the hour.
    rates: [f64; HOUR],
    /// Minutes since the start.
    minute: u64,
    /// Mean number of gaps in a minute.
    per_minute: f64,
    /// The rest of the minute, in gaps.
    left: f64,
}

impl Drifting {
    fn new(gaps: Stream, drift: Stream, per_minute: f64) -> Option<Box<Self>> {
        let gamma = SmallGamma::new(CHAT_SHAPE, 1.0 / CHAT_SHAPE)?;
        let rates = hour(&mut drift.at(0));
        let per_minute = per_minute.min(CHAT_PER_MINUTE);
        let left = rates[0] * per_minute;
        Some(Box::new(Self { gamma, gaps, drift, rates, minute: 0, per_minute, left }))
    }

    fn rate(&self) -> f64 {
        let minute = usize::try_from(self.minute % HOUR as u64).unwrap_or_default();
        self.rates[minute]
    }

    fn next(&mut self, seq: u64) -> f64 {
        let mut gap = self.gamma.sample(&mut self.gaps.at(seq));
        let mut passed = 0.0;
        while gap >= self.left {
            gap -= self.left;
            passed += self.left / self.rate();
            self.minute += 1;
            if self.minute.is_multiple_of(HOUR as u64) {
                self.rates = hour(&mut self.drift.at(self.minute / HOUR as u64));
            }
            self.left = self.rate() * self.per_minute;
        }
        self.left -= gap;
        passed + gap / self.rate()
    }
}

/// The rates of an hour's minutes: an autoregressive path, scaled to the spread and the mean 1.
fn hour(rng: &mut impl Rng) -> [f64; HOUR] {
    let mut path = [0.0; HOUR];
    let mut value: f64 = StandardNormal.sample(rng);
    for place in &mut path {
        *place = value;
        let normal: f64 = StandardNormal.sample(rng);
        value = DRIFT_AUTOCORRELATION * value
            + (1.0 - DRIFT_AUTOCORRELATION * DRIFT_AUTOCORRELATION).sqrt() * normal;
    }
    let over = |path: &[f64; HOUR]| path.iter().sum::<f64>() / 60.0;
    let mean = over(&path);
    let sd = over(&path.map(|x| (x - mean) * (x - mean))).sqrt();
    let rates = path.map(|x| exp(DRIFT_LOG_SD * (x - mean) / sd));
    let mean = over(&rates);
    rates.map(|rate| rate / mean)
}

/// Code of the Azure LLM inference trace 2023 (CC-BY-4.0), split into bursts at gaps of more than
/// five seconds: pairs in a burst; seconds of silence between two bursts; gamma shape and scale, in
/// seconds, of the gaps within one.
const BURST_PAIRS: f64 = 152.0;
const SILENCE_SEC: f64 = 43.2;
const BURST_SHAPE: f64 = 0.353;
const BURST_SCALE_SEC: f64 = 0.314;

/// Number of bursts whose sizes and silences are drawn together.
const TOGETHER: usize = 12;

/// Bursts of gamma gaps, with silences between them.
///
/// Sizes and silences are exponential: the median of the trace's sizes is 114 (105 here), the CV of
/// its silences 1.09. Every twelve bursts have exactly the mean, so SLEEP_SEC is also the mean of a
/// run of some thousand pairs.
#[derive(Debug, Clone)]
pub(super) struct Bursts {
    gamma: SmallGamma,
    gaps: Stream,
    bursts: Stream,
    /// Bursts since the start.
    burst: u64,
    /// The end of each burst, in pairs since the first of the twelve began.
    ends: [f64; TOGETHER],
    silences_sec: [f64; TOGETHER],
    /// Pairs since the first of the twelve began.
    pair: f64,
}

impl Bursts {
    fn new(gaps: Stream, bursts: Stream) -> Option<Box<Self>> {
        let gamma = SmallGamma::new(BURST_SHAPE, BURST_SCALE_SEC)?;
        let (ends, silences_sec) = twelve(&mut bursts.at(0));
        Some(Box::new(Self { gamma, gaps, bursts, burst: 0, ends, silences_sec, pair: 0.0 }))
    }

    fn next(&mut self, seq: u64) -> f64 {
        const MEAN_SEC: f64 =
            (SILENCE_SEC + (BURST_PAIRS - 1.0) * BURST_SHAPE * BURST_SCALE_SEC) / BURST_PAIRS;
        self.pair += 1.0;
        let mut silence_sec = 0.0;
        loop {
            let place = usize::try_from(self.burst % TOGETHER as u64).unwrap_or_default();
            if self.pair < self.ends[place] {
                break;
            }
            silence_sec += self.silences_sec[place];
            self.burst += 1;
            if self.burst.is_multiple_of(TOGETHER as u64) {
                let mut rng = self.bursts.at(self.burst / TOGETHER as u64);
                (self.ends, self.silences_sec) = twelve(&mut rng);
                self.pair = 0.0;
            }
        }
        if silence_sec > 0.0 {
            return silence_sec / MEAN_SEC;
        }
        self.gamma.sample(&mut self.gaps.at(seq)) / MEAN_SEC
    }
}

/// Ends and silences of twelve bursts.
fn twelve(rng: &mut Pcg64Mcg) -> ([f64; TOGETHER], [f64; TOGETHER]) {
    let mut exponentials = |mean: f64| {
        let mut draws = [0.0; TOGETHER];
        for draw in &mut draws {
            *draw = Exp1.sample(rng);
        }
        let sum: f64 = draws.iter().sum();
        draws.map(|draw: f64| draw / sum * mean * 12.0)
    };
    let (sizes, silences_sec) = (exponentials(BURST_PAIRS), exponentials(SILENCE_SEC));
    let mut end = 0.0;
    let ends = sizes.map(|size| {
        end += size;
        end
    });
    // The last end is exact, whatever the sum of the floats is.
    let mut whole_ends = ends.map(f64::round);
    whole_ends[TOGETHER - 1] = BURST_PAIRS * 12.0;
    (whole_ends, silences_sec)
}
