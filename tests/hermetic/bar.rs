//! The progress line, colors and Ctrl-C, on terminals of several widths.

use rdkafka::types::RDKafkaRespErr;

use crate::cluster::Cluster;
use crate::common::{Producer, nobody};
use crate::terminal::Terminal;

/// A run on a terminal of so many columns.
fn on_terminal(producer: &mut Producer, columns: u16) -> Terminal {
    let command = producer.command().env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
    Terminal::start(command, columns)
}

/// What is on the screen but the log.
fn litter(screen: &str) -> Vec<&str> {
    let is_log = |line: &&str| line.trim_start().starts_with(['█', '░']) || line.contains(" left");
    screen.lines().filter(is_log).collect()
}

#[test]
fn the_line_of_a_run_knows_its_schedule_and_is_gone_at_its_end() {
    let cluster = Cluster::start();
    for columns in [40, 80, 120] {
        let mut producer = cluster.run().set("BATCH", "20").set("SLEEP_SEC", "30");
        let mut terminal = on_terminal(&mut producer, columns);
        terminal.until_it_shows("2/40 records, 9 min 30 s left");
        let has_bar = terminal.screen().contains('░');
        assert_eq!(has_bar, columns > 40, "{columns}: {}", terminal.screen());
        terminal.keys("\x03");
        assert_eq!(terminal.finish(), 130, "{}", terminal.screen());
        let screen = terminal.screen();
        assert_eq!(litter(&screen), [""; 0], "{columns}: {screen}");
        let unwrapped = screen.replace('\n', "");
        assert!(unwrapped.contains("exit 130 (SIGINT)"), "{columns}: {screen}");
    }
}

#[test]
fn the_demo_leaves_nothing_but_its_records_and_its_log_on_a_terminal() {
    for columns in [30, 40, 50, 58, 80, 120] {
        let mut producer = Producer::new(["demo", "--sleep-sec", "150ms", "--pace", "wall"]);
        let mut terminal = on_terminal(&mut producer, columns);
        assert_eq!(terminal.finish(), 0, "{}", terminal.screen());
        let screen = terminal.screen();
        assert_eq!(litter(&screen), [""; 0], "{columns}: {screen}");
        // Nothing of the last record is missing.
        let unwrapped = screen.replace('\n', "");
        let end = "\"latency_ms\":778,\"gpu_index\":1}verify:";
        assert!(unwrapped.contains(end), "{columns}: {screen}");
        assert_eq!(unwrapped.matches("exit 0 (SUCCESS)").count(), 1, "{columns}: {screen}");
    }
}

#[test]
fn a_run_says_to_whom_it_connects_and_that_it_stops() {
    let address = nobody();
    let mut producer = Producer::run(&address);
    let mut terminal = on_terminal(&mut producer, 80);
    terminal.until_it_shows(&format!("connecting to {address} (0 s of 27 s)"));
    terminal.keys("\x03");
    assert_eq!(terminal.finish(), 130);
    assert!(!terminal.screen().contains("connecting to"), "{}", terminal.screen());

    let cluster = Cluster::start();
    // The broker answers nothing that is produced from here on.
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT; 1000];
    cluster.mock.request_errors(rdkafka::types::RDKafkaApiKey::Produce, &errors);
    let mut producer = cluster.run().set("SLEEP_SEC", "100ms").set("BATCH", "1000");
    let mut terminal = on_terminal(&mut producer, 80);
    terminal.until_it_shows("/2000 records");
    terminal.keys("\x03");
    terminal.until_it_shows("waiting; Ctrl-C ends the wait");
    terminal.keys("\x03");
    assert_eq!(terminal.finish(), 74, "{}", terminal.screen());
    assert!(!terminal.screen().contains("waiting; Ctrl-C"), "{}", terminal.screen());
}

#[test]
fn a_terminal_that_wants_it_plain_gets_it_plain() {
    let plain = |name: &str, value: &str, args: &[&str]| {
        let mut producer = Producer::new(["demo"].iter().chain(args));
        let command = producer.command().env("TERM", "xterm").env(name, value);
        let mut terminal = Terminal::start(command, 100);
        assert_eq!(terminal.finish(), 0, "{}", terminal.screen());
        let sent = String::from_utf8_lossy(&terminal.sent()).into_owned();
        assert!(sent.contains("INFO"), "{sent}");
        sent
    };
    for (name, value, args, has_colors) in [
        ("NO_COLOR", "1", &[][..], false),
        ("NO_COLOR", "", &[], true),
        ("TERM", "dumb", &[], false),
        ("LANG", "C", &[], true),
        ("LANG", "C", &["--color", "never"], false),
        ("NO_COLOR", "1", &["--color", "always"], true),
    ] {
        let sent = plain(name, value, args);
        assert_eq!(sent.contains("\x1b[32m"), has_colors, "{name}={value} {args:?}: {sent:?}");
    }
}

#[test]
fn a_dumb_terminal_and_quiet_get_no_progress_and_another_locale_gets_ascii() {
    let cluster = Cluster::start();
    let run = |name: &str, value: &str, args: &[&str]| {
        let mut producer = Producer::new(["run"].iter().chain(args))
            .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
            .set("BATCH", "5")
            .set("SLEEP_SEC", "150ms");
        let command = producer.command().env("TERM", "xterm").env(name, value);
        let mut terminal = Terminal::start(command, 100);
        assert_eq!(terminal.finish(), 0, "{}", terminal.screen());
        String::from_utf8_lossy(&terminal.sent()).into_owned()
    };
    for (name, value, args) in [("TERM", "dumb", &[][..]), ("LANG", "C", &["-q"])] {
        let sent = run(name, value, args);
        assert!(!sent.contains("/10 records,"), "{sent:?}");
        assert!(sent.contains("10 of 10 planned records delivered"), "{sent:?}");
    }
    let quiet = run("LANG", "C", &["--quiet"]);
    assert!(!quiet.contains("sending"), "{quiet:?}");
    assert!(run("LANG", "C", &[]).contains("#"), "ASCII");
    assert!(run("LANG", "C", &[]).is_ascii());
    assert!(run("LANG", "de_DE.UTF-8", &[]).contains('░'));
}

#[test]
fn colors_can_be_asked_for_in_a_pipe() {
    let finished = Producer::new(["demo", "--color", "always"]).finish();
    finished.exits(0).says("\x1b[32m");
    let finished = Producer::new(["demo"]).finish();
    assert!(!finished.exits(0).stderr.contains('\x1b'), "{}", finished.stderr);
}
