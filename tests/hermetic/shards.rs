//! Shards: n of them together are the unsharded run, byte by byte, whatever n is.

use crate::common::Producer;
use proptest::prelude::*;

/// What a shard of a run prints, a record a line.
fn printed(shard: &str, settings: &[(&str, String)]) -> Vec<String> {
    let shared = [
        ("SHARD", shard.to_owned()),
        ("RUN_ID", "fleet".to_owned()),
        ("EVENT_START", "2026-03-01T08:00:00.250Z".to_owned()),
    ];
    let with = |producer: Producer, (name, value): &(&str, String)| producer.set(name, value);
    let producer = shared.iter().chain(settings).fold(Producer::new(["generate"]), with);
    let finished = producer.finish();
    finished.exits(0);
    finished.stdout.lines().map(str::to_owned).collect()
}

proptest! {
    // Each case starts the program up to 13 times.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn n_shards_together_are_the_unsharded_run(
        count in 1..13_u32,
        batch in 0..120_u32,
        run_seed: u64,
        workload in prop::sample::select(&["chat", "code", "reason", "long", "uniform"][..]),
        arrivals in prop::sample::select(&["fixed", "poisson", "workload"][..]),
        slots: bool,
    ) {
        let settings = [
            ("BATCH", batch.to_string()),
            ("RUN_SEED", run_seed.to_string()),
            ("WORKLOAD", workload.to_owned()),
            ("ARRIVALS", arrivals.to_owned()),
        ];
        let shard = |index: u32| match slots {
            true => format!("slot:{}/{count}", index + 1),
            false => format!("{index}/{count}"),
        };
        let mut union: Vec<_> =
            (0..count).flat_map(|index| printed(&shard(index), &settings)).collect();
        let mut whole = printed("0/1", &settings);
        prop_assert_eq!(whole.len(), 2 * batch as usize);
        union.sort();
        whole.sort();
        prop_assert_eq!(union, whole);
    }
}

#[test]
fn a_shard_that_can_belong_to_no_other_is_refused() {
    let shard = |settings: &[(&str, &str)]| {
        let shard = Producer::new(["generate"]).set("SHARD", "1/4").set("BATCH", "8");
        settings.iter().fold(shard, |shard, (name, value)| shard.set(name, value)).finish()
    };
    let refused = "SHARD: \"1/4\" from the environment is not valid: ";
    let alone = "so that each shard would be a run of its own; expected i/n with i from 0 to n-1, or \
                 slot:{{.Task.Slot}}/n in Docker Swarm";
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
