//! The commands and the exit codes of bad input.

use std::io::Read;
use std::process::Stdio;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer, nobody};

fn command(args: &[&str]) -> Finished {
    Producer::new(args).finish()
}

#[test]
fn a_bad_command_line_is_a_usage_error() {
    let unknown = command(&["--no-such-flag"]);
    unknown.exits(64).says("unexpected argument '--no-such-flag'");
    unknown.says("Usage: vm4-producer [OPTIONS] [COMMAND]\n");
    command(&["rum"]).exits(64).says("unrecognized subcommand 'rum'");
    command(&["schema", "gpu"]).exits(64).says("invalid value 'gpu' for '<TOPIC>'");
    command(&["-X", "linger.ms"]).exits(64).says("--rdkafka expects PROPERTY=VALUE");
    command(&["--batch"]).exits(64).says("a value is required for '--batch <BATCH>'");
}

#[test]
fn a_bad_value_of_a_flag_is_a_configuration_error() {
    command(&["--batch", "-1"]).exits(78).says("BATCH: \"-1\" from flag --batch is not valid");
    command(&["-X", "no.such=1"]).exits(78).says(
        "no.such: the value from flag -X no.such is not valid: librdkafka has no property \"no.such\"",
    );
    command(&["-X", "linger.mss=1"]).exits(78).says(
        "linger.mss: the value from flag -X linger.mss is not valid: librdkafka has no property \
         \"linger.mss\", but \"linger.ms\"; expected",
    );
}

#[test]
fn settings_that_librdkafka_refuses_as_a_whole_are_a_configuration_error() {
    let finished = Producer::run(&nobody()).set("RDKAFKA_SECURITY_PROTOCOL", "sasl_plaintext");
    let finished = finished.set("RDKAFKA_SASL_MECHANISM", "PLAIN").finish();
    finished.exits(78).says("librdkafka does not accept the configuration");
    finished.says("must be set; set RDKAFKA_SASL_USERNAME, and the password as the credential");
    let finished = Producer::run(&nobody())
        .set("RDKAFKA_SECURITY_PROTOCOL", "ssl")
        .set("RDKAFKA_SSL_CA_LOCATION", "/no/such/ca.pem")
        .finish();
    finished.exits(66).says(
        "cannot read /no/such/ca.pem (RDKAFKA_SSL_CA_LOCATION from the environment): No such file",
    );
}

#[test]
fn a_seed_file_that_cannot_be_read_is_no_input() {
    let absent = Producer::run(&nobody()).set("GPU_SEED", "/no/such/seed.json").finish();
    absent.exits(66).says("cannot read the seed file /no/such/seed.json (GPU_SEED from the env");
    let directory = Producer::run(&nobody()).set("GPU_SEED", "/tmp").finish();
    directory.exits(66).says("it is a directory; expected a file");
    // Readable by nobody, root included: its first page cannot be mapped.
    let unreadable = Producer::run(&nobody()).set("GPU_SEED", "/proc/self/mem").finish();
    unreadable.exits(66).says("cannot read the seed file /proc/self/mem");
    let device = Producer::run(&nobody()).set("GPU_SEED", "/dev/zero").finish();
    device.exits(66).says("it is neither a regular file nor a pipe");
}

#[test]
fn a_seed_file_that_is_not_valid_is_a_data_error() {
    let field = include_str!("../../gpu_seed.json").replacen("0.7", "1.5", 1);
    let large = format!("[{}]", " ".repeat(10 << 20));
    for (content, expected) in [
        (field, "line 5, row 1, field utilization: 1.5 is not valid"),
        (large, "line 1: larger than 4 MiB"),
    ] {
        let producer = Producer::run(&nobody());
        let seed = producer.file("seed.json", content);
        producer.set("GPU_SEED", seed).finish().exits(65).says(expected);
    }
}

#[test]
fn rows_that_share_an_index_are_sent_with_a_warning() {
    let cluster = Cluster::start();
    let producer = cluster.run();
    let original =
        include_str!("../../gpu_seed.json").replace("\"gpu_index\": 1", "\"gpu_index\": 0");
    let seed = producer.file("seed.json", original);
    let finished = producer.set("GPU_SEED", seed).finish();
    finished.exits(0).says("rows 1 (RTX 3090) and 2 (A100 40GB) share gpu_index 0");
    assert!(cluster.read(TOPICS[0], 20).iter().all(|r| r.key.as_deref() == Some("vm4/0")));
}

#[test]
fn a_named_settings_file_that_is_missing_is_no_input() {
    let finished = Producer::run(&nobody()).set("VM4_PRODUCER_ENV", "/no/such.env").finish();
    finished
        .exits(66)
        .says("cannot read /no/such.env (VM4_PRODUCER_ENV from the environment): No such file");
}

#[test]
fn an_unknown_key_in_the_settings_file_is_a_configuration_error() {
    let producer = Producer::run(&nobody());
    let file = producer.file("vm4.env", "# comment\nBATCHES=3\n");
    let finished = producer.set("VM4_PRODUCER_ENV", file).finish();
    finished.exits(78).says("vm4.env: line 2: unknown key \"BATCHES\"; perhaps you mean BATCH");
}

#[test]
fn the_demo_needs_nothing_and_shows_five_pairs() {
    // Neither a broker that is not there nor credentials for it matter.
    let finished = Producer::new(["demo"])
        .set("KAFKA_BOOTSTRAP", nobody())
        .set("RDKAFKA_SECURITY_PROTOCOL", "sasl_ssl")
        .finish();
    finished.exits(0).says("10 of 10 planned records delivered");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    for (seq, line) in lines[1..6].iter().enumerate() {
        assert!(line.starts_with(&format!("09:00:0{}.{}00  gpu0", seq / 2, seq % 2 * 5)), "{line}");
    }
    for topic in TOPICS {
        assert_eq!(finished.stdout.matches(&format!("{topic}, key gpu0")).count(), 1);
    }
}

#[test]
fn the_demo_fits_one_screen_of_eighty_columns() {
    let finished = command(&["demo"]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    let rows: usize = said.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
    // The prompt takes one.
    assert!(rows < 24, "{rows} rows:\n{said}");
    for line in finished.stdout.lines().filter(|line| !line.contains('{')) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_demo_says_the_same_each_time() {
    assert_eq!(command(&["demo"]).stdout, command(&["demo"]).stdout);
}

#[test]
fn the_demo_takes_the_settings_of_a_run() {
    let finished =
        command(&["demo", "--batch", "2", "--hostname", "gpu-9", "--workload", "uniform"]);
    finished.exits(0).says("4 of 4 planned records delivered");
    assert!(finished.stdout.contains("key gpu-9/"), "{}", finished.stdout);
}

#[test]
fn the_demo_shows_twenty_pairs_and_counts_the_others() {
    let finished = command(&["demo", "--batch", "1000"]);
    finished.exits(0).says("2000 of 2000 planned records delivered");
    assert_eq!(finished.stdout.matches("\n09:00:").count(), 20, "{}", finished.stdout);
    assert!(finished.stdout.contains("\n... and 980 more\n"), "{}", finished.stdout);
}

#[test]
fn the_demo_takes_one_topic_for_both_events() {
    let finished =
        command(&["demo", "--batch", "2", "--topic-metric", "all", "--topic-token", "all"]);
    finished.exits(0);
    assert!(finished.stdout.contains("all 4 records are there"), "{}", finished.stdout);
    assert!(finished.stdout.contains("all, key gpu01/1:"), "{}", finished.stdout);
}

#[test]
fn generate_ends_quietly_when_its_reader_goes_away() {
    let mut producer = Producer::new(["generate", "--batch", "1000000"]);
    let mut child = producer.command().stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let mut producer = Producer::new(["generate"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    producer.command().stdout(Stdio::from(full));
    producer.finish().exits(74).says("cannot write to stdout: No space left on device");

    for args in [&["--help"][..], &["--version"], &["run", "-h"], &["schema", "report.v1"]] {
        let mut producer = Producer::new(args);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        producer.command().stdout(Stdio::from(full));
        producer.finish().exits(74).says("ERROR cannot write to stdout: No space left on device");
    }
}

#[test]
fn what_is_odd_about_the_sources_is_said_by_a_run_and_by_doctor() {
    let cluster = Cluster::start();
    let seed = include_str!("../../gpu_seed.json").replace("280", "2800");
    let told = |command: &str| {
        let producer = Producer::new([command]).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
        let seed = producer.file("seed.json", &seed);
        let env = producer.file("twice.env", "BATCH=1\nBATCH=0\n");
        producer.set("GPU_SEED", seed).set("VM4_PRODUCER_ENV", env).finish()
    };
    let twice = "twice.env: BATCH of line 1 is set again on line 2";
    let doubt = "row 1: power_w 2800 is more than the limit of RTX 3090, 350 W";
    told("run").exits(0).says(twice).says(doubt);
    let doctor = told("doctor");
    let out = &doctor.exits(0).stdout;
    assert!(out.lines().any(|l| l.starts_with("warn  settings: ") && l.contains(twice)), "{out}");
    assert!(out.contains(doubt), "{out}");
}

#[test]
fn doctor_finds_all_well_and_shows_where_settings_come_from() {
    let cluster = Cluster::start();
    let finished = Producer::new(["doctor", "--all", "--batch", "7"])
        .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
        .set("RDKAFKA_SASL_PASSWORD", "hunter2")
        .finish();
    finished.exits(0);
    let out = &finished.stdout;
    let bootstrap = cluster.bootstrap();
    for line in [
        "ok    settings: all valid, 3 set by you".to_owned(),
        "ok    seed file: built-in copy (/data/gpu_seed.json does not exist)".to_owned(),
        format!("ok    bootstrap {bootstrap}: {bootstrap} accepts connections"),
        "ok    metadata: 1 advertised broker".to_owned(),
        "ok    topic gpu.metrics.v1: 3 partitions".to_owned(),
        "ok    topic token.usage.v1: 3 partitions".to_owned(),
        "ok    keys of gpu.metrics.v1: 2 keys reach 1 of 3 partitions; more hosts".to_owned(),
        format!("ok    advertised {bootstrap}: {bootstrap} accepts connections"),
    ] {
        assert!(out.lines().any(|l| l.starts_with(&line)), "{line:?} is not in:\n{out}");
    }
    for (name, value, source) in [
        ("BATCH", "\"7\"", "(flag --batch)"),
        ("SLEEP_SEC", "\"0.5\"", "(default)"),
        ("RUN_SEED", "\"\"", "(not set)"),
        ("RDKAFKA_SASL_PASSWORD", "\"(not shown)\"", "(the environment)"),
    ] {
        let found = out.lines().any(|l| {
            l.split_whitespace().collect::<Vec<_>>().join(" ") == format!("{name} {value} {source}")
        });
        assert!(found, "{name} is not shown as {value} {source} in:\n{out}");
    }
}

#[test]
fn doctor_shows_what_is_set_then_the_checks_and_the_verdict_last() {
    let cluster = Cluster::start();
    let doctor = |args: &[&str]| {
        Producer::new(["doctor", "--batch", "7"].iter().chain(args))
            .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
            .finish()
    };
    let finished = doctor(&[]);
    let out = &finished.exits(0).stdout;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "settings that are set (--all shows the defaults, too):");
    assert!(lines[2].contains("BATCH") && lines[3].is_empty(), "{out}");
    assert!(!out.contains("SLEEP_SEC"), "{out}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("none of 12 checks failed, 3 skipped; exit 0 (SUCCESS)"), "{out}");
    assert!(lines.len() <= 24, "it does not fit a terminal: {out}");

    let failed = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", nobody()).finish();
    let last = failed.exits(69).stdout.lines().last().unwrap().to_owned();
    assert!(last.contains(" checks failed") && last.ends_with("; exit 69 (UNAVAILABLE)"), "{last}");

    let colored = doctor(&["--color", "always"]);
    assert!(
        colored.exits(0).stdout.contains("\x1b[32mok  \x1b[0m  settings"),
        "{}",
        colored.stdout
    );
    assert!(!out.contains('\x1b'), "{out}");
}

#[test]
fn doctor_and_the_report_know_how_many_partitions_the_keys_reach() {
    let cluster = Cluster::start_with(1, 12);
    for (hosts, keys, reached) in [("vm4", 2, 2), ("gpu[01-16]", 32, 12)] {
        let run = cluster.run().set("HOSTNAME", hosts).set("BATCH", "2000").finish();
        for topic in run.exits(0).report()["topics"].as_array().unwrap() {
            assert_eq!(topic["partition_count"], 12);
            assert_eq!(topic["partitions"].as_array().unwrap().len(), reached, "{hosts}");
        }
        let doctor = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
        let doctor = doctor.set("HOSTNAME", hosts).finish();
        let line = format!("keys of token.usage.v1: {keys} keys reach {reached} of 12 partitions");
        assert!(doctor.exits(0).stdout.contains(&line), "{}", doctor.stdout);
    }
    let without = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
    let without = without.set("RECORD_KEY", "none").finish();
    assert!(!without.exits(0).stdout.contains("keys of"), "{}", without.stdout);
}

#[test]
fn doctor_prints_its_findings_as_json() {
    let cluster = Cluster::start();
    let finished = Producer::new(["doctor", "--json"])
        .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
        .set("TOPIC_TOKEN", "missing")
        .set("RDKAFKA_SASL_PASSWORD", "hunter2")
        .finish();
    let found: serde_json::Value = serde_json::from_str(&finished.exits(69).stdout).unwrap();
    assert_eq!(found["exit_name"], "UNAVAILABLE");
    let check = |name: &str| {
        let checks = found["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap().clone()
    };
    assert_eq!(check("topic missing")["result"], "fail");
    assert_eq!(check("topic missing")["exit_code"], 69);
    assert!(check("topic missing")["remedy"].as_str().unwrap().starts_with("create it"));
    assert_eq!(check("topic gpu.metrics.v1")["result"], "ok");
    let settings = found["settings"].as_array().unwrap();
    let setting = |name: &str| settings.iter().find(|s| s["name"] == name).unwrap();
    assert_eq!(setting("RDKAFKA_SASL_PASSWORD")["value"], "(not shown)");
    assert_eq!(
        (&setting("BATCH")["value"], &setting("BATCH")["is_set"]),
        (&"20".into(), &false.into())
    );

    let bad = Producer::new(["doctor", "--json"]).set("BATCH", "x").finish();
    let found: serde_json::Value = serde_json::from_str(&bad.exits(78).stdout).unwrap();
    assert_eq!(found["checks"][0]["result"], "fail");
}

#[test]
fn credentials_that_the_protocol_does_not_use_are_named_by_doctor_and_a_run() {
    let cluster = Cluster::start();
    let with = |producer: Producer| {
        producer
            .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
            .set("RDKAFKA_SASL_MECHANISM", "PLAIN")
            .set("RDKAFKA_SASL_PASSWORD", "hunter2")
    };
    let problem =
        "security.protocol is plaintext, with which sasl.mechanism, sasl.password has no effect";
    let finished = with(Producer::new(["doctor"])).finish();
    let line = format!("warn  security: {problem}; remedy: set RDKAFKA_SECURITY_PROTOCOL=SASL_SSL");
    assert!(finished.exits(0).stdout.contains(&line), "{}", finished.stdout);
    with(cluster.run()).finish().exits(0).says(problem);
}

#[test]
fn a_run_and_generate_say_who_they_are_and_for_which_host() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("HOSTNAME", "ci-runner-17").set("RUN_SEED", "7").finish();
    finished.exits(0).says(", RUN_SEED 7, host ci-runner-17 (the environment): sending 20 pairs");
    cluster.run().finish().exits(0).says("host vm4 (default): sending");

    let generated = Producer::new(["generate", "--values", "--batch", "1", "--run-seed", "7"])
        .set("REPORT_FILE", "/nonexistent/x.json")
        .finish();
    generated.exits(0).says(", RUN_SEED 7: printing");
    generated.says("REPORT_FILE is not used: generate sends nothing");
}

#[test]
fn a_run_and_doctor_count_one_in_the_singular() {
    let cluster = Cluster::start_with(1, 1);
    cluster
        .run()
        .set("BATCH", "1")
        .finish()
        .exits(0)
        .says(": sending 1 pair to gpu.metrics.v1 and");
    let doctor = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", cluster.bootstrap()).finish();
    for line in
        ["ok    metadata: 1 advertised broker\n", "ok    topic gpu.metrics.v1: 1 partition\n"]
    {
        assert!(doctor.exits(0).stdout.contains(line), "{}", doctor.stdout);
    }
}

#[test]
fn a_run_warns_that_both_events_go_to_one_topic() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("TOPIC_TOKEN", TOPICS[0]).finish();
    finished.exits(0).says("WARN both events go to gpu.metrics.v1");
}

#[test]
fn a_run_that_reaches_nobody_names_doctor() {
    let finished = Producer::run(&nobody()).set("DELIVERY_TIMEOUT_SEC", "1").finish();
    finished.exits(69).says("`vm4-producer doctor` checks the way to the brokers step by step");
}

#[test]
fn a_seed_comes_from_a_pipe_or_from_stdin() {
    let seed = include_str!("../../gpu_seed.json").replace("RTX 3090", "RTX 4090");
    let generate = |args: &str, seed_file: &std::path::Path| {
        let line = format!("cat {} | \"$0\" generate --values {args}", seed_file.display());
        let producer = Producer::new(["generate"]);
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &line]).arg(crate::common::program()).env_clear();
        command.env("VM4_PRODUCER_ENV", "/dev/null").env("PATH", "/usr/bin:/bin");
        drop(producer);
        let output = command.output().expect("bash runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let holder = Producer::new(["generate"]);
    let file = holder.file("seed.json", seed);
    for args in ["--gpu-seed -", "--gpu-seed /dev/stdin"] {
        let printed = generate(args, &file);
        assert!(printed.contains("\"name\":\"RTX 4090\""), "{args}: {printed}");
    }
    let substituted = format!("--gpu-seed <(cat {})", file.display());
    assert!(generate(&substituted, &file).contains("RTX 4090"));
}

#[test]
fn the_short_help_fits_a_screen_and_the_long_one_is_grouped_with_examples() {
    for args in [&["-h"][..], &["run", "-h"], &["generate", "-h"], &["egress", "-h"]] {
        let help = Producer::new(args).set("COLUMNS", "80").finish().exits(0).stdout.clone();
        assert!(help.lines().count() < 24, "{args:?}: {} lines\n{help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{args:?}: {help}");
        assert!(help.contains("--help"), "{args:?} leads to no setting: {help}");
    }
    let help = command(&["run", "-h"]).exits(0).stdout.clone();
    for flag in ["-b HOST:PORT", "--batch PAIRS", "--report-file FILE", "-X PROPERTY=VALUE"] {
        assert!(help.contains(flag), "{help}");
    }
    let help = command(&["--help"]).exits(0).stdout.clone();
    for heading in ["Kafka:", "Load:", "Events:", "Unit:", "Output:", "Examples:"] {
        assert!(help.lines().any(|line| line == heading), "{heading}: {help}");
    }
    let egress = command(&["egress", "--help"]).exits(0).stdout.clone();
    assert!(egress.contains("--egress-allow"), "{egress}");
    let of_the_events = ["--workload", "--faults", "--incidents"];
    assert!(of_the_events.iter().all(|flag| !egress.contains(flag)), "{egress}");
    let generate = command(&["generate", "--help"]).exits(0).stdout.clone();
    assert!(!generate.contains("--kafka-bootstrap"), "{generate}");
}

#[test]
fn the_examples_of_the_help_are_lines_that_the_program_takes() {
    let help = Producer::new(["--help"]).set("COLUMNS", "1000").finish().exits(0).stdout.clone();
    let (_, examples) = help.split_once("Examples:\n").expect("examples");
    let lines: Vec<_> =
        examples.lines().map(str::trim).filter(|line| line.starts_with("vm4-producer ")).collect();
    assert!(lines.len() >= 5, "{examples}");
    let cluster = Cluster::start();
    for line in lines {
        // Against the broker of the test, and no longer than a test may take.
        let line = line
            .replace("kafka-1:9092", &cluster.bootstrap())
            .replace("kafka-1:9093", &nobody())
            .replace("--duration-sec 10m", "--duration-sec 100ms")
            .replace("--report-file report.json", "--report-file -");
        let holder = Producer::new(["man"]);
        let shell = format!("set -o pipefail; {}", line.replace("vm4-producer ", "\"$0\" "));
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &shell]).arg(crate::common::program()).env_clear();
        command.env("VM4_PRODUCER_ENV", "/dev/null").env("PATH", "/usr/bin:/bin");
        command.env("DELIVERY_TIMEOUT_SEC", "2").current_dir(holder.directory());
        let output = command.output().expect("bash runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = if line.contains("sasl") { 78 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{line}: {said}");
    }
}

#[test]
fn doctor_names_each_failure_with_its_remedy_and_exits_like_a_run() {
    let address = nobody();
    let finished = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", &address).finish();
    finished.exits(69);
    let line = format!(
        "FAIL  bootstrap {address}: Connection refused (os error 111); remedy: start the broker"
    );
    assert!(finished.stdout.contains(&line), "{}", finished.stdout);

    let finished =
        Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", "no-such-host.invalid").finish();
    finished.exits(69);
    let line = "FAIL  bootstrap no-such-host.invalid:9092: cannot be resolved: ";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);

    let finished = Producer::new(["doctor"]).set("BATCH", "x").finish();
    finished.exits(78);
    assert!(finished.stdout.starts_with("FAIL  settings: BATCH: \"x\" from the environment"));

    let cluster = Cluster::start();
    let finished = Producer::new(["doctor"])
        .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
        .set("TOPIC_TOKEN", "missing")
        .set("GPU_SEED", "/no/such/seed.json")
        .finish();
    finished.exits(66);
    assert!(finished.stdout.contains("FAIL  seed file: cannot read"), "{}", finished.stdout);
    let line = "FAIL  topic missing: does not exist, or this client is not allowed to see it; remedy: create it, or name another with TOPIC_TOKEN";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
    let line = format!(
        "kafka-topics.sh --bootstrap-server {} --create --topic missing --partitions 3\n",
        cluster.bootstrap()
    );
    assert!(finished.stdout.contains(&line), "{}", finished.stdout);
}

#[test]
fn doctor_tcp_tells_a_reachable_broker_from_an_absent_one() {
    let cluster = Cluster::start();
    let there = Producer::new(["doctor", "--tcp"]).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
    let there = there.finish();
    there.exits(0);
    assert_eq!(there.stdout.lines().count(), 1, "{}", there.stdout);
    Producer::new(["doctor", "--tcp"]).set("KAFKA_BOOTSTRAP", nobody()).finish().exits(69);

    // A run succeeds with one of several, and the check that a container's health hangs on does, too.
    let several = format!("{},{}", nobody(), cluster.bootstrap());
    let some = Producer::new(["doctor", "--tcp"]).set("KAFKA_BOOTSTRAP", several).finish();
    let out = &some.exits(0).stdout;
    assert!(out.starts_with("warn  bootstrap ") && out.contains("\nok    bootstrap "), "{out}");
}

#[test]
fn help_shows_every_setting_with_its_default() {
    let help = command(&["--help"]);
    help.exits(0);
    let words = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for definition in vm4_producer::settings::DEFINITIONS {
        assert!(words.contains(&format!("--{} <{}>", definition.flag(), definition.name)));
        if let Some(default) = definition.default {
            assert!(words.contains(&format!("[default: {default}]")), "{}", definition.name);
        }
    }
    command(&["--version"]).exits(0);
}

#[test]
fn no_line_of_the_man_page_ends_with_white_space() {
    let page = command(&["man"]).exits(0).stdout.clone();
    assert!(page.contains(".SH EXAMPLES\n") && page.contains(".SH \"SEED FILE\"\n"), "{page}");
    let bad: Vec<_> = page.lines().filter(|line| line.trim_end() != *line).collect();
    assert_eq!(bad, [""; 0]);
}

#[test]
fn completions_and_man_page_come_from_the_same_definitions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = command(&["completions", shell]);
        assert!(script.exits(0).stdout.contains("kafka-bootstrap"), "{shell}");
    }
    let page = command(&["man"]);
    page.exits(0);
    let text = page.stdout.replace("\\-", "-");
    assert!(text.contains("\\fBgenerate\\fR\n"), "{text}");
    assert!(!text.contains("vm4-producer-run"), "there is one page, not one a command");
    for definition in vm4_producer::settings::DEFINITIONS {
        assert!(text.contains(&format!("--{}", definition.flag())), "{}", definition.name);
    }
    for (exit, _) in vm4_producer::exit::DOCUMENTED {
        assert!(text.contains(&exit.to_string()), "{exit}");
    }
}

#[test]
fn every_option_of_the_man_page_has_a_text() {
    let page = command(&["man"]).exits(0).stdout.replace("\\-", "-");
    let lines: Vec<_> = page.lines().collect();
    let terms = lines.iter().enumerate().filter(|(at, line)| {
        at.checked_sub(1).is_some_and(|before| lines[before] == ".TP") && line.contains("-")
    });
    let mut options = 0;
    for (at, term) in terms {
        let text = lines.get(at + 1).copied().unwrap_or_default();
        assert!(!text.is_empty() && !text.starts_with('.'), "{term} is followed by {text:?}");
        options += usize::from(term.starts_with("\\fB-"));
    }
    assert!(options > 60, "{options} options");
    for (option, text) in [
        ("-b", "bootstrap servers"),
        ("--apply", "Write the line"),
        ("-n", "How many, counted from the last"),
    ] {
        let term = lines.iter().position(|line| line.starts_with(&format!("\\fB{option}\\fR")));
        let term = term.unwrap_or_else(|| panic!("{option} is not in {page}"));
        assert!(lines[term + 1].starts_with(text), "{option}: {}", lines[term + 1]);
    }
    // A paragraph of its own, not the end of the item above.
    let unit_edit = lines.iter().position(|line| line.starts_with("systemctl edit UNIT"));
    assert_eq!(unit_edit.map(|at| lines[at - 1]), Some(".PP"));
}

#[test]
fn schemas_are_printed_as_they_are_shipped() {
    let names = [
        "gpu.metrics.v1",
        "token.usage.v1",
        "report.v1",
        "answer_key.v1",
        "verify.v1",
        "detected.v1",
        "expect.v1",
    ];
    for name in names {
        let path = format!("{}/packaging/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let printed = command(&["schema", name]);
        assert_eq!(printed.exits(0).stdout, std::fs::read_to_string(path).unwrap());
    }
}
