//! What librdkafka has to tell: delivery reports, errors, logs and statistics.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::ClientContext;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

/// Is told that there is something to take in.
pub(in crate::kafka) trait Wake: ClientContext {
    /// Called on one of librdkafka's threads, which holds a lock meanwhile: it may not wait, nor call
    /// the client.
    fn wake(&self);
}

/// The events of a client, which its context is told of from the first one on.
pub(in crate::kafka) struct Events<C: ProducerContext + Wake + 'static> {
    queue: NonNull<rd::rd_kafka_queue_t>,
    client: Arc<BaseProducer<C>>,
    /// Whom librdkafka tells.
    _told: Arc<C>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl<C: ProducerContext + Wake> Send for Events<C> {}
// SAFETY: the queue has its own lock.
unsafe impl<C: ProducerContext + Wake> Sync for Events<C> {}

impl<C: ProducerContext + Wake> Events<C> {
    /// Of a client. `None` if there is no memory.
    pub(in crate::kafka) fn of(client: &Arc<BaseProducer<C>>) -> Option<Self> {
        // SAFETY: the client is alive.
        let queue = unsafe { rd::rd_kafka_queue_get_main(client.client().native_ptr()) };
        let queue = NonNull::new(queue)?;
        let told = Arc::clone(client.context());
        let opaque = Arc::as_ptr(&told).cast_mut().cast::<c_void>();
        // SAFETY: what `opaque` points to lives until the order is taken back in `drop`.
        unsafe { rd::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(tell::<C>), opaque) };
        Some(Self { queue, client: Arc::clone(client), _told: told })
    }

    /// Hands the next event to the context; one event can hold many delivery reports.
    pub(in crate::kafka) fn take_next(&self) {
        self.client.poll(Duration::ZERO);
    }

    /// Whether none waits.
    pub(in crate::kafka) fn are_taken(&self) -> bool {
        // SAFETY: the queue is ours until it is destroyed.
        unsafe { rd::rd_kafka_queue_length(self.queue.as_ptr()) == 0 }
    }
}

impl<C: ProducerContext + Wake> Drop for Events<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours. Once the first call returns, nobody is told any more.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, std::ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// Called when an event comes to an empty queue.
unsafe extern "C" fn tell<C: Wake>(_client: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: it points to the context, as `Events::of` has it.
    unsafe { &*opaque.cast::<C>() }.wake();
}
