//! A client of librdkafka, and what it is asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaType;

use super::code::{Code, ErrorCode};
use super::{c, text_at};

/// Bytes of an error's text.
const TEXT_BYTES: usize = 512;

/// What a client has to tell beside answers. It comes as events, some of them only if it is asked for.
const EVENTS: c_int = rd::RD_KAFKA_EVENT_STATS
    | rd::RD_KAFKA_EVENT_ERROR
    | rd::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;

/// A client, and whoever hears what it has to tell. It ends with its last owner.
pub(in crate::kafka) struct Client<L> {
    /// Holds the handle. It is polled by nobody, so that the wrapper makes an enum of no code.
    handle: rdkafka::client::Client,
    listener: Arc<L>,
}

/// Why there is no client, and what librdkafka logged meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(in crate::kafka) struct NotMade {
    pub(in crate::kafka) error: KafkaError,
    pub(in crate::kafka) said: Vec<String>,
}

impl From<KafkaError> for NotMade {
    fn from(error: KafkaError) -> Self {
        Self { error, said: Vec::new() }
    }
}

thread_local! {
    /// What a client that is being made logs on this thread.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What librdkafka logs when it makes no client. The wrapper has its log go to a queue of the client, which is
/// lost with it; so it is made once more, with a function for its log.
fn said_at_start(config: &ClientConfig, kind: RDKafkaType) -> Vec<String> {
    let Ok(native) = config.create_native_config() else { return Vec::new() };
    let mut text = [0; TEXT_BYTES];
    // SAFETY: the configuration is alive. It is the client's if there is one, and ours otherwise.
    unsafe {
        rd::rd_kafka_conf_set_log_cb(native.ptr(), Some(keep_line));
        let client = rd::rd_kafka_new(kind, native.ptr(), text.as_mut_ptr(), text.len());
        if !client.is_null() {
            std::mem::forget(native);
            rd::rd_kafka_destroy(client);
        }
    }
    SAID.take()
}

/// Called for each line of the log of a client that is being made.
unsafe extern "C" fn keep_line(
    _client: *const rd::rd_kafka_t,
    _level: c_int,
    _facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: the text ends in a nul, and lives as long as the call.
    let line = unsafe { text_at(line) };
    SAID.with_borrow_mut(|said| said.push(line));
}

/// Called for each certificate of a broker: takes those that OpenSSL takes, and says what is wrong with
/// another one. librdkafka's own text is the same for all of them.
unsafe extern "C" fn judge_certificate(
    _client: *mut rd::rd_kafka_t,
    _broker: *const c_char,
    _id: i32,
    x509_error: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    words: *mut c_char,
    room: usize,
    _opaque: *mut c_void,
) -> c_int {
    // SAFETY: the place is readable, and there is room for so many bytes of text, the last one a nul.
    unsafe {
        let number = *x509_error;
        if number == 0 {
            return 1;
        }
        let text = of_certificate(number);
        let length = text.len().min(room.saturating_sub(1));
        if room > 0 {
            ptr::copy_nonoverlapping(text.as_ptr().cast::<c_char>(), words, length);
            words.add(length).write(0);
        }
    }
    0
}

/// What is wrong with a certificate, by the number that OpenSSL gives it (x509_vfy.h).
fn of_certificate(number: i32) -> String {
    match number {
        9 => "it is not valid yet".to_owned(),
        10 => "it has expired".to_owned(),
        18 => "it is self-signed, and not the CA's that is trusted".to_owned(),
        19..=21 => "its CA is not trusted".to_owned(),
        62 | 64 => "it is for another name than the one that was connected to".to_owned(),
        number => format!("OpenSSL's error {number}"),
    }
}

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::kafka) enum Edge {
    /// That of its first record.
    Start,
    /// The one behind its last record, as far as the client's `isolation.level` lets it read.
    End,
    /// That of its first record with this timestamp, ms since 1970, or a later one; no partition without
    /// such a record is in the answer.
    Since(i64),
}

/// What a cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Metadata {
    /// Host and port of each broker.
    pub(in crate::kafka) brokers: Vec<(String, i32)>,
    /// The broker that answered; another one while the client does not know yet which of them that was.
    pub(in crate::kafka) answering: Option<i32>,
    pub(in crate::kafka) topics: Vec<TopicMetadata>,
}

/// A topic of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) struct TopicMetadata {
    pub(in crate::kafka) name: String,
    pub(in crate::kafka) error: Option<ErrorCode>,
    pub(in crate::kafka) partitions: Vec<i32>,
    /// The broker that leads its first partition.
    pub(in crate::kafka) leader: Option<i32>,
}

impl Metadata {
    /// The topic of this name.
    pub(in crate::kafka) fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.iter().find(|topic| topic.name == name)
    }
}

impl<L> Client<L> {
    /// Starts a producer. It connects by itself.
    ///
    /// # Errors
    /// What librdkafka says: the configuration is not valid, or the system gives too little.
    pub(in crate::kafka) fn producer(config: &ClientConfig, listener: L) -> Result<Self, NotMade> {
        Self::start(config, RDKafkaType::RD_KAFKA_PRODUCER, rd::RD_KAFKA_EVENT_DR, listener)
    }

    /// Starts a consumer.
    ///
    /// # Errors
    /// As for a producer.
    pub(super) fn consumer(config: &ClientConfig, listener: L) -> Result<Self, NotMade> {
        Self::start(config, RDKafkaType::RD_KAFKA_CONSUMER, 0, listener)
    }

    fn start(
        config: &ClientConfig,
        kind: RDKafkaType,
        events: c_int,
        listener: L,
    ) -> Result<Self, NotMade> {
        let native = config.create_native_config()?;
        // SAFETY: the configuration is alive, and no client has it yet.
        unsafe {
            rd::rd_kafka_conf_set_events(native.ptr(), EVENTS | events);
            rd::rd_kafka_conf_set_ssl_cert_verify_cb(native.ptr(), Some(judge_certificate));
        }
        let handle = rdkafka::client::Client::new(config, native, kind, DefaultClientContext);
        let handle =
            handle.map_err(|error| NotMade { error, said: said_at_start(config, kind) })?;
        Ok(Self { handle, listener: Arc::new(listener) })
    }

    /// Whoever hears what it has to tell.
    pub(in crate::kafka) fn listener(&self) -> &Arc<L> {
        &self.listener
    }

    pub(super) fn ptr(&self) -> *mut rd::rd_kafka_t {
        self.handle.native_ptr()
    }

    /// Takes back what has no delivery report. What is on its way may still arrive.
    pub(in crate::kafka) fn purge(&self) {
        // Not to be waited for: one of the client's threads may hang in a name server.
        let flags = rd::RD_KAFKA_PURGE_F_QUEUE
            | rd::RD_KAFKA_PURGE_F_INFLIGHT
            | rd::RD_KAFKA_PURGE_F_NON_BLOCKING;
        // SAFETY: the client is alive. Nothing can fail but flags that there are not.
        let _done = unsafe { c::rd_kafka_purge(self.ptr(), flags) };
    }

    /// Records and events that wait.
    pub(in crate::kafka) fn waiting(&self) -> usize {
        // SAFETY: the client is alive.
        usize::try_from(unsafe { rd::rd_kafka_outq_len(self.ptr()) }).unwrap_or_default()
    }

    /// Why the client can do nothing any more, if it cannot.
    pub(in crate::kafka) fn fatal_error(&self) -> Option<(ErrorCode, String)> {
        let mut text = [0; TEXT_BYTES];
        // SAFETY: the client is alive; the text is written to as many bytes as there are, the last one
        // a nul.
        let code = unsafe { c::rd_kafka_fatal_error(self.ptr(), text.as_mut_ptr(), text.len()) };
        let code = ErrorCode::of(code).err()?;
        // SAFETY: as above.
        Some((code, unsafe { text_at(text.as_ptr()) }))
    }

    /// What the cluster has: all topics, or one.
    ///
    /// # Errors
    /// Why it is not known.
    pub(in crate::kafka) fn metadata(
        &self,
        topic: Option<&str>,
        within: Duration,
    ) -> Result<Metadata, ErrorCode> {
        let name = topic.map(c_name).transpose()?;
        let only = match &name {
            // SAFETY: the client is alive, the name ends in a nul.
            Some(name) => unsafe {
                rd::rd_kafka_topic_new(self.ptr(), name.as_ptr(), ptr::null_mut())
            },
            None => ptr::null_mut(),
        };
        if name.is_some() && only.is_null() {
            // SAFETY: no argument.
            return Err(ErrorCode::of(unsafe { c::rd_kafka_last_error() })
                .err()
                .unwrap_or(Code::InvalidArgument.into()));
        }
        let mut found = ptr::null();
        // SAFETY: client and topic are alive, and the place for the answer is writable.
        let code = unsafe {
            let all = c_int::from(only.is_null());
            let code = c::rd_kafka_metadata(self.ptr(), all, only, &raw mut found, millis(within));
            if !only.is_null() {
                rd::rd_kafka_topic_destroy(only);
            }
            code
        };
        ErrorCode::of(code)?;
        // SAFETY: the call returned no error, so there is an answer, and it is ours.
        unsafe {
            let metadata = read_metadata(found);
            rd::rd_kafka_metadata_destroy(found);
            Ok(metadata)
        }
    }

    /// The id of the cluster, if a broker tells it.
    pub(in crate::kafka) fn cluster_id(&self, within: Duration) -> Option<String> {
        self.handle.fetch_cluster_id(within).filter(|id| !id.is_empty())
    }

    /// Asks the leaders of all these partitions of a topic where they begin or end, with one question
    /// to each leader.
    ///
    /// librdkafka has a call for start and end of one partition. It sends no more than five such
    /// questions at once, and takes an error of the first answer for a start at 0 if the second answer
    /// comes in the same moment.
    ///
    /// # Errors
    /// What the first leader that did not answer says, or that its answer has no offset.
    pub(in crate::kafka) fn edges(
        &self,
        topic: &str,
        partitions: &[i32],
        (edge, within): (Edge, Duration),
    ) -> Result<BTreeMap<i32, i64>, ErrorCode> {
        // Either is asked for as a time that no record has.
        let place = match edge {
            Edge::Start => Offset::Beginning,
            Edge::End => Offset::End,
            Edge::Since(ms) => Offset::Offset(ms.max(0)),
        };
        let mut asked = TopicPartitionList::new();
        for partition in partitions {
            let added = asked.add_partition_offset(topic, *partition, place);
            added.map_err(|_| ErrorCode::from(Code::InvalidArgument))?;
        }
        // SAFETY: the client and the list are alive, and nobody else uses the list meanwhile.
        let code =
            unsafe { c::rd_kafka_offsets_for_times(self.ptr(), asked.ptr(), millis(within)) };
        ErrorCode::of(code)?;
        // SAFETY: the list lives until the end, and has as many places as it says. No code in it is read
        // but as an integer.
        let answers = unsafe {
            let list = asked.ptr();
            let places = 0..usize::try_from((*list).cnt).unwrap_or_default();
            places.map(move |at| {
                let place = (*list).elems.add(at);
                ((*place).partition, (*place).offset, code_at(&raw const (*place).err))
            })
        };
        let end = |(partition, offset, code): (i32, i64, c_int)| {
            ErrorCode::of(code)?;
            if offset < 0 {
                return Err(Code::BadMessage.into());
            }
            Ok((partition, offset))
        };
        let has_none = |(_, offset, code): &(i32, i64, c_int)| *offset < 0 && *code == 0;
        let is_left_out = |answer: &_| matches!(edge, Edge::Since(_)) && has_none(answer);
        answers.filter(|answer| !is_left_out(answer)).map(end).collect()
    }
}

impl<L> std::fmt::Debug for Client<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl<L> Drop for Client<L> {
    fn drop(&mut self) {
        // Nothing of what was not sent is sent while it ends.
        self.purge();
    }
}

/// The code in one of librdkafka's own structures.
///
/// # Safety
/// The place is readable.
pub(super) unsafe fn code_at(place: *const rd::rd_kafka_resp_err_t) -> c_int {
    // SAFETY: as the caller has it; the bindings' enum has the size of an integer, and any bits are one.
    unsafe { place.cast::<c_int>().read() }
}

/// A name as C has it.
pub(super) fn c_name(name: &str) -> Result<CString, ErrorCode> {
    CString::new(name).map_err(|_| Code::InvalidArgument.into())
}

/// A wait as librdkafka takes it.
pub(super) fn millis(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

/// # Safety
/// It is an answer of librdkafka.
unsafe fn read_metadata(metadata: *const rd::rd_kafka_metadata) -> Metadata {
    let count = |count: c_int| usize::try_from(count).unwrap_or_default();
    // SAFETY: each list has as many places as it says, each name ends in a nul, and no code is read but
    // as an integer.
    unsafe {
        let brokers = (0..count((*metadata).broker_cnt)).map(|at| {
            let broker = (*metadata).brokers.add(at);
            (text_at((*broker).host), (*broker).port)
        });
        let topics = (0..count((*metadata).topic_cnt)).map(|at| {
            let topic = (*metadata).topics.add(at);
            let partitions = 0..count((*topic).partition_cnt);
            let leader = partitions.clone().next().map(|at| (*(*topic).partitions.add(at)).leader);
            let error = ErrorCode::of(code_at(&raw const (*topic).err)).err();
            let ids = partitions.map(|at| (*(*topic).partitions.add(at)).id);
            // librdkafka takes the number of a partition for its place in its own list, and reads behind
            // the list's end if it is asked for another one.
            let ids = ids.map(|id| Some(id).filter(|id| (0..(*topic).partition_cnt).contains(id)));
            let ids: Option<Vec<_>> = ids.collect();
            TopicMetadata {
                leader: leader.filter(|leader| *leader >= 0),
                name: text_at((*topic).topic),
                error: error.or(ids.is_none().then(|| Code::BadMessage.into())),
                partitions: ids.unwrap_or_default(),
            }
        });
        let first = (count((*metadata).broker_cnt) > 0).then(|| (*(*metadata).brokers).id);
        Metadata {
            brokers: brokers.collect(),
            // A server of KAFKA_BOOTSTRAP has the number -1 until it is found to be one of the brokers.
            answering: Some((*metadata).orig_broker_id).filter(|id| *id >= 0).or(first),
            topics: topics.collect(),
        }
    }
}
