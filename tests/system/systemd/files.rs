//! The files of the host that the unit sees, and those that it must not.

use super::installed::{ENV_FILE, Installed, UNIT};
use super::on_every_release;
use crate::machine::{Machine, Release};

on_every_release! {
    the_host_s_own_seed_file_comes_before_the_packaged_one,
    of_two_binds_of_data_the_first_counts_and_doctor_says_so,
    files_that_only_root_can_read_are_told_by_doctor_and_by_the_run,
    an_instance_sees_its_own_files_and_those_of_all_but_no_other_profile_s,
    a_report_that_ends_with_the_unit_is_warned_of_and_a_state_directory_keeps_it,
    nothing_that_is_written_in_the_unit_can_be_run_there,
}

/// A seed of one GPU of this name.
fn seed(name: &str) -> String {
    format!(
        r#"[{{"gpu_index": 0, "name": "{name}", "utilization": 0.5, "mem_used_mb": 9000,
            "mem_total_mb": 24576, "power_w": 200, "price_per_hour_usd": 0.5}}]"#
    )
}

/// What the last run of the unit said of its seed.
fn seed_line(machine: &Machine, unit: &str) -> String {
    let entries = machine.journal(&["-u", unit, "-t", "vm4-producer"]);
    let mut said = entries.iter().filter_map(|entry| entry["MESSAGE"].as_str());
    said.rfind(|line| line.starts_with("seed file: ")).expect("a line on the seed").to_owned()
}

#[track_caller]
fn doctor_says(machine: &Machine, code: i32, line: &str) {
    let doctor = machine.run(&["vm4-producer", "doctor"]);
    assert_eq!(doctor.code, code, "{}", doctor.stdout);
    assert!(doctor.stdout.contains(line), "{line} in {}", doctor.stdout);
}

fn the_host_s_own_seed_file_comes_before_the_packaged_one(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.tell_of_the_seed();
    machine.put("/data/gpu_seed.json", seed("RTX 4090"), 0o644);
    machine.run(&["systemctl", "start", UNIT]).success();
    let line = seed_line(machine, UNIT);
    assert!(line.starts_with("seed file: /data/gpu_seed.json: RTX 4090"), "{line}");
    doctor_says(machine, 0, "ok    unit's seed: /data/gpu_seed.json\n");
    // Without it, the packaged one again.
    machine.run(&["rm", "/data/gpu_seed.json"]).success();
    machine.run(&["systemctl", "start", UNIT]).success();
    let line = seed_line(machine, UNIT);
    assert!(line.starts_with("seed file: /data/gpu_seed.json: RTX 3090"), "{line}");
    let packaged = "/usr/share/vm4-producer/gpu_seed.json";
    doctor_says(machine, 0, &format!("/data/gpu_seed.json (on this host {packaged})\n"));
}

fn of_two_binds_of_data_the_first_counts_and_doctor_says_so(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.tell_of_the_seed();
    machine.put("/srv/seeds/gpu_seed.json", seed("RTX 4090"), 0o644);
    let packaged = "/usr/share/vm4-producer/gpu_seed.json";
    for bind in ["/srv/seeds:/data", "/srv/seeds/gpu_seed.json:/data/gpu_seed.json"] {
        installed.drop_in(UNIT, &format!("[Service]\nBindReadOnlyPaths={bind}\n"));
        machine.run(&["systemctl", "start", UNIT]).success();
        let line = seed_line(machine, UNIT);
        assert!(line.contains(": RTX 3090"), "{bind}: {line}");
        doctor_says(machine, 0, &format!("/data/gpu_seed.json (on this host {packaged})\n"));
    }
}

fn files_that_only_root_can_read_are_told_by_doctor_and_by_the_run(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    doctor_says(
        machine,
        0,
        "ok    unit's rights: UID 10001 can read the 2 files of these settings\n",
    );
    machine.run(&["chmod", "600", ENV_FILE]).success();
    let problem = "FAIL  unit's rights: UID 10001 cannot read /etc/vm4-producer.env; remedy: chmod a+r \
                   /etc/vm4-producer.env\n";
    doctor_says(machine, 66, problem);
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    let summary = installed.summary();
    assert_eq!(
        (summary["VM4_EXIT_CODE"].as_str(), summary["VM4_OUTCOME"].as_str()),
        ("66", "misconfigured")
    );
    let words = "nothing was sent: cannot read /etc/vm4-producer.env: Permission denied (os error 13); UID \
                 10001 needs `chmod a+r` on the file, and `chmod a+x` on its directories; exit 66 (NOINPUT)";
    assert_eq!(summary["MESSAGE"], words);
    // A group of the file is enough if the unit has it, and so is an access to its directory.
    machine.run(&["chown", "root:adm", ENV_FILE]).success();
    machine.run(&["chmod", "640", ENV_FILE]).success();
    installed.drop_in(UNIT, "[Service]\nSupplementaryGroups=adm\n");
    doctor_says(machine, 0, "ok    unit's rights: UID 10001");
    machine.run(&["chmod", "644", ENV_FILE]).success();
    machine.put("/etc/vm4-producer/shared/seed.json", seed("RTX 4090"), 0o644);
    let text = machine.read(ENV_FILE) + "GPU_SEED=/etc/vm4-producer/shared/seed.json\n";
    machine.put(ENV_FILE, text, 0o644);
    machine.run(&["chmod", "700", "/etc/vm4-producer"]).success();
    let remedy =
        "cannot read /etc/vm4-producer/shared/seed.json; remedy: chmod a+x /etc/vm4-producer\n";
    doctor_says(machine, 66, remedy);
    // Whoever has a private key can be the client: nobody is told to show it to everybody.
    machine.run(&["chmod", "755", "/etc/vm4-producer"]).success();
    let key = "/etc/vm4-producer/shared/key.pem";
    machine.put(key, "no key\n", 0o600);
    let text = machine.read(ENV_FILE) + &format!("RDKAFKA_SSL_KEY_LOCATION={key}\n");
    machine.put(ENV_FILE, text, 0o644);
    let remedy = format!(
        "cannot read {key}; remedy: chgrp 10001 {key} && chmod g+r {key}; a private key can"
    );
    doctor_says(machine, 66, &remedy);
    machine.shell(&format!("chgrp 10001 {key} && chmod g+r {key}")).success();
    doctor_says(machine, 0, "ok    unit's rights: UID 10001");
    // A link to nothing is passed over by systemd.
    machine.shell("mkdir -p /data && ln -s /no/such /data/gpu_seed.json").success();
    let text = machine.read(ENV_FILE).replace("GPU_SEED=", "#GPU_SEED=");
    machine.put(ENV_FILE, text, 0o644);
    doctor_says(
        machine,
        0,
        "warn  unit's seed: /data/gpu_seed.json of this host is a link to nothing",
    );
}

fn an_instance_sees_its_own_files_and_those_of_all_but_no_other_profile_s(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    for place in ["a", "b", "shared"] {
        let path = format!("/etc/vm4-producer/{place}/seed.json");
        machine.put(&path, seed("RTX 4090"), 0o644);
    }
    machine.put("/etc/vm4-producer/b.env", "HOSTNAME=b\n", 0o644);
    let instance = "vm4-producer@a.service";
    for (place, code) in
        [("a/seed.json", "0"), ("shared/seed.json", "0"), ("b/seed.json", "66"), ("b.env", "66")]
    {
        let settings = format!("GPU_SEED=/etc/vm4-producer/{place}\n");
        machine.put("/etc/vm4-producer/a.env", settings, 0o644);
        machine.run(&["systemctl", "daemon-reload"]).success();
        machine.run(&["systemctl", "start", instance]);
        assert_eq!(
            installed.summary()["VM4_EXIT_CODE"],
            code,
            "{place}: {:?}",
            installed.summary()
        );
    }
    let doctor = machine.run(&["vm4-producer", "doctor", "--profile", "a"]).stdout;
    assert!(
        doctor.contains("FAIL  unit's seed: the unit does not see /etc/vm4-producer/b.env"),
        "{doctor}"
    );
}

fn a_report_that_ends_with_the_unit_is_warned_of_and_a_state_directory_keeps_it(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let settings = machine.read(ENV_FILE);
    for path in ["/tmp/report.json", "/var/tmp/report.json"] {
        machine.put(ENV_FILE, format!("{settings}REPORT_FILE={path}\n"), 0o644);
        machine.run(&["systemctl", "start", UNIT]).success();
        let warnings = machine.journal(&["-u", UNIT, "-p", "warning"]);
        let said = warnings.last().expect("a warning")["MESSAGE"].as_str().unwrap().to_owned();
        let expected = format!("REPORT_FILE: {path} is in a directory that ends with this unit; ");
        assert!(said.starts_with(&expected), "{said}");
    }
    let path = "/var/lib/vm4-producer/report.json";
    machine.put(ENV_FILE, format!("{settings}REPORT_FILE={path}\n"), 0o644);
    installed.drop_in(UNIT, "[Service]\nStateDirectory=vm4-producer\n");
    let before = machine.journal(&["-u", UNIT, "-p", "warning"]).len();
    machine.run(&["systemctl", "start", UNIT]).success();
    let report: serde_json::Value = serde_json::from_str(&machine.read(path)).unwrap();
    assert_eq!(report["outcome"], "delivered");
    assert_eq!(machine.journal(&["-u", UNIT, "-p", "warning"]).len(), before);
}

fn nothing_that_is_written_in_the_unit_can_be_run_there(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    // A shell of its own in place of the program, and everything else as it is shipped.
    let probe = r#"for place in / /etc /usr /data /var /run /tmp /var/tmp /dev/shm; do
        cp /bin/true "$place/probe" 2>/dev/null || continue
        "$place/probe" 2>/dev/null && echo "$place runs" || echo "$place is written to"
        rm -f "$place/probe"
    done"#;
    machine.put("/usr/local/bin/probe", format!("#!/bin/sh\n{probe}\n"), 0o755);
    let binds = "BindReadOnlyPaths=/usr/bin /usr/bin:/bin /usr/local/bin/probe";
    let lines = format!(
        "[Service]\nExecStart=\nExecStart=/usr/local/bin/probe\n{binds}\n\
                         ExecPaths=/usr/bin /bin /usr/local/bin/probe\n"
    );
    installed.drop_in(UNIT, &lines);
    machine.run(&["systemctl", "start", UNIT]).success();
    let entries = machine.journal(&["-u", UNIT, "-t", "probe"]);
    let said: Vec<_> = entries.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    assert_eq!(said, ["/tmp is written to", "/var/tmp is written to", "/dev/shm is written to"]);
}
