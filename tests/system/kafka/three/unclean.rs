//! An unclean election: a follower that was away becomes the leader, and what was acknowledged
//! meanwhile is gone. `verify` says so, and does not take it for anything else.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::exclusive;
use super::runs::paced;
use crate::cluster::Topics;
use crate::common::{Finished, Producer};

/// One insync replica is enough, and one that is not in sync may lead.
const CONFIGS: [(&str, &str); 2] =
    [("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")];

/// Verifies a run from its report.
fn verified(finished: &Finished, code: i32) -> (Value, String) {
    let directory = TempDir::new().expect("a directory");
    let report = directory.path().join("report.json");
    fs::write(&report, finished.report().to_string()).expect("a report");
    let report = report.to_str().expect("a path");
    let seed = directory.path().join("seed.json");
    fs::write(&seed, crate::cluster::gpus(16)).expect("a seed file");
    let seed = seed.to_str().expect("a path");
    let verify = |more: &[&str]| {
        let words = ["verify", "--report", report, "--gpu-seed", seed];
        Producer::new([&words[..], more].concat()).finish()
    };
    let account = |more: &[&str]| -> Value {
        let account = verify(&[&["--json"][..], more].concat());
        serde_json::from_str(&account.exits(code).stdout).expect("an account")
    };
    // Which leader wrote before is behind where the run began.
    let all = account(&["--all"]);
    let found =
        |account: &Value| [0_usize, 1].map(|topic| account["topics"][topic]["found"].clone());
    assert_eq!(found(&account(&[])), found(&all), "what is below the old end is read as well");
    (all, verify(&["--all"]).stdout)
}

#[test]
fn what_an_unclean_election_truncates_is_told_from_loss_and_by_what_is_in_its_place() {
    let trio = exclusive();
    let topics: Topics = trio.create_topics_on_two("unclean", &CONFIGS);
    let before = paced(&topics, 100, "0").finish();
    before.exits(0);
    trio.pause(1);
    trio.wait_until_in_sync(&topics, 1);
    let lost = paced(&topics, 100, "0").finish();
    lost.exits(0);
    let through = paced(&topics, 600, "0.02").set("DELIVERY_TIMEOUT_SEC", "60").start();
    topics.wait_for_records(400 + 120);
    trio.pause(0);
    trio.resume(1);
    // What it was acknowledged at first is gone, and it says so.
    let through = through.finish();
    through.exits(74).says("was cut back (partition");

    let (whole, _) = verified(&before, 0);
    assert_eq!(whole["closed"], json!(true));
    let sent = [(&lost, 100), (&through, 600)];
    for (finished, pairs) in sent {
        let (account, words) = verified(finished, 74);
        for topic in account["topics"].as_array().expect("topics") {
            let missing = topic["missing_by_cause"].as_array().expect("causes");
            assert_eq!(missing.len(), 1, "{missing:?}");
            assert_eq!(missing[0]["why"], "truncated");
            let found = topic["found"].as_u64().expect("a count");
            assert_eq!(missing[0]["records"], json!(pairs - found));
            let evidence = missing[0]["evidence"].as_str().expect("a text");
            assert!(evidence.contains(" on a leader of epoch "), "{evidence}");
            println!("unclean election: {found} of {pairs} are there; {evidence}");
        }
        assert!(words.contains(" truncated (the log was cut back): pairs 0-"), "{words}");
    }
}
