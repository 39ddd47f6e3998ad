//! Sources, precedence, and what a bad value says.

mod secrets;

use super::*;
use crate::kafka::properties::check as librdkafka;
use crate::workload::arrivals::Law;
use crate::workload::{Name, Shard};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A world of sources for one test.
#[derive(Default)]
struct World {
    inputs: Inputs,
    directory: Option<tempfile::TempDir>,
}

impl World {
    fn flag(mut self, name: &str, value: &str) -> Self {
        let key = definition(name).map(|d| Key::Setting(d.name));
        let key = key.unwrap_or_else(|| Key::Property(name.into()));
        self.inputs.flags.push((key, value.into()));
        self
    }

    /// Read at this time.
    fn at(mut self, now: &str) -> Self {
        self.inputs.now = now.parse().unwrap();
        self
    }

    fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.inputs.environment.push((name.into(), value.into()));
        self
    }

    fn file(mut self, name: &str, content: &str) -> Self {
        let directory = self.directory.get_or_insert_with(|| tempfile::tempdir().unwrap());
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.as_ref().unwrap().path().join(name)
    }

    fn env_file(self, content: &str) -> Self {
        let world = self.file("vm4.env", content);
        let path = world.path("vm4.env");
        world.variable(ENV_FILE_VARIABLE, path)
    }

    fn credential(self, name: &str, content: &str) -> Self {
        let world = self.file(&format!("credentials/{name}"), content);
        let path = world.path("credentials");
        world.variable("CREDENTIALS_DIRECTORY", path)
    }

    /// Without the file of the machine that runs the test.
    fn isolated(self) -> Self {
        let named = self.inputs.environment.iter().any(|(name, _)| name == ENV_FILE_VARIABLE);
        if named { self } else { self.variable(ENV_FILE_VARIABLE, "/dev/null") }
    }

    fn load(self) -> Settings {
        let world = self.isolated();
        Settings::load(&world.inputs, librdkafka).unwrap()
    }

    fn error(self) -> String {
        let world = self.isolated();
        let error = Settings::load(&world.inputs, librdkafka).unwrap_err().to_string();
        match &world.directory {
            Some(directory) => error.replace(directory.path().to_str().unwrap(), "DIR"),
            None => error,
        }
    }
}

fn world() -> World {
    World::default()
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let settings = world().load();
    assert_eq!(settings.kafka_bootstrap.to_string(), "10.0.1.197:9092");
    assert_eq!(settings.gpu_seed, Path::new("/data/gpu_seed.json"));
    assert_eq!((settings.batch, settings.sleep), (20, Duration::from_millis(500)));
    assert_eq!(settings.topic_metric, "gpu.metrics.v1");
    assert_eq!(settings.topic_token, "token.usage.v1");
    assert_eq!(settings.hostname.names(), ["vm4"]);
    assert_eq!(settings.workload, Name::Chat);
    assert_eq!(settings.arrivals, Law::Fixed);
    assert_eq!(settings.shard, Shard { index: 0, count: 1 });
    assert_eq!(settings.delivery_timeout, Duration::from_secs(30));
    assert!(settings.waits());
    assert!(!settings.is_set("BATCH"));
    assert_eq!(settings.resolved("BATCH").unwrap().origin, Origin::Default);
}

#[test]
fn a_flag_beats_the_environment_that_beats_the_profile_that_beats_the_file() {
    let all = || {
        world()
            .env_file("BATCH=1\nHOSTNAME=file\nTOPIC_TOKEN=file\nRUN_ID=file\n")
            .file("vm4/night.env", "HOSTNAME=profile\nTOPIC_TOKEN=profile\nRUN_ID=profile\n")
            .variable("PROFILE", "night")
            .variable("TOPIC_TOKEN", "environment")
            .variable("RUN_ID", "environment")
            .flag("RUN_ID", "flag")
    };
    let settings = all().load();
    assert_eq!(settings.batch, 1);
    assert_eq!(settings.hostname.names(), ["profile"]);
    assert_eq!(settings.topic_token, "environment");
    assert_eq!(settings.run_id.as_deref(), Some("flag"));
    let origin = |name| settings.resolved(name).unwrap().origin.to_string();
    assert!(origin("BATCH").ends_with("vm4.env line 1"), "{}", origin("BATCH"));
    assert!(origin("HOSTNAME").ends_with("vm4/night.env line 1"), "{}", origin("HOSTNAME"));
    assert_eq!(origin("TOPIC_TOKEN"), "the environment");
    assert_eq!(origin("RUN_ID"), "flag --run-id");
}

#[test]
fn a_profile_that_systemd_escaped_is_refused_with_the_reason() {
    let error = world().variable("PROFILE", "site\\x2da").error();
    let expected = "PROFILE: \"site\\\\x2da\" from the environment is not valid: systemd-escape(1) \
                    made it; a unit's name takes it as it is; expected";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn text_that_looks_like_another_type_stays_text() {
    for value in ["007", "true", "1", "1.50", "0x10", "null", "[1]"] {
        let world = world().variable("HOSTNAME", value);
        if value == "[1]" {
            assert!(world.error().starts_with("HOSTNAME: \"[1]\" from the environment"));
        } else {
            assert_eq!(world.load().hostname.names(), [value]);
        }
    }
    assert_eq!(world().variable("TOPIC_METRIC", "1").load().topic_metric, "1");
    let settings = world().variable("KAFKA_BOOTSTRAP", "[::1]:9092").load();
    assert_eq!(settings.kafka_bootstrap.to_string(), "[::1]:9092");
    let settings = world().env_file("HOSTNAME=007\nRUN_SEED=18446744073709551615\n").load();
    assert_eq!(
        (settings.hostname.names(), settings.run_seed),
        (&["007".to_owned()][..], Some(u64::MAX))
    );
}

#[test]
fn every_setting_takes_a_good_value() {
    let good = [
        ("KAFKA_BOOTSTRAP", "kafka-1,10.0.0.1:9093,[::1]:1"),
        ("GPU_SEED", "/tmp/seed.json"),
        ("BATCH", "0"),
        ("SLEEP_SEC", "0.001"),
        ("RATE", "100"),
        ("TOPIC_METRIC", "a.b_c-D"),
        ("TOPIC_TOKEN", "t"),
        ("HOSTNAME", "gpu-01.example.com,gpu[02-16]"),
        ("RUN_SEED", "1"),
        ("RUN_ID", "night-7"),
        ("WORKLOAD", "uniform"),
        ("ARRIVALS", "poisson"),
        ("DURATION_SEC", "60"),
        ("EVENT_START", "2026-01-01T00:00:00+01:00"),
        ("EVENT_TIME_GUARD", "off"),
        ("PACE", "wall"),
        ("SHARD", "1/2"),
        ("FAULTS", "duplicate=0.01,late=1/200:120s,malformed=0.001"),
        ("INCIDENTS", "throttle=0.6@+10m/5m:vm*/0,surge@2026-01-01T00:00:00Z/1h"),
        ("CLOSE_WINDOWS", "60s"),
        ("ANSWER_KEY", "-"),
        ("RECORD_KEY", "none"),
        ("RECORD_HEADERS", "off"),
        ("DELIVERY_TIMEOUT_SEC", "5"),
        ("REPORT_FILE", "-"),
        ("RUN_TOPIC", "runs"),
        ("PROFILE", ""),
        ("EGRESS_ALLOW", "10.0.1.0/24 2001:db8::7"),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "vm4_producer=debug,warn"),
    ];
    let names: Vec<_> = good.iter().map(|(name, _)| *name).collect();
    let defined: Vec<_> = DEFINITIONS.iter().map(|d| d.name).collect();
    assert_eq!(names, defined, "a setting without a good value here");
    // What a shard needs.
    let world = || {
        let command_defaults = &[("RUN_SEED", "1"), ("RUN_ID", "run")];
        World { inputs: Inputs { command_defaults, ..Inputs::default() }, directory: None }
    };
    for (name, value) in good {
        for settings in [
            world().variable(name, value).load(),
            world().flag(name, value).load(),
            world().env_file(&format!("{name}='{value}'")).load(),
        ] {
            assert_eq!(settings.resolved(name).unwrap().shown(), value, "{name}");
        }
    }
}

/// Stands for a text that is too long.
const LONG: &str = "(long)";

/// Values that settings refuse.
const BAD: &[(&str, &str)] = &[
    ("KAFKA_BOOTSTRAP", ""),
    ("KAFKA_BOOTSTRAP", "host:99999"),
    ("GPU_SEED", ""),
    ("BATCH", "-1"),
    ("BATCH", "1e3"),
    ("BATCH", ""),
    ("SLEEP_SEC", "nan"),
    ("SLEEP_SEC", "-1"),
    ("SLEEP_SEC", "inf"),
    ("RATE", "0"),
    ("RATE", "100/s"),
    ("RATE", "0s:10,5m:100"),
    ("RATE", "fast"),
    ("RATE", "2000000"),
    ("TOPIC_METRIC", LONG),
    ("TOPIC_METRIC", ""),
    ("TOPIC_TOKEN", "a b"),
    ("HOSTNAME", ""),
    ("HOSTNAME", "a/b"),
    ("HOSTNAME", "gpu[16-01]"),
    ("RUN_SEED", "18446744073709551616"),
    ("RUN_ID", "a b"),
    ("WORKLOAD", "chats"),
    ("ARRIVALS", "random"),
    ("DURATION_SEC", "0"),
    ("EVENT_START", "tomorrow"),
    ("EVENT_TIME_GUARD", "yes"),
    ("PACE", "slow"),
    ("INCIDENTS", "throttle"),
    ("SHARD", "2/2"),
    ("FAULTS", "drop"),
    ("FAULTS", "drop=0.1,lat=0.1"),
    ("RECORD_KEY", "host"),
    ("RECORD_HEADERS", "true"),
    ("DELIVERY_TIMEOUT_SEC", "0"),
    ("RUN_TOPIC", "a b"),
    ("PROFILE", "../x"),
    ("CLOSE_WINDOWS", "0"),
    ("EGRESS_ALLOW", "kafka"),
    ("LOG_FORMAT", "logfmt"),
    ("RUST_LOG", "vm4=loud"),
];

#[test]
fn every_setting_refuses_a_bad_value_by_name_value_source_and_expectation() {
    let long = "x".repeat(300);
    let long = |value| if value == LONG { long.as_str() } else { value };
    let bad: Vec<_> = BAD.iter().map(|(name, value)| (*name, long(*value))).collect();
    for definition in
        DEFINITIONS.iter().filter(|d| !["REPORT_FILE", "ANSWER_KEY"].contains(&d.name))
    {
        assert!(bad.iter().any(|(name, _)| *name == definition.name), "{}", definition.name);
    }
    for (name, value) in bad {
        let shown: String = value.chars().take(60).collect();
        let flag = name.to_ascii_lowercase().replace('_', "-");
        for (error, origin) in [
            (world().variable(name, value).error(), "the environment".to_owned()),
            (world().flag(name, value).error(), format!("flag --{flag}")),
            (
                world().env_file(&format!("#\n{name}='{value}'")).error(),
                "DIR/vm4.env line 2".into(),
            ),
        ] {
            let dots = if value.len() > 80 { "..." } else { "" };
            let start = format!("{name}: {shown:?}{dots} from {origin} is not valid: ");
            assert!(error.starts_with(&start), "{error}");
            assert!(error.contains("expected "), "{error}");
        }
    }
}

#[test]
fn faults_need_time_between_the_pairs_and_memory_for_what_is_held_back() {
    let error = |faults: &str, sleep: &str| {
        let world =
            world().flag("FAULTS", faults).flag("SLEEP_SEC", sleep).flag("BATCH", "1000000000");
        match Settings::load(&world.isolated().inputs, librdkafka) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let head = |faults: &str| format!("FAULTS: {faults:?} from flag --faults is not valid: ");
    assert!(error("late=0.01:2m", "0").starts_with(&format!(
        "{}late sends records up to 120 s after their time, and SLEEP_SEC=0 leaves no time between \
         the pairs; set SLEEP_SEC; expected kind=",
        head("late=0.01:2m")
    )));
    assert!(
        error("duplicate=0.01", "0")
            .contains("; set SLEEP_SEC, or duplicate=P:0 for a copy at once; ")
    );
    assert_eq!(error("duplicate=0.01:0,out-of-order=0.1", "0"), "");
    assert!(error("late=0.5:1d", "0.001").starts_with(&format!(
        "{}about 86400000 records would be held back at a time, and 500000 is the most; lower a ",
        head("late=0.5:1d")
    )));
    assert_eq!(error("late=0.001:1d", "0.001"), "");
    assert!(
        error("out-of-order=1:1000000", "0").contains("about 2000000 records would be held back")
    );
}

#[test]
fn all_bad_values_are_said_at_once() {
    let error = world().variable("BATCH", "-1").flag("SLEEP_SEC", "nan").error();
    assert_eq!(
        error,
        "BATCH: \"-1\" from the environment is not valid: expected a whole number from 0 to \
         1000000000000\n\
         SLEEP_SEC: \"nan\" from flag --sleep-sec is not valid: expected seconds from 0 to 86400, \
         as in 0.5, or with a unit, as in 500ms"
    );
}

#[test]
fn a_mistyped_word_is_recognised_and_a_comment_behind_a_value_named() {
    assert_eq!(
        world().variable("WORKLOAD", "Chat").error(),
        "WORKLOAD: \"Chat\" from the environment is not valid: perhaps you mean \"chat\"; expected \
         chat, code, reason, long, agent or uniform"
    );
    assert_eq!(
        world().variable("ARRIVALS", "poison").error(),
        "ARRIVALS: \"poison\" from the environment is not valid: perhaps you mean \"poisson\"; \
         expected fixed, poisson or workload"
    );
    assert!(!world().variable("PACE", "quickly").error().contains("perhaps"));
    assert_eq!(
        world().env_file("BATCH=5 # five\n").error(),
        "BATCH: \"5 # five\" from DIR/vm4.env line 1 is not valid: a comment needs a line of its \
         own; expected a whole number from 0 to 1000000000000"
    );
}

#[test]
fn the_duration_alone_bounds_a_run_where_batch_is_not_chosen() {
    let day = || world().variable("DURATION_SEC", "1d");
    let settings = day().load();
    assert_eq!(settings.batch, 1_000_000_000_000);
    let batch = settings.resolved("BATCH").unwrap();
    assert_eq!(batch.origin.to_string(), "no limit beside DURATION_SEC");
    assert!(!settings.is_set("BATCH"));
    assert_eq!(day().env_file("BATCH=7\n").load().batch, 7);
    assert_eq!(world().variable("DURATION_SEC", "").load().batch, 20);
    let mut demo = day();
    demo.inputs.command_defaults = &[("BATCH", "5")];
    assert_eq!(demo.load().batch, 5);
}

#[test]
fn bytes_that_are_not_utf_8_are_named_and_secrets_among_them_not_shown() {
    let bytes = || OsString::from_vec(b"a\xffb".to_vec());
    assert_eq!(
        world().variable("HOSTNAME", bytes()).error(),
        "HOSTNAME: \"a\u{fffd}b\" from the environment is not valid: expected UTF-8 text"
    );
    assert_eq!(
        world().variable("RDKAFKA_SASL_PASSWORD", bytes()).error(),
        "RDKAFKA_SASL_PASSWORD: the value from the environment is not valid: expected UTF-8 text"
    );
}

#[test]
fn an_unknown_key_in_the_file_names_the_line_and_the_nearest_key() {
    assert_eq!(
        world().env_file("BATCH=1\n\nSLEEPSEC=0\n").error(),
        "DIR/vm4.env: line 3: unknown key \"SLEEPSEC\"; perhaps you mean SLEEP_SEC"
    );
    assert_eq!(
        world().env_file("VM4_PRODUCER_ENV=/x\n").error(),
        "DIR/vm4.env: line 1: unknown key \"VM4_PRODUCER_ENV\"; it names this file, and is read \
         from the process environment only"
    );
    assert!(world().env_file("RDKAFKA_=1\n").error().contains("unknown key \"RDKAFKA_\""));
}

#[test]
fn unknown_keys_and_bad_values_of_every_source_are_said_at_once() {
    let error = world()
        .env_file("BACTH=1\nSLEEP_SEC=soon\nsecret=hunter2\nPROFILE=night\nSHARD=1/2\n")
        .file("vm4/night.env", "\nTOPIC=x\nRDKAFKA_LINGER_MS=fast\n")
        .flag("BATCH", "many")
        .error();
    let lines: Vec<_> = error.lines().collect();
    let expected = [
        "DIR/vm4.env: line 1: unknown key \"BACTH\"; perhaps you mean BATCH",
        "DIR/vm4.env: line 3: unknown key \"secret\"; expected a setting, as /etc/",
        "DIR/vm4/night.env: line 2: unknown key \"TOPIC\"; perhaps you mean TOPIC_METRIC or TOPIC_",
        "BATCH: \"many\" from flag --batch is not valid: expected a whole number",
        "SLEEP_SEC: \"soon\" from DIR/vm4.env line 2 is not valid: expected seconds",
        "RDKAFKA_LINGER_MS: \"fast\" from DIR/vm4/night.env line 3 is not valid: ",
    ];
    assert_eq!(lines.len(), expected.len(), "{error}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(!error.contains("hunter2"), "{error}");

    // Where every value is good by itself, those that do not fit together are said as well.
    let error = world().env_file("BACTH=1\nSHARD=1/2\n").error();
    assert!(error.contains("unknown key \"BACTH\"") && error.contains("RUN_SEED is not set"));
    // A profile that there cannot be hides nothing either.
    let error = world().env_file("BACTH=1\nPROFILE=../x\nBATCH=x\n").error();
    for part in ["unknown key \"BACTH\"", "PROFILE: \"../x\"", "BATCH: \"x\""] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_key_that_stands_twice_in_a_file_is_named_and_the_last_one_counts() {
    let world = world()
        .env_file("BATCH=1\nRDKAFKA_LINGER_MS=1\n\nBATCH=2\nPROFILE=night\nRDKAFKA_LINGER_MS=2\n")
        .file("vm4/night.env", "BATCH=3\n");
    let path = world.path("vm4.env").display().to_string();
    let settings = world.load();
    assert_eq!(settings.batch, 3);
    assert_eq!(
        settings.repeated,
        [
            format!("{path}: BATCH of line 1 is set again on line 4"),
            format!("{path}: RDKAFKA_LINGER_MS of line 2 is set again on line 6"),
        ]
    );
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    let settings = world().variable("SLEEPSEC", "0").variable("KAFKA_PORT", "tcp://x").load();
    assert_eq!(settings.sleep, Duration::from_millis(500));
}

#[test]
fn a_named_file_has_to_be_there_and_readable() {
    let error = world().variable(ENV_FILE_VARIABLE, "/no/such.env").error();
    assert_eq!(
        error,
        "cannot read /no/such.env (VM4_PRODUCER_ENV from the environment): No such file or \
         directory (os error 2)"
    );
    let night = world().env_file("PROFILE=night\n");
    assert_eq!(
        night.error(),
        "cannot read DIR/vm4/night.env (PROFILE=night from DIR/vm4.env line 1): No such file or \
         directory (os error 2)"
    );
    let error = world().env_file("").variable("PROFILE", "dev").error();
    assert!(error.contains("(PROFILE=dev from the environment)"), "{error}");
    let error = World::default().variable(ENV_FILE_VARIABLE, "/").error();
    assert!(error.starts_with("cannot read / (VM4_PRODUCER_ENV from"), "{error}");
    let error = World::default().variable(ENV_FILE_VARIABLE, "/dev/zero").error();
    assert!(
        error.ends_with("the environment): larger than 1 MiB, which no env file is"),
        "{error}"
    );
}

#[test]
fn librdkafka_properties_come_from_every_source() {
    let settings = world()
        .env_file("RDKAFKA_LINGER_MS=1\nRDKAFKA_BATCH_SIZE=1000\nRDKAFKA_CLIENT_ID=file\n")
        .variable("RDKAFKA_LINGER_MS", "2")
        .variable("RDKAFKA_BATCH_SIZE", "2000")
        .flag("linger.ms", "3")
        .load();
    let value = |name| settings.properties.get(name).map(Resolved::expose);
    assert_eq!(value("linger.ms"), Some("3"));
    assert_eq!(value("batch.size"), Some("2000"));
    assert_eq!(value("client.id"), Some("file"));
}

#[test]
fn a_property_is_blamed_under_the_name_that_the_user_wrote() {
    for (error, start) in [
        (
            world().flag("linger.mss", "1").error(),
            "linger.mss: the value from flag -X linger.mss is not valid: librdkafka has no property \
             \"linger.mss\", but \"linger.ms\"; expected a property of librdkafka's CONFIGURATION.md",
        ),
        (
            world().variable("RDKAFKA_LINGER_MSS", "1").error(),
            "RDKAFKA_LINGER_MSS: the value from the environment is not valid: librdkafka has no \
             property \"linger.mss\", but \"linger.ms\"; expected a property of librdkafka's \
             CONFIGURATION.md, dots written as underscores",
        ),
        (
            world().env_file("RDKAFKA_LINGER_MS=soon").error(),
            "RDKAFKA_LINGER_MS: \"soon\" from DIR/vm4.env line 1 is not valid: Invalid value",
        ),
        (
            world().credential("sasl.pasword", "hunter2").error(),
            "sasl.pasword: the value from credential sasl.pasword is not valid: librdkafka has no \
             property \"sasl.pasword\", but \"sasl.password\"; expected a property",
        ),
    ] {
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn a_property_is_listed_under_one_name_from_every_source() {
    let settings = world().env_file("RDKAFKA_LINGER_MS=1").flag("linger.ms", "2").load();
    let last = settings.listing().last().unwrap();
    assert_eq!((last.name.as_str(), last.value), ("RDKAFKA_LINGER_MS", "2"));
    assert_eq!(last.source, "flag -X linger.ms");
}

#[test]
fn credentials_set_the_property_they_are_named_as_and_are_never_shown() {
    let settings = world()
        .env_file("RDKAFKA_SASL_PASSWORD=old\n")
        .credential("sasl.password", "hunter2\n")
        .credential("..data", "not a property")
        .load();
    assert_eq!(settings.properties["sasl.password"].expose(), "hunter2");
    assert_eq!(settings.properties["sasl.password"].origin.to_string(), "credential sasl.password");
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(settings.listing().all(|setting| !setting.value.contains("hunter2")));

    // A unit's stand-in for a credential that it was not given.
    let settings = world().credential("sasl.password", "\n").load();
    assert!(!settings.properties.contains_key("sasl.password"));

    let error = world().credential("sasl.pasword", "hunter2").error();
    assert!(error.contains("the value from credential sasl.pasword is not valid"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    // What systemd-creds encrypt has written is not sent to a broker as the password.
    let encrypted = "Whxqht+dQJax1aZeCGLxmiAAAAABAAAADAAAABAAAAD4Zk9GO1bD6W4AAAAAAAAA";
    // As systemd-creds writes it, in lines.
    let encrypted = format!("{encrypted}\n{encrypted}\n");
    let error = world().credential("sasl.password", &encrypted).error();
    let said = "sasl.password: the value from credential sasl.password is not valid: systemd-creds has \
                encrypted it, and LoadCredential= decrypts nothing; expected the secret itself, as \
                LoadCredentialEncrypted= in a drop-in hands it over";
    assert_eq!(error, said);
    // also where the name does not say that it is a secret
    let bytes = OsString::from_vec(b"hunter2\xff".to_vec());
    let error = world().variable("RDKAFKA_SASL_PASWORD", bytes).error();
    assert!(error.contains("expected UTF-8 text") && !error.contains("hunter2"), "{error}");
    let error = world().credential("linger.ms", "hunter2").error();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn no_error_shows_a_secret_that_is_at_the_wrong_place() {
    let after = "it has more than one line; a quote may be open; expected";
    for name in ["BATCH", "KAFKA_BOOTSTRAP"] {
        let error =
            world().env_file(&format!("{name}=\"2\nRDKAFKA_SASL_PASSWORD=hunter2\n")).error();
        let start = format!("{name}: \"2\" from DIR/vm4.env line 1 is not valid: {after}");
        assert!(error.starts_with(&start) && !error.contains("hunter2"), "{error}");
    }
    for url in ["user:hunter2@kafka:9092", "kafka://user:hunter2@kafka", "a b:hunter2@kafka"] {
        let error = world().variable("KAFKA_BOOTSTRAP", url).error();
        assert!(error.contains("an entry has an \"@\"; RDKAFKA_SASL_USERNAME sets"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7hunter2";
    let pem = format!("RDKAFKA_SSL_KEY_PEM=-----BEGIN PRIVATE KEY-----\n{key}\n");
    let error = world().env_file(&pem).error();
    assert!(error.contains("line 2: it has no") && !error.contains("MIIE"), "{error}");
}

#[test]
fn an_empty_value_leaves_an_optional_setting_out() {
    let settings = world().variable("RUN_SEED", "").variable("EVENT_START", "").load();
    assert_eq!((settings.run_seed, settings.event_start), (None, None));
}

#[test]
fn a_backfill_does_not_wait_unless_told_to() {
    let backfill = || world().variable("EVENT_START", "2026-01-01T00:00:00Z");
    assert!(!backfill().load().waits());
    assert!(backfill().variable("PACE", "wall").load().waits());
    assert!(!world().variable("PACE", "none").load().waits());
    assert!(!world().variable("SLEEP_SEC", "0").load().waits());
}

#[test]
fn a_backfill_beyond_the_year_9999_is_refused() {
    let error = world()
        .variable("EVENT_START", "2026-01-01T00:00:00Z")
        .variable("BATCH", "1000000000000")
        .error();
    assert_eq!(
        error,
        "EVENT_START: \"2026-01-01T00:00:00Z\" from the environment is not valid: BATCH times \
         SLEEP_SEC leads past the year 9999; expected a time as in 2026-01-01T00:00:00Z, a day as \
         in 2026-01-01, today or yesterday, now, or so far from now, as in -1h"
    );
}

#[test]
fn a_shard_that_can_belong_to_no_other_is_refused() {
    let shard = || world().variable("SHARD", "0/2");
    let refused = |missing: &str| {
        format!(
            "SHARD: \"0/2\" from the environment is not valid: {missing}, so that each shard would \
             be a run of its own; expected RUN_SEED, and RUN_ID or EVENT_START, to be the same for \
             every shard"
        )
    };
    assert_eq!(shard().error(), refused("RUN_SEED is not set"));
    let seeded = || shard().variable("RUN_SEED", "1");
    assert_eq!(seeded().error(), refused("neither RUN_ID nor EVENT_START is set"));
    assert_eq!(seeded().variable("RUN_ID", "fleet").load().shard.count, 2);
    let backfill = seeded().variable("EVENT_START", "2026-01-01T00:00:00Z");
    assert_eq!(backfill.load().shard.count, 2);
    let started = seeded()
        .variable("RUN_ID", "fleet")
        .variable("EVENT_START", "-1h")
        .at("2026-01-01T00:00:00Z");
    assert_eq!(started.error(), refused("EVENT_START counts from when each shard starts"));
}

#[test]
fn a_comment_and_a_decimal_comma_are_named_whatever_else_is_wrong() {
    for line in [
        "KAFKA_BOOTSTRAP=host:9092 # broker",
        "KAFKA_BOOTSTRAP=\"host\" # broker",
        "BATCH=2    # pairs",
        "HOSTNAME=a # b",
    ] {
        let error = world().env_file(line).error();
        assert!(error.contains("a comment needs a line of its own"), "{error}");
    }
    let error = world().env_file("KAFKA_BOOTSTRAP=${BROKER}:9092").error();
    assert!(error.contains("nothing is expanded in an env file; write the value"), "{error}");
    let error = world().variable("SLEEP_SEC", "0,5").error();
    assert!(error.contains("is not valid: it has a decimal comma; write 0.5; expected"), "{error}");
}

#[test]
fn a_rate_is_the_time_between_pairs_the_other_way_round() {
    let settings = world().variable("RATE", "100").load();
    assert_eq!(settings.sleep, Duration::from_millis(10));
    let sleep = settings.resolved("SLEEP_SEC").unwrap();
    assert_eq!((sleep.shown(), sleep.origin.to_string().as_str()), ("0.01", "RATE"));
    assert_eq!(
        world().variable("RATE", "100").variable("SLEEP_SEC", "0.01").error(),
        "RATE: \"100\" from the environment is not valid: SLEEP_SEC is set too, and says the same the \
         other way round; expected one of the two"
    );
    assert!(world().variable("RATE", "0s:10,5m:100").error().contains("stages are not built yet"));
}

#[test]
fn a_start_that_counts_from_now_is_a_time_once_it_is_read() {
    let at =
        |start: &str| world().variable("EVENT_START", start).at("2026-11-30T17:26:05.250Z").load();
    let settings = at("-1h");
    let start = settings.resolved("EVENT_START").unwrap();
    assert_eq!(start.shown(), "2026-11-30T16:26:05.25Z");
    assert_eq!(settings.event_start.unwrap().to_string(), start.shown());
    assert_eq!(
        settings.check_fixed_start().unwrap_err().to_string(),
        "EVENT_START: \"2026-11-30T16:26:05.25Z\" from the environment is not valid: -1h counts from now, \
         and not from when the run was sent; expected the report of the run (--report FILE), or the \
         time itself, which its report has"
    );
    assert!(at("2026-01-05").check_fixed_start().is_ok());
}

#[test]
fn a_command_can_have_its_own_defaults_and_they_are_no_choice_of_the_user() {
    let mut world = world();
    world.inputs.command_defaults = &[("BATCH", "5")];
    let settings = world.load();
    assert_eq!(settings.batch, 5);
    assert!(!settings.is_set("BATCH"));
}

#[test]
fn every_setting_is_of_the_events_or_of_the_process_that_sends_them() {
    // A new one has its place in one of the lists: a report is read back by it.
    let of_the_process = [
        "KAFKA_BOOTSTRAP",
        "GPU_SEED",
        "EVENT_TIME_GUARD",
        "DELIVERY_TIMEOUT_SEC",
        "REPORT_FILE",
        "RUN_TOPIC",
        "ANSWER_KEY",
        "PROFILE",
        "EGRESS_ALLOW",
        "LOG_FORMAT",
        "RUST_LOG",
    ];
    let mut listed = [&OF_THE_EVENTS[..], &of_the_process].concat();
    let mut all: Vec<_> = DEFINITIONS.iter().map(|definition| definition.name).collect();
    listed.sort_unstable();
    all.sort_unstable();
    assert_eq!(listed, all);
}
