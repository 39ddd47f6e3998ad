//! What the documents and the examples beside them promise: past runs, metrics, alerts, rhythms.

use serde_json::Value;

use super::installed::{ENV_FILE, Installed, UNIT};
use super::on_every_release;
use crate::common::blocks;
use crate::machine::{Machine, Release};
use crate::package::package;
use crate::promtool;

on_every_release! {
    history_and_metrics_have_ten_runs_of_five_outcomes,
    the_example_that_feeds_node_exporter_replaces_its_file,
    the_example_that_notifies_tells_how_each_batch_ended,
    every_rhythm_of_the_documents_is_one_that_systemd_knows,
    the_drop_ins_of_the_readme_do_what_it_says,
    a_batch_with_other_settings_can_be_run_in_the_foreground,
    the_package_s_own_test_passes,
}

const EXAMPLES: &str = "/usr/share/doc/vm4-producer/examples";

fn history_and_metrics_have_ten_runs_of_five_outcomes(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let settings = machine.read(ENV_FILE);
    let start = |more: &str, unit: &str| {
        machine.put(ENV_FILE, format!("{settings}{more}"), 0o644);
        machine.run(&["systemctl", "start", unit]);
    };
    machine.put("/etc/vm4-producer/site-a.env", "HOSTNAME=site-a\n", 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    let site = "vm4-producer@site-a.service";
    // Delivered, misconfigured twice over, no seed, unavailable, stopped.
    for more in
        ["", "", "BATCH=0\n", "BATCH=many\n", "BATCH 2\n", "GPU_SEED=/etc/vm4-producer/none\n"]
    {
        start(more, UNIT);
    }
    start("KAFKA_BOOTSTRAP=127.0.0.1:1\nDELIVERY_TIMEOUT_SEC=1\n", UNIT);
    machine.run(&["systemctl", "daemon-reload"]).success();
    start("KAFKA_BOOTSTRAP=127.0.0.1:1\nDELIVERY_TIMEOUT_SEC=1\n", UNIT);
    machine.put(ENV_FILE, &settings, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    start("", site);
    let endless = format!("{settings}SLEEP_SEC=0.01\nBATCH=100000\n");
    machine.put(ENV_FILE, endless, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    let before = installed.topics.counts()[0];
    machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
    machine.wait_until("records arrive", || installed.topics.counts()[0] > before);
    machine.run(&["systemctl", "stop", UNIT]).success();
    machine.run(&["journalctl", "--sync"]).success();

    let table = machine.run(&["vm4-producer", "history"]).success().stdout;
    eprintln!("{}:\n{table}", machine.name());
    let lines: Vec<_> = table.lines().collect();
    let end = lines.iter().position(|line| line.is_empty()).expect("a reason below the table");
    assert_eq!(end, 11, "a line a run and the head: {table}");
    assert!(lines[..end].iter().all(|line| line.chars().count() <= 80), "{table}");
    for outcome in ["delivered", "misconfigured", "no-seed", "unavailable", "interrupted"] {
        assert!(table.contains(&format!("  {outcome} ")), "{outcome} in {table}");
    }
    assert!(lines[9].contains("  @site-a       delivered"), "{table}");
    let of_site = machine.run(&["vm4-producer", "history", "--json", "-u", "vm4-producer@site-a"]);
    assert_eq!(of_site.success().stdout.lines().count(), 1);
    // Whoever may not read the journal is told so, not that there was nothing.
    let nobody =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "vm4-producer", "history"];
    let told = machine.run(&nobody);
    assert_eq!(told.stdout, "");
    assert!(
        told.stderr.contains("systemd-journal") || told.stderr.contains("permission"),
        "{told:?}"
    );

    the_metrics_say_the_same(machine);
    starts_without_a_summary_are_runs_too(&installed);
}

/// The last of `history --json` for a unit.
fn last_run(machine: &Machine, unit: &str) -> Value {
    machine.run(&["journalctl", "--sync"]).success();
    let told = machine.run(&["vm4-producer", "history", "--json", "-n", "1", "-u", unit]);
    serde_json::from_str(&told.success().stdout).expect("a run")
}

/// What ends a run without its own word: a signal, a hang, and systemd that cannot start it.
fn starts_without_a_summary_are_runs_too(installed: &Installed) {
    let machine = &installed.machine;
    let runs = || machine.run(&["vm4-producer", "history", "--json"]).stdout.lines().count();
    let before = runs();
    let begin = || {
        let before = installed.topics.counts()[0];
        machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
        machine.wait_until("records arrive", || installed.topics.counts()[0] > before);
    };
    // As the kernel does it for want of memory.
    begin();
    machine.run(&["systemctl", "kill", "--signal=KILL", UNIT]).success();
    machine.wait_until("it is gone", || machine.show(UNIT, "ActiveState") == "failed");
    let run = last_run(machine, UNIT);
    assert_eq!((&run["outcome"], &run["signal"]), (&"killed".into(), &"KILL".into()), "{run}");
    let metrics = machine.run(&["vm4-producer", "metrics"]).success().stdout;
    assert_eq!(promtool::check(&metrics), "", "{metrics}");
    let label = "unit=\"vm4-producer.service\"";
    for line in [
        format!("vm4_producer_last_run_exit_code{{{label}}} 137"),
        format!("vm4_producer_last_run_success{{{label}}} 0"),
        format!("vm4_producer_last_run_result{{{label},result=\"signal\"}} 1"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    let doctor = machine.run(&["vm4-producer", "doctor"]).stdout;
    assert!(
        doctor.contains("warn  unit vm4-producer.service: loaded; result of the last run: signal")
    );
    // What another user says in the unit's name changes nothing.
    forge(machine);
    assert_eq!(last_run(machine, UNIT), run);
    // systemd ends it.
    installed.drop_in(UNIT, "[Service]\nTimeoutStartSec=1\nTimeoutStopSec=2\n");
    let settings = machine.read(ENV_FILE);
    machine.put(ENV_FILE, format!("{settings}DELIVERY_TIMEOUT_SEC=1\n"), 0o644);
    begin();
    machine.run(&["systemctl", "kill", "--signal=STOP", UNIT]).success();
    assert!(crate::tools::comes_true(std::time::Duration::from_secs(40), || {
        machine.show(UNIT, "ActiveState") == "failed"
    }));
    let run = last_run(machine, UNIT);
    assert_eq!(
        (&run["outcome"], &run["result"]),
        (&"timed-out".into(), &"timeout".into()),
        "{run}"
    );
    // It cannot be started.
    for (line, exit_code, why) in [
        ("BindReadOnlyPaths=/no/such", 226, "/no/such"),
        ("LoadCredentialEncrypted=mine:/no/such", 243, "credentials"),
    ] {
        installed.drop_in(UNIT, &format!("[Service]\n{line}\n"));
        assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
        let run = last_run(machine, UNIT);
        assert_eq!(
            (&run["outcome"], &run["exit_code"]),
            (&"not-started".into(), &exit_code.into()),
            "{run}"
        );
        assert!(run["summary"].as_str().is_some_and(|text| text.contains(why)), "{run}");
    }
    // A row a start, and no more.
    assert_eq!(runs(), before + 4);
    let table = machine.run(&["vm4-producer", "history", "-n", "5"]).success().stdout;
    eprintln!("{}:\n{table}", machine.name());
}

/// Has another user write a summary in the unit's name.
fn forge(machine: &Machine) {
    let fields = [
        format!("MESSAGE_ID={}", vm4_producer::host::log::SUMMARY_MESSAGE_ID),
        "MESSAGE=40 of 40".to_owned(),
        format!("VM4_UNIT={UNIT}"),
        "VM4_OUTCOME=delivered\nVM4_PLANNED=40\nVM4_GENERATED=40\nVM4_ACKNOWLEDGED=40".to_owned(),
        "VM4_FAILED=0\nVM4_UNRESOLVED=0\nVM4_EXIT_CODE=0".to_owned(),
    ];
    machine.put("/run/forged", fields.join("\n") + "\n", 0o644);
    let logger = "setpriv --reuid=10002 --regid=10002 --clear-groups logger --journald=/run/forged";
    machine.shell(logger).success();
}

fn the_metrics_say_the_same(machine: &Machine) {
    let metrics = machine.run(&["vm4-producer", "metrics"]).success().stdout;
    let checked = promtool::check(&metrics);
    assert_eq!(checked, "", "promtool says: {checked}{metrics}");
    let label = "unit=\"vm4-producer.service\"";
    for line in [
        format!("vm4_producer_last_run_exit_code{{{label}}} 143"),
        format!("vm4_producer_recent_runs{{{label},outcome=\"misconfigured\"}} 3"),
        format!("vm4_producer_recent_runs{{{label},outcome=\"delivered\"}} 3"),
        "vm4_producer_last_run_records{unit=\"vm4-producer@site-a.service\",state=\"acknowledged\"} 40".into(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

/// Copies example units to where systemd reads them.
fn copy(machine: &Machine, name: &str, to: &str) {
    machine.shell(&format!("mkdir -p {to} && cp {EXAMPLES}/{name} {to}/")).success();
    machine.run(&["systemctl", "daemon-reload"]).success();
}

fn the_example_that_feeds_node_exporter_replaces_its_file(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    // As the package prometheus-node-exporter leaves it.
    let directory = "/var/lib/prometheus/node-exporter";
    machine
        .shell(&format!("useradd --system prometheus && install -d -o prometheus {directory}"))
        .success();
    copy(machine, "vm4-producer-metrics.*", "/etc/systemd/system");
    let verify = ["systemd-analyze", "--man=no", "verify", "vm4-producer-metrics.timer"];
    let verified = machine.run(&verify).success();
    assert_eq!(verified.stderr, "");
    machine.run(&["systemctl", "start", UNIT]).success();
    machine.run(&["systemctl", "start", "vm4-producer-metrics.service"]).success();
    let file = format!("{directory}/vm4-producer.prom");
    let text = machine.read(&file);
    assert!(
        text.contains("vm4_producer_last_run_exit_code{unit=\"vm4-producer.service\"} 0\n"),
        "{text}"
    );
    assert_eq!(promtool::check(&text), "");
    let mode = machine.run(&["stat", "-c", "%a %U", &file]).stdout;
    assert_eq!(mode, "644 prometheus\n");
    machine.run(&["systemctl", "enable", "--now", "vm4-producer-metrics.timer"]).success();
}

fn the_example_that_notifies_tells_how_each_batch_ended(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    // What it was called with; the machine has no curl.
    let curl = "#!/bin/sh\nprintf '%s\\n' \"$@\" | systemd-cat -t curl\n";
    machine.put("/usr/bin/curl", curl, 0o755);
    machine.put("/etc/vm4-producer-notify.env", "PING_URL=https://hc.example/uuid\n", 0o644);
    copy(machine, "vm4-producer-notify@.service", "/etc/systemd/system");
    copy(machine, "vm4-producer-notify.conf", &format!("/etc/systemd/system/{UNIT}.d"));
    let settings = machine.read(ENV_FILE);
    let called = |words: &str| {
        let entries = machine.journal(&["-t", "curl"]);
        entries
            .iter()
            .any(|entry| entry["MESSAGE"].as_str().is_some_and(|line| line.starts_with(words)))
    };
    for (more, code, result) in [("", "0", "success"), ("BATCH=many\n", "78", "exit-code")] {
        machine.put(ENV_FILE, format!("{settings}{more}"), 0o644);
        // The second one fails.
        machine.run(&["systemctl", "start", UNIT]);
        machine.wait_until("the check is called", || {
            called(&format!("https://hc.example/uuid/{code}"))
        });
        assert!(
            called(&format!("vm4-producer.service: {result}, exit {code}, journalctl ")),
            "{result}"
        );
    }
    // A signal has a name, which such a check does not take for an exit code.
    machine.put(ENV_FILE, format!("{settings}SLEEP_SEC=0.01\nBATCH=100000\n"), 0o644);
    for (signal, end, said) in [
        ("KILL", "fail", "vm4-producer.service: signal, exit KILL, journalctl "),
        ("TERM", "0", "vm4-producer.service: success, exit 143, journalctl "),
    ] {
        let before = installed.topics.counts()[0];
        machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
        machine.wait_until("records arrive", || installed.topics.counts()[0] > before);
        machine.run(&["systemctl", "kill", &format!("--signal={signal}"), UNIT]).success();
        machine.wait_until("the check is called", || {
            called(said) && called(&format!("https://hc.example/uuid/{end}"))
        });
    }
}

fn every_rhythm_of_the_documents_is_one_that_systemd_knows(release: Release) {
    let machine = Machine::boot(release);
    let page = include_str!("../../../docs/systemd.md");
    let (_, table) = page.split_once("| `OnCalendar=` | a batch |").expect("a table");
    let rhythms: Vec<_> = table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(rhythms.len(), 3, "{rhythms:?}");
    for rhythm in rhythms {
        machine.run(&["systemd-analyze", "calendar", rhythm]).success();
    }
}

fn the_drop_ins_of_the_readme_do_what_it_says(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let readme = include_str!("../../../README.md");
    let rhythm = blocks(readme, "Another rhythm", "ini");
    // And a second of its own for each host of a fleet.
    let fleet = ["RandomizedDelaySec=50", "FixedRandomDelay=yes"];
    let page = include_str!("../../../docs/systemd.md");
    assert!(fleet.iter().all(|line| page.contains(&format!("`{line}`"))), "the page has both");
    let timer = "vm4-producer.timer";
    installed.drop_in(timer, &format!("{}{}\n", rhythm[0], fleet.join("\n")));
    let calendar = machine.show(timer, "TimersCalendar");
    assert!(calendar.contains("OnCalendar=*-*-* *:*:00/10"), "{calendar}");
    assert!(!calendar.contains("*:*:00 "), "the shipped interval is gone: {calendar}");
    let shown = ["RandomizedDelayUSec", "FixedRandomDelay"].map(|of| machine.show(timer, of));
    assert_eq!(shown, ["50s", "yes"]);
    // Which list-timers shows beside the new interval.
    let description = machine.show(timer, "Description");
    assert!(!description.contains("minute"), "{description}");

    let units = blocks(readme, "Be told when a batch fails", "ini");
    assert_eq!(units.len(), 2, "a drop-in and a unit");
    for unit in units {
        let path = unit.lines().next().and_then(|line| line.strip_prefix("# "));
        machine.put(path.expect("the path of the file"), unit, 0o644);
    }
    machine.run(&["systemctl", "daemon-reload"]).success();
    let settings = machine.read(ENV_FILE);
    machine.put(ENV_FILE, format!("{settings}BATCH=many\n"), 0o644);
    machine.run(&["systemctl", "start", UNIT]);
    machine.wait_until("the alert is in the journal", || {
        let entries = machine.journal(&["-p", "crit"]);
        entries.iter().any(|entry| entry["MESSAGE"] == "vm4-producer.service: exit-code, exit 78")
    });
}

fn a_batch_with_other_settings_can_be_run_in_the_foreground(release: Release) {
    let installed = Installed::new(release);
    let page = include_str!("../../../docs/systemd.md");
    let line = page.lines().find(|line| line.starts_with("systemd-run ")).expect("a line");
    let ran = installed.machine.shell(line).success();
    assert!(ran.stderr.contains("2 of 2 planned records delivered"), "{ran:?}");
    assert_eq!(installed.topics.counts(), [1, 1]);
}

fn the_package_s_own_test_passes(release: Release) {
    let machine = Machine::boot(release);
    machine.install(&package()).success();
    let script = include_str!("../../../packaging/debian/tests/installed");
    machine.put("/tmp/installed", script, 0o755);
    let ran = machine.run(&["/tmp/installed"]).success();
    assert_eq!(ran.stdout.lines().last(), Some("installed: passed"), "{ran:?}");
}
