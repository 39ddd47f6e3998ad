//! Constants of known GPUs, each with its source.

/// What decides how fast a GPU answers with the model of this version, Llama 3 8B at 16 bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hardware {
    /// Time to first token without a prompt, ms.
    pub ttft_base_ms: f64,
    /// Time to first token for each prompt token, ms.
    pub ttft_per_token_ms: f64,
    /// Time per output token at batch 0, ms.
    pub tpot_base_ms: f64,
    /// Time per output token for each request in the batch, ms.
    pub tpot_per_batch_ms: f64,
}

/// RTX 3090: 21.5 ms a token and 0.236 ms a prompt token, single stream, llama.cpp F16
/// (XiongjieDai/GPU-Benchmarks-on-LLM-Inference). The 20 ms base is an assumption; how it scales
/// with the batch was not found, so the A100's share of its base is used.
const RTX_3090: Hardware = Hardware {
    ttft_base_ms: 20.0,
    ttft_per_token_ms: 0.236,
    tpot_base_ms: 21.5,
    tpot_per_batch_ms: 0.28,
};

/// RTX 4090: same source and same assumptions as the RTX 3090.
const RTX_4090: Hardware = Hardware {
    ttft_base_ms: 15.0,
    ttft_per_token_ms: 0.110,
    tpot_base_ms: 18.4,
    tpot_per_batch_ms: 0.24,
};

/// A100: the H100's figures scaled by memory bandwidth, 3.35 / 2.04 TB/s.
const A100: Hardware = Hardware {
    ttft_base_ms: 15.0,
    ttft_per_token_ms: 0.066,
    tpot_base_ms: 10.2,
    tpot_per_batch_ms: 0.134,
};

/// H100: inter-token latency against batch of the ML.ENERGY v3 measurements (Apache-2.0).
const H100: Hardware = Hardware {
    ttft_base_ms: 10.0,
    ttft_per_token_ms: 0.05,
    tpot_base_ms: 6.2,
    tpot_per_batch_ms: 0.0813,
};

/// The constants of a GPU by its model name; an unknown one answers like an A100.
#[must_use]
pub(super) fn of(name: &str) -> Hardware {
    let known = [("3090", RTX_3090), ("4090", RTX_4090), ("H100", H100)];
    known.iter().find(|(part, _)| name.contains(part)).map_or(A100, |(_, hardware)| *hardware)
}
