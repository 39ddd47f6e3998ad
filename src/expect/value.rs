//! What a correct consumer reads in a value.
//!
//! It takes the JSON of RFC 8259, in UTF-8 and without a byte order mark, and of two fields with one
//! name the last. A field counts if it is of its type and within its bounds; one that is not takes
//! nothing from the others.

use serde_json::value::RawValue;

use super::decimal::Millionths;
use crate::event::Kind;
use crate::workload::seed::RawFields;

/// No board draws more, W: the blank value of DCGM is far above.
const MOST_POWER_W: u64 = 1_000_000;

/// The fields of a value that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) prompt_tokens: Option<u32>,
    pub(super) completion_tokens: Option<u32>,
    pub(super) latency_ms: Option<u32>,
    pub(super) utilization: Option<Millionths>,
    pub(super) power_w: Option<Millionths>,
}

/// What a value says; `None` if it is no JSON object.
pub(super) fn read(kind: Kind, value: Option<&[u8]>) -> Option<Fields> {
    let RawFields(all) = serde_json::from_slice(value?).ok()?;
    let text = |name: &str| {
        let field = all.iter().rfind(|(key, _)| key == name);
        field.map(|(_, value): &(_, &RawValue)| value.get())
    };
    let count = |name| text(name).and_then(|json| json.parse().ok());
    let number = |name, most| {
        let number = text(name).and_then(Millionths::parse);
        number.filter(|number| *number <= Millionths::whole(most))
    };
    Some(match kind {
        Kind::Metric => Fields {
            utilization: number("utilization", 1),
            power_w: number("power_w", MOST_POWER_W),
            ..Fields::default()
        },
        Kind::Token => Fields {
            prompt_tokens: count("prompt_tokens"),
            completion_tokens: count("completion_tokens"),
            latency_ms: count("latency_ms"),
            ..Fields::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_does_not_fit_takes_nothing_from_the_others() {
        let usage = |prompt: &str| {
            let value = format!(r#"{{"prompt_tokens":{prompt},"latency_ms":7}}"#);
            read(Kind::Token, Some(value.as_bytes())).map(|f| (f.prompt_tokens, f.latency_ms))
        };
        assert_eq!(usage("12"), Some((Some(12), Some(7))));
        for other in ["\"12\"", "null", "-1", "12.5", "1e400", "4294967296", "[12]"] {
            assert_eq!(usage(other), Some((None, Some(7))), "{other}");
        }
        assert_eq!(usage("12,\"prompt_tokens\":13"), Some((Some(13), Some(7))));
        assert_eq!(usage("12,\"prompt_tokens\":-1"), Some((None, Some(7))));
        assert_eq!(usage("NaN"), None);
    }

    #[test]
    fn what_is_no_object_is_not_readable() {
        let whole = r#"{"utilization":0.7}"#;
        let (mark, comma) = (format!("\u{feff}{whole}"), whole.replace('}', ",}"));
        for value in ["", "{\"utilization\":0.7", "[]", "7", &mark, &comma] {
            assert_eq!(read(Kind::Metric, Some(value.as_bytes())), None, "{value}");
        }
        assert_eq!(read(Kind::Metric, Some(b"{\"model\":\"\xff\"}")), None);
        assert_eq!(read(Kind::Metric, None), None);
    }

    #[test]
    fn a_blank_value_is_no_reading() {
        let metric = |text: &str| read(Kind::Metric, Some(text.as_bytes())).unwrap();
        let fields = metric(r#"{"utilization":1.0,"power_w":140737488355328.0}"#);
        assert_eq!((fields.utilization, fields.power_w), (Some(Millionths::whole(1)), None));
        let fields = metric(r#"{"utilization":10.0,"power_w":70}"#);
        assert_eq!((fields.utilization, fields.power_w), (None, Some(Millionths::whole(70))));
    }
}
