//! Faults: what is done on purpose to some records of the plan, so that a pipeline's answer to it can
//! be tested.
//!
//! Pure: whether a kind hits a record is a function of run seed, run id, kind, topic and `seq`. Each
//! kind draws from streams of its own, so switching one on moves no hit of another. `docs/faults.md`
//! says what each looks like, and where its default comes from.
//!
//! A record is hit on its own, apart from its pair's other record, with one exception: `clock-skew`
//! is the host's clock, so it moves both. `sentinel` is of the metric and `failed-request` of the
//! usage; every other kind can hit both topics. Where several kinds hit one record:
//!
//! 1. `drop` leaves nothing of it, so it stands alone.
//! 2. `late` excludes `out-of-order`: one record has one place in the stream.
//! 3. Of the kinds that change the value the first of [`Fault::ALL`] is in force.
//! 4. All others add up.
//!
//! What is in force is in the record's header `fault`, and in the answer key; nothing else is. A copy
//! has `duplicate` there, and the original does not: it is what a clean run sends.

mod draws;
mod fields;
mod kind;
mod malformed;
mod probability;
mod set;
mod setting;
mod value;

pub use draws::{Armed, Declared, Hold};
pub use kind::{Fault, Parameter};
pub use probability::Probability;
pub use set::{FaultCounts, FaultSet};
pub use setting::{FaultSetting, Faults};
pub use value::Change;
