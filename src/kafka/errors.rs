//! What librdkafka's error codes say about the cluster.

use super::native::{Code, ErrorCode};
use crate::delivery::{Failure, FailureClass};

/// A record's failure.
#[must_use]
pub(super) fn failure(code: ErrorCode) -> Failure {
    Failure { kind: code.to_string(), class: class(code) }
}

/// What an error says about the cluster.
#[must_use]
pub(super) fn class(code: ErrorCode) -> FailureClass {
    match code.known() {
        Some(
            Code::MessageTimedOut
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown,
        ) => FailureClass::Silence,
        Some(
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed,
        ) => FailureClass::Denied,
        Some(Code::PurgeQueue | Code::PurgeInflight) => FailureClass::Purged,
        // One that nobody knows is an answer all the same.
        _ => FailureClass::Refused,
    }
}

/// A text of librdkafka without its thread's name, and with the cause where it names another.
#[must_use]
pub(super) fn plain(text: &str) -> String {
    let text = match text.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => text,
    };
    if let Some(text) = other_protocol(text).map(|(_, text)| text) {
        return text;
    }
    if text.contains("wrong version number") {
        return format!(
            "{} answers without TLS: {text}; RDKAFKA_SECURITY_PROTOCOL=PLAINTEXT or SASL_PLAINTEXT \
             fits such a listener",
            server(text)
        );
    }
    if !text.contains("APIVERSION_QUERY") {
        return text.to_owned();
    }
    let server = server(text);
    if text.contains("Timed out") {
        return format!("{server} accepts connections, but does not answer as a Kafka broker");
    }
    if text.contains("Disconnected") {
        return format!(
            "{server} closes the connection before it answers: it may expect TLS \
             (RDKAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL), or is no Kafka broker"
        );
    }
    text.to_owned()
}

/// The server that answered in another protocol than Kafka's, and that in words.
#[must_use]
pub(super) fn other_protocol(text: &str) -> Option<(String, String)> {
    let text = match text.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => text,
    };
    let (server, what) = not_kafka(text)?;
    let words = format!("{server} answers {what}, not Kafka's protocol: check KAFKA_BOOTSTRAP");
    Some((server.to_owned(), words))
}

/// The server that a text is about: `host:port/id: ...`.
fn server(text: &str) -> &str {
    let name = text.split(": ").next().unwrap_or(text);
    let address = name.rsplit("://").next().unwrap_or(name);
    address.split('/').next().unwrap_or(address)
}

/// A server whose answer has the length that other protocols' first bytes read as.
fn not_kafka(text: &str) -> Option<(&str, String)> {
    const HEAD: &str = "Invalid response size ";
    let (_, rest) = text.split_once(HEAD)?;
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let size: i32 = digits.parse().ok()?;
    let bytes = size.to_be_bytes();
    let what = match &bytes {
        b"HTTP" => "HTTP".to_owned(),
        b"SSH-" => "SSH".to_owned(),
        [0x14..=0x17, 3, ..] => "TLS".to_owned(),
        _ if bytes.iter().all(u8::is_ascii_graphic) => {
            format!("\"{}\"", String::from_utf8_lossy(&bytes))
        }
        _ => "something else".to_owned(),
    };
    Some((server(text), what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_protocol_is_told_by_its_first_bytes() {
        for (size, what) in [
            (i32::from_be_bytes(*b"HTTP"), "HTTP"),
            (i32::from_be_bytes(*b"SSH-"), "SSH"),
            (i32::from_be_bytes([0x15, 3, 1, 0]), "TLS"),
            (i32::from_be_bytes(*b"220 "), "something else"),
            (i32::from_be_bytes(*b"+OK!"), "\"+OK!\""),
        ] {
            let text = format!(
                "[thrd:10.0.0.1:80/bootstrap]: 10.0.0.1:80/bootstrap: Receive failed: Invalid \
                 response size {size} (0..100000000): increase receive.message.max.bytes"
            );
            assert_eq!(
                plain(&text),
                format!("10.0.0.1:80 answers {what}, not Kafka's protocol: check KAFKA_BOOTSTRAP")
            );
        }
    }
}
