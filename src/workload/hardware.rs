//! Which GPU and which model a row means, and their constants, each with its source.

mod boards;
mod models;

use super::Name;
use super::constants::Hardware;
use super::seed::Row;
use boards::Board;
use models::Model;

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

/// How a row was recognised and what it means, for the log: `RTX 3090 (as RTX 3090, serving
/// llama-3.2-3b; 0.7 busy and 280 W on average while it serves)`.
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
    let board = match board {
        Some(board) if board == name => String::new(),
        Some(board) => format!("as {board}; "),
        None => "not recognised, from its row; ".to_owned(),
    };
    let (percent, power_w) = (row.utilization_percent, row.power_w);
    format!("{name} ({board}serves {model}{too_large}; mean {percent} %, {power_w} W)")
}

/// What rows say that their GPUs can hardly do, for the log. Of a GPU that is not recognised nothing is
/// known, and a limit that a row sets itself is believed.
pub fn doubts(rows: &[Row]) -> impl Iterator<Item = String> {
    let doubts = rows.iter().map(doubt).enumerate();
    doubts.filter_map(|(i, doubt)| Some(format!("row {}: {}", i + 1, doubt?)))
}

fn doubt(row: &Row) -> Option<String> {
    beyond_board(row).or_else(|| at_an_edge(row))
}

/// An operating point that is none: a board that was idle when it was read, or one that is never so.
fn at_an_edge(row: &Row) -> Option<String> {
    match row.utilization_percent {
        0 => Some(
            "utilization 0: it was idle when it was read, and will be; read it while it is busy".into(),
        ),
        100 => Some(
            "utilization 1: it is never idle, so requests queue up to minutes. nvidia-smi has 100 % as \
             soon as any kernel runs; what counts here is DCGM's SM activity, often 0.5 to 0.9 (see \
             docs/workload.md)"
                .into(),
        ),
        _ => None,
    }
}

fn beyond_board(row: &Row) -> Option<String> {
    let Board { name: Some(name), power_cap_w, power_loaded_idle_w, .. } = Board::of(row) else {
        return None;
    };
    let Row { power_w, utilization_percent, .. } = row;
    let has_own_limit = row.constants.iter().any(|(constant, _)| *constant == "power_cap_w");
    if *power_w > power_cap_w && !has_own_limit {
        return Some(format!(
            "power_w {power_w} is more than the limit of {name}, {power_cap_w} W; power_cap_w says \
             that it was raised"
        ));
    }
    (*utilization_percent == 0 && *power_w > 2.0 * power_loaded_idle_w).then(|| {
        format!("power_w {power_w} at utilization 0, where {name} has {power_loaded_idle_w} W")
    })
}

#[cfg(test)]
mod tests;
