//! The bytes of the two events.

use super::*;
use crate::workload::GpuId;
use crate::workload::seed;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn at() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

/// A metric of the first GPU of the built-in seed.
fn metric(reading: Option<Reading>) -> String {
    let rows = seed::parse(seed::BUILT_IN.as_bytes()).unwrap().rows;
    let gpu = GpuId { host: 0, row: 0, index: 0 };
    let writer = MetricWriter::new(&rows, &["vm4".into()]);
    text(|out| writer.write(&Metric { gpu, ts: at(), reading }, &mut LastTs::default(), out))
}

/// A usage event of this model.
fn usage(model: &str) -> String {
    let gpu = GpuId { host: 0, row: 1, index: 3 };
    let usage = Usage {
        gpu,
        ts: at(),
        model,
        prompt_tokens: 1020,
        completion_tokens: 129,
        latency_ms: 2801,
    };
    text(|out| write_usage(&usage, &mut LastTs::default(), out))
}

#[test]
fn a_metric_event_is_the_row_with_live_values_in_place_then_ts_and_host() {
    let reading = Reading { utilization_percent: 71, mem_used_mib: 9001, power_deciwatts: 2814 };
    assert_eq!(
        metric(Some(reading)),
        r#"{"gpu_index":0,"name":"RTX 3090","utilization":0.71,"mem_used_mb":9001,"mem_total_mb":24576,"power_w":281.4,"price_per_hour_usd":0.85,"ts":"2026-11-23T08:00:00.000Z","host":"vm4"}"#
    );
    assert_eq!(
        metric(None),
        r#"{"gpu_index":0,"name":"RTX 3090","utilization":0.7,"mem_used_mb":9000,"mem_total_mb":24576,"power_w":280,"price_per_hour_usd":0.85,"ts":"2026-11-23T08:00:00.000Z","host":"vm4"}"#
    );
}

#[test]
fn a_token_event_has_its_six_fields_in_order() {
    assert_eq!(
        usage("llama-3-8b"),
        r#"{"ts":"2026-11-23T08:00:00.000Z","model":"llama-3-8b","prompt_tokens":1020,"completion_tokens":129,"latency_ms":2801,"gpu_index":3}"#
    );
}

#[test]
fn any_name_of_a_model_is_written_as_json() {
    for model in ["", "a \"b\" \\ c", "\u{1}\n\u{7f}", "modèle 🦙", "sixteen bytes and a \" behind"]
    {
        let read: Value = serde_json::from_str(&usage(model)).unwrap();
        assert_eq!(read["model"], model);
    }
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
    let mut ts = LastTs::default();
    for (ms, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_767_225_600_120, "2026-01-01T00:00:00.120Z"),
        (253_402_207_199_999, "9999-12-30T21:59:59.999Z"),
    ] {
        let at = Timestamp::from_millisecond(ms).unwrap();
        assert_eq!(std::str::from_utf8(ts.text(at)).unwrap(), expected);
    }
}
