//! `FAULTS`: which kinds are on, and how likely they hit.

use jiff::SignedDuration;

use super::parse::{Refusal, digits, time};
use super::{SettingError, Settings, suggest};
use crate::faults::{Fault, FaultSetting, Faults, Parameter, Probability};

/// Most pairs that a record may be held back for.
const MOST_PAIRS: u64 = 1_000_000;

/// Bytes of an oversize value: above every clean one, and below what any broker is set to.
const BYTES: std::ops::RangeInclusive<usize> = 1_024..=104_857_600;

/// Records that may wait at one time, on average: each takes about 100 bytes.
const MOST_HELD: f64 = 500_000.0;

/// Reads `kind=probability[:parameter][,...]`.
pub(super) fn faults(text: &str) -> Result<Faults, Refusal> {
    let mut faults = Faults::default();
    for (i, part) in text.split(',').map(str::trim).enumerate() {
        let named = |problem: String| format!("part {} ({part:?}): {problem}", i + 1);
        let setting = setting(part).map_err(named)?;
        if !faults.add(setting) {
            return Err(named(format!("{} stands twice", setting.fault.word())).into());
        }
    }
    Ok(faults)
}

fn setting(part: &str) -> Result<FaultSetting, String> {
    let (word, rest) = part.split_once('=').unwrap_or((part, ""));
    let fault =
        Fault::of_word(word).ok_or_else(|| suggest::no_kind(word, Fault::WORDS.into_iter()))?;
    let (probability, parameter) = match rest.split_once(':') {
        Some((probability, parameter)) => (probability, Some(parameter)),
        None => (rest, None),
    };
    if probability.is_empty() {
        return Err(format!("a probability is missing, as in {word}=0.01 or {word}=1/200"));
    }
    let probability = probability.parse::<Probability>()?;
    let default = fault.default_parameter();
    let parameter = parameter.map_or(Ok(default), |text| parameter_of(default, text))?;
    Ok(FaultSetting { fault, probability, parameter })
}

/// A parameter like the default of its kind.
fn parameter_of(default: Parameter, text: &str) -> Result<Parameter, String> {
    let refused = |expected: &str| format!("the parameter {text:?} is not {expected}");
    match default {
        Parameter::None => Err(format!("it takes no parameter, and there is {text:?}")),
        Parameter::Time(_) => {
            let found = time(text).map(Parameter::Time);
            found.ok_or_else(|| refused("a time of up to a year, as in 500ms, 10s, 5m"))
        }
        Parameter::Shift(_) => {
            let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
            let found = time(size).filter(|time| time.as_millis() > 0);
            let found = found.and_then(|time| SignedDuration::try_from(time).ok());
            let found = found.map(|time| Parameter::Shift(time * sign));
            found
                .ok_or_else(|| refused("a time of 1 ms to a year, as in 5m, or -30s into the past"))
        }
        Parameter::Pairs(_) => {
            let found = digits(text).filter(|pairs| (1..=MOST_PAIRS).contains(pairs));
            let expected = format!("a number of pairs from 1 to {MOST_PAIRS}");
            found.map(Parameter::Pairs).ok_or_else(|| refused(&expected))
        }
        Parameter::Bytes(_) => {
            let found = digits(text).filter(|bytes| BYTES.contains(bytes));
            let expected = format!("a number of bytes from {} to {}", BYTES.start(), BYTES.end());
            found.map(Parameter::Bytes).ok_or_else(|| refused(&expected))
        }
    }
}

impl Settings {
    /// Refuses faults that hold records back for a time that the run does not have, or for so long
    /// that they do not fit into memory.
    pub(super) fn check_faults(&self) -> Result<(), SettingError> {
        let Some(faults) = &self.faults else { return Ok(()) };
        let mut held = 0.0;
        for fault in [Fault::Late, Fault::Duplicate] {
            let Some(delay) = faults.delay(fault).filter(|delay| !delay.is_zero()) else {
                continue;
            };
            let word = fault.word();
            if self.sleep.is_zero() {
                let remedy = if fault == Fault::Duplicate {
                    ", or duplicate=P:0 for a copy at once"
                } else {
                    ""
                };
                let because = format!(
                    "{word} sends records up to {} s after their time, and SLEEP_SEC=0 leaves no time \
                     between the pairs; set SLEEP_SEC{remedy}",
                    delay.as_secs_f64()
                );
                return Err(self.refuse("FAULTS", because));
            }
            let probability = faults.get(fault).map_or(0.0, |setting| setting.probability.as_f64());
            let records = 2.0 * delay.as_secs_f64() / self.sleep.as_secs_f64();
            held += probability * records.min(2.0 * self.batch as f64);
        }
        if let Some(setting) = faults.get(Fault::OutOfOrder)
            && let Parameter::Pairs(pairs) = setting.parameter
        {
            held += setting.probability.as_f64() * 2.0 * pairs as f64;
        }
        if held <= MOST_HELD {
            return Ok(());
        }
        let because = format!(
            "about {held:.0} records would be held back at a time, and {MOST_HELD} is the most; lower a \
             probability or a time, or raise SLEEP_SEC"
        );
        Err(self.refuse("FAULTS", because))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn because(text: &str) -> String {
        faults(text).unwrap_err().to_string()
    }

    #[test]
    fn each_part_is_a_kind_with_a_probability_and_perhaps_a_parameter() {
        let set =
            faults("duplicate=0.01, late=1/200:120s,malformed=0.001,clock-skew=1:-30s").unwrap();
        let parameter = |fault| set.get(fault).unwrap().parameter;
        assert_eq!(parameter(Fault::Duplicate), Parameter::Time(Duration::from_secs(5)));
        assert_eq!(parameter(Fault::Late), Parameter::Time(Duration::from_secs(120)));
        assert_eq!(parameter(Fault::Malformed), Parameter::None);
        assert_eq!(parameter(Fault::ClockSkew), Parameter::Shift(SignedDuration::from_secs(-30)));
        assert_eq!(set.get(Fault::Late).unwrap().probability.to_string(), "1/200");
        assert_eq!(set.iter().count(), 4);
        for fault in Fault::ALL {
            assert!(faults(&format!("{}=1/3", fault.word())).is_ok(), "{fault:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_which_part_is_said() {
        for (text, problem) in [
            (
                "duplicat=0.1",
                r#"part 1 ("duplicat=0.1"): there is no kind "duplicat"; the nearest is duplicate"#,
            ),
            (
                "drop=0.1,out-of-oder=1",
                r#"part 2 ("out-of-oder=1"): there is no kind "out-of-oder"; the nearest is out-of-order"#,
            ),
            ("drop", r#"part 1 ("drop"): a probability is missing, as in drop=0.01 or drop=1/200"#),
            (
                "drop=:5",
                r#"part 1 ("drop=:5"): a probability is missing, as in drop=0.01 or drop=1/200"#,
            ),
            ("drop=2", r#"part 1 ("drop=2"): "2" is more than 1"#),
            ("drop=1/0", r#"part 1 ("drop=1/0"): "1/0" divides by 0"#),
            ("drop=x", r#"part 1 ("drop=x"): "x" is not a probability, as in 0.01 or 1/200"#),
            ("drop=0.1,drop=0.2", r#"part 2 ("drop=0.2"): drop stands twice"#),
            ("drop=0.1:5", r#"part 1 ("drop=0.1:5"): it takes no parameter, and there is "5""#),
            (
                "late=0.1:soon",
                r#"part 1 ("late=0.1:soon"): the parameter "soon" is not a time of up to a year, as in 500ms, 10s, 5m"#,
            ),
            (
                "late=0.1:400d",
                r#"part 1 ("late=0.1:400d"): the parameter "400d" is not a time of up to a year, as in 500ms, 10s, 5m"#,
            ),
            (
                "clock-skew=0.1:0",
                r#"part 1 ("clock-skew=0.1:0"): the parameter "0" is not a time of 1 ms to a year, as in 5m, or -30s into the past"#,
            ),
            (
                "out-of-order=0.1:0",
                r#"part 1 ("out-of-order=0.1:0"): the parameter "0" is not a number of pairs from 1 to 1000000"#,
            ),
            (
                "oversize=0.1:7",
                r#"part 1 ("oversize=0.1:7"): the parameter "7" is not a number of bytes from 1024 to 104857600"#,
            ),
            (
                "drop=0.1,",
                r#"part 2 (""): there is no kind ""; the kinds are duplicate, late, out-of-order, clock-skew, drop, tombstone, malformed, missing-field, null-field, wrong-type, extra-field, renamed-field, duplicate-key, sentinel, failed-request, oversize"#,
            ),
            (
                "dupes=0.1",
                r#"part 1 ("dupes=0.1"): there is no kind "dupes"; the kinds are duplicate, late, out-of-order, clock-skew, drop, tombstone, malformed, missing-field, null-field, wrong-type, extra-field, renamed-field, duplicate-key, sentinel, failed-request, oversize"#,
            ),
        ] {
            assert_eq!(because(text), problem);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_faults_or_refused(text in "([a-z-]{0,14}=?[0-9./:a-z-]{0,9},?){0,4}") {
            if let Ok(faults) = faults(&text) {
                prop_assert!(faults.iter().count() >= 1);
            }
        }
    }
}
