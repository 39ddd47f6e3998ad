//! TLS and SASL: what can be said before a broker is asked.

use super::{Finding, Found, bad, ok};
use crate::exit::Exit;
use crate::settings::Settings;

/// Checks the files that properties name, and that credentials are used. Says nothing where nothing of
/// it is set.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let is_security =
        |name: &&String| name.contains("sasl") || name.contains("ssl") || name.contains("security");
    if !settings.properties.keys().any(|name| is_security(&name)) {
        return Vec::new();
    }
    if let Some(problem) = settings.unreadable_location() {
        let remedy = "correct the path; the unit sees only what is in /etc/vm4-producer";
        return vec![bad("security", problem, remedy, Exit::NoInput)];
    }
    let odd = settings.without_effect();
    if odd.is_empty() {
        return vec![ok("security", "every property of TLS and SASL has an effect")];
    }
    let odd = odd.into_iter().map(|oddity| Finding {
        name: "security".into(),
        result: Found::Odd(oddity.problem, oddity.remedy.into()),
    });
    odd.collect()
}
