//! Parts of a record that are not compared, because a stage on the way makes them again.

use super::examine::Part;
use super::record::Read;

/// Parts of a record that a stage makes again, and that are not compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ignored {
    /// The record timestamp. The value tells the time of the event.
    pub timestamp: bool,
    /// The partition.
    pub partition: bool,
    /// Headers, also those that a stage took away. Which record it is they tell all the same.
    pub headers: bool,
    /// The key.
    pub key: bool,
}

impl Ignored {
    /// A record without the parts that are as if the source did not tell them.
    pub(super) fn without<'a>(self, read: &Read<'a>) -> Read<'a> {
        let mut read = *read;
        if self.timestamp {
            read.timestamp_ms = None;
        }
        if self.key {
            read.key = None;
        }
        read
    }

    /// Whether a part is compared.
    pub(super) fn compares(self, part: Part) -> bool {
        match part {
            Part::Partition => !self.partition,
            Part::Header => !self.headers,
            Part::Timestamp => !self.timestamp,
            Part::Key => !self.key,
            Part::Value => true,
        }
    }

    /// The words for the parts that are not compared.
    pub(super) fn words(self) -> Vec<&'static str> {
        let parts = [Part::Timestamp, Part::Partition, Part::Header, Part::Key];
        parts.into_iter().filter(|part| !self.compares(*part)).map(Part::word).collect()
    }
}
