//! The first minutes of a user: what is typed next, and a list in place of a guess.

use std::path::Path;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::common::{Producer, nobody, program};
use crate::process::install;
use crate::terminal::Terminal;

/// The last line of the demo's output with this search path.
fn next(path: &Path) -> String {
    let printed = Producer::new(["demo"]).set("PATH", path).finish().exits(0).stdout.clone();
    printed.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_next_line_of_the_demo_can_be_typed_whether_or_not_the_program_is_in_the_path() {
    let own = program();
    let directory = own.parent().expect("a directory");
    assert_eq!(next(directory), "next: vm4-producer doctor -b HOST:9092");
    let elsewhere = format!("next: {} doctor -b HOST:9092", own.display());
    assert_eq!(next(Path::new("/usr/bin")), elsewhere);
    // Another program of this name is not this one.
    let other = tempfile::tempdir().expect("a directory");
    install(&other.path().join("vm4-producer"), "#!/bin/sh\n");
    assert_eq!(next(other.path()), elsewhere);
}

#[test]
fn a_run_without_a_broker_of_its_own_says_so_on_a_terminal_alone() {
    let hint = "no broker is set, so this goes to 10.0.1.197:9092; -b HOST:PORT names one";
    let mut run = Producer::new(["run", "--batch", "0"]);
    let command = run.command().env("TERM", "xterm");
    let mut terminal = Terminal::start(command, 120);
    assert_eq!(terminal.finish(), 0, "{}", terminal.screen());
    assert!(terminal.screen().contains(hint), "{}", terminal.screen());
    let piped = Producer::new(["run", "--batch", "0"]).finish();
    assert!(!piped.exits(0).stderr.contains("no broker"), "{}", piped.stderr);
}

#[test]
fn the_seed_is_named_where_somebody_chose_it_or_it_is_odd() {
    let said = |producer: Producer| producer.finish().exits(0).stderr.clone();
    let generate = || Producer::new(["generate", "--batch", "1"]);
    assert!(!said(generate()).contains("seed file: "));
    let verbose = said(Producer::new(["generate", "--batch", "1", "-v"]));
    assert!(verbose.contains("DEBUG seed file: built-in copy"), "{verbose}");
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/gpu_seed.json");
    assert!(said(generate().set("GPU_SEED", seed)).contains("INFO seed file: "));
}

#[test]
fn a_rate_is_the_sleep_the_other_way_round_and_its_report_is_verified() {
    let cluster = Cluster::start();
    let run = Producer::run(&cluster.bootstrap()).set("RATE", "1000").set("BATCH", "50").finish();
    let setting = |name: &str| {
        let settings = run.exits(0).report()["settings"].as_array().expect("settings");
        settings.iter().find(|s| s["name"] == name).expect("a setting")["value"].clone()
    };
    assert_eq!((setting("RATE"), setting("SLEEP_SEC")), ("1000".into(), "0.001".into()));
    let verify = Producer::new(["verify", "-b", &cluster.bootstrap()]);
    let report = verify.file("r.json", run.report().to_string());
    let mut verify = verify;
    verify.command.arg("--report").arg(report);
    let account = verify.finish();
    assert!(account.exits(0).stdout.starts_with("CLOSED: "), "{}", account.stdout);
}

#[test]
fn a_start_that_counts_from_now_is_a_time_in_the_report_and_no_time_for_another_process() {
    let cluster = Cluster::start();
    let run = cluster.run().set("EVENT_START", "-1h").set("SLEEP_SEC", "0.5").finish();
    let settings = run.exits(0).report()["settings"].as_array().expect("settings").clone();
    let start = settings.iter().find(|s| s["name"] == "EVENT_START").expect("a setting");
    let text = start["value"].as_str().expect("a text");
    let start: jiff::Timestamp = text.parse().expect("a time");
    let started: jiff::Timestamp =
        run.report()["started_at"].as_str().expect("a text").parse().expect("a time");
    let before = started.duration_since(start).as_secs();
    assert!((3_600..3_660).contains(&before), "{before} s");
    for command in ["verify", "expect"] {
        let mut asked = Producer::new([command, "--event-start", "-1h", "--run-seed", "1"]);
        if command == "expect" {
            asked.command.args(["--window", "1m"]);
        }
        let asked = asked.set("KAFKA_BOOTSTRAP", nobody()).finish();
        asked.exits(78).says("-1h counts from now, and not from when the run was sent");
    }
}

#[test]
fn the_log_can_be_json_with_the_figures_of_the_summary_as_numbers() {
    let cluster = Cluster::start();
    let run = cluster.run().set("LOG_FORMAT", "json").set("RUN_ID", "7").finish();
    let lines = run.exits(0).stderr.lines().map(serde_json::from_str::<Value>);
    let lines: Vec<_> = lines.collect::<Result<_, _>>().expect("an object a line");
    let summary = lines.last().expect("a summary");
    assert_eq!(summary["planned"], 40);
    assert_eq!(summary["acknowledged"], 40);
    assert_eq!(summary["run"], "7");
    assert_eq!(summary["level"], "INFO");
    assert!(summary["message"].as_str().expect("a text").contains(" delivered in "), "{summary}");
    assert!(summary["time"].as_str().expect("a text").parse::<jiff::Timestamp>().is_ok());
    let refused = Producer::new(["run", "--log-format=json", "--batch=x"]).finish();
    let error: Value = serde_json::from_str(refused.exits(78).stderr.trim()).expect("an object");
    assert_eq!(error["level"], "ERROR");
    assert_eq!(error["exit_code"], 78);
}

#[test]
fn a_seed_is_made_of_what_nvidia_smi_prints() {
    let seed = |input: &str, args: &[&str]| {
        let mut seed = Producer::new(["seed"]);
        let path = seed.file("gpus.csv", input);
        seed.command.arg(path).args(args);
        seed.finish()
    };
    let made = seed("0, NVIDIA L4, 37, 14520, 23034, 54.31\n", &["--price", "0.8"]);
    let row = r#"{"gpu_index": 0, "name": "NVIDIA L4", "utilization": 0.37, "mem_used_mb": 14520, "mem_total_mb": 23034, "power_w": 54.31, "price_per_hour_usd": 0.8}"#;
    assert_eq!(made.exits(0).stdout, format!("[\n  {row}\n]\n"));
    let open = seed("0, NVIDIA L4, [N/A], 14520, 23034, 54.31\n", &[]);
    open.exits(0).says("WARN line 1, row 1, field utilization: GPU 0, NVIDIA L4: nvidia-smi has");
    open.says("INFO write a value where it has null; GPU_SEED=FILE then reads it");
    let rows: Value = serde_json::from_str(&open.stdout).expect("JSON");
    assert_eq!(
        (&rows[0]["utilization"], &rows[0]["price_per_hour_usd"]),
        (&Value::Null, &Value::Null)
    );
    let idle = seed("0, Tesla T4, 0, 0, 15360, 9.83\n", &[]);
    idle.exits(0)
        .says("row 1: utilization 0: it was idle when it was read, and will be; read it while");
    seed("No devices were found\n", &[]).exits(65).says("nvidia-smi sees no GPU here");
    seed(include_str!("../../gpu_seed.json"), &[]).exits(65).says("it is a seed file already");
    let absent = Producer::new(["seed", "/no/such.csv"]).finish();
    absent.exits(66).says("cannot read /no/such.csv: ").says("--format=csv");
    // As it is, without prices.
    let run = Producer::new(["generate", "--batch", "1", "--values"]);
    let path = run.file("gpus.csv", "0, NVIDIA L4, 37 %, 14520 MiB, 23034 MiB, 54.31 W\r\n");
    let generated = run.set("GPU_SEED", path).finish();
    generated
        .exits(0)
        .says("WARN seed file: it has no prices, so price_per_hour_usd and all costs");
    assert!(generated.stdout.contains(r#""price_per_hour_usd":0,"#), "{}", generated.stdout);
}
