//! `history` and `metrics`: past runs out of the journal, which a script stands in for here.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::common::{Finished, Producer};
use crate::process::install;

/// A summary as journalctl prints it.
fn entry(second: u64, unit: &str, outcome: &str, exit: u8, acknowledged: u64) -> Value {
    json!({
        "__REALTIME_TIMESTAMP": format!("{}", (1_764_226_800 + second) * 1_000_000),
        "MESSAGE_ID": vm4_producer::host::log::SUMMARY_MESSAGE_ID,
        "_UID": "10001",
        "_SYSTEMD_UNIT": unit,
        "MESSAGE": format!("{acknowledged} of 40 planned records delivered; exit {exit}"),
        "VM4_RUN": format!("run-{second}"),
        "VM4_SEED": "7",
        "VM4_OUTCOME": outcome,
        "VM4_PLANNED": "40",
        "VM4_GENERATED": "40",
        "VM4_ACKNOWLEDGED": acknowledged.to_string(),
        "VM4_FAILED": (40 - acknowledged).to_string(),
        "VM4_UNRESOLVED": "0",
        "VM4_ELAPSED_SEC": "9.5",
        "VM4_RATE_PER_SEC": "4.2",
        "VM4_EXIT_CODE": exit.to_string(),
    })
}

/// Ten runs of five outcomes.
fn ten() -> Vec<Value> {
    let (plain, site) = ("vm4-producer.service", "vm4-producer@site-a.service");
    let mut entries = vec![
        entry(0, plain, "delivered", 0, 40),
        entry(60, site, "delivered", 0, 40),
        entry(120, plain, "incomplete", 74, 39),
        entry(180, plain, "unavailable", 69, 0),
        entry(240, site, "interrupted", 143, 12),
        entry(300, plain, "delivered", 0, 40),
        entry(360, site, "delivered", 0, 40),
        entry(420, plain, "unavailable", 69, 0),
        entry(480, site, "misconfigured", 78, 0),
        entry(540, plain, "delivered", 0, 40),
    ];
    // One that failed in its settings has no name.
    for field in ["VM4_RUN", "VM4_SEED", "VM4_PLANNED", "VM4_ELAPSED_SEC", "VM4_RATE_PER_SEC"] {
        entries[8].as_object_mut().unwrap().remove(field);
    }
    entries
}

/// The command with a journalctl that prints these entries, and keeps its last arguments in `asked`; it
/// knows one unit, with a start of systemd's, and one that only an entry of somebody names.
fn asked(args: &[&str], entries: &[Value], more: &str) -> (Finished, String) {
    let producer = Producer::new(args);
    let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
    let journal = producer.file("journal", lines);
    let directory = producer.directory().to_owned();
    let kept = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*'--field UNIT') echo vm4-producer.service; echo ssh.service; exit;;\n\
         *'--field VM4_UNIT') echo cron.service; exit;;\nesac\n\
         printf '%s ' \"$@\" >{}\n/bin/cat {}\n{more}\n",
        kept.path().display(),
        journal.display()
    );
    install(&directory.join("bin/journalctl"), &script);
    let finished = producer.set("PATH", directory.join("bin")).finish();
    (finished, fs::read_to_string(kept.path()).unwrap())
}

#[test]
fn ten_runs_of_five_outcomes_are_a_table_that_fits_a_terminal() {
    let (finished, asked) = asked(&["history", "-n", "10"], &ten(), "");
    let expected = "\
ended (UTC)          unit          outcome        exit  records   took
2025-11-27 07:00:00  vm4-producer  delivered         0    40/40  9.5 s
2025-11-27 07:01:00  @site-a       delivered         0    40/40  9.5 s
2025-11-27 07:02:00  vm4-producer  incomplete       74    39/40  9.5 s
2025-11-27 07:03:00  vm4-producer  unavailable      69     0/40  9.5 s
2025-11-27 07:04:00  @site-a       interrupted     143    12/40  9.5 s
2025-11-27 07:05:00  vm4-producer  delivered         0    40/40  9.5 s
2025-11-27 07:06:00  @site-a       delivered         0    40/40  9.5 s
2025-11-27 07:07:00  vm4-producer  unavailable      69     0/40  9.5 s
2025-11-27 07:08:00  @site-a       misconfigured    78        0       
2025-11-27 07:09:00  vm4-producer  delivered         0    40/40  9.5 s

2025-11-27 07:08:00 @site-a: 0 of 40 planned records delivered; exit 78
";
    assert_eq!(finished.exits(0).stdout, expected);
    assert!(expected.lines().all(|line| line.len() <= 80));
    let id = vm4_producer::host::log::SUMMARY_MESSAGE_ID;
    assert!(asked.contains(&format!("--lines=80 MESSAGE_ID={id} + _PID=1 _UID=0 ")), "{asked}");
    assert!(asked.contains(" UNIT=vm4-producer.service "), "{asked}");
    for not in ["_SYSTEMD_UNIT=", "ssh.service", "cron.service"] {
        assert!(
            !asked.contains(&format!(" {not}")) && !asked.contains(&format!("={not}")),
            "{asked}"
        );
    }
}

#[test]
fn a_run_is_a_json_object_with_all_its_figures() {
    let (finished, _) = asked(&["history", "--json"], &ten()[7..9], "");
    let lines = finished.exits(0).stdout.lines();
    let runs: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        runs[0],
        json!({
            "ended_at": "2025-11-27T07:07:00Z", "unit": "vm4-producer.service",
            "outcome": "unavailable", "exit_code": 69, "signal": null, "result": null,
            "invocation": null, "run": "run-420", "seed": 7,
            "planned": 40, "generated": 40, "acknowledged": 0, "failed": 40, "unresolved": 0,
            "elapsed_sec": 9.5, "rate_per_sec": 4.2,
            "summary": "0 of 40 planned records delivered; exit 69",
        })
    );
    assert_eq!((&runs[1]["run"], &runs[1]["planned"]), (&Value::Null, &Value::Null));
    // Those of one unit alone.
    let of_site = ["history", "--json", "-u", "vm4-producer@site-a"];
    let (finished, asked) = asked(&of_site, &ten()[7..9], "");
    assert_eq!(finished.exits(0).stdout.lines().count(), 1);
    for field in ["_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "VM4_UNIT", "UNIT"] {
        assert!(
            asked.contains(&format!(" {field}=vm4-producer@site-a.service ")),
            "{field}: {asked}"
        );
    }
}

/// What systemd itself wrote of nine units of which each came to another end, on two releases, taken from
/// their journals.
const CAPTURED: [(&str, &str); 2] = [
    ("252", include_str!("journal/bookworm.ndjson")),
    ("257", include_str!("journal/trixie.ndjson")),
];

fn captured(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_start_is_a_row_with_systemd_s_own_word_for_its_end() {
    for (release, text) in CAPTURED {
        let (finished, _) = asked(&["history", "--json"], &captured(text), "");
        let lines = finished.exits(0).stdout.lines();
        let runs: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        // One of them was started twice.
        assert_eq!(runs.len(), 10, "{release}: {runs:?}");
        let null = Value::Null;
        for (unit, outcome, exit_code, signal, result) in [
            ("kill", "killed", null.clone(), json!("KILL"), "signal"),
            ("timeout", "timed-out", null.clone(), json!("TERM"), "timeout"),
            ("dog", "timed-out", null.clone(), json!("ABRT"), "watchdog"),
            ("ns", "not-started", json!(226), null.clone(), "exit-code"),
            ("cred", "not-started", json!(243), null.clone(), "exit-code"),
            ("user", "not-started", json!(217), null.clone(), "exit-code"),
            ("dep", "not-started", null.clone(), null.clone(), "dependency"),
            ("ok", "unreported", null.clone(), null.clone(), "success"),
            ("stop", "unreported", null.clone(), null.clone(), "success"),
        ] {
            let unit = format!("vm4-producer@{unit}.service");
            let run = runs.iter().find(|run| run["unit"] == unit.as_str()).expect(&unit);
            assert_eq!(run["outcome"], outcome, "{release} {run}");
            assert_eq!(
                (&run["exit_code"], &run["signal"]),
                (&exit_code, &signal),
                "{release} {run}"
            );
            assert_eq!(run["result"], result, "{release} {run}");
            assert_eq!(run["acknowledged"], null, "{release} {run}");
        }
    }
}

#[test]
fn a_start_that_systemd_could_not_make_says_why() {
    for (release, text) in CAPTURED {
        let (finished, _) = asked(&["history", "-u", "vm4-producer@ns"], &captured(text), "");
        let table = &finished.exits(0).stdout;
        assert!(table.contains("  @ns   not-started   226        0  0."), "{release}: {table}");
        let why = "@ns: systemd: Failed to set up mount namespacing: ";
        assert!(
            table.contains(why) && table.contains("/no/such: No such file"),
            "{release}: {table}"
        );
    }
}

#[test]
fn a_killed_run_is_the_last_run_of_the_metrics() {
    let unit = "vm4-producer@kill.service";
    for (release, text) in CAPTURED {
        let mut entries = vec![entry(0, unit, "delivered", 0, 40)];
        entries[0]["__REALTIME_TIMESTAMP"] = "1764226799000000".into();
        entries.extend(captured(text));
        // What somebody else says afterwards does not count.
        let mut forged = entry(3600, unit, "delivered", 0, 40);
        forged["_UID"] = "10002".into();
        forged["VM4_UNIT"] = unit.into();
        forged.as_object_mut().unwrap().remove("_SYSTEMD_UNIT");
        entries.push(forged);
        let (finished, _) = asked(&["metrics"], &entries, "");
        let text = &finished.exits(0).stdout;
        for line in [
            format!("vm4_producer_last_run_exit_code{{unit=\"{unit}\"}} 137"),
            format!("vm4_producer_last_run_success{{unit=\"{unit}\"}} 0"),
            format!("vm4_producer_last_run_result{{unit=\"{unit}\",result=\"signal\"}} 1"),
            format!("vm4_producer_last_success_timestamp_seconds{{unit=\"{unit}\"}} 1764226799"),
        ] {
            assert!(text.lines().any(|found| found == line), "{release}: {line} is not in {text}");
        }
    }
}

#[test]
fn a_journal_that_this_user_may_not_read_is_told() {
    let (finished, _) = asked(&["history"], &[], "echo 'Hint: join systemd-journal.' >&2");
    finished.exits(0).says("WARN Hint: join systemd-journal.");
    finished.says("WARN the journal has no run; only what systemd started is in it");
    assert_eq!(finished.stdout, "");
    let (finished, _) = asked(&["metrics"], &[], "echo 'No journal files.' >&2; exit 1");
    finished.exits(69).says("ERROR cannot ask the journal: No journal files.");
    let without = Producer::new(["history"]).set("PATH", "/no/such").finish();
    without.exits(69).says("ERROR cannot ask the journal: journalctl: No such file or directory");
}

#[test]
fn metrics_replace_a_file_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vm4.prom");
    fs::write(&path, "old").unwrap();
    let (finished, _) = asked(&["metrics", "--output", path.to_str().unwrap()], &ten(), "");
    assert_eq!(finished.exits(0).stdout, "");
    let text = fs::read_to_string(&path).unwrap();
    let last = "vm4_producer_last_run_exit_code{unit=\"vm4-producer@site-a.service\"} 78\n";
    assert!(text.contains(last), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let (finished, _) = asked(&["metrics", "--output", "/no/such/file.prom"], &ten(), "");
    finished.exits(74).says("ERROR cannot write /no/such/file.prom: No such file or directory");
}
