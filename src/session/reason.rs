//! Why not everything was delivered.

use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::kafka::producer::KafkaSink;
use crate::run::{Ending, Ran};

/// Why not everything was delivered, in words.
pub(super) fn reason(ran: &Ran, exit: Exit, sink: &KafkaSink, stop: &Stop) -> Option<String> {
    let ledger = sink.ledger();
    let fatal = || sink.fatal().map(|(_, text)| text);
    let last_error =
        || ledger.last_error().map(|e| format!("; last error: {e}")).unwrap_or_default();
    match (ran.ending, exit) {
        (_, Exit::Success) => None,
        (Ending::Signalled(signal), _) => {
            let again = stop.received().again;
            let again = if again { ", a second signal ended the wait" } else { "" };
            Some(format!("stopped by {}{again}", signal.name()))
        }
        (Ending::Fatal, _) => fatal(),
        (Ending::Silence, _) => {
            Some(format!("no answer from the cluster within the delivery timeout{}", last_error()))
        }
        (Ending::Completed, Exit::NoPerm) => ledger.denied().or_else(fatal),
        (Ending::Completed, _) => {
            fatal().or_else(|| ledger.last_error().map(|error| format!("last error: {error}")))
        }
    }
}
