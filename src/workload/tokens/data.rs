//! The tables of the traces. They hold derived statistics and no rows; attribution and licences are
//! in NOTICE.
//!
//! A quantile of a table is the smallest length that the stated share of the rows does not exceed.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::quantiles::{Quantiles, Sides};

/// Classes of chat requests.
pub(super) const CLASSES: usize = 13;

/// Azure LLM inference trace 2023 (CC-BY-4.0): conversation and code.
#[derive(Debug, Deserialize)]
pub(super) struct Azure {
    pub(super) chat: ChatTables,
    pub(super) code: Sides,
}

/// Conversation.
#[derive(Debug, Deserialize)]
pub(super) struct ChatTables {
    #[serde(flatten)]
    pub(super) sides: Sides,
    pub(super) cells: Vec<Cell>,
    pub(super) classes: [ClassTable; CLASSES],
}

/// About 1 % of the conversation's requests, of similar prompts.
#[derive(Debug, Deserialize)]
pub(super) struct Cell {
    pub(super) share: f64,
    /// Fifths of the prompts.
    pub(super) prompt: [f64; 6],
    /// Twentieths of the completions.
    pub(super) completion: [f64; 21],
}

/// A class of the conversation's requests. A request belongs to the first that its lengths fit.
#[derive(Debug, Deserialize)]
pub(super) struct ClassTable {
    /// Least and most tokens of the prompt.
    pub(super) prompt: [f64; 2],
    /// Least and most tokens of the completion.
    pub(super) completion: [f64; 2],
    /// Share of the hour's requests.
    pub(super) share: f64,
    /// How the logarithm of the share moves with each of the two drifts that all classes have in
    /// common: the two largest principal components of the logarithms of the trace's shares by five
    /// minutes, weighted by the classes' shares.
    pub(super) common: [f64; 2],
    /// Standard deviation of what is left of the drift by the minute.
    pub(super) own: f64,
    /// Its autocorrelation after a minute.
    pub(super) persistence: f64,
}

/// The other traces.
#[derive(Debug, Deserialize)]
pub(super) struct Others {
    /// ServeGen, deepseek-r1 (Apache-2.0).
    pub(super) reason: Sides,
    /// Mooncake, FAST'25 conversation (Apache-2.0).
    pub(super) long: Sides,
    pub(super) agent: AgentTables,
}

/// kv-cache-tester, sessions of Claude Code (Apache-2.0).
#[derive(Debug, Deserialize)]
pub(super) struct AgentTables {
    #[serde(flatten)]
    pub(super) sides: Sides,
    /// Requests of a session.
    pub(super) requests: Quantiles,
    /// Tokens by which the prompt of a turn exceeds the one before; the first is negative.
    pub(super) growth: Vec<f64>,
}

pub(super) static AZURE: LazyLock<Azure> = LazyLock::new(|| parsed(include_str!("azure2023.json")));

pub(super) static OTHERS: LazyLock<Others> =
    LazyLock::new(|| parsed(include_str!("sessions.json")));

#[expect(clippy::expect_used, reason = "the tables are part of the program, and a test reads them")]
fn parsed<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("tables")
}
