//! Logins over TLS, and what happens where the cluster does not let the program in.

pub mod certificates;
mod cluster;

use super::records;
use crate::broker::Operation;
use crate::cluster::{PARTITIONS, Topics};
use crate::common::{Finished, Producer, blocks};
use certificates::Certificates;
use cluster::{PASSWORD, Secure, WRONG, keeps_its_secrets, log_in, log_in_with_token, secure};

/// A short run over the secured listener; it still has to log in.
fn run(secure: &Secure, topics: &Topics) -> Producer {
    let run = secure.connect(topics.run(), &secure.authority);
    run.set("SLEEP_SEC", "0").set("DELIVERY_TIMEOUT_SEC", "10")
}

/// Fails unless everything was delivered and nothing given away.
#[track_caller]
fn delivers(finished: &Finished, topics: &Topics) {
    finished.exits(0).says("40 of 40 planned records delivered");
    keeps_its_secrets(finished);
    records::assert_log_is_report(finished, topics);
}

/// Fails unless the cluster refused the run, which says so, wrote nothing and gave nothing away.
#[track_caller]
fn is_refused(finished: &Finished, topics: &Topics) {
    finished.exits(77);
    assert_eq!(finished.report()["outcome"], "denied");
    keeps_its_secrets(finished);
    assert_eq!(topics.records_in_log(), 0);
}

#[test]
fn each_mechanism_delivers_over_tls() {
    let secure = secure();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let topics = Topics::create(&secure.broker, &format!("login-{mechanism}"));
        let finished = log_in(run(secure, &topics), mechanism, "ann", PASSWORD).finish();
        delivers(&finished, &topics);
        println!("{mechanism} over TLS: 40 of 40 in {:?}", finished.elapsed);
    }
    let topics = Topics::create(&secure.broker, "login-token");
    let finished = log_in_with_token(run(secure, &topics)).finish();
    delivers(&finished, &topics);
    println!("OAUTHBEARER over TLS: 40 of 40 in {:?}", finished.elapsed);
}

#[test]
fn the_settings_that_the_readme_shows_deliver() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "login-readme");
    let shown = blocks(include_str!("../../../README.md"), "TLS and a password", "sh");
    // The run of the others gives address and user; here they come from the env file alone.
    let run = Producer::new(["run"]);
    let authority = run.file("ca.pem", &secure.authority);
    let lines = shown[0]
        .replace("kafka-1:9093", &secure.address())
        .replace("/etc/vm4-producer/ca.pem", authority.to_str().unwrap())
        .replace("USERNAME=vm4", "USERNAME=ann");
    let env = run.file("vm4-producer.env", format!("{lines}{}SLEEP_SEC=0\n", topics.settings()));
    run.file("credentials/sasl.password", PASSWORD);
    let credentials = run.directory().join("credentials");
    let run = run.set("VM4_PRODUCER_ENV", env).set("CREDENTIALS_DIRECTORY", credentials);
    let finished = run.finish();
    finished.exits(0).says("40 of 40 planned records delivered");
    keeps_its_secrets(&finished);
}

#[test]
fn a_wrong_password_is_refused() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "wrong-password");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let finished = log_in(run(secure, &topics), mechanism, "ann", WRONG).finish();
        is_refused(&finished, &topics);
        finished.says("the cluster refused access").says("Authentication failed");
        println!("{mechanism}, wrong password: exit 77 after {:?}", finished.elapsed);
    }
}

// Another client asks for the advertised brokers then, and hears nothing.
#[test]
fn a_wrong_password_is_refused_also_if_the_brokers_are_held_against_an_allow_list() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "wrong-password-listed");
    let run = run(secure, &topics).set("VM4_EGRESS_IN_FORCE", "127.0.0.1");
    let finished = log_in(run, "PLAIN", "ann", WRONG).finish();
    is_refused(&finished, &topics);
    finished.says("the cluster refused access").says("Authentication failed");
}

#[test]
fn a_user_without_credentials_for_the_mechanism_is_refused() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "no-credentials");
    // The user is known, but not by this mechanism: only `ann` has SCRAM credentials.
    let finished = log_in(run(secure, &topics), "SCRAM-SHA-256", "bob", PASSWORD).finish();
    is_refused(&finished, &topics);
    finished.says("the cluster refused access");
    println!("login unknown to the mechanism: exit 77 after {:?}", finished.elapsed);
}

#[test]
fn a_client_that_does_not_log_in_reaches_nobody() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "no-login");
    let run = run(secure, &topics).set("DELIVERY_TIMEOUT_SEC", "2");
    let finished = run.set("RDKAFKA_SECURITY_PROTOCOL", "SSL").finish();
    finished.exits(69).says("no broker answered within 1.8 s");
    println!("TLS without a login: exit 69 after {:?}", finished.elapsed);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_named_as_the_problem() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "unknown-authority");
    let unknown = Certificates::make().authority;
    let run = secure.connect(run(secure, &topics), &unknown).set("DELIVERY_TIMEOUT_SEC", "2");
    let finished = log_in(run, "PLAIN", "ann", PASSWORD).finish();
    finished.exits(69).says("no broker answered within 1.8 s").says("certificate verify failed");
    assert_eq!(finished.report()["outcome"], "unavailable");
    keeps_its_secrets(&finished);
    assert_eq!(topics.records_in_log(), 0);
    println!("unknown authority: exit 69 after {:?}", finished.elapsed);
}

#[test]
fn a_user_without_any_right_is_refused_with_the_topics_name() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "no-right");
    let finished = log_in(run(secure, &topics), "PLAIN", "bob", PASSWORD).finish();
    is_refused(&finished, &topics);
    finished.says("the cluster refused access: this client may not see topic no-right.metrics");
    println!("no right: exit 77 after {:?}", finished.elapsed);
}

#[test]
fn a_user_who_may_look_but_not_write_is_refused() {
    let secure = secure();
    let topics = Topics::named(&secure.broker, "look-only");
    secure.broker.allow("carl", Operation::Describe, &topics.both());
    secure.broker.create_topics(&topics.both().map(|topic| (topic, PARTITIONS)));
    let finished = log_in(run(secure, &topics), "PLAIN", "carl", PASSWORD).finish();
    is_refused(&finished, &topics);
    finished
        .says("this client may not write to topic look-only.metrics; grant its user Write on it");
    records::books(&finished, &topics);
    println!("may look only: exit 77 after {:?}", finished.elapsed);
}

#[test]
fn a_reader_without_the_right_to_read_is_told_so_and_claims_nothing() {
    let secure = secure();
    let topics = Topics::named(&secure.broker, "not-readable");
    secure.broker.allow("carl", Operation::Describe, &topics.both());
    secure.broker.create_topics(&topics.both().map(|topic| (topic, PARTITIONS)));
    let own = |run: Producer| run.set("RUN_ID", "unread").set("RUN_SEED", "1");
    delivers(&log_in(own(run(secure, &topics)), "PLAIN", "ann", PASSWORD).finish(), &topics);
    let verify = |user: &str| {
        let verify = own(topics.direct(Producer::new(["verify", "--run", "unread"])));
        let verify = secure.connect(verify, &secure.authority).set("SLEEP_SEC", "0");
        log_in(verify, "PLAIN", user, PASSWORD).finish()
    };
    verify("ann").exits(0);
    let finished = verify("carl");
    finished.exits(77).says("this client may not read: ").says("not-readable.");
    keeps_its_secrets(&finished);
    println!("reader without the right: exit 77 after {:?}", finished.elapsed);
    // Nor one who may not even look.
    verify("bob").exits(77).says("this client may not read: topic not-readable.");
}

#[test]
fn a_user_who_may_write_to_one_topic_only_is_told_which_other() {
    let secure = secure();
    let topics = Topics::named(&secure.broker, "one-only");
    secure.broker.allow("dora", Operation::Write, &[&topics.metric]);
    secure.broker.allow("dora", Operation::Describe, &[&topics.token]);
    secure.broker.create_topics(&topics.both().map(|topic| (topic, PARTITIONS)));
    let finished = log_in(run(secure, &topics), "PLAIN", "dora", PASSWORD).finish();
    finished.exits(77).says("Topic authorization failed) (one-only.tokens)");
    assert_eq!(finished.report()["errors"].as_array().map(Vec::len), Some(1));
    let books = records::books(&finished, &topics);
    assert_eq!([books[0].acknowledged, books[1].failed], [20, 20]);
    records::assert_log_is_report(&finished, &topics);
    keeps_its_secrets(&finished);
    println!("one topic only: exit 77 after {:?}", finished.elapsed);
}

#[test]
fn a_user_who_may_not_create_the_topic_of_runs_is_told_how_to_create_it() {
    let secure = secure();
    let topics = Topics::named(&secure.broker, "no-journal");
    secure.broker.allow("dora", Operation::Write, &topics.both());
    secure.broker.create_topics(&topics.both().map(|topic| (topic, PARTITIONS)));
    let of_dora = |command: Producer| {
        let command = secure.connect(topics.direct(command), &secure.authority);
        log_in(command.set("RUN_TOPIC", "no-journal.runs"), "PLAIN", "dora", PASSWORD).finish()
    };
    let limited = || Producer::run(&topics.bootstrap).set("DELIVERY_TIMEOUT_SEC", "5");
    let finished = of_dora(limited());
    is_refused(&finished, &topics);
    finished
        .says("the run cannot describe itself in RUN_TOPIC: topic no-journal.runs did not take");
    finished.says("create it with kafka-topics.sh --create --topic no-journal.runs --partitions 1");
    println!("no right to create RUN_TOPIC: exit 77 after {:?}", finished.elapsed);

    // It is there, but may only be looked at.
    secure.broker.allow("dora", Operation::Describe, &["no-journal.runs"]);
    secure.broker.create_topics_with(&[("no-journal.runs", 1)], &[("cleanup.policy", "compact")]);
    is_refused(&of_dora(limited()), &topics);
    let doctor = of_dora(Producer::new(["doctor"]));
    let line = "FAIL  RUN_TOPIC no-journal.runs: this client may not write to it; remedy: grant";
    assert!(doctor.exits(77).stdout.contains(line), "{}", doctor.stdout);
    secure.broker.allow("dora", Operation::Write, &["no-journal.runs"]);
    of_dora(limited()).exits(0);
}

#[test]
fn no_password_is_shown_even_when_everything_is_logged() {
    let secure = secure();
    let topics = Topics::create(&secure.broker, "talkative");
    let run = run(secure, &topics).set("RUST_LOG", "trace").set("RDKAFKA_DEBUG", "all");
    let finished = log_in(run, "PLAIN", "ann", PASSWORD).finish();
    delivers(&finished, &topics);
    assert!(finished.stderr.lines().count() > 100, "{}", finished.stderr);
    println!("everything logged: {} lines, no password", finished.stderr.lines().count());

    let doctor = topics.direct(Producer::new(["doctor"]));
    let doctor = secure.connect(doctor, &secure.authority).set("RDKAFKA_SASL_PASSWORD", PASSWORD);
    let doctor = doctor.set("RDKAFKA_SASL_USERNAME", "ann").set("RDKAFKA_SASL_MECHANISM", "PLAIN");
    let finished = doctor.finish();
    finished.exits(0);
    keeps_its_secrets(&finished);
    assert!(finished.stdout.contains("RDKAFKA_SASL_PASSWORD"), "{}", finished.stdout);
}
