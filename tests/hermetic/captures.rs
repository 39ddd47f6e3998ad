//! Whole screens as a person sees them, held against `tests/golden/terminal`: `UPDATE_GOLDEN=1` writes
//! them anew. Look at them then: a line that wraps, a stale one or a verdict out of sight is a defect.
//!
//! Ports, times and rates differ from run to run: `#` stands for each.

use std::path::Path;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::cluster::Cluster;
use crate::common::{Producer, nobody, program};
use crate::terminal::Terminal;

/// Columns and rows of a terminal.
type Size = (u16, u16);

/// The size that a terminal has if nobody chose one.
const USUAL: Size = (80, 24);

/// The program on a terminal of this size.
fn on(producer: &mut Producer, (columns, rows): Size) -> Terminal {
    let command = producer.command().env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
    Terminal::sized(command, columns, rows)
}

/// A run of twenty pairs in ten minutes, the same each time.
fn paced(bootstrap: &str) -> Producer {
    let run = Producer::new(["run"]).set("KAFKA_BOOTSTRAP", bootstrap).set("SLEEP_SEC", "30");
    run.set("RUN_SEED", "1").set("RUN_ID", "paced")
}

/// The screen with what differs each time masked, in the lines that the terminal makes of it.
fn rows(screen: &str, columns: u16) -> String {
    let mut rows = String::new();
    for line in screen.trim_end().lines() {
        let line: Vec<char> = masked(line).chars().collect();
        let chunks = line.chunks(columns.into()).map(|row| row.iter().collect::<String>());
        let chunks = if line.is_empty() { vec![String::new()] } else { chunks.collect() };
        rows.extend(chunks.iter().map(|row| format!("{}\n", row.trim_end())));
    }
    rows
}

/// A line with `#` in place of ports, times, rates, and counts of what the client library repeats.
fn masked(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mask = |(at, word): (usize, &&str)| {
        let next = words.get(at + 1).map_or("", |next| next.trim_end_matches([',', ';', ')']));
        let number = word.trim_start_matches('(');
        let is_number = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if let Some((host, port)) = word.split_once("127.0.0.1:") {
            let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{host}127.0.0.1:#####{rest}")
        } else if is_number && ["s", "ms", "records/s", "identical"].contains(&next) {
            word.replace(number, "#")
        } else if number.ends_with("/s") || number.ends_with("ms") {
            let (digits, unit) = number.split_at(number.find(|c| "/m".contains(c)).unwrap_or(0));
            let is_rate = digits.bytes().all(|b| b.is_ascii_digit());
            if is_rate { word.replace(number, &format!("#{unit}")) } else { (*word).to_owned() }
        } else {
            (*word).to_owned()
        }
    };
    words.iter().enumerate().map(mask).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn is_golden(name: &str, (columns, height): Size, screen: &str) {
    let rows = rows(screen, columns);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/terminal");
    let path = directory.join(format!("{name}-{columns}x{height}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(&path, &rows).expect("a file");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(rows == golden, "{} differs:\n{rows}\n---\n{golden}", path.display());
}

/// Captures a run where it shows this, and what its screen is once Ctrl-C has ended it.
#[track_caller]
fn is_captured_and_stopped(name: &str, mut run: Producer, size: Size, shown: &str) {
    let mut terminal = on(&mut run, size);
    let screen = terminal.until_it_shows(shown);
    is_golden(name, size, &screen);
    terminal.keys("\x03");
    assert_eq!(terminal.finish(), 130, "{}", terminal.screen());
    is_golden(&format!("{name}-stopped"), size, &terminal.screen());
}

#[test]
fn the_demo_is_captured_at_three_widths() {
    for size in [(40, 60), USUAL, (120, 24)] {
        let own = program().parent().expect("a directory").display().to_string();
        let mut demo = Producer::new(["demo"]).set("PATH", format!("{own}:/usr/bin:/bin"));
        let mut terminal = on(&mut demo, size);
        assert_eq!(terminal.finish(), 0, "{}", terminal.screen());
        let screen = terminal.screen();
        assert!(screen.starts_with(" INFO embedded"), "it takes more than one screen:\n{screen}");
        is_golden("demo", size, &screen);
    }
}

#[test]
fn a_paced_run_and_its_stop_are_captured_at_three_widths() {
    let cluster = Cluster::start();
    for size in [(40, 24), USUAL, (120, 24)] {
        let run = paced(&cluster.bootstrap());
        is_captured_and_stopped("paced", run, size, "2/40 records, 9 min 30 s left");
    }
}

#[test]
fn connecting_to_nobody_is_captured() {
    for size in [(40, 24), USUAL] {
        let run = paced(&nobody());
        is_captured_and_stopped("connecting", run, size, "ess\nconnecting");
    }
}

#[test]
fn a_stop_that_waits_for_the_broker_is_captured() {
    for size in [(40, 24), USUAL] {
        let cluster = Cluster::start();
        // The broker answers nothing that is produced.
        let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT; 1000];
        cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
        let mut run = paced(&cluster.bootstrap());
        let mut terminal = on(&mut run, size);
        terminal.until_it_shows("0/40 records, 9 min 30 s left");
        terminal.keys("\x03");
        let screen = terminal.until_it_shows("ends the wait\nstopping, 2 waiting");
        is_golden("stopping", size, &screen);
        terminal.keys("\x03");
        assert_eq!(terminal.finish(), 74, "{}", terminal.screen());
        is_golden("stopping-stopped", size, &terminal.screen());
    }
}

#[test]
fn doctor_is_captured_with_its_verdict_last() {
    let cluster = Cluster::start();
    for (name, bootstrap, exit) in
        [("doctor", cluster.bootstrap(), 0), ("doctor-nobody", nobody(), 69)]
    {
        let mut doctor = Producer::new(["doctor", "-b", &bootstrap]);
        let mut terminal = on(&mut doctor, USUAL);
        assert_eq!(terminal.finish(), exit, "{}", terminal.screen());
        let screen = terminal.screen();
        assert!(screen.starts_with("settings"), "it takes more than one screen:\n{screen}");
        is_golden(name, USUAL, &screen);
    }
}

#[test]
fn the_short_help_is_captured() {
    for (name, args) in [("help", &["-h"][..]), ("help-run", &["run", "-h"])] {
        let mut help = Producer::new(args);
        let mut terminal = on(&mut help, USUAL);
        assert_eq!(terminal.finish(), 0, "{}", terminal.screen());
        let screen = terminal.screen();
        assert!(screen.starts_with("Send"), "it takes more than one screen:\n{screen}");
        is_golden(name, USUAL, &screen);
    }
}

#[test]
fn a_mask_hides_what_differs_and_nothing_else() {
    for (line, expected) in [
        ("at 127.0.0.1:36887; not", "at 127.0.0.1:#####; not"),
        (
            "in 0.024 s (5 to x), 423 records/s, p50 6.5 ms, p99 7.0 ms;",
            "in # s (5 to x), # records/s, p50 # ms, p99 # ms;",
        ),
        ("(0 s of 27 s) 2/40 records, 20/s", "(# s of # s) 2/40 records, #/s"),
        ("(after 12ms in state, 3 identical", "(after #ms in state, # identical"),
        ("gpu.metrics.v1 items 280W", "gpu.metrics.v1 items 280W"),
    ] {
        assert_eq!(masked(line), expected);
    }
}
