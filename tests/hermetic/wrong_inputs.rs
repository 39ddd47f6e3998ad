//! Wrong inputs and what is said about each: `tests/golden/wrong_inputs.txt` is for people to read, and a
//! change of it is to be seen. `UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::common::{Finished, Producer, nobody};

/// A key with the password "s3cret"; it opens nothing.
const ENCRYPTED_KEY: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhRek/E5ewKgAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKeMqszXo8D2XthPMyqQELkEgZCL
olpJILyiYdfk9akzKgfpH/fmg/m9vBaOsQH4el67V6B+p4VU65ipQMEm8KSWmGif
kFzzJFwcB59JAeRvE34FOY7zboyq/0anHfKi7vsYvdDSdqYYfW+/oej5QE0AXY41
TBvgr5SADX2QYeaIbz9RgIMbqERUPJJgtenAHWdZNLxONTpsF9YHlkAc+7DZFPg=
-----END ENCRYPTED PRIVATE KEY-----
";

/// What a keystore of Java begins with.
const JKS: &[u8] = b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01";

/// Command lines, as somebody types them; `NOBODY` is an address at which nobody listens, and `DIR` has the
/// files of the test.
const LINES: &[&str] = &[
    // Numbers and times.
    "run --batch 1e3",
    "run --batch 2_000",
    "run --batch=",
    "run --sleep-sec 5min",
    "run --sleep-sec -1",
    "run --rate fast",
    "run --rate 0",
    "run --rate 60/m",
    "run --rate 10 --sleep-sec 1",
    "run --duration-sec 2w",
    "run --delivery-timeout-sec 0.5",
    "run --run-seed -3",
    "run --run-seed 0xff",
    // Servers and topics.
    "run -b kafka-1;kafka-2:9092",
    "run -b 10.0.0.1:70000",
    "run -b [::1:9092",
    "run -b kafka-1:9092/topic",
    "run -b kafka-1:9092,,kafka-2:9092",
    "run --topic-metric a/b",
    "run --topic-token ..",
    // Words of a list.
    "run --workload gpt",
    "run --arrivals poison",
    "run --pace fast",
    "run --record-key host",
    "run --log-format xml",
    "run --rust-log loud",
    // Times of events.
    "run --event-start tomorrow",
    "run --event-start 2026-13-01",
    "run --event-start 2026-01-05_12:00",
    "run --event-start 1969-12-31",
    // Faults, incidents, hosts, shards.
    "run --faults duplicate=2",
    "run --faults late=0.1:5x",
    "run --faults duplicat=0.1",
    "run --faults dupes",
    "run --incidents throttle@+5m",
    "run --incidents throttle@5m/1m",
    "run --incidents overheat@+5m/1m",
    "run --hostname gpu[1-",
    "run --hostname gpu[4-1]",
    "run --shard 3",
    "run --shard 0/4",
    "run --run-id a/b",
    "run --close-windows 1m --record-headers off",
    // Properties.
    "run -X linger.ms",
    "run -X acks=1",
    "run -X security.protocl=SSL",
    "run -X compression.codec=brotli",
    "run -X security.protocol=SASL_SSL",
    "run -X security.protocol=SASL_SSL -X sasl.mechanism=PLAIN",
    "run -X security.protocol=SASL_SSL -X sasl.mechanism=GSSAPI",
    "run -X security.protocol=SASL_SSL -X sasl.mechanism=AWS_MSK_IAM",
    "run -X security.protocol=SASL_SSL -X sasl.mechanism=OAUTHBEARER",
    "run -X security.protocol=SSL -X ssl.keystore.location=DIR/store.jks",
    "run -X security.protocol=SSL -X ssl.ca.location=DIR/store.jks",
    "run -X security.protocol=SSL -X ssl.key.location=DIR/client.key",
    "run -X security.protocol=SSL -X ssl.key.location=DIR/client.key -X ssl.key.password=wrong",
    "run -X security.protocol=SSL -X ssl.ca.location=DIR/no-such.pem",
    // Files.
    "generate --gpu-seed DIR/no-such.json",
    "generate --gpu-seed DIR/empty.json",
    "generate --gpu-seed DIR/object.json",
    "generate --gpu-seed DIR/percent.json",
    "generate --gpu-seed DIR/negative.json",
    "generate --gpu-seed https://example.org/seed.json",
    "run --report-file /proc/none/report.json",
    "run --report-file DIR/one --answer-key DIR/one",
    // Commands.
    "rnu",
    "doctr",
    "egress --aply",
    "verify DIR/object.json",
    "verify --run night-7",
    "verify --report DIR/no-such.json",
    "verify --report DIR/object.json",
    "expect",
    "expect --window 0 --event-start 2026-01-05 --run-seed 1",
    "expect --window 1m",
    "schema gpu",
    "completions ksh",
    // The cluster.
    "run -b NOBODY --delivery-timeout-sec 1",
    "run -b no-such-host.invalid --delivery-timeout-sec 1",
];

/// Lines of an env file, with which `run` is started.
const ENV_LINES: &[&str] = &[
    "BATCH: 20",
    "batch=20",
    "BATCH=20 pairs",
    "BATCH=20 # pairs",
    "export BATCH=20",
    "SLEEP_SEC=0,5",
    "KAFKA_BOOTSTRAP=$HOST:9092",
    "KAFKA_BOOTSTRAP=${HOST}:9092",
    "KAFKA_BROKER=kafka-1:9092",
    "bootstrap.servers=kafka-1:9092",
    "sasl.jaas.config=PlainLoginModule required username=\"u\" password=\"hunter2\";",
    "RDKAFKA_SASL_PASWORD=hunter2",
    "PROFILE=../other",
    "PROFILE=nobody",
    "HOSTNAME=\"gpu-1",
];

fn file_of(producer: &Producer) {
    for (name, content) in [
        ("empty.json", &b""[..]),
        ("object.json", b"{}"),
        (
            "percent.json",
            br#"[{"gpu_index":0,"name":"L4","utilization":37,"mem_used_mb":1,"mem_total_mb":2,"power_w":50,"price_per_hour_usd":1}]"#,
        ),
        (
            "negative.json",
            br#"[{"gpu_index":0,"name":"L4","utilization":0.5,"mem_used_mb":1,"mem_total_mb":2,"power_w":-50,"price_per_hour_usd":1}]"#,
        ),
        ("store.jks", JKS),
        ("client.key", ENCRYPTED_KEY.as_bytes()),
    ] {
        producer.file(name, content);
    }
}

/// What is said, without what differs from one machine to another.
fn told(said: &Finished, directory: &Path, nobody: &str) -> String {
    let text = said.stderr.replace(&directory.display().to_string(), "DIR");
    let text = text.replace(nobody, "NOBODY");
    let mut told = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let _written = writeln!(told, "    {line}");
    }
    let _written = writeln!(told, "    exit {}\n", said.code);
    told
}

fn asked(line: &str, nobody: &str) -> String {
    let mut producer = Producer::new([""; 0]);
    file_of(&producer);
    let directory = producer.directory().to_owned();
    let at = directory.display().to_string();
    let typed = |word: &str| word.replace("DIR", &at).replace("NOBODY", nobody);
    producer.command.args(line.split(' ').map(typed));
    // A run that would begin reaches nobody.
    let producer = producer.set("KAFKA_BOOTSTRAP", nobody).set("DELIVERY_TIMEOUT_SEC", "1");
    told(&producer.finish(), &directory, nobody)
}

fn asked_with(line: &str, nobody: &str) -> String {
    let producer = Producer::new(["run"]);
    let path = producer.file("vm4.env", format!("# what this host sends\n{line}\n"));
    let directory = producer.directory().to_owned();
    let producer = producer.set("VM4_PRODUCER_ENV", path).set("DELIVERY_TIMEOUT_SEC", "1");
    told(&producer.finish(), &directory, nobody)
}

#[test]
fn what_is_said_about_each_wrong_input_can_be_read() {
    let nobody = nobody();
    let mut page = String::new();
    for line in LINES {
        let _written = writeln!(page, "$ vm4-producer {line}\n{}", asked(line, &nobody));
    }
    for line in ENV_LINES {
        let _written = writeln!(page, "vm4.env, line 2: {line}\n{}", asked_with(line, &nobody));
    }
    let page = page.replace("\n\n\n", "\n\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wrong_inputs.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).expect("a file");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (said, pinned) in page.split("\n\n").zip(golden.split("\n\n")) {
        assert_eq!(said, pinned);
    }
    assert_eq!(page.len(), golden.len());
    let mut said = page.lines().filter(|line| line.starts_with("    "));
    assert!(said.all(|line| !line.contains("hunter2") && line != "    exit 0"), "{page}");
}
