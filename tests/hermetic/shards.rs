//! Shards that would not be one run together are refused. That the others are is shown by
//! `workload`, for any number and any settings, and by the fleet of `tests/system/docker`.

use crate::common::Producer;

#[test]
fn a_shard_that_can_belong_to_no_other_is_refused() {
    let shard = |settings: &[(&str, &str)]| {
        let shard = Producer::new(["generate"]).set("SHARD", "1/4").set("BATCH", "8");
        settings.iter().fold(shard, |shard, (name, value)| shard.set(name, value)).finish()
    };
    let refused = "SHARD: \"1/4\" from the environment is not valid: ";
    let alone = "so that each shard would be a run of its own; expected RUN_SEED, and RUN_ID or \
                 EVENT_START, to be the same for every shard";
    for (settings, missing) in [
        (&[][..], "RUN_SEED is not set"),
        (&[("RUN_ID", "fleet")], "RUN_SEED is not set"),
        (&[("RUN_SEED", "1")], "neither RUN_ID nor EVENT_START is set"),
    ] {
        shard(settings).exits(78).says(&format!("{refused}{missing}, {alone}"));
    }
    for other in [("RUN_ID", "fleet"), ("EVENT_START", "2026-01-01T00:00:00Z")] {
        let finished = shard(&[("RUN_SEED", "1"), other]);
        finished.exits(0);
        assert_eq!(finished.stdout.lines().count(), 4, "{other:?}");
    }
}

#[test]
fn doctor_names_a_shard_that_can_belong_to_no_other() {
    let doctor = Producer::new(["doctor"]).set("SHARD", "0/2").finish();
    doctor.exits(78);
    let line =
        "FAIL  settings: SHARD: \"0/2\" from the environment is not valid: RUN_SEED is not set";
    assert!(doctor.stdout.contains(line), "{}", doctor.stdout);
}
