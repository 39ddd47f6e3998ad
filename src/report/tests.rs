//! Words and schema.

use super::*;
use crate::delivery::tests::{counts, evidence};
use crate::delivery::{Cause, Counts, Ending, Evidence, FailureClass, NotStarted};
use crate::faults::{Fault, FaultSet};
use crate::kafka::properties;
use crate::settings::Inputs;

fn unread_seed(reason: &str) -> RunEnd {
    RunEnd::NotStarted(NotStarted::new(Cause::SeedUnreadable, &reason))
}

fn sent(last_error: Option<&str>) -> RunEnd {
    let last_error = last_error.map(str::to_owned);
    RunEnd::Sent(Evidence { last_error, ..evidence(Ending::Completed, true) })
}

fn report(counts: Counts, end: RunEnd) -> Report {
    report_with(counts, end, FaultCounts::default())
}

fn report_with(counts: Counts, end: RunEnd, faults: FaultCounts) -> Report {
    let environment = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("RDKAFKA_SASL_PASSWORD", "hunter2"),
        ("RDKAFKA_LINGER_MS", "7"),
    ];
    let environment = environment.map(|(name, value)| (name.into(), value.into())).into();
    let settings =
        Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap();
    let started_at = "2026-11-23T08:00:00Z".parse().unwrap();
    let identity = Identity { run_id: "night".into(), run_seed: 7, started_at };
    let run = Run {
        identity,
        seed_sha256: Some("0".repeat(64)),
        plan_sha256: Some("1".repeat(64)),
        cluster_id: Some("abc".into()),
        starts: [BTreeMap::from([(0, 7), (2, 9)]), BTreeMap::new()],
        planned: [Some(20); 2],
        totals: Totals { counts, ..Totals::default() },
        lateness: Times::default(),
        faults,
        incidents: Vec::new(),
        closing: None,
        end,
        ended_at: started_at,
        elapsed: Duration::from_millis(9_500),
    };
    Report::new(&settings, run)
}

impl Report {
    fn words(&self) -> String {
        self.summary(self.exit(), None)
    }
}

#[test]
fn the_summary_says_what_became_of_the_records() {
    assert_eq!(
        report(counts(20, &[], 0), sent(None)).words(),
        "40 of 40 planned records delivered in 9.500 s (20 to gpu.metrics.v1, 20 to \
         token.usage.v1); exit 0 (SUCCESS)"
    );
    assert_eq!(
        report(Counts::default(), unread_seed("seed.json: no such file")).words(),
        "nothing was sent: seed.json: no such file; exit 66 (NOINPUT)"
    );
    let silence = FailureClass::Silence;
    assert_eq!(
        report(counts(5, &[(silence, 2)], 1), sent(Some("no answer"))).words(),
        "10 of 40 planned records delivered in 9.500 s (5 to gpu.metrics.v1, 5 to \
         token.usage.v1); 4 failed, 2 unresolved; 2 x Silence (gpu.metrics.v1); 2 x Silence \
         (token.usage.v1); last error: no answer; exit 74 (IOERR)"
    );
}

#[test]
fn the_summary_counts_the_faults_of_both_topics() {
    let mut faults = FaultCounts::default();
    for kind in Kind::BOTH {
        faults.add(kind, FaultSet::from(Fault::Late).with(Fault::Malformed));
    }
    faults.add(Kind::Token, Fault::Malformed.into());
    let report = report_with(counts(20, &[], 0), sent(None), faults);
    let words = report.words();
    assert!(
        words.ends_with("token.usage.v1); faults: 2 late, 3 malformed; exit 0 (SUCCESS)"),
        "{words}"
    );
    let last = report.faults.last().unwrap();
    assert_eq!((last.topic.as_str(), last.kind, last.count), ("token.usage.v1", "malformed", 2));
}

#[test]
fn the_summary_has_the_rate_and_the_latency() {
    let mut report = report(counts(20, &[], 0), sent(None));
    let mut times = Times::default();
    (1..=100).for_each(|ms| times.record(Duration::from_millis(ms)));
    report.latency_ms.from_send = times.quantiles();
    let words = report.words();
    assert!(
        words.contains(" token.usage.v1), 4 records/s, latency p50 50.0 ms, p99 99.0 ms; exit"),
        "{words}"
    );
}

#[test]
fn a_run_that_could_not_be_shown_says_so_before_the_exit_code() {
    let report = report(counts(20, &[], 0), sent(None));
    let summary = report.summary(Exit::IoErr, Some("cannot write to stdout: disk full"));
    assert!(summary.ends_with("; cannot write to stdout: disk full; exit 74 (IOERR)"), "{summary}");
    assert_eq!(report.exit_code, Some(0));
}

#[test]
fn the_report_validates_against_its_schema_and_holds_no_secret() {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let failures = [(FailureClass::Silence, 2)];
    let mut faults = FaultCounts::default();
    faults.add(Kind::Metric, Fault::Drop.into());
    let faulty = report_with(counts(20, &[], 0), sent(None), faults);
    for report in [
        report(counts(20, &[], 0), sent(None)),
        report(counts(5, &failures, 1), sent(Some("no answer"))),
        faulty,
        report(Counts::default(), unread_seed("no seed")),
        Report {
            outcome: RUNNING,
            exit_code: None,
            exit_name: None,
            ..report(Counts::default(), RunEnd::NothingPlanned)
        },
    ] {
        let json = report.json();
        let value = serde_json::from_str(&json).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert!(!json.contains("hunter2"), "{json}");
        assert!(json.contains("RDKAFKA_LINGER_MS"), "{json}");
    }
}
