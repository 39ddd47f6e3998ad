//! Whether the engine of the tests leaves its host as it was.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::engine::engine;
use crate::tools;

/// What exists on the host because of an engine, in words.
fn what_is_left(name: &str) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let text = |file| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if text("mountinfo").contains(name) {
            left.push(format!("a mount of process {pid}"));
        }
        if text("cmdline").contains(name) {
            left.push(format!("process {pid}"));
        }
    }
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-type", "d", "-name", name]);
    let found = find.output().expect("find to start and end");
    left.extend(
        String::from_utf8_lossy(&found.stdout).lines().map(|path| format!("cgroup {path}")),
    );
    left
}

/// The network links of the host that are Docker's.
fn links() -> Vec<String> {
    let links = fs::read_dir("/sys/class/net").expect("/sys is mounted").flatten();
    let names = links.map(|link| link.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("docker") || name.starts_with("br-")).collect()
}

#[test]
fn nothing_is_left_when_the_tests_are_killed() {
    let links_before = links();
    let mut child = Command::new(std::env::current_exe().expect("a test knows its program"))
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("harness::starts_an_engine_and_waits_to_be_killed")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start itself");
    let lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
    let mut lines = lines.map_while(Result::ok);
    let name = lines.find_map(|line| line.split_once("ENGINE ").map(|(_, name)| name.to_owned()));
    let name = name.expect("the child starts an engine");
    let there = what_is_left(&name);
    assert!(there.iter().any(|left| left.contains("mount")), "it is found: {there:?}");
    assert!(there.iter().any(|left| left.contains("cgroup")), "it is found: {there:?}");
    assert_eq!(links(), links_before, "its network is its own");
    child.kill().expect("an own child can be killed");
    child.wait().expect("an own child can be waited for");
    let gone = tools::comes_true(Duration::from_secs(20), || what_is_left(&name).is_empty());
    assert!(gone, "{:?}", what_is_left(&name));
    assert_eq!(links(), links_before);
}

#[test]
#[ignore = "a test that another one kills"]
fn starts_an_engine_and_waits_to_be_killed() {
    println!("ENGINE {}", engine().name);
    // Ends by itself when it is run by hand.
    std::thread::sleep(Duration::from_secs(60));
}
