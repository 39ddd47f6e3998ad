//! The constants behind the events of one GPU.

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
            pub(super) fn constant(&mut self, name: &str) -> Option<&mut f64> {
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
