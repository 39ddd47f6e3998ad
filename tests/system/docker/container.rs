//! One container: what it may do, how it stops, and whose name its events have.

use serde_json::Value;

use super::broker::{self, bootstrap, records};
use super::engine::{Output, engine};
use super::image::image;

/// A `docker run` as confined as Docker can make it.
const CONFINED: [&str; 9] = [
    "docker",
    "run",
    "--read-only",
    "--cap-drop=ALL",
    "--user=10001:10001",
    "--security-opt=no-new-privileges",
    // /dev/shm is a file system of its own, which --read-only leaves as it is.
    "--ipc=none",
    "--env=DELIVERY_TIMEOUT_SEC=30",
    "--env=REPORT_FILE=-",
];

/// Runs the image, confined, with these options of `docker run` and arguments of the program.
fn run(options: &[&str], arguments: &[&str]) -> Output {
    engine().run(&[&CONFINED[..], options, &[image()], arguments].concat())
}

/// The options that direct a run to the broker and these topics.
fn directed(topics: &[String; 2]) -> [String; 3] {
    [
        format!("--env=KAFKA_BOOTSTRAP={}", bootstrap()),
        format!("--env=TOPIC_METRIC={}", topics[0]),
        format!("--env=TOPIC_TOKEN={}", topics[1]),
    ]
}

/// A count of a report, over both topics.
fn sum(report: &Value, count: &str) -> u64 {
    let topics = report["topics"].as_array().expect("topics");
    topics.iter().map(|topic| topic[count].as_u64().expect("a count")).sum()
}

#[test]
fn a_read_only_container_without_rights_sends_its_batch() {
    let topics = broker::create_topics("confined");
    let options = directed(&topics);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let finished = run(&[&["--rm"], &options[..]].concat(), &["--sleep-sec=0"]).exits(0);
    let report: Value = serde_json::from_str(&finished.stdout).expect("a report");
    assert_eq!(sum(&report, "acknowledged"), 40);
    let topics = topics.each_ref().map(String::as_str);
    assert_eq!(records(&topics).len(), 40);
}

#[test]
fn a_container_can_write_nowhere() {
    let places =
        ["/", "/data", "/dev", "/dev/shm", "/etc", "/proc", "/run", "/sys", "/tmp", "/usr", "/var"];
    for place in places {
        let file = format!("{place}/report.json");
        run(&["--rm"], &["--report-file", &file, "--batch=0"])
            .exits(78)
            .says(&format!("REPORT_FILE: \"{file}\" from flag --report-file is not valid: "));
    }
    // The same flag is fine where there is something to write to.
    run(&["--rm", "--tmpfs=/out:mode=1777"], &["--report-file=/out/report.json", "--batch=0"])
        .exits(0);
}

#[test]
fn a_stop_in_the_middle_of_a_batch_delivers_what_was_generated() {
    let topics = broker::create_topics("stopped");
    let options = directed(&topics);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let endless = ["--batch=1000000", "--sleep-sec=0.005"];
    let started = run(&[&["--detach", "--name=stopped"], &options[..]].concat(), &endless);
    started.exits(0);
    engine().wait_until("the batch is on its way", || broker::count(&topics[1]) >= 100);
    // Docker kills at the end of the grace period, and the code would be 137.
    let stopped = engine().run(&["docker", "stop", "--time=30", "stopped"]).exits(0);
    let code = ["docker", "inspect", "--format={{.State.ExitCode}}", "stopped"];
    assert_eq!(engine().run(&code).text(), "143");
    let logs = engine().run(&["docker", "logs", "stopped"]).exits(0);
    let report: Value = serde_json::from_str(&logs.stdout).expect("a report");
    let generated = sum(&report, "generated");
    println!("docker stop: {generated} records delivered, over in {:.2?}", stopped.elapsed);
    assert!(generated >= 200);
    assert_eq!(sum(&report, "acknowledged"), generated);
    assert_eq!(report["outcome"], "interrupted");
    let topics = topics.each_ref().map(String::as_str);
    assert_eq!(records(&topics).len() as u64, generated);
}

/// The number of SIGTERM.
const SIGTERM: u32 = 15;

#[test]
fn a_stop_ends_a_command_that_does_not_wait_for_signals() {
    // For process 1 the kernel drops a signal that has no handler.
    let options = ["--detach", "--name=generating", "--log-driver=none"];
    run(&options, &["generate", "--batch=1000000000000"]).exits(0);
    let pid = ["docker", "inspect", "--format={{.State.Pid}}", "generating"];
    let status = format!("/proc/{}/status", engine().run(&pid).text());
    // A signal from before it has a handler is lost, whatever the program does.
    engine().wait_until("the program handles SIGTERM", || {
        let caught = engine().run(&["sed", "-n", "s/^SigCgt:[[:space:]]*//p", &status]).text();
        let caught = u64::from_str_radix(&caught, 16).unwrap_or(0);
        caught & (1 << (SIGTERM - 1)) != 0
    });
    engine().run(&["docker", "stop", "--time=60", "generating"]).exits(0);
    let code = ["docker", "inspect", "--format={{.State.ExitCode}}", "generating"];
    assert_eq!(engine().run(&code).text(), "143");
}

#[test]
fn the_host_of_an_event_is_the_setting_and_not_the_containers_id() {
    let host = |options: &[&str]| {
        let printed = run(options, &["generate", "--values", "--batch=1"]).text();
        let metric: Value = serde_json::from_str(printed.lines().next().unwrap()).expect("JSON");
        metric["host"].as_str().expect("a host").to_owned()
    };
    assert_eq!(host(&["--rm"]), "vm4");
    assert_eq!(host(&["--rm", "--hostname=other"]), "vm4");
    assert_eq!(host(&["--rm", "--env=HOSTNAME=gpu-7"]), "gpu-7");
}
