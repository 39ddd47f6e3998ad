//! Error codes as integers.

use std::ffi::c_int;
use std::fmt;

pub(in crate::kafka) use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaRespErr;

use super::c;
use super::text_at;

/// The code of an error: librdkafka's own below -1, the brokers' from there on. A broker may send any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kafka) struct ErrorCode(c_int);

impl ErrorCode {
    /// What a call or an answer says: 0 is no error.
    ///
    /// # Errors
    /// The error.
    pub(in crate::kafka) fn of(code: c_int) -> Result<(), Self> {
        if code == 0 { Ok(()) } else { Err(Self(code)) }
    }

    /// The code by its name, if this client knows it.
    pub(in crate::kafka) fn known(self) -> Option<Code> {
        let known = Code::from(RDKafkaRespErr::try_from(self.0).ok()?);
        // These mark the ends of the list.
        let is_mark = matches!(known, Code::Begin | Code::End | Code::EndAll);
        Some(known).filter(|_| !is_mark)
    }

    /// Whether it is this one.
    pub(in crate::kafka) fn is(self, code: Code) -> bool {
        self.known() == Some(code)
    }

    /// What librdkafka calls it, if it knows it.
    fn words(self) -> Option<String> {
        // SAFETY: any number may be asked for; the text is this thread's until the next question.
        let words = unsafe { text_at(c::rd_kafka_err2str(self.0)) };
        // It calls those that it does not know by their number.
        (words != format!("Err-{}?", self.0)).then_some(words)
    }
}

impl From<Code> for ErrorCode {
    fn from(code: Code) -> Self {
        Self(code as c_int)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.known(), self.words()) {
            (Some(name), Some(words)) => write!(f, "{name:?} ({words})"),
            (_, Some(words)) => write!(f, "error {} ({words})", self.0),
            (_, None) => write!(f, "error {} (unknown to this client)", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_words_and_one_that_nobody_knows_is_a_number() {
        let mut words = BTreeSet::new();
        for number in (i16::MIN..=i16::MAX).filter(|number| *number != 0).map(i32::from) {
            let code = ErrorCode::of(number).unwrap_err();
            let text = code.to_string();
            match code.known() {
                Some(known) => {
                    assert_eq!(ErrorCode::from(known), code, "{text}");
                    assert_eq!(known.to_string(), text, "as librdkafka calls it");
                }
                None => assert_eq!(text, format!("error {number} (unknown to this client)")),
            }
            assert!(words.insert(text), "{number} has the words of another code");
        }
        assert_eq!(ErrorCode::of(0), Ok(()));
        for mark in [-200, -100, 130, 133] {
            assert_eq!(ErrorCode::of(mark).unwrap_err().known(), None, "{mark}");
        }
    }
}
