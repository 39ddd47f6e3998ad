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
