//! Completion, in the shells themselves.
//!
//! bash and zsh are driven by keys on a terminal; fish says itself what it would offer. `make test`
//! installs them. Where that is not wanted, `VM4_SKIP_SHELLS="fish zsh"` leaves these out.

use std::path::Path;
use std::process::Command;

use crate::common::Producer;
use crate::process::eventually;
use crate::terminal::Terminal;

/// What is typed before the key, and what is offered or completed then.
const CASES: &[(&str, &[&str])] = &[
    ("vm4-producer ", &["generate", "doctor", "completions"]),
    ("vm4-producer gen", &["generate"]),
    ("vm4-producer --kafka", &["--kafka-bootstrap"]),
    ("vm4-producer run --ba", &["--batch"]),
    ("vm4-producer run --topic-", &["--topic-metric", "--topic-token"]),
    ("vm4-producer --workload ", &["chat", "agent", "uniform"]),
    ("vm4-producer run --workload un", &["uniform"]),
    ("vm4-producer generate --arrivals ", &["fixed", "poisson", "workload"]),
    ("vm4-producer generate --val", &["--values"]),
    ("vm4-producer --pace w", &["wall"]),
    ("vm4-producer run --record-key n", &["none"]),
    ("vm4-producer demo --record-headers ", &["on", "off"]),
    ("vm4-producer run --event-time-guard of", &["off"]),
    ("vm4-producer --rust-log de", &["debug"]),
    ("vm4-producer --color al", &["always"]),
    ("vm4-producer doctor --tc", &["--tcp"]),
    ("vm4-producer doctor --js", &["--json"]),
    ("vm4-producer egress --app", &["--apply"]),
    ("vm4-producer schema ", &["gpu.metrics.v1", "token.usage.v1", "report.v1"]),
    ("vm4-producer schema to", &["token.usage.v1"]),
    ("vm4-producer completions ", &["bash", "fish", "zsh"]),
    ("vm4-producer help doc", &["doctor"]),
    ("vm4-producer --gpu-seed /etc/pass", &["/etc/passwd"]),
    ("vm4-producer demo --report-file /etc/grou", &["/etc/group"]),
    ("vm4-producer --rdk", &["--rdkafka"]),
    ("vm4-producer verify --rep", &["--report"]),
    ("vm4-producer run --faults du", &["duplicate", "duplicate-key"]),
    ("vm4-producer run --incidents th", &["throttle"]),
    ("vm4-producer expect --by ", &["gpu", "model", "host"]),
    ("vm4-producer expect --format ", &["ndjson", "csv"]),
];

/// Whether the shell is to be driven: one that is not there fails the test.
fn is_wanted(shell: &str) -> bool {
    let skipped = std::env::var("VM4_SKIP_SHELLS").unwrap_or_default();
    if skipped.split_whitespace().any(|name| name == shell) {
        return false;
    }
    let found = Command::new("sh").args(["-c", &format!("command -v {shell}")]).output();
    let found = found.expect("sh runs").status.success();
    assert!(
        found,
        "there is no {shell}: make test installs it, VM4_SKIP_SHELLS={shell} does without"
    );
    true
}

/// The script of a shell, written to a file that the shell finds.
fn script(producer: &Producer, shell: &str, name: &str) {
    let printed = Producer::new(["completions", shell]).finish();
    producer.file(name, printed.exits(0).stdout.as_bytes());
}

/// A shell on a terminal, for each case.
fn on_a_terminal(shell: &str, args: &[&str], directory: &Path) {
    for (typed, offered) in CASES {
        let mut command = Command::new(shell);
        command.args(args).env("TERM", "xterm").env("ZDOTDIR", directory).env("HOME", directory);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C.UTF-8");
        let mut terminal = Terminal::start(&command, 120);
        terminal.until_it_shows("ready>");
        terminal.keys(&format!("{typed}\t"));
        let stem = typed.rsplit(' ').next().unwrap_or_default();
        eventually(&format!("{shell} offers {offered:?} for {typed:?}"), || {
            let screen = terminal.screen();
            // zsh may join a flag and its value.
            let words = screen.split_whitespace().map(|word| word.trim_end_matches('='));
            let words: Vec<_> = words.collect();
            let is_shown = |word: &&str| *word != stem && words.contains(word);
            offered.iter().all(is_shown).then_some(())
        });
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !is_wanted("bash") {
        return;
    }
    let producer = Producer::new([""; 0]);
    script(&producer, "bash", "vm4-producer.bash");
    let directory = producer.directory();
    let inputrc = "set show-all-if-ambiguous on\nset completion-query-items 0\nset page-completions off\nset enable-bracketed-paste off\n";
    let inputrc = producer.file("inputrc", inputrc);
    let rc = format!(
        "bind -f {}; source {}; PS1='ready> '",
        inputrc.display(),
        directory.join("vm4-producer.bash").display()
    );
    let rc = producer.file("bashrc", rc);
    let rc = rc.to_str().expect("a path");
    on_a_terminal("bash", &["--noprofile", "--rcfile", rc, "-i"], directory);
}

#[test]
fn zsh_completes_commands_flags_and_values() {
    if !is_wanted("zsh") {
        return;
    }
    let producer = Producer::new([""; 0]);
    script(&producer, "zsh", "_vm4-producer");
    let directory = producer.directory();
    let rc = format!(
        "fpath=({} $fpath); autoload -U compinit; compinit -u -D; unsetopt list_ambiguous\n\
         LISTMAX=1000; PS1='ready> '; unset RPS1\n",
        directory.display()
    );
    producer.file(".zshrc", rc);
    on_a_terminal("zsh", &["-d", "-i"], directory);
}

#[test]
fn fish_completes_commands_flags_and_values() {
    if !is_wanted("fish") {
        return;
    }
    let producer = Producer::new([""; 0]);
    script(&producer, "fish", "vm4-producer.fish");
    let script = producer.directory().join("vm4-producer.fish");
    for (typed, offered) in CASES {
        let asked = format!("source {}; complete -C '{typed}'", script.display());
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", &asked]);
        let output = fish.env("HOME", producer.directory()).output().expect("fish runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<_> = said.lines().filter_map(|line| line.split('\t').next()).collect();
        for word in *offered {
            assert!(words.contains(word), "fish does not offer {word} for {typed:?}: {said}");
        }
    }
}
