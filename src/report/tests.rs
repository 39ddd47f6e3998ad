//! Verdicts and words.

use super::*;
use crate::books::{Books, FailureClass};
use crate::settings::Inputs;
use crate::verdict::tests::books;

fn report(books: Books, exit: Exit, reason: Option<&str>) -> Report {
    let environment = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("RDKAFKA_SASL_PASSWORD", "hunter2"),
        ("RDKAFKA_LINGER_MS", "7"),
    ];
    let environment = environment.map(|(name, value)| (name.into(), value.into())).into();
    let settings = Settings::load(&Inputs { environment, ..Inputs::default() }).unwrap();
    let started_at = "2026-11-23T08:00:00Z".parse().unwrap();
    let identity = Identity { run_id: "night".into(), run_seed: 7, started_at };
    let facts = Facts {
        identity,
        planned_pairs: Some(20),
        account: Account { books, ..Account::default() },
        lateness: Times::default(),
        exit,
        reason: reason.map(str::to_owned),
        ended_at: started_at,
        elapsed_sec: 9.5,
    };
    Report::new(&settings, facts)
}

#[test]
fn the_summary_says_what_became_of_the_records() {
    assert_eq!(
        report(books(20, &[], 0), Exit::Success, None).summary(),
        "40 of 40 planned records delivered in 9.500 s (20 to gpu.metrics.v1, 20 to \
         token.usage.v1); exit 0 (SUCCESS)"
    );
    assert_eq!(
        report(Books::default(), Exit::DataErr, Some("seed.json: line 1: empty")).summary(),
        "nothing was sent: seed.json: line 1: empty; exit 65 (DATAERR)"
    );
    let silence = FailureClass::Silence;
    assert_eq!(
        report(books(5, &[(silence, 2)], 1), Exit::IoErr, Some("no answer")).summary(),
        "10 of 40 planned records delivered in 9.500 s (5 to gpu.metrics.v1, 5 to \
         token.usage.v1); 4 failed, 2 unresolved; 2 x Silence (gpu.metrics.v1); 2 x Silence \
         (token.usage.v1); no answer; exit 74 (IOERR)"
    );
}

#[test]
fn the_report_validates_against_its_schema_and_holds_no_secret() {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let failures = [(FailureClass::Silence, 2)];
    for report in [
        report(books(20, &[], 0), Exit::Success, None),
        report(books(5, &failures, 1), Exit::IoErr, Some("no answer")),
        report(Books::default(), Exit::NoInput, Some("no seed")),
    ] {
        let json = report.json();
        let value = serde_json::from_str(&json).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert!(!json.contains("hunter2"), "{json}");
        assert!(json.contains("RDKAFKA_LINGER_MS"), "{json}");
    }
}
