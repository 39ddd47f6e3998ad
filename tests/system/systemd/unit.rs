//! The life of the installed unit: a batch, its sandbox, a stop, a failure, a hang, a secret.

use std::net::TcpListener;
use std::time::Duration;

use vm4_producer::host::log::SUMMARY_FIELDS;

use super::installed::{ENV_FILE, Installed, NAMES, UNIT, cluster, new_topics, port};
use super::on_every_release;
use crate::broker::{Broker, Options};
use crate::machine::{Machine, Release};

on_every_release! {
    a_started_unit_sends_a_batch_as_its_own_user_and_says_so,
    the_effective_unit_is_as_exposed_as_a_tcp_client_must_be,
    a_stop_in_the_middle_delivers_what_was_generated,
    a_failure_is_told_in_words_and_the_timer_goes_on,
    a_process_that_hangs_is_ended_by_systemd_when_it_was_said,
    a_broker_that_never_answers_is_given_up_by_the_program,
    a_batch_longer_than_the_start_timeout_is_not_killed_while_it_makes_progress,
    a_delivery_timeout_longer_than_the_units_timeouts_is_kept,
    a_password_is_seen_by_nobody_but_the_program,
}

fn a_started_unit_sends_a_batch_as_its_own_user_and_says_so(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.tell_of_the_seed();
    let started = machine.run(&["systemctl", "start", UNIT]);
    assert_eq!(started.code, 0, "{:?}", installed.summaries());
    // Returned after the records are in Kafka.
    assert_eq!(installed.topics.counts(), [20, 20]);
    eprintln!("{}: systemctl start took {:.2?}", machine.name(), started.elapsed);
    assert_eq!(machine.show(UNIT, "DynamicUser"), "yes");
    assert_eq!(machine.show(UNIT, "Result"), "success");
    let summary = installed.summary();
    for (field, value) in [
        ("_UID", "10001"),
        ("_GID", "10001"),
        ("_SYSTEMD_UNIT", UNIT),
        ("VM4_OUTCOME", "delivered"),
        ("VM4_PLANNED", "40"),
        ("VM4_ACKNOWLEDGED", "40"),
        ("VM4_EXIT_CODE", "0"),
    ] {
        assert_eq!(summary[field], value, "{field}");
    }
    for field in SUMMARY_FIELDS {
        assert!(summary.contains_key(&format!("VM4_{}", field.to_ascii_uppercase())), "{field}");
    }
    let told = machine.run(&["journalctl", "-x", "-u", UNIT, "--no-pager"]).success().stdout;
    assert!(told.contains("40 of 40 planned records delivered"), "{told}");
    assert!(told.contains("Subject: A batch has ended"), "{told}");
    assert!(told.contains("generated = acknowledged + failed + unresolved"), "{told}");
    assert!(!told.contains("@VM4") && !told.contains("inherited credential"), "{told}");
    // The seed is the shipped one, seen as /data.
    assert!(told.contains("seed file: /data/gpu_seed.json: RTX 3090 (serves "), "{told}");
    assert_ne!(machine.run(&["test", "-e", "/data"]).code, 0, "the host has no /data");
    assert_ne!(machine.run(&["test", "-e", "/run/vm4-producer"]).code, 0, "the root is gone");
    let doctor = machine.run(&["vm4-producer", "doctor"]).success().stdout;
    for line in [
        "ok    unit vm4-producer.service: loaded; systemd knows of no run, vm4-producer history asks the journal",
        "ok    unit's user: vm4-producer is UID 10001, GID 10001",
        "ok    unit's seed: /data/gpu_seed.json (on this host /usr/share/vm4-producer/gpu_seed.json)",
        "ok    timer vm4-producer.timer: inactive, disabled",
    ] {
        assert!(doctor.contains(line), "{line} in {doctor}");
    }
}

fn the_effective_unit_is_as_exposed_as_a_tcp_client_must_be(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    machine.put("/etc/vm4-producer/site.env", "HOSTNAME=site\n", 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    for unit in [UNIT, "vm4-producer@site.service"] {
        let allowed = machine.show(unit, "IPAddressAllow");
        assert!(allowed.contains(&installed.addresses[0].to_string()), "{allowed}");
        let security = machine.run(&["systemd-analyze", "security", "--threshold=9", unit]);
        assert_eq!(security.code, 0, "{}", security.stdout);
        let overall = "Overall exposure level for ";
        let line = security.stdout.lines().find(|line| line.contains(overall)).unwrap_or_default();
        assert!(line.contains(&format!("{unit}: 0.9 SAFE")), "{line}");
        // What the threshold is worth: it is the lowest that the unit passes.
        let lower = machine.run(&["systemd-analyze", "security", "--threshold=8", unit]);
        assert_ne!(lower.code, 0);
        eprintln!("{}: {}", machine.name(), line.trim());
    }
    let verify = ["systemd-analyze", "--man=no", "verify"];
    let units = [
        "vm4-producer.service",
        "vm4-producer.timer",
        "vm4-producer@site.service",
        "vm4-producer@site.timer",
    ];
    let verified = machine.run(&[&verify[..], &units[..]].concat()).success();
    assert_eq!((verified.stdout.as_str(), verified.stderr.as_str()), ("", ""));
}

fn a_stop_in_the_middle_delivers_what_was_generated(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.slow_down("SLEEP_SEC=0.005\nBATCH=100000\n");
    machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
    installed.topics.wait_for_records(1);
    let stopped = machine.run(&["systemctl", "stop", UNIT]).success();
    assert_eq!(machine.show(UNIT, "Result"), "success");
    let summary = installed.summary();
    assert_eq!(summary["VM4_EXIT_CODE"], "143", "{summary:?}");
    assert_eq!(summary["VM4_GENERATED"], summary["VM4_ACKNOWLEDGED"]);
    let total: i64 = installed.topics.counts().iter().sum();
    assert_eq!(summary["VM4_ACKNOWLEDGED"], total.to_string());
    assert!((2..200_000).contains(&total), "{total}");
    eprintln!("{}: stopped in {:.2?} with {total} records", machine.name(), stopped.elapsed);
}

fn a_failure_is_told_in_words_and_the_timer_goes_on(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    // A broker that takes no record of the one topic.
    let topics = new_topics(&cluster().first, &[("max.message.bytes", "10")]);
    let settings = machine.read(ENV_FILE).replace(&installed.topics.settings(), &topics.settings());
    // Without the guard: it would refuse the run beforehand.
    machine.put(ENV_FILE, format!("{settings}EVENT_TIME_GUARD=off\n"), 0o644);
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    assert_eq!(topics.counts(), [0, 20]);
    let shown = machine.run(&["systemctl", "status", UNIT]).stdout;
    assert!(shown.contains("status=74/IOERR"), "{shown}");
    let words = "20 of 40 planned records delivered";
    assert!(shown.contains(words) && shown.contains("20 failed"), "{shown}");
    assert!(machine.show(UNIT, "StatusText").starts_with(words), "{shown}");
    // Shorter than the shipped minute, and with the accuracy that it ships.
    let timer = "vm4-producer.timer";
    installed.drop_in(timer, "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\n");
    machine.run(&["systemctl", "start", timer]).success();
    machine
        .wait_until("the timer has started two more failures", || installed.summaries().len() >= 3);
    assert_eq!(machine.show(timer, "ActiveState"), "active");
    assert!(installed.summaries().iter().all(|summary| summary["VM4_EXIT_CODE"] == "74"));
}

/// How long a process that hangs may live after it was last heard of: the delivery timeout, what
/// the program asks for beyond it, and what a busy machine may take.
fn hang_limit(delivery_timeout: u64) -> Duration {
    Duration::from_secs(delivery_timeout + 15 + 10)
}

fn a_process_that_hangs_is_ended_by_systemd_when_it_was_said(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.drop_in(UNIT, "[Service]\nTimeoutStartSec=2\n");
    installed.slow_down("SLEEP_SEC=0.05\nBATCH=100000\nDELIVERY_TIMEOUT_SEC=1\n");
    machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
    installed.topics.wait_for_records(1);
    machine.run(&["systemctl", "kill", "--signal=STOP", UNIT]).success();
    let start = std::time::Instant::now();
    let ended =
        crate::tools::comes_true(hang_limit(1), || machine.show(UNIT, "ActiveState") == "failed");
    assert!(ended, "still {}", machine.show(UNIT, "ActiveState"));
    assert_eq!(machine.show(UNIT, "Result"), "timeout");
    eprintln!("{}: a hang was ended after {:.1?}", machine.name(), start.elapsed());
}

fn a_broker_that_never_answers_is_given_up_by_the_program(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let address = machine.host_address_v4();
    let silent = TcpListener::bind((address, 0)).unwrap();
    let silent = silent.local_addr().unwrap();
    installed.set(&format!("KAFKA_BOOTSTRAP={silent}\nDELIVERY_TIMEOUT_SEC=3\n"));
    let started = machine.run(&["systemctl", "start", UNIT]);
    assert_eq!(started.code, 1);
    assert_eq!(machine.show(UNIT, "ExecMainStatus"), "69");
    let status = machine.show(UNIT, "StatusText");
    assert!(status.starts_with("nothing was sent: no broker answered within 2.7 s"), "{status}");
    eprintln!("{}: a silent broker was given up after {:.1?}", machine.name(), started.elapsed);
}

fn a_batch_longer_than_the_start_timeout_is_not_killed_while_it_makes_progress(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.drop_in(UNIT, "[Service]\nTimeoutStartSec=2\n");
    installed.slow_down("SLEEP_SEC=1\nBATCH=25\nDELIVERY_TIMEOUT_SEC=1\n");
    let started = machine.run(&["systemctl", "start", UNIT]).success();
    assert_eq!(installed.topics.counts(), [25, 25]);
    eprintln!("{}: {:.1?} with a start timeout of 2 s", machine.name(), started.elapsed);
}

fn a_delivery_timeout_longer_than_the_units_timeouts_is_kept(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    installed.drop_in(UNIT, "[Service]\nTimeoutStartSec=1\nTimeoutStopSec=1\n");
    let silent = TcpListener::bind((machine.host_address_v4(), 0)).unwrap();
    let silent = silent.local_addr().unwrap();
    installed.set(&format!("KAFKA_BOOTSTRAP={silent}\nDELIVERY_TIMEOUT_SEC=4\n"));
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    // By itself, not by systemd, and so with a reason.
    assert_eq!(machine.show(UNIT, "Result"), "exit-code");
    assert_eq!(machine.show(UNIT, "ExecMainStatus"), "69");
}

/// A password that nobody else has.
const PASSWORD: &str = "slate-bittern-6310";

/// A broker that takes logins.
fn with_logins() -> Broker {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let login = format!("{module} required user_ann=\"{PASSWORD}\";");
    Broker::start_with(&Options {
        listeners: &[("OUTSIDE", "SASL_PLAINTEXT")],
        reached_as: &[("OUTSIDE", NAMES[0])],
        properties: &[
            ("listener.name.outside.sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.outside.plain.sasl.jaas.config", &login),
        ],
        ..Options::default()
    })
}

fn a_password_is_seen_by_nobody_but_the_program(release: Release) {
    let broker = with_logins();
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let topics = new_topics(&broker, &[]);
    let settings = format!(
        "{}KAFKA_BOOTSTRAP={}:{}\nRDKAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT\nRDKAFKA_SASL_MECHANISM=PLAIN\n\
         RDKAFKA_SASL_USERNAME=ann\nREPORT_FILE=-\nSLEEP_SEC=0.02\nBATCH=100000\n",
        topics.settings(),
        installed.addresses[0],
        port(&broker),
    );
    machine.put(ENV_FILE, &settings, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    let credential = "/etc/credstore/vm4-producer.sasl.password";
    // Without a password, and with another, it says so.
    for (password, exit) in [("", "78"), ("wrong\n", "77")] {
        machine.put(credential, password, 0o600);
        assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
        assert_eq!(machine.show(UNIT, "ExecMainStatus"), exit, "{:?}", installed.summary());
    }
    machine.put(credential, format!("{PASSWORD}\n"), 0o600);
    root_logs_in_as_the_unit_does(&installed, &broker);
    machine.put(ENV_FILE, &settings, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    let before: i64 = topics.counts().iter().sum();
    machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
    topics.wait_for_records(before + 1);
    let pid = machine.show(UNIT, "MainPID");
    let environ = machine.shell(&format!("tr '\\0' '\\n' </proc/{pid}/environ")).success().stdout;
    assert!(environ.contains("CREDENTIALS_DIRECTORY="), "{environ}");
    machine.run(&["systemctl", "stop", UNIT]).success();
    assert_eq!(installed.summary()["VM4_EXIT_CODE"], "143");
    let shown = machine.run(&["systemctl", "show", UNIT]).success().stdout;
    let status = machine.run(&["systemctl", "status", UNIT]).stdout;
    let journal = machine.run(&["journalctl", "--no-pager", "-o", "export"]).success().stdout;
    assert!(journal.contains("\"outcome\": \"interrupted\""), "the report is in the journal");
    for (place, text) in
        [("environ", &environ), ("show", &shown), ("status", &status), ("journal", &journal)]
    {
        assert!(!text.contains(PASSWORD), "the password is in {place}: {text}");
    }
    who_may_read(machine);
}

/// The README's way: a broker that has a name, and the password where the unit finds it. The commands of root
/// log in with what systemd gives the unit, and do not send the administrator in a circle.
fn root_logs_in_as_the_unit_does(installed: &Installed, broker: &Broker) {
    let machine = &installed.machine;
    let address = format!("{}:{}", installed.addresses[0], port(broker));
    let named = format!("{}:{}", NAMES[0], port(broker));
    let settings = machine.read(ENV_FILE).replace(&address, &named);
    machine.put(ENV_FILE, settings.replace("BATCH=100000", "BATCH=20\nRUN_ID=mine"), 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    assert_eq!(machine.show(UNIT, "ExecMainStatus"), "78", "{:?}", installed.summary());
    let doctor = machine.run(&["vm4-producer", "doctor"]);
    let told = "ok    metadata: 1 advertised broker\n";
    assert!(doctor.code == 78 && doctor.stdout.contains(told), "{}", doctor.stdout);
    assert!(
        doctor.stdout.contains("ok    unit's credentials: sasl.password\n"),
        "{}",
        doctor.stdout
    );
    let applied = machine.run(&["vm4-producer", "egress", "--apply"]).success();
    assert_eq!(applied.stdout, format!("EGRESS_ALLOW={}\n", installed.addresses[0]));
    let doctor = machine.run(&["vm4-producer", "doctor"]).success().stdout;
    assert!(doctor.contains("ok    unit's filter: in force"), "{doctor}");
    machine.run(&["systemctl", "start", UNIT]).success();
    let verified = machine.run(&["vm4-producer", "verify", "--run", "mine"]);
    assert!(!verified.stderr.contains("sasl.password"), "{verified:?}");
    for output in [&applied.stdout, &applied.stderr, &doctor, &verified.stdout, &verified.stderr] {
        assert!(!output.contains(PASSWORD), "{output}");
    }
    // The same for one that systemd decrypts.
    let store = "/etc/credstore.encrypted";
    let encrypt = format!(
        "mkdir -p -m 700 {store} && mv /etc/credstore/vm4-producer.sasl.password /run/plain && \
         systemd-creds encrypt --with-key=host --name=sasl.password /run/plain {store}/mine"
    );
    machine.shell(&encrypt).success();
    let loads = format!("[Service]\nLoadCredentialEncrypted=sasl.password:{store}/mine\n");
    installed.drop_in(UNIT, &loads);
    machine.run(&["vm4-producer", "doctor"]).success();
    machine.run(&["vm4-producer", "egress"]).success();
    machine.run(&["systemctl", "start", UNIT]).success();
    // One that systemd cannot give is told as that.
    installed.drop_in(UNIT, "[Service]\nLoadCredentialEncrypted=mine:/no/such\n");
    let doctor = machine.run(&["vm4-producer", "doctor"]);
    let told =
        "FAIL  unit's credentials: systemd cannot give vm4-producer.service its credentials: ";
    assert!(doctor.stdout.contains(told), "{}", doctor.stdout);
    machine.shell("rm -r /etc/systemd/system/vm4-producer.service.d").success();
    machine.shell("mv /run/plain /etc/credstore/vm4-producer.sasl.password").success();
    machine.run(&["systemctl", "daemon-reload"]).success();
}

/// The credential of the store belongs to root, and the unit's copy is gone with the unit.
fn who_may_read(machine: &Machine) {
    let mode = machine.run(&["stat", "-c", "%a %U", "/etc/credstore/vm4-producer.sasl.password"]);
    assert_eq!(mode.stdout, "600 root\n");
    assert_ne!(machine.run(&["test", "-e", "/run/credentials/vm4-producer.service"]).code, 0);
}
