//! Language models: how much GPU memory they need, and how fast each GPU answers with them.

use super::Hardware;
use super::boards::Board;
use crate::workload::seed::Row;

/// A language model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// Name in the token events.
    pub(super) name: &'static str,
    /// Weights on one GPU, MiB (GPU-Benchmarks-on-LLM-Inference: 14.96, 4.58 and 131.42 GiB, the
    /// last over four GPUs).
    weights_mib: f64,
    /// Keys and values of one token on one GPU, MiB: 131,072 bytes for 8B, 327,680 for 70B over
    /// four GPUs (layers, heads and 16 bit, from the model configurations in microsoft/vidur, MIT).
    kv_mib_per_token: f64,
    /// Measurements. Boards without one are derived from the first.
    measured: &'static [Measured],
    /// Bytes that a token moves through memory, and operations of a prompt token, relative to the
    /// model that was measured. Decoding is bound by the first, the prompt by the second.
    relative: (f64, f64),
}

/// How fast a model answers on some boards.
#[derive(Debug, PartialEq)]
struct Measured {
    boards: &'static [&'static str],
    /// Bandwidth of the board that was measured, GB/s.
    bandwidth_gb_s: f64,
    /// Least time to first token, ms; base, for each token, for each token squared.
    ttft_ms: (f64, f64, f64, f64),
    /// Time per output token, ms: base, for each request in the batch.
    tpot_ms: (f64, f64),
    /// Decode power as in [`Board`], if the model was measured on more than one GPU.
    decode_power: Option<(f64, f64)>,
}

/// Least time to first token, ms: splitwise-sim measured 50 to 65 for short prompts on all its
/// boards (MIT, Llama 2 70B); assumed for the smaller models.
const FLOOR_MS: f64 = 55.0;

/// Most requests in a batch: the default of vLLM's `max_num_seqs`.
const BATCH_MAX: f64 = 256.0;

const fn measured(
    boards: &'static [&'static str],
    bandwidth_gb_s: f64,
    ttft_ms: (f64, f64, f64, f64),
    tpot_ms: (f64, f64),
) -> Measured {
    Measured { boards, bandwidth_gb_s, ttft_ms, tpot_ms, decode_power: None }
}

/// Llama 3.1 8B at 16 bit.
///
/// H100: inter-token latency against batch of ML.ENERGY v3 (Apache-2.0); time to first token from
/// that of 70B (splitwise-sim). H200: the H100's, by the ratio of vLLM's own benchmark (6.5 to 7.8
/// ms). B200: ML.ENERGY v3 at batch 8. A100: the H100's by bandwidth; its time to first token is 48
/// ms at 500 tokens (NVIDIA NIM). RTX: single stream of GPU-Benchmarks-on-LLM-Inference, whose base
/// is assumed; how they scale with the batch was not found, so the H100's share is used.
#[rustfmt::skip]
const LLAMA_8B: &[Measured] = &[
    measured(&["H100 SXM"], 3350.0, (FLOOR_MS, 10.0, 0.05, 0.0), (6.2, 0.0813)),
    measured(&["H200 SXM", "H200 NVL"], 4800.0, (FLOOR_MS, 10.0, 0.05, 0.0), (5.2, 0.068)),
    measured(&["B200"], 8000.0, (FLOOR_MS, 10.0, 0.05, 0.0), (4.1, 0.0607)),
    measured(&["A100 80GB SXM"], 2039.0, (FLOOR_MS, 15.0, 0.066, 0.0), (10.2, 0.134)),
    measured(&["RTX 3090"], 936.0, (FLOOR_MS, 20.0, 0.236, 0.0), (21.5, 0.28)),
    measured(&["RTX 4090"], 1008.0, (FLOOR_MS, 15.0, 0.110, 0.0), (18.4, 0.24)),
];

/// Llama 3.1 8B at 4 bit (Q4_K_M): single stream of GPU-Benchmarks-on-LLM-Inference. The A100 is
/// the RTX 3090 by the ratio of the two for Llama 2 7B at 4 bit there (120.6 to 136.2 tokens/s).
#[rustfmt::skip]
const LLAMA_8B_Q4: &[Measured] = &[
    measured(&["RTX 3090"], 936.0, (FLOOR_MS, 20.0, 0.259, 0.0), (8.95, 0.117)),
    measured(&["RTX 4090"], 1008.0, (FLOOR_MS, 15.0, 0.145, 0.0), (7.83, 0.103)),
    measured(
        &["A100 40GB SXM", "A100 40GB PCIe", "A100 80GB SXM", "A100 80GB PCIe", "H100 PCIe",
          "H100 SXM", "H200 SXM", "H200 NVL", "B200", "MI300X"],
        2039.0, (FLOOR_MS, 15.0, 0.098, 0.0), (7.92, 0.104),
    ),
];

/// Llama 3.1 70B at 16 bit over four GPUs (two B200).
///
/// H100 and B200: ML.ENERGY v3; times to first token of splitwise-sim's fits (Llama 2 70B on four
/// H100 and A100), the B200 with the H100's. A100: the H100's time per token by bandwidth.
#[rustfmt::skip]
const LLAMA_70B: &[Measured] = &[
    Measured {
        decode_power: Some((0.455, 0.0465)),
        ..measured(&["H100 SXM"], 3350.0, (50.0, 14.0, 0.0964, 2.1e-6), (15.28, 0.107))
    },
    Measured {
        decode_power: Some((0.812, 0.0156)),
        ..measured(&["B200"], 8000.0, (50.0, 14.0, 0.0964, 2.1e-6), (15.85, 0.069))
    },
    measured(&["A100 80GB SXM"], 2039.0, (64.0, 39.0, 0.1645, 1.42e-5), (25.1, 0.176)),
];

/// DeepSeek-R1 at 8 bit over eight B200: time per token of ML.ENERGY v3 at batches of 8 to 128. Its
/// time to first token was not found; that of Llama 70B on four H100 is assumed.
#[rustfmt::skip]
const DEEPSEEK: &[Measured] = &[
    measured(&["B200"], 8000.0, (50.0, 14.0, 0.0964, 2.1e-6), (21.4, 0.21)),
];

/// Llama 3.1 8B at 16 bit.
const EIGHT_B: Model = Model {
    name: "llama-3.1-8b",
    weights_mib: 15_319.0,
    kv_mib_per_token: 0.125,
    measured: LLAMA_8B,
    relative: (1.0, 1.0),
};

/// Llama 3.1 8B with weights and activations at 8 bit. Its embeddings (2,004 MiB) stay at 16. The
/// time of a prompt is assumed to be that of 16 bit.
const EIGHT_B_W8A8: Model = Model {
    name: "llama-3.1-8b-w8a8",
    weights_mib: 8_661.0,
    relative: (8_661.0 / 15_319.0, 1.0),
    ..EIGHT_B
};

/// Llama 3.1 8B at 4 bit.
const EIGHT_B_Q4: Model =
    Model { name: "llama-3.1-8b-q4_k_m", weights_mib: 4_690.0, measured: LLAMA_8B_Q4, ..EIGHT_B };

/// Llama 3.2 3B at 16 bit: 3.21 of 8.03 billion parameters, and 28 layers of keys and values where
/// 8B has 32 (model configurations).
const THREE_B: Model = Model {
    name: "llama-3.2-3b",
    weights_mib: 6_128.0,
    kv_mib_per_token: 0.109_375,
    relative: (3.21 / 8.03, 3.21 / 8.03),
    ..EIGHT_B
};

/// Llama 3.1 70B at 16 bit, a quarter of it.
const SEVENTY_B: Model = Model {
    name: "llama-3.1-70b",
    weights_mib: 33_644.0,
    kv_mib_per_token: 0.078_125,
    measured: LLAMA_70B,
    relative: (1.0, 1.0),
};

/// DeepSeek-R1 at 8 bit, an eighth of its 671 billion parameters: 61 layers of 576 values of keys
/// and values, compressed (model configuration).
const DEEPSEEK_R1: Model = Model {
    name: "deepseek-r1",
    weights_mib: 80_000.0,
    kv_mib_per_token: 0.067,
    measured: DEEPSEEK,
    relative: (1.0, 1.0),
};

/// The models that a row gets by its memory, the largest first.
const BY_MEMORY: [Model; 4] = [EIGHT_B, EIGHT_B_W8A8, THREE_B, EIGHT_B_Q4];

/// Tokens whose keys and values a server holds at least: the longest request that it takes. Assumed.
const LEAST_CONTEXT: f64 = 8_192.0;

impl Model {
    /// The model that a row names, or else the largest that fits in its memory in use, together with
    /// the keys and values of a long request.
    ///
    /// A model that spans several GPUs is used only if the row names it.
    pub(super) fn of(row: &Row) -> Self {
        if let Some(named) = row.model.as_deref().and_then(Self::named) {
            return named;
        }
        let needs = |model: &Self| model.weights_mib + LEAST_CONTEXT * model.kv_mib_per_token;
        let fits = |mib: u64| BY_MEMORY.into_iter().find(|model| needs(model) <= mib as f64);
        fits(row.mem_used_mb).or_else(|| fits(row.mem_total_mb)).unwrap_or(EIGHT_B_Q4)
    }

    /// The model that a row's name means, by the family, size and quantization in it.
    fn named(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let has = |word| upper.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == word);
        let known = [
            (has("DEEPSEEK") && (has("R1") || has("V3")), DEEPSEEK_R1),
            (has("70B"), SEVENTY_B),
            (has("8B") && has("Q4"), EIGHT_B_Q4),
            (has("8B") && (has("W8A8") || has("FP8") || has("INT8")), EIGHT_B_W8A8),
            (has("8B"), EIGHT_B),
            (has("3B"), THREE_B),
        ];
        known.into_iter().find(|(means, _)| *means).map(|(_, model)| model)
    }

    /// Whether the weights fit in a GPU's memory.
    pub(super) fn fits(&self, row: &Row) -> bool {
        self.weights_mib <= row.mem_total_mb as f64
    }

    /// The constants of this model on a board.
    ///
    /// A board without a measurement has the times of the first measured one, scaled by memory
    /// bandwidth, which bounds decoding. For the time to first token this is an assumption.
    pub(super) fn on(&self, board: &Board, row: &Row, tokens_per_request: f64) -> Hardware {
        let own = self.measured.iter().find(|m| board.name.is_some_and(|b| m.boards.contains(&b)));
        let measured = own.unwrap_or(&self.measured[0]);
        let slower =
            if own.is_some() { 1.0 } else { measured.bandwidth_gb_s / board.bandwidth_gb_s };
        let (decode, doubling) =
            measured.decode_power.filter(|_| own.is_some()).unwrap_or(board.decode_power);
        let (floor, base, per_token, squared) = measured.ttft_ms;
        let (tpot, per_batch) = measured.tpot_ms;
        let (bytes, operations) = self.relative;
        Hardware {
            power_cap_w: board.power_cap_w,
            power_idle_w: board.power_idle_w,
            power_loaded_idle_w: board.power_loaded_idle_w,
            power_scatter: board.power_scatter,
            decode_power_share: decode,
            decode_power_share_per_doubling: doubling,
            ttft_floor_ms: floor,
            ttft_base_ms: base * slower * operations,
            ttft_per_token_ms: per_token * slower * operations,
            ttft_per_token_squared_ms: squared * slower * operations,
            tpot_base_ms: tpot * slower * bytes,
            tpot_per_batch_ms: per_batch * slower * bytes,
            batch_max: self.batch_max(row, tokens_per_request),
        }
    }

    /// Number of requests whose keys and values fit beside the weights in the row's memory in use.
    fn batch_max(&self, row: &Row, tokens_per_request: f64) -> f64 {
        let used = row.mem_used_mb as f64;
        let total = row.mem_total_mb as f64;
        // If the model does not fit in the memory in use, assume a server that takes nine tenths.
        let held = if used >= self.weights_mib { used } else { 0.9 * total };
        let for_tokens = (held - self.weights_mib) / self.kv_mib_per_token;
        (for_tokens / tokens_per_request).floor().clamp(1.0, BATCH_MAX)
    }
}
