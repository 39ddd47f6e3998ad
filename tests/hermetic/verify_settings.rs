//! Settings that are not those of a run: `verify` refuses them, and names the one that differs.

use crate::common::{Finished, Producer};

/// The settings of the run that is verified, beside its seed.
const RIGHT: [&str; 4] = ["--batch", "40", "--event-start", "2026-01-05T12:00:00Z"];

/// A run in a file, and its name.
struct Kept {
    holder: Producer,
    run: String,
}

impl Kept {
    fn new() -> Self {
        let variables = [("RUN_SEED", "1"), ("EVENT_START", RIGHT[3]), ("BATCH", RIGHT[1])];
        let lines = crate::process::generated(&variables);
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        let run = first["headers"]["run"].as_str().unwrap().to_owned();
        let holder = Producer::new(["verify"]);
        holder.file("lines.ndjson", lines);
        Self { holder, run }
    }

    /// Verifies it with the settings of the run and these, which take the place of those of their name.
    fn verify(&self, named: &[&str], wrong: &[&str]) -> Finished {
        let right = RIGHT.chunks(2).filter(|own| !wrong.contains(&own[0])).flatten();
        let mut verify = Producer::new(["verify", "--input", "lines.ndjson"]);
        verify.command.args(named).args(right).args(wrong);
        verify.command.current_dir(self.holder.directory());
        verify.finish()
    }
}

#[test]
fn settings_that_do_not_fit_the_name_of_a_run_are_refused_and_the_one_that_differs_is_named() {
    let kept = Kept::new();
    let run = &kept.run;
    let verify = |wrong: &[&str]| kept.verify(&["--run", run], wrong);
    verify(&[]).exits(0);
    let says = format!("the settings are not those of run {run}: its name ends with ");
    for (wrong, differing) in [
        (["--batch", "39"], "BATCH is 39 here and was 40 there"),
        (["--faults", "late=0.1"], "FAULTS is late=0.1 here and was not set there"),
        (
            ["--incidents", "surge=2@+1s/2s"],
            "INCIDENTS is surge=2@+1s/2s here and was not set there",
        ),
        (["--workload", "code"], "WORKLOAD is code here and was chat there"),
        (["--arrivals", "poisson"], "ARRIVALS is poisson here and was fixed there"),
        (["--rate", "10"], "SLEEP_SEC is 0.1 here and was 0.5 there"),
        (["--sleep-sec", "0"], "SLEEP_SEC is 0 here and was 0.5 there"),
        (["--hostname", "gpu1"], "HOSTNAME is gpu1 here and was vm4 there"),
        (["--record-key", "none"], "RECORD_KEY is none here and was gpu there"),
        (["--record-headers", "off"], "RECORD_HEADERS is off here and was on there"),
        (["--duration-sec", "5"], "DURATION_SEC is 5 here and was not set there"),
        (["--run-seed", "2"], "RUN_SEED is 2 here and was 1 there"),
        (
            ["--event-start", "2026-01-05T12:00:01Z"],
            "EVENT_START is 2026-01-05T12:00:01Z here and was 2026-01-05T12:00:00.000Z there",
        ),
    ] {
        let refused = verify(&wrong);
        refused.exits(65).says(&says).says(&format!(
            "; {differing}; give the settings of the run, or name its report with --report FILE"
        ));
    }
    // Two that differ: no single one explains it.
    verify(&["--workload", "code", "--batch", "39"])
        .exits(65)
        .says("these settings and this seed make ")
        .says("; give the settings of the run");
}

#[test]
fn settings_that_name_another_run_than_the_one_that_is_there_are_not_its_settings() {
    let kept = Kept::new();
    let run = &kept.run;
    let verify = |wrong: &[&str]| {
        let seed = if wrong.contains(&"--run-seed") { &[][..] } else { &["--run-seed", "1"] };
        kept.verify(seed, wrong)
    };
    verify(&[]).exits(0);
    let says = format!(
        "and the settings are not those of run {run}, which is there and has the same start: "
    );
    for (wrong, differing) in [
        (["--workload", "code"], "WORKLOAD is code here and was chat there"),
        (["--batch", "10"], "BATCH is 10 here and was 40 there"),
        (["--run-seed", "2"], "RUN_SEED is 2 here and was 1 there"),
        (["--rate", "10"], "SLEEP_SEC is 0.1 here and was 0.5 there"),
        (["--faults", "drop=0.5"], "FAULTS is drop=0.5 here and was not set there"),
    ] {
        verify(&wrong).exits(65).says(&says).says(differing);
    }
    let absent = verify(&["--event-start", "2026-01-06T12:00:00Z"]);
    absent.exits(66).says(&format!("; runs there: {run}"));
}
