//! Reads partitions, and asks for the configuration of topics.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Client, NotMade, c_name, code_at};
use super::code::{Code, ErrorCode};
use super::events::{Event, Queue};
use super::{bytes_at, c, headers};

/// `RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME`: the broker's own time.
const LOG_APPEND_TIME: i32 = 2;

/// A consumer of partitions that it is assigned. It is no member of a group.
#[derive(Debug)]
pub(in crate::kafka) struct Consumer {
    /// Before its client, which has to outlive it.
    queue: Queue,
    client: Client<()>,
}

/// What came.
#[derive(Debug)]
pub(in crate::kafka) enum Fetched<'c> {
    /// A record.
    Record(FetchedRecord<'c>),
    /// The end of this partition, for now.
    End(i32),
    /// Something went wrong.
    Failed(ErrorCode),
}

impl Consumer {
    /// Starts a consumer. It connects by itself.
    ///
    /// # Errors
    /// What librdkafka says.
    pub(in crate::kafka) fn start(config: &ClientConfig) -> Result<Self, NotMade> {
        let client = Client::consumer(config, ())?;
        // SAFETY: the client is alive, and outlives the queue. What else it has to tell comes to this
        // queue, too.
        let queue = unsafe {
            c::rd_kafka_poll_set_consumer(client.ptr());
            Queue::own(rd::rd_kafka_queue_get_consumer(client.ptr()))
        };
        let queue = queue.ok_or_else(|| {
            KafkaError::ClientCreation("rdkafka consumer queue not available".to_owned())
        })?;
        Ok(Self { queue, client })
    }

    /// Asks with it.
    pub(in crate::kafka) fn client(&self) -> &Client<()> {
        &self.client
    }

    /// Reads these partitions from these offsets on: topic, partition and offset.
    ///
    /// # Errors
    /// Why it cannot.
    pub(in crate::kafka) fn assign<'t>(
        &self,
        partitions: impl Iterator<Item = (&'t str, i32, i64)>,
    ) -> Result<(), ErrorCode> {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in partitions {
            let added = list.add_partition_offset(topic, partition, Offset::Offset(offset));
            added.map_err(|_| ErrorCode::from(Code::InvalidArgument))?;
        }
        // SAFETY: client and list are alive; the list is copied.
        ErrorCode::of(unsafe { c::rd_kafka_assign(self.client.ptr(), list.ptr()) })
    }

    /// The next that comes, but for what nobody waits for.
    pub(in crate::kafka) fn next(&self, within: Duration) -> Option<Fetched<'_>> {
        Fetched::of(self.queue.next(within)?)
    }

    /// Keeps the records of a partition apart, and rings once there are some.
    pub(in crate::kafka) fn queue_of(
        self: &Arc<Self>,
        topic: &str,
        partition: i32,
        bell: SyncSender<()>,
    ) -> Result<PartitionQueue, ErrorCode> {
        let name = c_name(topic)?;
        // SAFETY: the consumer is alive, the name ends in a nul, and the consumer outlives the queue.
        let queue = unsafe {
            Queue::own(rd::rd_kafka_queue_get_partition(
                self.client.ptr(),
                name.as_ptr(),
                partition,
            ))
        };
        let queue = queue.ok_or(ErrorCode::from(Code::UnknownPartition))?;
        let bell = Box::new(bell);
        let opaque = (&raw const *bell).cast_mut().cast::<c_void>();
        // SAFETY: the queue is ours, and the bell lives longer than it.
        unsafe {
            rd::rd_kafka_queue_forward(queue.ptr(), ptr::null_mut());
            rd::rd_kafka_queue_cb_event_enable(queue.ptr(), Some(ring), opaque);
        }
        Ok(PartitionQueue { queue, _bell: bell, _consumer: Arc::clone(self) })
    }
}

/// Called when an event comes to an empty queue.
unsafe extern "C" fn ring(_client: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: it points to the bell, as `queue_of` has it. One that rings already need not ring twice.
    let _rings_already = unsafe { &*opaque.cast::<SyncSender<()>>() }.try_send(());
}

/// The records of one partition.
pub(in crate::kafka) struct PartitionQueue {
    // In this order they are dropped.
    queue: Queue,
    _bell: Box<SyncSender<()>>,
    _consumer: Arc<Consumer>,
}

impl PartitionQueue {
    /// What is there now.
    pub(in crate::kafka) fn next(&self) -> Option<Fetched<'_>> {
        Fetched::of(self.queue.next(Duration::ZERO)?)
    }
}

impl Fetched<'_> {
    fn of(event: Event) -> Option<Self> {
        match event.kind() {
            rd::RD_KAFKA_EVENT_FETCH => {
                let message = event.message()?;
                // SAFETY: the message lives as long as its event, and its code is read as an integer.
                let code = unsafe { code_at(&raw const (*message.as_ptr()).err) };
                Some(match ErrorCode::of(code) {
                    Ok(()) => {
                        Self::Record(FetchedRecord { message, _event: event, _owner: PhantomData })
                    }
                    Err(code) => Self::Failed(code),
                })
            }
            rd::RD_KAFKA_EVENT_ERROR => {
                let code = event.error()?;
                let is_end = code.is(Code::PartitionEOF);
                Some(
                    is_end
                        .then(|| partition_of(&event))
                        .flatten()
                        .map_or(Self::Failed(code), Self::End),
                )
            }
            _ => None,
        }
    }
}

/// The partition that an event is about.
fn partition_of(event: &Event) -> Option<i32> {
    // SAFETY: the event is ours; the place is, too, and no code in it is read.
    unsafe {
        let place = NonNull::new(rd::rd_kafka_event_topic_partition(event.ptr()))?.as_ptr();
        let partition = (*place).partition;
        rd::rd_kafka_topic_partition_destroy(place);
        Some(partition)
    }
}

/// A record that was read.
#[derive(Debug)]
pub(in crate::kafka) struct FetchedRecord<'c> {
    message: NonNull<rd::rd_kafka_message_t>,
    _event: Event,
    _owner: PhantomData<&'c ()>,
}

impl FetchedRecord<'_> {
    /// Partition.
    pub(in crate::kafka) fn partition(&self) -> i32 {
        // SAFETY: the message lives as long as its event.
        unsafe { (*self.message.as_ptr()).partition }
    }

    /// Offset.
    pub(in crate::kafka) fn offset(&self) -> i64 {
        // SAFETY: as above.
        unsafe { (*self.message.as_ptr()).offset }
    }

    /// Time in ms since 1970, and whether the broker put its own there.
    pub(in crate::kafka) fn time(&self) -> (Option<i64>, bool) {
        let mut kind = 0;
        // SAFETY: the message lives as long as its event, and the place is writable.
        let ms = unsafe { c::rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        (Some(ms).filter(|ms| kind != 0 && *ms != -1), kind == LOG_APPEND_TIME)
    }

    /// The epoch of the leader that wrote it, where the broker tells.
    pub(in crate::kafka) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message lives as long as its event.
        let epoch = unsafe { rd::rd_kafka_message_leader_epoch(self.message.as_ptr()) };
        (epoch >= 0).then_some(epoch)
    }

    /// Key.
    pub(in crate::kafka) fn key(&self) -> Option<&[u8]> {
        // SAFETY: the message lives as long as its event, and has as many bytes as it says.
        unsafe { bytes_at((*self.message.as_ptr()).key, (*self.message.as_ptr()).key_len) }
    }

    /// Value.
    pub(in crate::kafka) fn value(&self) -> Option<&[u8]> {
        // SAFETY: as above.
        unsafe { bytes_at((*self.message.as_ptr()).payload, (*self.message.as_ptr()).len) }
    }

    /// Headers in their order.
    pub(in crate::kafka) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // SAFETY: the message lives as long as its event.
        unsafe { headers::of(self.message.as_ptr()) }
    }
}
