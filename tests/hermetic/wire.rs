//! The wire contract: frozen names, schemas, and the bytes of a seeded run.

use std::fs;
use std::path::PathBuf;

use crate::common::{METRIC_FIELDS, Producer, TOKEN_FIELDS, validator};
use crate::process::generated;
use serde_json::Value;

/// The bytes of a seeded run are pinned: a change of them is a change of the workload's version,
/// and has to be said in the CHANGELOG. `UPDATE_GOLDEN=1` writes the files anew.
#[test]
fn a_seeded_run_gives_the_same_bytes_today_and_on_any_other_day() {
    for workload in ["chat", "code", "reason", "long", "agent", "uniform"] {
        let text = generated(&[("WORKLOAD", workload), ("ARRIVALS", "poisson")]);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/golden/{workload}.ndjson"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap();
        for (n, (line, pinned)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(line, pinned, "{workload}, line {}", n + 1);
        }
        assert_eq!(text.len(), golden.len(), "{workload}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_twice_and_another_seed_others() {
    assert_eq!(generated(&[]), generated(&[]));
    assert_ne!(generated(&[]), generated(&[("RUN_SEED", "2")]));
    assert_ne!(generated(&[]), generated(&[("RUN_ID", "other")]));
}

#[test]
fn every_generated_event_validates_and_has_its_fields_in_order() {
    let schema = |name: &str| {
        let path = format!("{}/packaging/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        validator(&fs::read_to_string(path).unwrap())
    };
    let (metric, token) = (schema("gpu.metrics.v1"), schema("token.usage.v1"));
    for workload in ["chat", "code", "reason", "long", "agent", "uniform"] {
        let text = generated(&[("WORKLOAD", workload), ("BATCH", "500")]);
        assert_eq!(text.lines().count(), 1000);
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let (validator, fields) = match record["topic"].as_str() {
                Some("gpu.metrics.v1") => (&metric, &METRIC_FIELDS[..]),
                _ => (&token, &TOKEN_FIELDS[..]),
            };
            let errors: Vec<_> =
                validator.iter_errors(&record["value"]).map(|e| e.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{line}");
            let value = line.split_once(",\"value\":{").unwrap().1;
            let mut from = 0;
            for field in fields {
                let at = value[from..].find(&format!("\"{field}\":"));
                from += at.unwrap_or_else(|| panic!("{field} is not in its place: {line}"));
            }
        }
    }
}

#[test]
fn an_envelope_has_topic_key_headers_timestamp_and_value() {
    let text = generated(&[("RUN_ID", "night"), ("WORKLOAD", "uniform")]);
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let fields: Vec<_> = ["topic", "key", "headers", "timestamp", "value"].into();
    assert!(fields.iter().all(|field| first.get(field).is_some()), "{first}");
    assert_eq!(first["timestamp"], 1_767_225_600_000_i64);
    assert_eq!(first["value"]["ts"], "2026-01-01T00:00:00.000Z");
    let headers =
        "\"headers\":{\"run\":\"night\",\"seq\":\"0\",\"content-type\":\"application/json\"}";
    assert!(text.lines().next().unwrap().contains(headers), "{text}");
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["value"]["ts"], "2026-01-01T00:00:09.500Z", "19 times 0.5 s");
}

#[test]
fn values_alone_are_the_values_of_the_envelopes() {
    let arguments =
        ["generate", "--values", "--run-seed", "1", "--event-start", "2026-01-01T00:00:00Z"];
    let values = Producer::new(arguments).finish().stdout;
    let envelopes = generated(&[]);
    for (value, envelope) in values.lines().zip(envelopes.lines()) {
        assert!(envelope.ends_with(&format!("\"value\":{value}}}")), "{envelope}");
    }
    assert_eq!(values.lines().count(), envelopes.lines().count());
}

#[test]
fn the_host_names_the_events_and_their_key() {
    let text = generated(&[("HOSTNAME", "007")]);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["key"].as_str().unwrap().starts_with("007/"), "{line}");
        if record["topic"] == "gpu.metrics.v1" {
            assert_eq!(record["value"]["host"], "007");
        }
    }
}

#[test]
fn a_list_of_hosts_sends_from_each_of_them_with_the_gpus_of_the_seed() {
    let text = generated(&[("HOSTNAME", "gpu[01-03],vm4"), ("BATCH", "500")]);
    let mut keys = std::collections::BTreeSet::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (host, index) = record["key"].as_str().unwrap().split_once('/').unwrap();
        assert_eq!(record["value"]["gpu_index"].to_string(), index);
        if record["topic"] == "gpu.metrics.v1" {
            assert_eq!(record["value"]["host"], host);
        }
        keys.insert(record["key"].as_str().unwrap().to_owned());
    }
    let expected =
        ["gpu01/0", "gpu01/1", "gpu02/0", "gpu02/1", "gpu03/0", "gpu03/1", "vm4/0", "vm4/1"];
    assert!(keys.iter().eq(expected), "{keys:?}");
}
