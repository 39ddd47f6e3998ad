//! The constants of a GPU and of the model on it, each with its source.

mod boards;
mod models;

use super::Name;
use super::seed::Row;
use boards::Board;
use models::Model;

/// Defines [`Hardware`] and the list of its constants from one list.
macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The constants behind the events of one GPU. A seed row can set each by name.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Hardware {
            $($(#[$doc])* pub $name: f64,)+
        }

        /// The constants by name.
        pub(super) const CONSTANTS: &[&str] = &[$(stringify!($name)),+];

        impl Hardware {
            /// The constant of a name.
            fn constant(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

constants! {
    /// Power limit of the board, W.
    power_cap_w,
    /// Power with nothing loaded, W. No reading is lower.
    power_idle_w,
    /// Power with a model loaded and no request, W.
    power_loaded_idle_w,
    /// Scatter of the power sensor, share of the reading (standard deviation).
    power_scatter,
    /// Power while decoding for one request, share of the limit.
    decode_power_share,
    /// What each doubling of the batch adds to that, share of the limit.
    decode_power_share_per_doubling,
    /// Least time to first token, ms.
    ttft_floor_ms,
    /// Time to first token without a prompt, ms.
    ttft_base_ms,
    /// Time to first token for each prompt token, ms.
    ttft_per_token_ms,
    /// Time to first token for each square of a prompt token, ms.
    ttft_per_token_squared_ms,
    /// Time per output token at batch 0, ms.
    tpot_base_ms,
    /// Time per output token for each request in the batch, ms.
    tpot_per_batch_ms,
    /// Most requests in one batch.
    batch_max,
}

impl Hardware {
    /// Time to first token of a prompt on an otherwise idle GPU, ms.
    #[must_use]
    pub fn ttft_ms(&self, prompt_tokens: f64) -> f64 {
        let linear = self.ttft_base_ms + self.ttft_per_token_ms * prompt_tokens;
        let squared = self.ttft_per_token_squared_ms * prompt_tokens * prompt_tokens;
        (linear + squared).max(self.ttft_floor_ms)
    }

    /// Time per output token in a batch, ms.
    #[must_use]
    pub fn tpot_ms(&self, batch: f64) -> f64 {
        self.tpot_base_ms + self.tpot_per_batch_ms * batch
    }
}

/// One row of the seed and what the workload knows of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    /// Name of the language model.
    pub(super) model: String,
    /// The constants.
    pub(super) hardware: Hardware,
    /// The GPU that the row was recognised as.
    pub(super) board: Option<&'static str>,
}

/// The model and constants of a seed row whose requests have `tokens_per_request` on average. The
/// row's constants come first, then those of its GPU and model, then what follows from its values.
pub(super) fn of(row: &Row, tokens_per_request: f64) -> Known {
    let board = Board::of(row);
    let model = Model::of(row);
    let mut hardware = model.on(&board, row, tokens_per_request);
    for (name, value) in &row.constants {
        if let Some(constant) = hardware.constant(name) {
            *constant = *value;
        }
    }
    // If a row has more power than its GPU's limit, the limit was raised.
    let least_cap = row.power_w / HIGHEST_MEAN_POWER_SHARE;
    if !row.constants.iter().any(|(name, _)| *name == "power_cap_w") {
        hardware.power_cap_w = hardware.power_cap_w.max(least_cap);
    }
    let name = row.model.clone().unwrap_or_else(|| model.name.to_owned());
    Known { model: name, hardware, board: board.name }
}

/// Highest mean power of a board, share of its limit. The limiter's target is the limit.
pub(super) const HIGHEST_MEAN_POWER_SHARE: f64 = 0.97;

/// The GPUs that the program recognises by name.
pub fn known_gpus() -> impl Iterator<Item = &'static str> {
    boards::names()
}

/// How a row was recognised, for the log: `RTX 3090 (as RTX 3090, serving llama-3.1-8b)`.
///
/// The `uniform` workload uses no constants, so it recognises nothing.
#[must_use]
pub fn describe(row: &Row, workload: Name) -> String {
    if workload == Name::Uniform {
        return row.name.clone();
    }
    let Known { model, board, .. } = of(row, 1.0);
    let (name, fits) = (&row.name, row.model.is_some() || Model::of(row).fits(row));
    let too_large =
        if fits { "" } else { ", which is too large for it: name its model in the row" };
    board.map_or_else(
        || format!("{name} (not recognised: from its row; serving {model}{too_large})"),
        |board| format!("{name} (as {board}, serving {model}{too_large})"),
    )
}

#[cfg(test)]
mod tests;
