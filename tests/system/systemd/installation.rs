//! The life of the package: installed, upgraded during a run, removed, purged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installed::{ENV_FILE, Installed, UNIT};
use super::on_every_release;
use crate::machine::{Machine, Release};
use crate::package::package;
use crate::tools::success;

on_every_release! {
    installing_starts_and_enables_nothing_and_purging_leaves_only_the_user,
    an_upgrade_during_a_run_lets_it_finish_and_keeps_edits,
    removing_stops_what_runs_and_disables_the_timers,
    a_user_id_that_is_taken_is_a_warning_that_says_what_to_do,
    a_user_that_was_deleted_is_told_and_can_be_brought_back,
    the_first_boot_of_an_image_enables_no_timer,
}

/// Every path of the machine outside of what the kernel, the package manager, the journal and the
/// user database keep for themselves, and outside of temporary files.
fn paths(machine: &Machine) -> BTreeSet<String> {
    let ignored = [
        "/proc",
        "/sys",
        "/dev",
        "/run",
        "/tmp",
        "/var/tmp",
        "/var/log",
        "/var/cache",
        "/var/lib/apt",
        "/var/lib/dpkg",
    ];
    let prune = ignored.map(|path| format!("-path {path} -prune")).join(" -o ");
    let found = machine.shell(&format!("find / {prune} -o -print")).success().stdout;
    found.lines().map(str::to_owned).collect()
}

fn purge(machine: &Machine) {
    machine.run(&["apt-get", "purge", "-y", "-q", "vm4-producer"]).success();
}

fn installing_starts_and_enables_nothing_and_purging_leaves_only_the_user(release: Release) {
    let machine = Machine::boot(release);
    let before = paths(&machine);
    let installed = machine.install(&package()).success();
    eprintln!("{}: installed in {:.1?}", machine.name(), installed.elapsed);
    assert_eq!(machine.run(&["id", "-u", "vm4-producer"]).stdout, "10001\n");
    assert_eq!(machine.run(&["id", "-g", "vm4-producer"]).stdout, "10001\n");
    for unit in [UNIT, "vm4-producer.timer"] {
        assert_eq!(machine.show(unit, "LoadState"), "loaded", "{unit}");
        assert_eq!(machine.show(unit, "ActiveState"), "inactive", "{unit}");
    }
    assert_eq!(
        machine.run(&["systemctl", "is-enabled", "vm4-producer.timer"]).stdout,
        "disabled\n"
    );
    assert_eq!(machine.journal(&["-u", UNIT, "-t", "vm4-producer"]).len(), 0, "no batch was sent");
    assert_eq!(machine.show(UNIT, "IPAddressAllow"), "10.0.1.197/32", "of the default broker");
    // What using it leaves behind.
    machine.run(&["systemctl", "enable", "--now", "vm4-producer.timer"]).success();
    machine.run(&["systemctl", "enable", "--now", "vm4-producer@site.timer"]).success();
    purge(&machine);
    let after = paths(&machine);
    let left: Vec<_> = after.difference(&before).collect();
    // The user's entry was added to these files, which keep a copy of what they were.
    let backups = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"];
    let left: Vec<_> = left.into_iter().filter(|path| !backups.contains(&path.as_str())).collect();
    let left: Vec<_> =
        left.into_iter().filter(|path| !path.starts_with("/etc/.pwd.lock")).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert_eq!(machine.run(&["id", "-u", "vm4-producer"]).stdout, "10001\n", "the user stays");
    assert_eq!(machine.show(UNIT, "LoadState"), "not-found", "systemd was told");
}

/// The package with another version, and with this env file if one is given.
fn repacked(directory: &Path, version: &str, env_file: Option<&str>) -> PathBuf {
    let tree = directory.join(version);
    let deb = directory.join(format!("vm4-producer_{version}_test.deb"));
    let dpkg_deb = |arguments: &[&Path]| {
        success(Command::new("dpkg-deb").args(arguments));
    };
    dpkg_deb(&[Path::new("-R"), &package(), &tree]);
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).expect("a control file");
    let versioned = text.lines().map(|line| match line.starts_with("Version: ") {
        true => format!("Version: {version}\n"),
        false => format!("{line}\n"),
    });
    std::fs::write(&control, versioned.collect::<String>()).expect("a control file");
    if let Some(text) = env_file {
        std::fs::write(tree.join("etc/vm4-producer.env"), text).expect("an env file");
    }
    dpkg_deb(&[Path::new("--root-owner-group"), Path::new("-Znone"), Path::new("-b"), &tree, &deb]);
    deb
}

fn an_upgrade_during_a_run_lets_it_finish_and_keeps_edits(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let settings = installed.slow_down("SLEEP_SEC=0.5\nBATCH=60\n");
    machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
    installed.topics.wait_for_records(1);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let upgraded = machine.install(&repacked(directory.path(), "99.0.0", None)).success();
    let version = machine.run(&["dpkg-query", "-W", "-f", "${Version}", "vm4-producer"]).success();
    assert_eq!(version.stdout, "99.0.0");
    // The run was there before the upgrade, and is there after it.
    assert_eq!(machine.show(UNIT, "ActiveState"), "activating", "{upgraded:?}");
    machine.wait_until("the run is over", || machine.show(UNIT, "ActiveState") == "inactive");
    assert_eq!(installed.topics.counts(), [60, 60]);
    assert_eq!(installed.summary()["VM4_OUTCOME"], "delivered");
    assert_eq!(machine.read(ENV_FILE), settings, "the administrator's edits survive");
    // The allow list is in force for the new version too.
    machine.put(ENV_FILE, settings.replace("BATCH=60\n", "BATCH=1\n"), 0o644);
    machine.run(&["systemctl", "start", UNIT]).success();
    a_file_with_every_setting_is_the_last_that_an_upgrade_asks_about(machine, directory.path());
}

/// The env file once had every setting. An upgrade from it loses nothing, and asks once at most: the file
/// has nothing any more that a release would change.
fn a_file_with_every_setting_is_the_last_that_an_upgrade_asks_about(
    machine: &Machine,
    directory: &Path,
) {
    let full = include_str!("../../../packaging/examples/vm4-producer.env");
    let old = repacked(directory, "0.0.1", Some(full));
    let copied = |deb: &Path| {
        let name = deb.file_name().and_then(|name| name.to_str()).expect("a name");
        let path = format!("/var/tmp/{name}");
        machine.copy_in(deb, &path);
        path
    };
    let (old, new) = (copied(&old), copied(&package()));
    let newer = copied(&directory.join("vm4-producer_99.0.0_test.deb"));
    // With nobody to answer a question.
    let install = |deb: &str, options: &[&str]| {
        let command = [&["dpkg"], options, &["--install", deb]].concat();
        machine.run_within(std::time::Duration::from_secs(120), &command)
    };
    purge(machine);
    install(&old, &[]).success();
    assert_eq!(machine.read(ENV_FILE), full);
    install(&new, &[]).success();
    assert!(machine.read(ENV_FILE).lines().count() < 20, "who changed nothing has the short one");
    purge(machine);
    install(&old, &[]).success();
    let mine = full.replace("#BATCH=20", "BATCH=7");
    machine.put(ENV_FILE, &mine, 0o644);
    assert_ne!(install(&new, &[]).code, 0, "it asks this once");
    install(&new, &["--force-confold"]).success();
    assert_eq!(machine.read(ENV_FILE), mine);
    install(&newer, &[]).success();
    assert_eq!(machine.read(ENV_FILE), mine, "and never again");
}

fn removing_stops_what_runs_and_disables_the_timers(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    machine.put(
        "/etc/vm4-producer/site.env",
        "HOSTNAME=site\nBATCH=100000\nSLEEP_SEC=0.05\n",
        0o644,
    );
    machine.run(&["systemctl", "daemon-reload"]).success();
    machine.run(&["systemctl", "enable", "--now", "vm4-producer.timer"]).success();
    machine.run(&["systemctl", "start", "--no-block", "vm4-producer@site.service"]).success();
    installed.topics.wait_for_records(1);
    machine.run(&["apt-get", "remove", "-y", "-q", "vm4-producer"]).success();
    // The run was asked to stop, not killed.
    let summary = installed.summary();
    assert_eq!(summary["VM4_EXIT_CODE"], "143", "{summary:?}");
    assert_eq!(summary["VM4_GENERATED"], summary["VM4_ACKNOWLEDGED"]);
    assert_eq!(machine.show("vm4-producer.timer", "ActiveState"), "inactive");
    // pgrep fails if it finds none, as it should here: what counts is what it prints.
    assert_eq!(machine.shell("pgrep -x vm4-producer || true").stdout, "");
    // The configuration stays until it is purged, and what the administrator wrote even then.
    machine.run(&["test", "-e", ENV_FILE]).success();
    purge(machine);
    assert_ne!(machine.run(&["test", "-e", ENV_FILE]).code, 0);
    machine.run(&["test", "-e", "/etc/vm4-producer/site.env"]).success();
    let links =
        machine.shell("find /etc/systemd /var/lib/systemd -name '*vm4-producer*.timer'").stdout;
    assert_eq!(links, "");
}

fn a_user_id_that_is_taken_is_a_warning_that_says_what_to_do(release: Release) {
    // Two oddities of a host share a machine: its kernel does not filter, either.
    let machine = Machine::boot_without_filter(release);
    machine.shell("echo 'ann:x:10001:10001::/home/ann:/bin/sh' >>/etc/passwd").success();
    machine.shell("echo 'ann:x:10001:' >>/etc/group").success();
    let installed = machine.install(&package()).success();
    let told = format!("{}{}", installed.stdout, installed.stderr);
    for words in ["UID 10001", "ann", "vm4-producer"] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let warning: Vec<_> = told.lines().filter(|line| line.contains("10001")).collect();
    eprintln!("{}: {}", machine.name(), warning.join(" / "));
    let doctor = machine.run(&["vm4-producer", "doctor"]).stdout;
    assert!(doctor.contains("warn  unit's user: vm4-producer is UID "), "{doctor}");
    assert!(doctor.contains("not 10001; batches run anyway; remedy: "), "{doctor}");
    let told = "warn  unit's filter: the unit's egress allow list is not enforced here: ";
    assert!(doctor.contains(told), "{doctor}");
    // It still works, as another user.
    assert_eq!(machine.show(UNIT, "LoadState"), "loaded");
}

fn a_user_that_was_deleted_is_told_and_can_be_brought_back(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    machine.run(&["userdel", "vm4-producer"]).success();
    // With DynamicUser= systemd makes one up, and the batch is sent.
    machine.run(&["systemctl", "start", UNIT]).success();
    assert_ne!(installed.summary()["_UID"], "10001");
    let warnings = machine.journal(&["-u", UNIT, "-p", "warning"]);
    let told = warnings[0]["MESSAGE"].as_str().expect("a text");
    assert!(told.contains("which systemd made up because its user does not exist"), "{told}");
    let doctor = machine.run(&["vm4-producer", "doctor"]);
    let remedy = "warn  unit's user: there is no user \"vm4-producer\"; batches run as a UID that systemd makes \
                  up; remedy: systemd-sysusers\n";
    assert!(doctor.code == 0 && doctor.stdout.contains(remedy), "{}", doctor.stdout);
    machine.run(&["systemd-sysusers"]).success();
    machine.run(&["systemctl", "start", UNIT]).success();
    assert_eq!(installed.summary()["_UID"], "10001");
}

fn the_first_boot_of_an_image_enables_no_timer(release: Release) {
    let machine = Machine::first_boot(release, &package());
    // systemd took it for the first boot: it has enabled the one of which no preset says anything.
    assert_eq!(
        machine.run(&["systemctl", "is-enabled", "without-preset.timer"]).stdout,
        "enabled\n"
    );
    for timer in ["vm4-producer.timer", "vm4-producer@site.timer"] {
        assert_eq!(
            machine.run(&["systemctl", "is-enabled", timer]).stdout,
            "disabled\n",
            "{timer}"
        );
        assert_eq!(machine.show(timer, "ActiveState"), "inactive", "{timer}");
        assert_eq!(machine.show(timer, "UnitFilePreset"), "disabled", "{timer}");
    }
    machine.run(&["systemctl", "preset-all"]).success();
    let enabled = machine.run(&["systemctl", "is-enabled", "vm4-producer.timer"]).stdout;
    assert_eq!(enabled, "disabled\n");
}
