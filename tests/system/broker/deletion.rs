//! Deletes records with one DeleteRecords request, written out byte by byte as
//! [`topics`](super::topics) does, and for the same reasons.

use super::wire::{self, put_count, put_patience, put_string};

const DELETE_RECORDS: i16 = 21;
/// The newest version that is not of the flexible kind.
const VERSION: i16 = 1;

/// Deletes what is before an offset of a partition.
pub fn before(bootstrap: &str, topic: &str, partition: i32, offset: i64) -> Result<(), String> {
    let mut body = wire::request(DELETE_RECORDS, VERSION);
    put_count(&mut body, 1);
    put_string(&mut body, topic);
    put_count(&mut body, 1);
    body.extend(partition.to_be_bytes());
    body.extend(offset.to_be_bytes());
    put_patience(&mut body);
    let answer = wire::exchange(bootstrap, &body)
        .map_err(|error| format!("no answer to DeleteRecords: {error}"))?;
    // It ends with the new start of the log and an error code.
    match answer.as_slice() {
        [.., 0, 0] => Ok(()),
        _ => Err(format!("the records of {topic} were not deleted: {answer:?}")),
    }
}
