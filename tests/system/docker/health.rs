//! The health check of the image.

use serde_json::Value;

use super::broker;
use super::engine::{HOST, engine};
use super::image::image;

/// Starts a run that lasts, with a check every second, and waits for the engine's verdict on it.
fn verdict(name: &str, bootstrap: &str) -> (String, String) {
    let bootstrap = format!("--env=KAFKA_BOOTSTRAP={bootstrap}");
    let name_flag = format!("--name={name}");
    let run =
        ["docker", "run", "--detach", "--read-only", "--cap-drop=ALL", &name_flag, &bootstrap];
    let check = ["--health-interval=1s", "--health-start-period=0s", "--health-retries=2"];
    let endless = ["--batch=1000000", "--sleep-sec=1", "--delivery-timeout-sec=3600"];
    engine().run(&[&run[..], &check, &[image()], &endless].concat()).exits(0);
    let mut health = Value::Null;
    engine().wait_until("there is a verdict", || {
        let inspect = ["docker", "inspect", "--format={{json .State.Health}}", name];
        health = serde_json::from_str(&engine().run(&inspect).text()).expect("JSON");
        health["Status"] != "starting"
    });
    engine().run(&["docker", "kill", name]).exits(0);
    let checks = health["Log"].as_array().expect("a log of checks");
    let output = checks.last().expect("a check")["Output"].as_str().expect("a text").to_owned();
    (health["Status"].as_str().expect("a verdict").to_owned(), output)
}

#[test]
fn the_health_check_tells_a_reachable_broker_from_an_absent_one() {
    broker::create(&["gpu.metrics.v1", "token.usage.v1"]);
    let (status, said) = verdict("reaching", broker::bootstrap());
    assert_eq!(status, "healthy", "{said}");
    let reached = format!("ok    bootstrap {HOST}:9092: {HOST}:9092 accepts connections");
    assert!(said.contains(&reached), "{said}");

    let (status, said) = verdict("missing", &format!("{HOST}:1"));
    assert_eq!(status, "unhealthy", "{said}");
    assert!(said.contains(&format!("FAIL  bootstrap {HOST}:1: ")), "{said}");
}
