//! Which records are delivered: counts, what is in flight, and what a run comes to.
//!
//! Pure: readings of the clock and delivery reports are handed in.

mod accounting;
mod closing;
mod counts;
mod failure;
mod in_flight;
mod latency_parts;
mod notes;
mod outcome;
mod record;
mod sightings;
pub mod times;
mod totals;
mod window;

pub use accounting::Accounting;
pub use closing::Closing;
pub use counts::{Counts, PartitionCounts, Settled, TopicCounts};
pub use failure::{Failure, FailureClass, Failures};
pub use in_flight::{COPY, Doubts};
pub use latency_parts::{LatencyParts, Share};
pub use outcome::{Cause, Ending, Evidence, NotStarted, Outcome, RunEnd, word};
pub use record::{Delivered, InFlightRecord, Trace, digest};
pub use sightings::{Reading, Sightings, truncation};
pub use totals::{Offsets, Totals};

#[cfg(test)]
pub(crate) use outcome::tests;
