//! The kinds of incidents, what each is told, and what it shows.

use serde::Serialize;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentKind {
    /// A lower power limit: the clocks go down, and requests take longer.
    Throttle,
    /// The GPU falls off the bus (XID 79): none of its records come, and its siblings serve its
    /// requests.
    GpuLost,
    /// An uncorrectable memory error (XID 48): the GPU is reset, and its server loads the model again.
    /// It serves nothing until then, and its sensors show that.
    EccRestart,
    /// Another tenant computes on the GPU: it is busier, and requests take longer.
    NoisyNeighbour,
    /// More requests come.
    Surge,
    /// The metric repeats the values that it had at the beginning.
    StuckGauge,
    /// The metrics of the whole host do not come.
    ExporterSilent,
}

/// What a kind is told: how much of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// The least that makes sense.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// Where nothing is said.
    pub default: f64,
    /// What it is, in words.
    pub meaning: &'static str,
}

/// One thing that an alert should see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Symptom {
    /// Event type of the topic in which it shows.
    pub event: &'static str,
    /// The field, or `records` for how many there are.
    pub field: &'static str,
    /// What it does: `up`, `down`, `none`, `zero` or `constant`.
    pub change: &'static str,
}

const METRIC: &str = "gpu.metrics.v1";
const TOKEN: &str = "token.usage.v1";

const fn symptom(event: &'static str, field: &'static str, change: &'static str) -> Symptom {
    Symptom { event, field, change }
}

impl IncidentKind {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Throttle,
        Self::GpuLost,
        Self::EccRestart,
        Self::NoisyNeighbour,
        Self::Surge,
        Self::StuckGauge,
        Self::ExporterSilent,
    ];

    /// All, as they are written.
    pub const WORDS: [&'static str; 7] = {
        let mut words = [""; 7];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::ALL[at].word();
            at += 1;
        }
        words
    };

    /// The kind as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::GpuLost => "gpu-lost",
            Self::EccRestart => "ecc-restart",
            Self::NoisyNeighbour => "noisy-neighbour",
            Self::Surge => "surge",
            Self::StuckGauge => "stuck-gauge",
            Self::ExporterSilent => "exporter-silent",
        }
    }

    /// What it is told, if anything.
    ///
    /// NVIDIA's hardware slowdown halves the clocks or worse (NVML, `HwSlowdown`), and half of its power
    /// is where the RTX 3090 that was measured becomes clearly slower: that is the default of a
    /// throttle. The others are assumed.
    #[must_use]
    pub fn parameter(self) -> Option<Parameter> {
        let parameter =
            |least, most, default, meaning| Some(Parameter { least, most, default, meaning });
        match self {
            Self::Throttle => parameter(
                0.2,
                0.95,
                0.5,
                "power limit, share of what the GPU draws when it decodes",
            ),
            Self::NoisyNeighbour => {
                parameter(0.05, 0.9, 0.4, "share of the GPU's time that the neighbour takes")
            }
            Self::Surge => parameter(1.1, 100.0, 3.0, "how many times as many requests come"),
            _ => None,
        }
    }

    /// Whether it is about the GPUs of a pattern; a surge is about all of them.
    #[must_use]
    pub fn has_gpus(self) -> bool {
        self != Self::Surge
    }

    /// Whether it needs the load of a workload, which `uniform` does not have.
    #[must_use]
    pub fn needs_load(self) -> bool {
        matches!(self, Self::Throttle | Self::NoisyNeighbour | Self::Surge | Self::StuckGauge)
    }

    /// Whether the GPU serves no requests meanwhile.
    #[must_use]
    pub fn takes_gpu(self) -> bool {
        matches!(self, Self::GpuLost | Self::EccRestart)
    }

    /// What an alert should see of it, for the keys that it is about unless said otherwise.
    #[must_use]
    pub fn symptoms(self) -> &'static [Symptom] {
        const THROTTLE: &[Symptom] =
            &[symptom(METRIC, "power_w", "down"), symptom(TOKEN, "latency_ms", "up")];
        const LOST: &[Symptom] =
            &[symptom(METRIC, "records", "none"), symptom(TOKEN, "records", "none")];
        const RESTART: &[Symptom] = &[
            symptom(METRIC, "utilization", "zero"),
            symptom(METRIC, "mem_used_mb", "down"),
            symptom(METRIC, "power_w", "down"),
            symptom(TOKEN, "records", "none"),
        ];
        const NEIGHBOUR: &[Symptom] = &[
            symptom(METRIC, "utilization", "up"),
            symptom(METRIC, "mem_used_mb", "up"),
            symptom(TOKEN, "latency_ms", "up"),
        ];
        const SURGE: &[Symptom] = &[
            symptom(METRIC, "records", "up"),
            symptom(METRIC, "utilization", "up"),
            symptom(TOKEN, "records", "up"),
            symptom(TOKEN, "latency_ms", "up"),
        ];
        const STUCK: &[Symptom] =
            &[symptom(METRIC, "utilization", "constant"), symptom(METRIC, "power_w", "constant")];
        const SILENT: &[Symptom] = &[symptom(METRIC, "records", "none")];
        match self {
            Self::Throttle => THROTTLE,
            Self::GpuLost => LOST,
            Self::EccRestart => RESTART,
            Self::NoisyNeighbour => NEIGHBOUR,
            Self::Surge => SURGE,
            Self::StuckGauge => STUCK,
            Self::ExporterSilent => SILENT,
        }
    }
}
