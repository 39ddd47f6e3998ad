//! The options of the commands that have many.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The options of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct VerifyOptions {
    /// The report of the run (REPORT_FILE): its settings and what its producer knows
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(crate) report: Option<PathBuf>,
    /// The run of this id, where there is no report; its other settings as for `run`
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Another topic to read, of a stage downstream: metric=NAME or token=NAME; repeatable
    #[arg(long = "topic", value_name = "KIND=NAME", value_parser = kind_and_name)]
    pub(crate) topics: Vec<(String, String)>,
    /// Read NDJSON instead of Kafka: as of generate or kcat -J, or bare values; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["follow", "topics"])]
    pub(crate) input: Option<PathBuf>,
    /// Wait for records that are still to come, until all are there or none came for --timeout
    #[arg(long)]
    pub(crate) follow: bool,
    /// How long to wait for the next record
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Print the account as JSON; its schema is verify.v1
    #[arg(long)]
    pub(crate) json: bool,
}

fn kind_and_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((kind @ ("metric" | "token"), name)) if !name.is_empty() => {
            Ok((kind.to_owned(), name.to_owned()))
        }
        _ => Err("expected metric=NAME or token=NAME".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|s: f64| Duration::try_from_secs_f64(s).ok());
    seconds.filter(|s| !s.is_zero()).ok_or_else(|| "expected seconds, as in 30".to_owned())
}
