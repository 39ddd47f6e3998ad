//! The brokers that tests share, and the topics of one test.

use std::sync::LazyLock;
use std::time::Duration;

use crate::broker::{Broker, Options};
use crate::common::Producer;
use crate::{kcat, tools};

/// Partitions of every topic that a test creates.
pub const PARTITIONS: u32 = 3;

/// The longest that a test waits for something to happen in the log.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker for every test that neither kills nor configures one.
pub fn plain() -> &'static Broker {
    static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);
    &BROKER
}

/// A broker that creates topics on demand.
pub fn creating() -> &'static Broker {
    static BROKER: LazyLock<Broker> = LazyLock::new(|| {
        let partitions = PARTITIONS.to_string();
        let properties =
            [("auto.create.topics.enable", "true"), ("num.partitions", partitions.as_str())];
        Broker::start_with(&Options { properties: &properties, ..Options::default() })
    });
    &BROKER
}

/// The two topics of one test on one broker.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Address of the broker.
    pub bootstrap: String,
    /// Topic of the metrics.
    pub metric: String,
    /// Topic of the token usage.
    pub token: String,
}

impl Topics {
    /// Names that begin with `label`; no such topics need exist.
    pub fn named(broker: &Broker, label: &str) -> Self {
        Self::at(broker.bootstrap(), label)
    }

    /// The same at these addresses.
    pub fn at(bootstrap: String, label: &str) -> Self {
        let (metric, token) = (format!("{label}.metrics"), format!("{label}.tokens"));
        Self { bootstrap, metric, token }
    }

    /// Two new topics whose names begin with `label`.
    pub fn create(broker: &Broker, label: &str) -> Self {
        Self::create_with(broker, label, PARTITIONS, &[])
    }

    /// The same with so many partitions, and with these configs of the metric topic.
    pub fn create_with(
        broker: &Broker,
        label: &str,
        partitions: u32,
        configs: &[(&str, &str)],
    ) -> Self {
        let topics = Self::named(broker, label);
        broker.create_topics_with(&[(&topics.metric, partitions)], configs);
        broker.create_topics(&[(&topics.token, partitions)]);
        topics
    }

    /// The topics that a run with default settings writes to, newly created.
    pub fn create_default(broker: &Broker) -> Self {
        let (metric, token) = ("gpu.metrics.v1".to_owned(), "token.usage.v1".to_owned());
        let topics = Self { bootstrap: broker.bootstrap(), metric, token };
        broker.create_topics(&topics.both().map(|topic| (topic, PARTITIONS)));
        topics
    }

    /// Both names, in the order of the report.
    pub fn both(&self) -> [&str; 2] {
        [&self.metric, &self.token]
    }

    /// A run that sends to these topics, with a report.
    pub fn run(&self) -> Producer {
        self.direct(Producer::run(&self.bootstrap))
    }

    /// Any command with these topics.
    pub fn direct(&self, producer: Producer) -> Producer {
        producer.set("TOPIC_METRIC", &self.metric).set("TOPIC_TOKEN", &self.token)
    }

    /// The lines of an env file that name them.
    pub fn settings(&self) -> String {
        format!("TOPIC_METRIC={}\nTOPIC_TOKEN={}\n", self.metric, self.token)
    }

    /// How many records each holds.
    pub fn counts(&self) -> [i64; 2] {
        self.ends().map(|ends| ends.iter().sum())
    }

    /// How many records are in the log, over both topics.
    pub fn records_in_log(&self) -> i64 {
        self.counts().iter().sum()
    }

    /// The end offset of each partition of each topic.
    fn ends(&self) -> [Vec<i64>; 2] {
        self.both().map(|topic| kcat::end_offsets(&self.bootstrap, topic).into_values().collect())
    }

    /// Waits until at least this many records are in the log, over both topics. Leaders may move
    /// meanwhile, so that there may be no answer at times.
    #[track_caller]
    pub fn wait_for_records(&self, count: i64) {
        let found = tools::comes_true(PATIENCE, || {
            let ends = self.both().map(|topic| kcat::try_end_offsets(&self.bootstrap, topic));
            ends.iter().flatten().flat_map(|ends| ends.values()).sum::<i64>() >= count
        });
        assert!(found, "there are not {count} records within {PATIENCE:?}");
    }

    /// Waits until several looks in a row find the log unchanged, and returns how many records it
    /// then holds.
    #[track_caller]
    pub fn wait_until_stable(&self) -> i64 {
        const LOOKS: u32 = 8;
        let (mut before, mut same) = (self.ends(), 0);
        let stable = tools::comes_true(PATIENCE, || {
            let now = self.ends();
            same = if now == before { same + 1 } else { 0 };
            before = now;
            same >= LOOKS
        });
        assert!(stable, "the log still grows after {PATIENCE:?}");
        before.iter().flatten().sum()
    }
}

/// A seed file of eight GPUs, whose keys spread over all partitions.
pub fn eight_gpus() -> String {
    gpus(8)
}

/// A seed file of so many GPUs, each with a key of its own.
pub fn gpus(count: usize) -> String {
    let row = |index: usize| {
        format!(
            "{{\"gpu_index\":{index},\"name\":\"A100 40GB\",\"utilization\":0.5,\
             \"mem_used_mb\":12000,\"mem_total_mb\":40960,\"power_w\":210,\
             \"price_per_hour_usd\":3.2}}"
        )
    };
    format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(","))
}

/// The partition, of three, that a Java client's default partitioner chooses for the keys `vm4/0` to
/// `vm4/7`: computed with `Utils.toPositive(Utils.murmur2(key)) % 3` of kafka-clients 4.3.0.
pub const JAVA_PARTITIONS: [i32; 8] = [1, 1, 2, 2, 2, 0, 2, 0];
