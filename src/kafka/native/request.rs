//! What is asked of the cluster with an admin request of librdkafka.

use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;

use super::c;
use super::client::{Client, millis};
use super::code::{Code, ErrorCode};
use super::events::{Event, Queue};

/// Longest single wait for the answer.
const SLICE: Duration = Duration::from_millis(50);

/// How long librdkafka may take to say that nobody answered.
const GRACE: Duration = Duration::from_secs(1);

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// What the brokers have.
    pub(super) within: Duration,
    /// What librdkafka has beyond that to say that none has answered.
    pub(super) grace: Duration,
}

impl Patience {
    pub(super) fn graceful(within: Duration) -> Self {
        Self { within, grace: GRACE }
    }
}

/// The answer to a request, which `send` sends with these options and has answered to this queue.
///
/// # Errors
/// None came in time, or it is an error.
pub(super) fn ask<L>(
    client: &Client<L>,
    operation: rd::rd_kafka_admin_op_t,
    Patience { within, grace }: Patience,
    stopped: impl Fn() -> bool,
    send: impl FnOnce(*mut rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
) -> Result<Event, ErrorCode> {
    // SAFETY: the client is alive, and outlives the queue.
    let queue = unsafe { Queue::own(rd::rd_kafka_queue_new(client.ptr())) };
    let queue = queue.ok_or(ErrorCode::from(Code::CriticalSystemResource))?;
    // SAFETY: the client and the queue are alive, and the options are until they were copied, and are
    // destroyed once. A time out of range is not taken, and the wait below ends all the same.
    unsafe {
        let options = rd::rd_kafka_AdminOptions_new(client.ptr(), operation);
        let (text, size) = (ptr::null_mut(), 0);
        c::rd_kafka_AdminOptions_set_request_timeout(options, millis(within), text, size);
        send(options, queue.ptr());
        rd::rd_kafka_AdminOptions_destroy(options);
    }
    let deadline = Instant::now() + within + grace;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(event) = queue.next(SLICE.min(left)) {
            return match event.error() {
                Some(code) => Err(code),
                None => Ok(event),
            };
        }
        if stopped() || left.is_zero() {
            return Err(Code::OperationTimedOut.into());
        }
    }
}
