//! Drop-ins of an administrator: what they change is told as it is.

use super::installed::{ENV_FILE, Installed, UNIT};
use super::on_every_release;
use crate::machine::{Machine, Release};

on_every_release! {
    a_broker_that_only_a_drop_in_names_is_told_by_doctor_and_refused_by_egress,
    another_filter_than_the_generator_s_is_told_by_doctor_and_can_be_left_to_systemd,
    a_unit_that_has_not_run_has_no_result,
    restart_in_a_drop_in_does_not_loop_over_what_a_person_must_correct,
    a_batch_can_be_started_as_often_as_one_likes,
    a_demo_that_the_sandbox_lets_listen_runs_in_it_and_another_says_why_not,
}

#[track_caller]
fn doctor_says(machine: &Machine, code: i32, line: &str) {
    let doctor = machine.run(&["vm4-producer", "doctor"]);
    assert_eq!(doctor.code, code, "{}", doctor.stdout);
    assert!(doctor.stdout.contains(line), "{line} in {}", doctor.stdout);
}

fn a_broker_that_only_a_drop_in_names_is_told_by_doctor_and_refused_by_egress(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let before = machine.read(ENV_FILE);
    let [first, _] = installed.addresses;
    let line = format!("Environment=KAFKA_BOOTSTRAP={first}:{}\n", installed.port());
    // In the drop-in, or in a file that it names.
    machine.put("/etc/my.env", line.replace("Environment=", ""), 0o644);
    for line in [line.as_str(), "EnvironmentFile=/etc/my.env\n"] {
        installed.drop_in(UNIT, &format!("[Service]\n{line}"));
        let told = "FAIL  unit's environment: a drop-in (Environment= or EnvironmentFile=) sets KAFKA_BOOTSTRAP; the \
                    allow list is made without it; remedy: set it in /etc/vm4-producer.env instead\n";
        doctor_says(machine, 78, told);
        let applied = machine.run(&["vm4-producer", "egress", "--apply"]);
        assert_eq!((applied.code, applied.stdout.as_str()), (78, ""));
        let refused = "a drop-in (Environment= or EnvironmentFile=) sets KAFKA_BOOTSTRAP for vm4-producer.service, \
                       and the list is made without it; set it in /etc/vm4-producer.env instead";
        assert!(applied.stderr.contains(refused), "{}", applied.stderr);
        assert_eq!(machine.read(ENV_FILE), before, "nothing was written");
    }
    // What does not concern the list works, and the checks have it as the unit does.
    installed.drop_in(UNIT, "[Service]\nEnvironment=BATCH=3 \"RDKAFKA_CLIENT_RACK=two words\"\n");
    let told = "ok    unit's environment: a drop-in sets BATCH, RDKAFKA_CLIENT_RACK, as these checks have it\n";
    doctor_says(machine, 0, told);
    doctor_says(machine, 0, "\"two words\" (the environment of vm4-producer.service)\n");
    machine.run(&["systemctl", "start", UNIT]).success();
    assert_eq!(installed.topics.counts(), [3, 3]);
}

fn another_filter_than_the_generator_s_is_told_by_doctor_and_can_be_left_to_systemd(
    release: Release,
) {
    let installed = Installed::without_egress(release);
    let (machine, [first, second]) = (&installed.machine, installed.addresses);
    installed.set(&format!("KAFKA_BOOTSTRAP={first}:{}\n", installed.port()));
    let switch = "UnsetEnvironment=VM4_EGRESS_IN_FORCE";
    for filter in [format!("IPAddressAllow={second}\n"), "IPAddressDeny=\n".to_owned()] {
        installed.drop_in(UNIT, &format!("[Service]\n{filter}"));
        // As the run has it.
        assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
        assert_eq!(installed.summary()["VM4_EXIT_CODE"], "78", "{:?}", installed.summary());
        let told =
            "through, but a run checks the generator's list, which blocks advertised broker ";
        doctor_says(machine, 78, told);
        let remedy = format!(
            "or switch the check off with {switch} in the drop-in that changes the filter\n"
        );
        doctor_says(machine, 78, &remedy);
        let before = installed.topics.counts();
        installed.drop_in(UNIT, &format!("[Service]\n{filter}{switch}\n"));
        machine.run(&["systemctl", "start", UNIT]).success();
        assert_eq!(installed.topics.counts(), before.map(|count| count + 20));
        doctor_says(machine, 0, "ok    unit's egress: ");
        // A run that has a list, and finds no filter, says so.
        let warned = machine.journal(&["-u", UNIT, "-p", "warning"]).iter().any(|entry| {
            entry["MESSAGE"].as_str().is_some_and(|text| text.contains("is not enforced"))
        });
        assert_eq!(warned, filter == "IPAddressDeny=\n");
    }
}

fn a_unit_that_has_not_run_has_no_result(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let unknown = "ok    unit vm4-producer.service: loaded; systemd knows of no run, vm4-producer history asks \
                   the journal\n";
    doctor_says(machine, 0, unknown);
    let settings = machine.read(ENV_FILE);
    machine.put(ENV_FILE, format!("{settings}RUN_ID=!\n"), 0o644);
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    machine.put(ENV_FILE, settings, 0o644);
    doctor_says(
        machine,
        0,
        "warn  unit vm4-producer.service: loaded; result of the last run: exit-code; remedy: vm4-producer history \
         shows why\n",
    );
}

fn restart_in_a_drop_in_does_not_loop_over_what_a_person_must_correct(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.drop_in(UNIT, "[Service]\nRestart=on-failure\nRestartSec=0\n");
    let settings = machine.read(ENV_FILE);
    machine.put(ENV_FILE, format!("{settings}BATCH=many\n"), 0o644);
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    assert_eq!(machine.show(UNIT, "ActiveState"), "failed");
    assert_eq!(
        (machine.show(UNIT, "ExecMainStatus"), machine.show(UNIT, "NRestarts")),
        ("78".into(), "0".into())
    );
    assert_eq!(installed.summaries().len(), 1);
}

fn a_batch_can_be_started_as_often_as_one_likes(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    machine.put(ENV_FILE, machine.read(ENV_FILE) + "BATCH=1\n", 0o644);
    // systemd's own limit is five starts within ten seconds.
    let starts = format!("for i in 1 2 3 4 5 6 7; do systemctl start {UNIT} || exit 1; done");
    machine.shell(&starts).success();
    assert_eq!(installed.topics.counts(), [7, 7]);
}

fn a_demo_that_the_sandbox_lets_listen_runs_in_it_and_another_says_why_not(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    // The unit has no port to listen on, and its allow list no address of the embedded broker.
    let demo = "ExecStart=\nExecStart=/usr/bin/vm4-producer demo\nIPAddressAllow=localhost\n";
    let says = |text: &str| {
        let journal = machine.journal(&["-u", UNIT]);
        let says = |entry: &serde_json::Value| {
            entry["MESSAGE"].as_str().is_some_and(|message| message.contains(text))
        };
        assert!(journal.iter().any(says), "{text:?} is not in {journal:?}");
    };
    // Before 257, Debian's systemd cannot keep a unit from listening.
    if matches!(release, Release::Trixie) {
        installed.drop_in(UNIT, &format!("[Service]\n{demo}"));
        assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
        assert_eq!(machine.show(UNIT, "ExecMainCode"), "1", "it exited by itself");
        says(
            "cannot start the embedded broker: it cannot listen on a port of 127.0.0.1: \
             Operation not permitted",
        );
    }
    installed.drop_in(UNIT, &format!("[Service]\n{demo}SocketBindAllow=any\n"));
    machine.run(&["systemctl", "start", UNIT]).success();
    says("verify: all 10 records are there");
}
