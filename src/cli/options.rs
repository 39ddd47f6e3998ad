//! The options of the commands that have many.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Args, Command, ValueEnum};

use crate::audit::Ignored;
use crate::expect::{By, Format};
use crate::settings;

/// The options of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct VerifyOptions {
    /// A report, as with --report; or the id of a run that RUN_TOPIC describes: all of its shards are
    /// verified, and nothing else of it is needed
    #[arg(value_name = "REPORT|RUN_ID", conflicts_with = "run", value_hint = clap::ValueHint::FilePath)]
    named: Vec<PathBuf>,
    /// The id among them.
    #[arg(skip)]
    pub(crate) described: Option<String>,
    /// The report of the run (REPORT_FILE): its settings and what its producer knows; repeatable, as
    /// for shards: each is verified by itself
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(crate) report: Vec<PathBuf>,
    /// The run of this id, where there is no report; its other settings as for `run`
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Another topic to read, of a stage downstream: metric=NAME or token=NAME; repeatable: all of them
    /// are read
    #[arg(long = "topic", value_name = "KIND=NAME", value_parser = kind_and_name)]
    pub(crate) topics: Vec<(String, String)>,
    /// Read a file instead of Kafka: NDJSON as of generate or kcat -J, bare values, or the rows of a
    /// database as NDJSON, CSV or TSV; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["follow", "topics"])]
    pub(crate) input: Option<PathBuf>,
    /// Which columns of --input are fields of an event, or run, seq and topic; the others are ignored
    #[arg(long, value_name = "NAME=COLUMN", value_delimiter = ',', value_parser = column)]
    #[arg(requires = "input")]
    pub(crate) columns: Vec<(String, String)>,
    /// Parts that are not compared, because a stage made them again: timestamp, partition, headers, key,
    /// separated by commas
    #[arg(long, value_name = "PARTS", value_parser = parts, default_value = "", hide_default_value = true)]
    pub(crate) ignore: Ignored,
    /// Read the topics from the start of their logs, not from where the report says that the run began:
    /// copies from before are found
    #[arg(long, conflicts_with = "input")]
    pub(crate) all: bool,
    /// The topics come from a stage that de-duplicates: exactly one of a record and its declared
    /// duplicate must be present
    #[arg(long)]
    pub(crate) deduplicated: bool,
    /// Wait for records that are still to come, until all are there or none came for --timeout
    #[arg(long)]
    pub(crate) follow: bool,
    /// How long to wait for the next record
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// What a pipeline flagged, NDJSON of detected.v1: precision and recall for each kind
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) detected: Option<PathBuf>,
    /// Exit with 74 if the precision of any kind is below this, as 0.9
    #[arg(long, value_name = "SHARE", requires = "detected", value_parser = share)]
    pub(crate) min_precision: Option<Share>,
    /// Exit with 74 if the recall of any kind is below this, as 0.9
    #[arg(long, value_name = "SHARE", requires = "detected", value_parser = share)]
    pub(crate) min_recall: Option<Share>,
    /// Print the account as JSON; its schema is verify.v1
    #[arg(long)]
    pub(crate) json: bool,
}

impl VerifyOptions {
    /// Takes each name that is a file or a path for a report, and another for the id of a run: an id has
    /// no slash.
    pub(super) fn sort_names(&mut self) -> Result<(), String> {
        for name in std::mem::take(&mut self.named) {
            let is_path = name.as_os_str().as_encoded_bytes().contains(&b'/');
            if is_path || name.exists() && !name.is_dir() {
                self.report.push(name);
                continue;
            }
            let id = name.display().to_string();
            if let Some(other) = self.described.replace(id) {
                let id = name.display();
                return Err(format!(
                    "neither '{other}' nor '{id}' is a file; expected reports, or the id of one run"
                ));
            }
        }
        match (&self.described, self.report.first()) {
            (Some(id), Some(report)) => Err(format!(
                "'{id}' is no file, and cannot be used with the report '{}'; expected reports, or the \
                 id of one run",
                report.display()
            )),
            _ => Ok(()),
        }
    }
}

/// The options of `expect`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ExpectOptions {
    /// The report of the run, as with --report
    #[arg(value_name = "REPORT", conflicts_with = "report", value_hint = clap::ValueHint::FilePath)]
    named: Option<PathBuf>,
    /// Length of a window of event time, as in 60s; windows begin at multiples of it
    #[arg(long, value_name = "TIME", value_parser = window)]
    pub(crate) window: Duration,
    /// One row a window for each of these: gpu, model, host, separated by commas
    #[arg(long, value_name = "KEYS", value_parser = ByKeys, hide_possible_values = true, default_value = "", hide_default_value = true)]
    pub(crate) by: By,
    /// How long after its end a window takes late records, by stream time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = whole_ms)]
    pub(crate) allowed_lateness: Duration,
    /// Partitions of both topics, each of which has a stream time of its own; the report's, or 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) partitions: Option<u32>,
    /// How the rows are written
    #[arg(long, value_enum, default_value_t = RowFormat::Ndjson)]
    pub(crate) format: RowFormat,
    /// The report of the run (REPORT_FILE): its settings, and how much of it was sent
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl ExpectOptions {
    /// The report, if one is named.
    pub(super) fn report(&self) -> Option<&Path> {
        self.report.as_deref().or(self.named.as_deref())
    }
}

/// The formats of `expect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// One JSON object a line; its schema is expect.v1
    Ndjson,
    /// Comma-separated values below a header
    Csv,
}

impl From<RowFormat> for Format {
    fn from(format: RowFormat) -> Self {
        match format {
            RowFormat::Ndjson => Self::Ndjson,
            RowFormat::Csv => Self::Csv,
        }
    }
}

fn parts(text: &str) -> Result<Ignored, String> {
    let mut ignored = Ignored::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let part = match part {
            "timestamp" => &mut ignored.timestamp,
            "partition" => &mut ignored.partition,
            "headers" => &mut ignored.headers,
            "key" => &mut ignored.key,
            _ => {
                return Err(
                    "expected timestamp, partition, headers or key, separated by commas".into()
                );
            }
        };
        *part = true;
    }
    Ok(ignored)
}

/// Whole milliseconds, as event times are.
fn whole_ms(text: &str) -> Result<Duration, String> {
    let time = settings::time(text).filter(|time| time.subsec_nanos() % 1_000_000 == 0);
    time.ok_or_else(|| "expected whole milliseconds, at most 365d, as in 500ms, 60s, 1h".to_owned())
}

fn window(text: &str) -> Result<Duration, String> {
    let time = whole_ms(text)?;
    if time.is_zero() { Err("expected at least 1ms, as in 60s".to_owned()) } else { Ok(time) }
}

/// Reads `--by`; shells offer the keys.
#[derive(Debug, Clone, Copy)]
struct ByKeys;

impl TypedValueParser for ByKeys {
    type Value = By;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<By, clap::Error> {
        StringValueParser::new().try_map(|text| by(&text)).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["gpu", "model", "host"].into_iter().map(PossibleValue::new)))
    }
}

fn by(text: &str) -> Result<By, String> {
    let mut by = By::default();
    for key in text.split(',').filter(|_| !text.is_empty()) {
        let part = match key {
            "gpu" => &mut by.gpu,
            "model" => &mut by.model,
            "host" => &mut by.host,
            _ => return Err(format!("{key:?} is no key; expected gpu, model or host")),
        };
        if std::mem::replace(part, true) {
            return Err(format!("{key} is there twice; expected each key once"));
        }
    }
    Ok(by)
}

/// A share, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

// It is never NaN.
impl Eq for Share {}

fn share(text: &str) -> Result<Share, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.map(Share).ok_or_else(|| "expected a share from 0 to 1, as 0.9".to_owned())
}

fn kind_and_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((kind @ ("metric" | "token"), name)) if !name.is_empty() => {
            Ok((kind.to_owned(), name.to_owned()))
        }
        _ => Err("expected metric=NAME or token=NAME".to_owned()),
    }
}

/// A field and its column; a name alone is both.
fn column(text: &str) -> Result<(String, String), String> {
    let (name, column) = text.split_once('=').unwrap_or((text, text));
    if name.is_empty() || column.is_empty() {
        return Err("expected NAME=COLUMN, as in prompt_tokens=prompt".to_owned());
    }
    Ok((name.to_owned(), column.to_owned()))
}

/// A price, USD.
pub(super) fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "expected USD an hour, as in 2.5".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|s: f64| Duration::try_from_secs_f64(s).ok());
    seconds.filter(|s| !s.is_zero()).ok_or_else(|| "expected seconds, as in 30".to_owned())
}
