//! The generator as systemd runs it: what it says, and that it keeps nobody waiting.

use std::time::Duration;

use super::installed::{ENV_FILE, UNIT};
use super::on_every_release;
use crate::machine::{Machine, Release};
use crate::package::package;

on_every_release! {
    what_is_wrong_with_an_env_file_is_in_the_journal_after_a_reload,
    a_fifo_as_an_env_file_keeps_no_reload_waiting,
}

/// Far less than the 90 s that systemd gives its generators.
const SOON: Duration = Duration::from_secs(30);

fn installed(release: Release) -> Machine {
    let machine = Machine::boot(release);
    machine.install(&package()).success();
    machine
}

fn what_is_wrong_with_an_env_file_is_in_the_journal_after_a_reload(release: Release) {
    let machine = installed(release);
    machine.put(ENV_FILE, "BATCH 2\n", 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    let entries = machine.journal(&["-t", "vm4-producer-generator"]);
    let said: Vec<_> = entries.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    let problem = "vm4-producer.service can reach nothing: /etc/vm4-producer.env: line 1: \"BATCH ...\" \
                   has no \"=\"; expected KEY=value, or \"#\" before a comment";
    assert_eq!(said, [problem]);
    assert_eq!(entries[0]["PRIORITY"], "3");
    assert_eq!(machine.show(UNIT, "IPAddressAllow"), "");
}

fn a_fifo_as_an_env_file_keeps_no_reload_waiting(release: Release) {
    let machine = installed(release);
    let fifo = "/etc/vm4-producer/pipe.env";
    machine.run(&["mkfifo", fifo]).success();
    machine.run_within(SOON, &["systemctl", "daemon-reload"]).success();
    let said = machine.journal(&["-t", "vm4-producer-generator"]);
    let expected = format!(
        "vm4-producer@pipe.service can reach nothing: cannot read {fifo} (PROFILE=pipe from the \
         environment): it is a FIFO; expected a file"
    );
    assert_eq!(said.last().expect("an entry")["MESSAGE"], expected);
    assert_eq!(
        machine.show(UNIT, "IPAddressAllow"),
        "10.0.1.197/32",
        "the others keep their lists"
    );
    let started = machine.run_within(SOON, &["systemctl", "start", "vm4-producer@pipe.service"]);
    assert_eq!(started.code, 1, "{started:?}");
    assert_eq!(machine.show("vm4-producer@pipe.service", "ExecMainStatus"), "66");
}
