//! What the unit can reach: systemd's filter, and the list that a run checks its brokers against.

use crate::commands::doctor::{Finding, bad, odd, ok, skipped};
use crate::commands::egress::ANSWER_WITHIN;
use crate::commands::unit::{self, Seen};
use crate::egress::filter::{self, Filter};
use crate::egress::{EgressPolicy, LIST_SETTINGS, LIST_VARIABLE};
use crate::exit::Exit;
use crate::host::systemctl;
use crate::net::Server;
use crate::settings::{DEFAULT_ENV_FILE, DEFINITIONS, Settings, profile_file};

use super::Unit;

/// Checks the unit's allow list, and the settings that only a drop-in of the unit has.
pub(super) fn check(
    settings: &Settings,
    unit: &Unit,
    seen: &Seen,
    brokers: &[Server],
) -> Vec<Finding> {
    let environment = check_environment(settings, unit, seen);
    let egress = [check_egress(settings, unit, brokers)];
    let filter = (!unit.get("IPAddressDeny").is_empty()).then(|| check_filter(seen));
    environment.into_iter().chain(egress).chain(filter).collect()
}

/// Whether the kernel does what the list says, as a process with this list has found.
fn check_filter(seen: &Seen) -> Finding {
    let name = "unit's filter";
    let Some(Ok(given)) = seen else {
        return skipped(name, "only root can have systemd prove that it is in force");
    };
    match given.filter {
        Filter::InForce => ok(name, "in force: it stopped what the list does not allow"),
        Filter::Absent => {
            odd(name, filter::ABSENT, "restrict this machine from outside, as by a packet filter")
        }
        Filter::Unknown => skipped(name, "the list allows every address that could show it"),
    }
}

/// The settings that a drop-in gives the unit, which the generator does not read.
fn check_environment(settings: &Settings, unit: &Unit, seen: &Seen) -> Option<Finding> {
    let name = "unit's environment";
    let set = unit::variables(seen, unit.get("Environment"));
    let is_setting = |variable: &&str| {
        let known = DEFINITIONS.iter().any(|definition| definition.name == *variable);
        // The template unit sets it.
        *variable != "PROFILE" && (known || variable.starts_with("RDKAFKA_"))
    };
    let set: Vec<_> = set.keys().map(String::as_str).filter(is_setting).collect();
    if set.is_empty() {
        return None;
    }
    let of_list = LIST_SETTINGS.iter().any(|setting| set.contains(setting));
    let profile = settings.profile.as_ref();
    let file = profile.map(|name| profile_file(DEFAULT_ENV_FILE.as_ref(), name));
    let file = file.unwrap_or_else(|| DEFAULT_ENV_FILE.into());
    let set = set.join(", ");
    if of_list {
        let problem = format!(
            "a drop-in (Environment= or EnvironmentFile=) sets {set}; the allow list is made without it"
        );
        let remedy = format!("set it in {} instead", file.display());
        return Some(bad(name, problem, remedy, Exit::Config));
    }
    if let Some(Ok(_)) = seen {
        return Some(ok(name, format!("a drop-in sets {set}, as these checks have it")));
    }
    let problem = format!("Environment= of a drop-in sets {set}, which these checks do not know");
    Some(odd(name, problem, format!("set it in {} instead", file.display())))
}

/// The unit's allow list, compared with the addresses of all brokers.
fn check_egress(settings: &Settings, unit: &Unit, brokers: &[Server]) -> Finding {
    let name = "unit's egress";
    let (deny, allow) = (unit.get("IPAddressDeny"), unit.get("IPAddressAllow"));
    let filter = match EgressPolicy::of_unit(settings, deny, allow) {
        Ok(filter) => filter,
        Err(problem) => return bad(name, problem, "see systemctl cat", Exit::Config),
    };
    let bootstrap = settings.kafka_bootstrap.servers();
    let groups = [("broker", bootstrap), ("advertised broker", brokers)];
    if let Some(Err(violation)) = filter.as_ref().map(|f| f.check(&groups, ANSWER_WITHIN)) {
        let problem = format!("the allow list {}", violation.problem());
        return bad(name, problem, violation.remedy(), Exit::Config);
    }
    // systemd lets everything through; the run must think so, too.
    let is_unset = unit.get("UnsetEnvironment").split_whitespace().any(|v| v == LIST_VARIABLE);
    let listed = systemctl::variables(unit.get("Environment")).remove(LIST_VARIABLE);
    let listed = listed.filter(|_| !is_unset);
    let listed = listed.map(|list| EgressPolicy::of_generator(settings, &list));
    if let Some(Err(violation)) = listed.map(|listed| listed.check(&groups, ANSWER_WITHIN)) {
        let filter = filter.map_or_else(|| "everything".to_owned(), |filter| filter.to_string());
        let problem = format!(
            "systemd lets {filter} through, but a run checks the generator's list, which {}",
            violation.problem()
        );
        let remedy = format!(
            "{}; or switch the check off with UnsetEnvironment={LIST_VARIABLE} in the drop-in that \
             changes the filter",
            violation.remedy()
        );
        return bad(name, problem, remedy, Exit::Config);
    }
    match filter {
        None => ok(name, "nothing is denied"),
        Some(filter) => {
            let (first, more) = (bootstrap.len(), brokers.len());
            ok(name, format!("{filter}; covers {first} bootstrap and {more} advertised brokers"))
        }
    }
}
