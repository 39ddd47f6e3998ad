//! What librdkafka's error codes say about the cluster.

use rdkafka::error::RDKafkaErrorCode;

use crate::books::{Failure, FailureClass};

/// A record's failure, for the books.
#[must_use]
pub fn failure(code: RDKafkaErrorCode) -> Failure {
    Failure { kind: code.to_string(), class: class(code) }
}

/// What an error says about the cluster.
#[must_use]
pub fn class(code: RDKafkaErrorCode) -> FailureClass {
    use RDKafkaErrorCode as Code;
    match code {
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown => FailureClass::Silence,
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => FailureClass::Denied,
        _ => FailureClass::Refused,
    }
}
