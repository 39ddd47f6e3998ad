//! A soak of `verify --input` with tables: runs, what a database and its loader do to their rows, and the
//! form in which they are printed. Nothing may be accused or acquitted that the rows do not prove.
//!
//! `TABLES=1000` draws so many tables of each run instead of a dozen, `TABLES=500..700` those.

use std::fmt::Write as _;

use jiff::Timestamp;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, TOPICS};
use crate::common::Producer;
use crate::process::generated;
use crate::verify::in_json;

/// A row: its topic, its pair, and its fields.
#[derive(Debug, Clone)]
struct Row {
    topic: usize,
    seq: u64,
    fields: Map<String, Value>,
}

/// A run, and what tells `verify` of it.
struct Run {
    rows: Vec<Row>,
    /// Its report, or else its settings.
    report: Option<Value>,
    settings: Vec<(&'static str, &'static str)>,
    is_live: bool,
}

/// How times are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    AsSent,
    /// Without a zone, which is UTC.
    Space,
    /// With microseconds, and the offset of another zone.
    Zone,
    Millis,
    Micros,
    /// Cut to whole seconds.
    Seconds,
    /// As the wall clock of a zone that is one hour ahead, and called UTC.
    WrongZone,
    /// Not at all.
    None,
}

#[derive(Debug)]
struct Table {
    time: Time,
    /// Whether rows have the columns `run`, `seq` and `topic`.
    has_identity: bool,
    is_csv: bool,
    numbers_are_text: bool,
    /// A column that the table does not have.
    without: Option<&'static str>,
    order: &'static str,
    every: u32,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Done {
    missing: u64,
    altered: u64,
    copies: u64,
}

const TIMES: [Time; 8] = [
    Time::AsSent,
    Time::Space,
    Time::Zone,
    Time::Millis,
    Time::Micros,
    Time::Seconds,
    Time::WrongZone,
    Time::None,
];

impl Table {
    fn draw(rng: &mut Pcg64) -> Self {
        Self {
            time: *TIMES.choose(rng).unwrap(),
            has_identity: rng.random(),
            is_csv: rng.random(),
            numbers_are_text: rng.random(),
            without: *[None, Some("mem_total_mb"), Some("model")].choose(rng).unwrap(),
            order: ["as sent", "shuffled", "by topic"].choose(rng).unwrap(),
            every: *[8, 40, u32::MAX].choose(rng).unwrap(),
        }
    }

    /// The time of a row as this table has it.
    fn time(&self, at: Timestamp) -> Value {
        let ms = at.as_millisecond();
        let shifted = |ms: i64| Timestamp::from_millisecond(ms).unwrap();
        match self.time {
            Time::AsSent | Time::None => json!(format!("{at:.3}")),
            Time::Space => json!(at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()),
            Time::Zone => {
                let at = shifted(ms + 2 * 3_600_000);
                json!(at.strftime("%Y-%m-%d %H:%M:%S%.6f+02:00").to_string())
            }
            Time::Millis => json!(ms),
            Time::Micros => json!(ms * 1_000),
            Time::Seconds => json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            Time::WrongZone => {
                json!(shifted(ms + 3_600_000).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
            }
        }
    }

    /// Loses, copies and alters rows.
    fn mutate(&self, rows: &[Row], rng: &mut Pcg64) -> (Vec<Row>, Done) {
        let (mut out, mut done) = (Vec::new(), Done::default());
        for row in rows {
            let mut row = row.clone();
            let alter = |row: &mut Row| {
                let name = ["power_w", "latency_ms"][row.topic];
                row.fields.insert(name.to_owned(), json!(54_321)).unwrap();
            };
            match if rng.random_ratio(1, self.every) { rng.random_range(0..4) } else { 9 } {
                0 => {
                    done.missing += 1;
                    continue;
                }
                1 => {
                    done.copies += 1;
                    out.push(row.clone());
                }
                2 => {
                    // One of two copies is altered: the first one that is read is held against the run.
                    done.copies += 1;
                    let mut altered = row.clone();
                    alter(&mut altered);
                    out.push(altered);
                }
                3 => {
                    done.altered += 1;
                    alter(&mut row);
                }
                _ => {}
            }
            out.push(row);
        }
        match self.order {
            "shuffled" => out.shuffle(rng),
            "by topic" => out.sort_by_key(|row| row.topic),
            _ => {}
        }
        (out, done)
    }

    fn print(&self, rows: &[Row], run_id: &str) -> String {
        let columns = ["topic", "run", "seq", "ts", "host", "gpu_index", "name", "utilization"];
        let more = ["mem_used_mb", "mem_total_mb", "power_w", "price_per_hour_usd", "model"];
        let columns = columns.iter().chain(&more);
        let columns = columns.chain(&["prompt_tokens", "completion_tokens", "latency_ms"]);
        let has = |column: &&&str| match **column {
            "topic" | "run" | "seq" => self.has_identity,
            "ts" => self.time != Time::None,
            column => self.without != Some(column),
        };
        let columns: Vec<_> = columns.filter(has).copied().collect();
        let mut text = if self.is_csv { format!("{}\n", columns.join(",")) } else { String::new() };
        for row in rows {
            let cell = |column: &str| match column {
                "topic" => Some(json!(TOPICS[row.topic])),
                "run" => Some(json!(run_id)),
                "seq" => Some(json!(row.seq)),
                "ts" => Some(self.time(row.fields["ts"].as_str()?.parse().ok()?)),
                column => row.fields.get(column).cloned(),
            };
            let cell = |column: &str| match cell(column) {
                Some(Value::Number(n)) if self.numbers_are_text => Some(json!(n.to_string())),
                cell => cell,
            };
            if self.is_csv {
                let cells = columns.iter().map(|column| match cell(column) {
                    None => String::new(),
                    Some(Value::String(text)) => text,
                    Some(other) => other.to_string(),
                });
                writeln!(text, "{}", cells.collect::<Vec<_>>().join(",")).unwrap();
            } else {
                let cells = columns.iter().filter_map(|c| Some(((*c).to_owned(), cell(c)?)));
                writeln!(text, "{}", Value::Object(cells.collect())).unwrap();
            }
        }
        text
    }
}

/// The account of a run's rows.
fn verified(run: &Run, table: &Table, rows: &[Row]) -> Value {
    let run_id = run.report.as_ref().map_or("tables", |report| report["run_id"].as_str().unwrap());
    let mut verify = Producer::new(["verify", "--json"]);
    let input = verify.file("rows", table.print(rows, run_id));
    verify.command().arg("--input").arg(input);
    match &run.report {
        Some(report) => {
            let file = verify.file("run.json", report.to_string());
            verify.command().arg("--report").arg(file);
        }
        None => drop(verify.command().args(["--run", "tables"])),
    }
    let verify = run.settings.iter().fold(verify, |verify, (name, value)| verify.set(name, value));
    in_json(&verify.finish())
}

fn check(run: &Run, number: u64) {
    let mut rng = Pcg64::seed_from_u64(number);
    let table = Table::draw(&mut rng);
    let (rows, done) = table.mutate(&run.rows, &mut rng);
    let account = verified(run, &table, &rows);
    let of = |pointer: &str| {
        let topics = account["topics"].as_array().unwrap().iter();
        topics.map(|topic| topic.pointer(pointer).unwrap().as_u64().unwrap()).sum::<u64>()
    };
    let found = Done {
        missing: of("/missing"),
        altered: of("/read/first_altered"),
        copies: of("/read/extra_copies"),
    };
    let (unmatched, untimed) =
        (of("/read/unmatched") + of("/read/foreign/records"), of("/untimed"));
    let verdict = account["verdict"].as_str().unwrap();
    let say = format!(
        "TABLES={number}..{} live {} report {}\n{table:?}\ndone {done:?} found {found:?} unmatched {unmatched} \
         untimed {untimed} {verdict}\n{}\n{}",
        number + 1,
        run.is_live,
        run.report.is_some(),
        account["undecided"],
        account["topics"][0]["missing_by_cause"],
    );
    let is_touched = done != Done::default();
    let has_other_times = table.time == Time::WrongZone && (!run.is_live || run.report.is_some());
    if is_touched || has_other_times {
        assert_ne!(verdict, "closed", "{say}");
    } else if table.time != Time::WrongZone {
        assert_ne!(verdict, "not-closed", "{say}");
    }
    let is_told = (table.has_identity || !run.is_live)
        && matches!(
            table.time,
            Time::AsSent | Time::Space | Time::Zone | Time::Millis | Time::Micros
        );
    if is_told {
        assert_eq!((unmatched, untimed), (0, 0), "{say}");
        assert_eq!((found.missing, found.copies), (done.missing, done.copies), "{say}");
        // Of two copies the first one may be the altered one.
        assert!(found.altered >= done.altered, "{say}");
        assert!(found.altered <= done.altered + done.copies, "{say}");
        assert_eq!(verdict, if is_touched { "not-closed" } else { "closed" }, "{say}");
    }
    if table.has_identity {
        assert_eq!((found.missing, found.copies), (done.missing, done.copies), "{say}");
        assert_eq!(unmatched, 0, "{say}");
        if table.time == Time::WrongZone && run.report.is_some() && !is_touched {
            let times = &account["topics"][0]["times"];
            assert_eq!(times["shift_ms"], 3_600_000, "{say}");
        }
    }
    // What is there is not said to be missing, unless as much is said not to be told.
    assert!(found.missing <= done.missing + done.altered + unmatched, "{say}");
    assert!(found.missing + found.altered + untimed >= done.missing, "{say}");
}

fn checked(run: &Run) {
    let range = std::env::var("TABLES").unwrap_or_else(|_| "12".to_owned());
    let (from, to) = range.split_once("..").unwrap_or(("0", &range));
    let failed = (from.parse().unwrap()..to.parse().unwrap())
        .filter(|one| std::panic::catch_unwind(|| check(run, *one)).is_err());
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<u64>::new(), "tables that failed");
}

fn of_text(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let topic = TOPICS.iter().position(|topic| json["topic"] == *topic).unwrap();
        let seq = json["headers"]["seq"].as_str().unwrap().parse().unwrap();
        Row { topic, seq, fields: json["value"].as_object().unwrap().clone() }
    };
    text.lines().map(row).collect()
}

fn backfill(settings: &[(&'static str, &'static str)]) -> Run {
    let base = [
        ("RUN_ID", "tables"),
        ("RUN_SEED", "3"),
        ("BATCH", "120"),
        ("HOSTNAME", "gpu[1-3]"),
        ("EVENT_START", "2026-01-01T00:00:00Z"),
    ];
    let settings = [&base[..], settings].concat();
    Run { rows: of_text(&generated(&settings)), report: None, settings, is_live: false }
}

#[test]
fn of_many_tables_of_a_backfill_none_is_accused_or_acquitted_without_evidence() {
    checked(&backfill(&[("SLEEP_SEC", "0.354"), ("WORKLOAD", "chat")]));
    checked(&backfill(&[("SLEEP_SEC", "0.0002"), ("WORKLOAD", "agent")]));
}

#[test]
fn of_many_tables_of_a_live_run_none_is_accused_or_acquitted_without_evidence() {
    let cluster = Cluster::start();
    let live =
        cluster.run().set("BATCH", "120").set("SLEEP_SEC", "7ms").set("HOSTNAME", "gpu[1-3]");
    let report = live.finish().exits(0).report().clone();
    let mut rows = Vec::new();
    for (topic, name) in TOPICS.iter().enumerate() {
        for record in cluster.read(name, usize::MAX) {
            let header = |name: &str| record.headers.iter().find(|(n, _)| n == name).unwrap();
            let seq = header("seq").1.parse().unwrap();
            let fields = serde_json::from_str(&record.value).unwrap();
            rows.push(Row { topic, seq, fields });
        }
    }
    checked(&Run { rows, report: Some(report), settings: Vec::new(), is_live: true });
}
