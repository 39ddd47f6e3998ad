//! The first minutes of a new user: from the package to a batch in the journal, as the README has it.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::installed::{ENV_FILE, Installed, cluster, port};
use super::on_every_release;
use crate::cluster::Topics;
use crate::common::blocks;
use crate::kcat;
use crate::machine::{Machine, Release};
use crate::package::package;

on_every_release! {
    the_readme_leads_from_the_package_to_a_batch_in_the_journal,
}

const README: &str = include_str!("../../../README.md");

/// Where the user has built the package.
const CHECKOUT: &str = "/root/vm4-producer";

/// The size of the user's terminal: nothing of a command scrolls away.
const ROWS: u16 = 200;
const COLUMNS: u16 = 120;

/// How long a command of the README may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The commands of the README behind the build, each without its comment.
fn commands() -> Vec<&'static str> {
    let block = blocks(README, "Install", "")[0];
    let commands: Vec<_> =
        block.lines().map(|line| line.split("  #").next().unwrap_or(line).trim_end()).collect();
    assert_eq!(commands[0], "make deb");
    commands[1..].to_vec()
}

/// Runs a command line on a terminal, as the user does, and notes what is seen and how long it took.
fn typed(machine: &Machine, line: &str, seen: &mut String) -> String {
    let inside = format!("cd {CHECKOUT}; stty rows {ROWS} columns {COLUMNS}; exec {line}");
    let terminal = ["env", "TERM=dumb", "SYSTEMD_PAGER=", "script", "-qec", &inside];
    let ran = machine.run_within(LIMIT, &[&terminal[..], &["/dev/null"]].concat());
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(ran.stdout.as_bytes());
    let shown = terminal.screen().contents();
    write!(seen, "# {line}\n{shown}\n[{:.1} s]\n\n", ran.elapsed.as_secs_f64())
        .expect("a String takes all");
    assert_eq!(ran.code, 0, "{seen}");
    shown
}

/// A machine without the package, which reaches the cluster; its user is to send to new topics of the
/// names that every user has.
fn empty(release: Release) -> Installed {
    let machine = Machine::boot(release);
    let addresses = [machine.host_address_v4().into(), machine.add_host_address().v4.into()];
    let topics = default_topics().clone();
    // The bar at the bottom of the screen, whose sequences the terminal here does not know.
    machine.put("/etc/apt/apt.conf.d/bar", "Binary::apt::Dpkg::Progress-Fancy \"0\";\n", 0o644);
    let empty = Installed { machine, addresses, topics };
    empty.name(addresses);
    empty
}

/// The topics that both releases send to.
fn default_topics() -> &'static Topics {
    static TOPICS: LazyLock<Topics> = LazyLock::new(|| Topics::create_default(&cluster().first));
    &TOPICS
}

/// A text with one sign in place of each number.
fn without_figures(text: &str) -> String {
    let mut shape = text.replace(|sign: char| sign.is_ascii_digit(), "#").replace("#.#", "##");
    while shape.contains("##") {
        shape = shape.replace("##", "#");
    }
    shape
}

/// How many records of a run are in a topic.
fn records(topics: &Topics, topic: &str, run: &str) -> usize {
    let all = kcat::read_all(&topics.bootstrap, topic);
    let header = ("run".to_owned(), run.to_owned());
    all.iter().filter(|record| record.headers.contains(&header)).count()
}

fn the_readme_leads_from_the_package_to_a_batch_in_the_journal(release: Release) {
    let installed = empty(release);
    let (machine, topics) = (&installed.machine, &installed.topics);
    let package = package();
    let name = package.file_name().and_then(|name| name.to_str()).expect("a name");
    machine.copy_in(&package, &format!("{CHECKOUT}/target/debian/{name}"));
    let [first, second] = installed.addresses;
    let bootstrap = format!("{first}:{},{second}:{}", installed.port(), port(&cluster().second));

    let (mut seen, started) = (String::new(), Instant::now());
    for command in commands() {
        // What the user does in the editor.
        let edited =
            format!("sed -i s/^#KAFKA_BOOTSTRAP=.*/KAFKA_BOOTSTRAP={bootstrap}/ {ENV_FILE}");
        let is_editor = command == format!("editor {ENV_FILE}");
        let shown = typed(machine, if is_editor { &edited } else { command }, &mut seen);
        if command.starts_with("journalctl ") {
            assert!(shown.contains("40 of 40 planned records delivered"), "{seen}");
            let seconds = started.elapsed().as_secs_f64();
            writeln!(seen, "[{seconds:.1} s from the package to the batch in the journal]\n")
                .expect("a String takes all");
        }
    }
    eprintln!("{}: the first minutes\n{seen}", machine.name());
    let summary = installed.summary();
    let sample = blocks(README, "Install", "")[2];
    assert_eq!(without_figures(&summary["MESSAGE"]), without_figures(sample.trim_end()));
    let run = &summary["VM4_RUN"];
    assert_eq!(topics.both().map(|topic| records(topics, topic, run)), [20, 20]);
    assert_eq!(machine.show("vm4-producer.timer", "ActiveState"), "active");
}
