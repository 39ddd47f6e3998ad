//! Answers with any error code, and answers that make no sense, in each kind that the program reads: it
//! ends as it should, and calls a code by its own name or by its number.
//!
//! `ERROR_CODES=all` sends each code from -1000 to 10000 in answers about batches, and several hundred in
//! the others, after many of which a command ends at once; and more nonsense (`make soak`). The unit tests
//! of `kafka::native` have all codes in the others, too.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaRespErr;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer};
use crate::doubt::{counts, run_of};
use crate::switch::{Between, Question, Switch};

/// What the program asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
enum Api {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    FindCoordinator = 10,
    SaslHandshake = 17,
    Versions = 18,
    InitProducerId = 22,
    DescribeConfigs = 32,
    SaslAuthenticate = 36,
}

/// Those that the mock cluster does not know, with the highest version that is asked for. They are
/// answered on the way.
const OWN: [(Api, i16); 3] =
    [(Api::SaslHandshake, 1), (Api::DescribeConfigs, 1), (Api::SaslAuthenticate, 1)];

/// How an answer is built: `C` an error code, `L` the broker that leads the cluster; a digit so many bytes, `u` sixteen; `s` a text, `b` bytes,
/// `(...)` a list; in versions with tags `S` either of the first two, `[...]` a list and `T` the tags.
fn form(Question { api, version }: Question) -> Option<&'static str> {
    Some(match (api, version) {
        (0, 10) => "T[S[4C888[4ST]ST]T]4T",
        (1, 16) => "T4C4[u[4C888[88T]4ST]T]T",
        (2, 7) => "T4[S[4C884T]T]T",
        // The mock cluster has one more byte at the end.
        (3, 12) => "T4[4S4ST]SL[CSu1[C444[4][4][4]T]4T]T1",
        (10, 2) => "4Cs4s4",
        (17, 1) => "C(s)",
        (18, 0) => "C(222)",
        (18, 2) => "C(222)4",
        // A version that the mock cluster does not know: the one entry says which it does.
        (18, 3) => "C12224",
        (22, 4) => "T4C82T",
        (32, 1) => "4(Cs1s(ss111(ss1)))",
        (36, 1) => "Csb8",
        _ => return None,
    })
}

/// Reads an answer in its form.
struct Form<'a> {
    answer: &'a [u8],
    at: usize,
    codes: Vec<usize>,
    leader: Option<usize>,
    /// All numbers, codes included, but for those with which a text or a list begins.
    numbers: Vec<usize>,
}

impl<'a> Form<'a> {
    fn read(question: Question, answer: &'a [u8]) -> Self {
        let form = form(question).unwrap_or_else(|| panic!("no form of {question:?}"));
        let mut read = Self { answer, at: 0, codes: Vec::new(), leader: None, numbers: Vec::new() };
        read.all(form.as_bytes());
        assert_eq!(read.at, answer.len(), "{form} is not the form of {answer:?}");
        read
    }

    fn all(&mut self, form: &[u8]) {
        let mut rest = form;
        while let Some((part, behind)) = rest.split_first() {
            rest = behind;
            match part {
                b'C' => {
                    self.codes.push(self.at);
                    self.number(2);
                }
                b'L' => {
                    self.leader = Some(self.at);
                    self.number(4);
                }
                b'1'..=b'8' => self.number((part - b'0').into()),
                b'u' => self.number(16),
                b's' => self.skip(2),
                b'b' => self.skip(4),
                b'S' => self.at += self.varint().saturating_sub(1),
                b'T' => {
                    for _ in 0..self.varint() {
                        self.varint();
                        self.at += self.varint();
                    }
                }
                _ => {
                    let end = closing(rest);
                    let count =
                        if *part == b'[' { self.varint().saturating_sub(1) } else { self.int(4) };
                    for _ in 0..count {
                        self.all(&rest[..end]);
                    }
                    rest = &rest[end + 1..];
                }
            }
        }
    }

    fn number(&mut self, bytes: usize) {
        self.numbers.extend(self.at..self.at + bytes);
        self.at += bytes;
    }

    fn skip(&mut self, length_bytes: usize) {
        self.at += self.int(length_bytes);
    }

    /// A length; none is 0.
    fn int(&mut self, bytes: usize) -> usize {
        let number = &self.answer[self.at..self.at + bytes];
        self.at += bytes;
        let is_none = number[0] & 0x80 != 0;
        if is_none { 0 } else { number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) }
    }

    fn varint(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.answer[self.at];
            self.at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return number;
            }
        }
    }
}

/// Where nonsense goes. No other host and port is to hear of it. In metadata only numbers become others:
/// librdkafka 2.12.1 ends any program that uses it when a list of brokers or partitions is null
/// (`rd_kafka_parse_Metadata0`), or when it logs a topic for which nobody asked
/// (`rd_kafka_DescribeTopicsResponse_parse`).
fn places_for_nonsense(question: Question, answer: &[u8]) -> Vec<usize> {
    let mut places: Vec<_> = match question.api == Api::Metadata as i16 {
        true => Form::read(question, answer).numbers,
        false => (0..answer.len()).collect(),
    };
    let host = b"127.0.0.1";
    for (at, _) in answer.windows(host.len()).enumerate().filter(|(_, bytes)| bytes == host) {
        let with_port = at - 1..at + host.len() + 4;
        places.retain(|place| !with_port.contains(place));
    }
    places
}

/// Where the list ends whose form begins here.
fn closing(form: &[u8]) -> usize {
    let mut depth = 0;
    let end = form.iter().position(|part| {
        match part {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ => {}
        }
        depth < 0
    });
    end.expect("the end of a list")
}

/// What is done to the answers of one kind.
struct Changed {
    api: Api,
    what: Mutex<What>,
}

enum What {
    /// So many are left as they are, then each carries the next code.
    Codes { spared: usize, left: VecDeque<i16>, sent: Vec<i16> },
    /// Bytes of it are replaced.
    Nonsense { rng: Pcg64, changed: usize },
}

impl Changed {
    fn codes(api: Api, spared: usize, codes: &[i16]) -> Arc<Self> {
        let what = What::Codes { spared, left: codes.iter().copied().collect(), sent: Vec::new() };
        Arc::new(Self { api, what: Mutex::new(what) })
    }

    fn nonsense(api: Api, seed: u64) -> Arc<Self> {
        let what = What::Nonsense { rng: Pcg64::seed_from_u64(seed), changed: 0 };
        Arc::new(Self { api, what: Mutex::new(what) })
    }

    /// The codes that were sent.
    fn sent(&self) -> Vec<i16> {
        match &*self.what.lock().unwrap() {
            What::Codes { sent, .. } => sent.clone(),
            What::Nonsense { .. } => Vec::new(),
        }
    }

    /// How many answers were changed.
    fn count(&self) -> usize {
        match &*self.what.lock().unwrap() {
            What::Codes { sent, .. } => sent.len(),
            What::Nonsense { changed, .. } => *changed,
        }
    }
}

impl Between for Changed {
    fn asked(&self, Question { api, version }: Question) -> Option<Vec<u8>> {
        let (own, _) = OWN.into_iter().find(|(own, _)| *own as i16 == api)?;
        assert_eq!(version, 1, "{own:?}");
        Some(match own {
            Api::SaslHandshake => [&[0, 0, 0, 0, 0, 1][..], &text("PLAIN")].concat(),
            Api::SaslAuthenticate => vec![0; 2 + 2 + 4 + 8],
            _ => {
                let topic = |name| [&[0, 0, 0, 0, 2][..], &text(name), &[0; 4]].concat();
                [&[0, 0, 0, 0, 0, 0, 0, 2][..], &TOPICS.map(topic).concat()].concat()
            }
        })
    }

    fn answered(&self, question: Question, answer: &mut Vec<u8>) {
        if question.api == Api::Versions as i16 && question.version < 3 {
            let list = 6;
            let entries = OWN.map(|(own, highest)| [own as i16, 0, highest].map(i16::to_be_bytes));
            answer.splice(list..list, entries.concat().concat());
            answer[list - 1] += u8::try_from(OWN.len()).unwrap();
        }
        if question.api == Api::Metadata as i16 {
            // The mock cluster names none, and nobody else is asked for a configuration.
            let leader = Form::read(question, answer).leader.expect("a place for the leader");
            answer[leader..leader + 4].copy_from_slice(&1_i32.to_be_bytes());
        }
        if question.api != self.api as i16 {
            return;
        }
        match &mut *self.what.lock().unwrap() {
            What::Codes { spared, .. } if *spared > 0 => *spared -= 1,
            What::Codes { left, sent, .. } => {
                let places = Form::read(question, answer).codes;
                let Some(code) = left.front().copied().filter(|_| !places.is_empty()) else {
                    return;
                };
                left.pop_front();
                // All places at once, and each of them alone.
                let alone = sent.len() % (places.len() + 1);
                for (at, place) in places.iter().enumerate() {
                    if alone == 0 || alone == at + 1 {
                        answer[*place..place + 2].copy_from_slice(&code.to_be_bytes());
                    }
                }
                sent.push(code);
            }
            What::Nonsense { rng, changed } => {
                let places = places_for_nonsense(question, answer);
                for _ in 0..rng.random_range(0..4) {
                    answer[places[rng.random_range(0..places.len())]] = rng.random();
                }
                *changed += 1;
            }
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap();
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn is_all() -> bool {
    std::env::var_os("ERROR_CODES").is_some_and(|set| set == "all")
}

/// Of the codes that nobody knows, one in so many is sent where a process takes only a few.
const ONE_IN: i16 = 47;

/// The codes that are sent, those of one process together: those that nobody knows, and those that
/// librdkafka knows, which it may answer in its own way.
fn codes(api: Api) -> Vec<Vec<i16>> {
    let is_known = |code: &i16| RDKafkaRespErr::try_from(i32::from(*code)).is_ok();
    // The first that it does not know, those after which the program died, those of the ends.
    let unknown = [133, 134, 140, 200, 600, 1_500, 3_000, 5_000, 9_000, 10_000, -250, -1_000];
    let known = [-1, 1, 3, 5, 6, 7, 10, 17, 29, 31, 35, 41, 56, 58, 87, 100, -195];
    let is_one_of_many = |code: &i16| api == Api::Produce || is_known(code) || code % ONE_IN == 0;
    let is_sent = |code: &i16| {
        let is_always = unknown.contains(code) || known.contains(code);
        *code != 0 && (is_always || is_all() && is_one_of_many(code))
    };
    let sent = (-1_000..=10_000).filter(is_sent);
    let (known, unknown): (Vec<i16>, Vec<i16>) = sent.partition(is_known);
    let chunks = unknown.chunks(100).chain(known.chunks(20));
    chunks.map(<[i16]>::to_vec).collect()
}

/// A command that reads answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Run,
    Login,
    Doctor,
    Verify,
}

impl Command {
    fn sends(self) -> bool {
        matches!(self, Self::Run | Self::Login)
    }

    fn through(self, switch: &Switch, report: &str) -> Producer {
        let at = switch.bootstrap();
        let command = match self {
            _ if self.sends() => {
                let run = Producer::run(&at).set("BATCH", "60").set("SLEEP_SEC", "0.01");
                run.set("RDKAFKA_LINGER_MS", "0").set("RDKAFKA_BATCH_NUM_MESSAGES", "1")
            }
            Self::Doctor => Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", at),
            _ => {
                let verify = Producer::new(["verify", "--report", "report.json"]);
                let mut verify = verify.set("KAFKA_BOOTSTRAP", at);
                let report = verify.file("report.json", report);
                verify.command.current_dir(report.parent().expect("a directory"));
                verify
            }
        };
        let command = command.set("DELIVERY_TIMEOUT_SEC", "2");
        if self != Self::Login {
            return command;
        }
        let login = [("SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("SASL_MECHANISM", "PLAIN")];
        let login = login.into_iter().chain([("SASL_USERNAME", "u"), ("SASL_PASSWORD", "p")]);
        login.fold(command, |command, (name, value)| command.set(&format!("RDKAFKA_{name}"), value))
    }
}

/// A cluster with a run in it, and the report of that.
fn cluster_with_a_run() -> (Cluster, String) {
    let cluster = Cluster::start();
    let finished = cluster.run().set("BATCH", "100").finish();
    let report = finished.exits(0).report().to_string();
    (cluster, report)
}

/// Holds what a process said against the codes that it was sent.
#[track_caller]
fn tells_no_other_code(sent: &[i16], finished: &Finished, what: &dyn Debug) {
    let Finished { stdout, stderr, report, .. } = finished;
    let report = report.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!("{stdout}\n{stderr}\n{report}");
    let context = || format!("{what:?}, of {sent:?}:\n{text}");
    for (at, word) in text.match_indices("error ") {
        let number: String = text[at + word.len()..]
            .chars()
            .take_while(|c| *c == '-' || c.is_ascii_digit())
            .collect();
        let is_told_as_one = text[at + word.len() + number.len()..].starts_with(" (");
        if let (Ok(number), true) = (number.parse::<i16>(), is_told_as_one) {
            assert!(sent.contains(&number), "{number} was not sent: {}", context());
        }
    }
    for wrong in ["NoError", "(Success)", "Broker: Success"] {
        assert!(!text.contains(wrong), "{wrong}: {}", context());
    }
    let sent: BTreeSet<i32> = sent.iter().copied().map(i32::from).collect();
    // What the brokers' codes are called. The client has words of its own below -1.
    for other in (-1..200).filter(|code| *code != 0 && !sent.contains(code)) {
        if let Ok(known) = RDKafkaRespErr::try_from(other) {
            let words = Code::from(known).to_string();
            assert!(!text.contains(&words), "{words} was not sent: {}", context());
        }
    }
}

/// A run that ends with 0 has all its records in the log.
#[track_caller]
fn is_in_the_log(finished: &Finished, cluster: &Cluster) {
    for topic in TOPICS {
        let there = counts(run_of(finished), cluster.read(topic, usize::MAX));
        assert_eq!(there.len(), 60, "{topic}: {}", finished.stderr);
    }
}

/// Sends each code in the answers of one kind to these commands.
#[track_caller]
fn sends_codes(api: Api, commands: &[Command]) {
    let (cluster_with_a_run, report) = cluster_with_a_run();
    let (mut sent, mut processes) = (BTreeSet::new(), 0);
    for (number, chunk) in codes(api).into_iter().enumerate() {
        for command in commands {
            // One that ends a command at once is followed by no other: so each is once the first.
            let mut left = chunk.as_slice();
            while !left.is_empty() {
                let changed = Changed::codes(api, (number + processes) % 4, left);
                let own = command.sends().then(Cluster::start);
                let cluster = own.as_ref().unwrap_or(&cluster_with_a_run);
                let switch = Switch::with(cluster, Arc::clone(&changed));
                let finished = command.through(&switch, &report).finish();
                processes += 1;
                let were_sent = changed.sent();
                tells_no_other_code(&were_sent, &finished, &(api, command));
                if finished.code == 0 && command.sends() {
                    is_in_the_log(&finished, cluster);
                }
                left = &left[were_sent.len().max(1)..];
                sent.extend(were_sent);
            }
        }
    }
    assert!(sent.len() > 4, "only {sent:?} in {processes} processes");
}

/// Sends nonsense in the answers of one kind.
#[track_caller]
fn sends_nonsense(api: Api, commands: &[Command]) {
    let (cluster, report) = cluster_with_a_run();
    let mut changed_answers = 0;
    for seed in 0..if is_all() { 100 } else { 2 } {
        for command in commands {
            let changed = Changed::nonsense(api, seed);
            let switch = Switch::with(&cluster, Arc::clone(&changed));
            // It ends, and neither by a signal nor by a panic.
            command.through(&switch, &report).finish();
            changed_answers += changed.count();
        }
    }
    assert!(changed_answers > 0);
}

/// The code for a client that may not do this with the topic.
const DENIED: [u8; 2] = 29_i16.to_be_bytes();

/// A cluster that takes all rights from a client: what it sends is refused, and it sees no topic.
#[derive(Default)]
struct Rights {
    are_taken: AtomicBool,
}

impl Between for Rights {
    fn answered(&self, question: Question, answer: &mut Vec<u8>) {
        let is_metadata = question.api == Api::Metadata as i16;
        let is_produce = question.api == Api::Produce as i16;
        if !self.are_taken.load(Ordering::Relaxed) || !(is_metadata || is_produce) {
            return;
        }
        let Form { codes, leader, .. } = Form::read(question, answer);
        let topics = leader.map(|leader| leader + 4).filter(|topics| answer[*topics] > 2);
        if let Some(topics) = topics {
            // Of all topics, those that it may see; then the tags, and the mock cluster's last byte.
            answer.splice(topics.., [1, 0, 0]);
        } else {
            codes.iter().for_each(|at| answer[*at..at + 2].copy_from_slice(&DENIED));
        }
    }
}

#[test]
fn rights_that_are_taken_during_a_run_are_told_from_a_topic_that_is_gone() {
    let cluster = Cluster::start();
    let rights = Arc::new(Rights::default());
    let switch = Switch::with(&cluster, Arc::clone(&rights));
    let run = Producer::run(&switch.bootstrap()).set("BATCH", "200").set("SLEEP_SEC", "0.02");
    let running = run.set("DELIVERY_TIMEOUT_SEC", "5").start();
    cluster.read(TOPICS[1], 5);
    rights.are_taken.store(true, Ordering::Relaxed);
    let finished = running.finish();
    finished.exits(77).says("TopicAuthorizationFailed (Broker: Topic authorization failed)");
    let summary = finished.stderr.trim_end().lines().last().expect("a summary");
    assert!(summary.contains("this client may not see topic gpu.metrics.v1 any more"), "{summary}");
    assert!(!summary.contains("is not there any more"), "{summary}");
}

/// A broker whose logs begin behind their ends: a topic that was made anew between the two questions.
#[derive(Default)]
struct LateStart {
    is_told: AtomicBool,
}

impl Between for LateStart {
    fn answered(&self, question: Question, answer: &mut Vec<u8>) {
        if question.api == Api::ListOffsets as i16 && !self.is_told.swap(true, Ordering::Relaxed) {
            for code in Form::read(question, answer).codes {
                // Behind the code and the time.
                let offset = code + 2 + 8;
                answer[offset..offset + 8].copy_from_slice(&1_000_i64.to_be_bytes());
            }
        }
    }
}

#[test]
fn a_log_that_ends_before_it_begins_is_not_read() {
    let (cluster, report) = cluster_with_a_run();
    let switch = Switch::with(&cluster, Arc::new(LateStart::default()));
    let finished = Command::Verify.through(&switch, &report).finish();
    finished.exits(69);
    let text = format!("{}{}", finished.stdout, finished.stderr);
    let ends = "topic gpu.metrics.v1: partition 0 begins at offset 1000 and ends at ";
    assert!(text.contains(ends), "{text}");
}

/// A broker that calls a partition by a number which no topic with so few has.
struct FarPartition;

impl Between for FarPartition {
    fn answered(&self, question: Question, answer: &mut Vec<u8>) {
        if question.api == Api::Metadata as i16 {
            // Of a topic, and of its partitions, whose numbers follow.
            if let [_, _, second, ..] = Form::read(question, answer).codes[..] {
                answer[second + 2..second + 6].copy_from_slice(&41_984_i32.to_be_bytes());
            }
        }
    }
}

#[test]
fn a_partition_that_there_cannot_be_is_not_asked_for() {
    let (cluster, report) = cluster_with_a_run();
    let switch = Switch::with(&cluster, Arc::new(FarPartition));
    for command in [Command::Run, Command::Doctor, Command::Verify] {
        let finished = command.through(&switch, &report).finish();
        assert_ne!(finished.code, 0, "{command:?}: {}", finished.stderr);
        let text = format!("{}{}", finished.stdout, finished.stderr);
        assert!(text.contains("BadMessage (Local: Bad message format)"), "{command:?}: {text}");
    }
}

/// A test of the codes, and one of nonsense, for each kind.
macro_rules! kinds {
    ($($api:ident, $codes:ident, $nonsense:ident: $($command:ident)+;)+) => {$(
        #[test]
        fn $codes() {
            sends_codes(Api::$api, &[$(Command::$command),+]);
        }

        #[test]
        fn $nonsense() {
            sends_nonsense(Api::$api, &[$(Command::$command),+]);
        }
    )+};
}

kinds! {
    Produce, a_code_of_a_batch_is_told_as_what_it_is,
        nonsense_in_place_of_an_offset_is_survived: Run;
    Fetch, a_code_of_records_is_told_as_what_it_is,
        nonsense_in_place_of_records_is_survived: Verify;
    ListOffsets, a_code_of_the_end_of_a_log_is_told_as_what_it_is,
        nonsense_in_place_of_the_end_of_a_log_is_survived: Run Verify;
    Metadata, a_code_of_a_topic_is_told_as_what_it_is,
        nonsense_in_place_of_a_topic_is_survived: Run Doctor Verify;
    FindCoordinator, a_code_of_a_coordinator_is_told_as_what_it_is,
        nonsense_in_place_of_a_coordinator_is_survived: Verify;
    SaslHandshake, a_code_of_a_mechanism_is_told_as_what_it_is,
        nonsense_in_place_of_a_mechanism_is_survived: Login;
    Versions, a_code_of_the_versions_is_told_as_what_it_is,
        nonsense_in_place_of_the_versions_is_survived: Run;
    InitProducerId, a_code_of_a_producer_id_is_told_as_what_it_is,
        nonsense_in_place_of_a_producer_id_is_survived: Run;
    DescribeConfigs, a_code_of_a_configuration_is_told_as_what_it_is,
        nonsense_in_place_of_a_configuration_is_survived: Run Doctor;
    SaslAuthenticate, a_code_of_a_login_is_told_as_what_it_is,
        nonsense_in_place_of_a_login_is_survived: Login;
}
