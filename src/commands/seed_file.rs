//! `seed`: what nvidia-smi or rocm-smi prints, as a seed file that a price can be written into.

use std::path::Path;

use serde_json::Value;
use tracing::{info, warn};

use super::{print, refuse};
use crate::exit::Exit;
use crate::host::files;
use crate::workload::doubts;
use crate::workload::seed::{self, NVIDIA_SMI, ROCM_SMI, SeedError, Snapshot};

/// Prints the seed file that a tool's text makes; `-` is stdin.
#[must_use]
pub fn seed_file(path: &Path, price_per_hour_usd: Option<f64>) -> Exit {
    let bytes = match files::read_seed(path, || false) {
        Ok(bytes) => bytes,
        Err(error) => {
            let text = format!("cannot read {}: {error}; {}", path.display(), expected());
            return refuse(&text, Exit::NoInput);
        }
    };
    match made(&bytes, price_per_hour_usd) {
        Ok((json, warnings)) => {
            for warning in warnings {
                warn!("{warning}");
            }
            if json.contains("null") {
                info!("write a value where it has null; GPU_SEED=FILE then reads it");
            }
            print(&json)
        }
        Err(error) => refuse(&format!("{}: {error}", path.display()), Exit::DataErr),
    }
}

fn expected() -> String {
    format!("expected what `{NVIDIA_SMI}` prints, or `{ROCM_SMI}`")
}

/// The seed file, and what is odd about it.
fn made(bytes: &[u8], price: Option<f64>) -> Result<(String, Vec<String>), SeedError> {
    let Some(snapshot) = Snapshot::read(seed::text(bytes)?) else {
        // A seed file already, or an error that says what it is.
        seed::parse(bytes)?;
        let problem = format!("it is a seed file already; {}", expected());
        return Err(SeedError { line: 1, row: None, field: None, problem });
    };
    let snapshot = snapshot?;
    let json = snapshot.json(&price.map_or(Value::Null, Value::from));
    let gaps: Vec<_> = snapshot.gaps().map(|gap| gap.to_string()).collect();
    if !gaps.is_empty() {
        return Ok((json, gaps));
    }
    let seed = seed::parse(snapshot.json(&Value::from(0)).as_bytes())?;
    let warnings = seed.warnings.into_iter().chain(doubts(&seed.rows));
    Ok((json, warnings.collect()))
}
