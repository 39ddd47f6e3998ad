//! The bytes of the two events.

use super::*;
use crate::workload::Tokens;
use crate::workload::seed;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn pair(reading: Option<Reading>) -> Pair<'static> {
    Pair {
        seq: 7,
        at: "2026-11-23T08:00:00Z".parse().unwrap(),
        host: 0,
        row: 0,
        batch: 1,
        reading,
        model: "llama-3-8b",
        tokens: Tokens { prompt: 1020, completion: 129 },
        latency_ms: 2801,
    }
}

fn value(kind: Kind, pair: &Pair<'static>) -> String {
    let rows = seed::parse(seed::BUILT_IN.as_bytes()).unwrap().rows;
    text(|out| {
        Encoder::new(&rows, &["vm4".into()], |_| "llama-3-8b").value(
            kind,
            &Stamped::new(*pair),
            out,
        )
    })
}

#[test]
fn a_metric_event_is_the_row_with_live_values_in_place_then_ts_and_host() {
    let reading = Reading { utilization_percent: 71, mem_used_mb: 9001, power_deciwatts: 2814 };
    assert_eq!(
        value(Kind::Metric, &pair(Some(reading))),
        r#"{"gpu_index":0,"name":"RTX 3090","utilization":0.71,"mem_used_mb":9001,"mem_total_mb":24576,"power_w":281.4,"price_per_hour_usd":0.85,"ts":"2026-11-23T08:00:00.000Z","host":"vm4"}"#
    );
    assert_eq!(
        value(Kind::Metric, &pair(None)),
        r#"{"gpu_index":0,"name":"RTX 3090","utilization":0.7,"mem_used_mb":9000,"mem_total_mb":24576,"power_w":280,"price_per_hour_usd":0.85,"ts":"2026-11-23T08:00:00.000Z","host":"vm4"}"#
    );
}

#[test]
fn a_token_event_has_its_six_fields_in_order() {
    assert_eq!(
        value(Kind::Token, &pair(None)),
        r#"{"ts":"2026-11-23T08:00:00.000Z","model":"llama-3-8b","prompt_tokens":1020,"completion_tokens":129,"latency_ms":2801,"gpu_index":0}"#
    );
}

#[test]
fn the_key_is_host_and_index() {
    let rows = seed::parse(seed::BUILT_IN.as_bytes()).unwrap().rows;
    let encoder = Encoder::new(&rows, &["vm4".into(), "gpu-01.example.com".into()], |_| "m");
    assert_eq!(encoder.key(&Pair { host: 1, row: 1, ..pair(None) }), "gpu-01.example.com/1");
}

#[test]
fn numbers_have_one_form() {
    for (percent, expected) in
        [(0, "0.0"), (1, "0.01"), (10, "0.1"), (70, "0.7"), (71, "0.71"), (100, "1.0")]
    {
        assert_eq!(text(|out| push_hundredths(out, percent)), expected);
    }
    for (tenths, expected) in [(0, "0.0"), (2800, "280.0"), (2805, "280.5")] {
        assert_eq!(text(|out| push_tenths(out, tenths)), expected);
    }
    for n in [0, 9, 10, 1234, u64::MAX] {
        assert_eq!(text(|out| push_integer(out, n)), n.to_string());
    }
}

#[test]
fn timestamps_always_have_milliseconds() {
    for (ms, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_767_225_600_120, "2026-01-01T00:00:00.120Z"),
        (253_402_207_199_999, "9999-12-30T21:59:59.999Z"),
    ] {
        let at = Timestamp::from_millisecond(ms).unwrap();
        assert_eq!(std::str::from_utf8(&ts(at)).unwrap(), expected);
    }
}
