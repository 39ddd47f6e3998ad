//! What the systemd unit makes of the same settings: user, files, network, timer.

mod files;
mod network;

use std::collections::BTreeMap;

use super::{Finding, bad, odd, ok, skipped};
use crate::commands::unit::Seen;
use crate::exit::Exit;
use crate::host::systemctl;
use crate::host::user::id;
use crate::net::Server;
use crate::settings::{DEFAULT_ENV_FILE, Inputs, Settings};

/// UID and GID of the static user, as sysusers.d has it.
const USER_ID: &str = "10001";

/// What is asked about the unit.
const PROPERTIES: &[&str] = &[
    "ActiveState",
    "BindReadOnlyPaths",
    "Environment",
    "IPAddressAllow",
    "IPAddressDeny",
    "InactiveExitTimestamp",
    "LoadState",
    "NeedDaemonReload",
    "Result",
    "SupplementaryGroups",
    "UnsetEnvironment",
    "User",
];

/// What systemd says about the unit, by property.
struct Unit(BTreeMap<String, String>);

impl Unit {
    /// The value of a property; empty if it has none.
    fn get(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }
}

/// Checks the unit that runs with these settings; `brokers` are the advertised ones, where known.
pub(super) fn check_unit(
    settings: &Settings,
    inputs: &Inputs,
    seen: &Seen,
    brokers: &[Server],
) -> Vec<Finding> {
    let name = systemctl::service(settings.profile.as_deref());
    let (env_file, is_named) = inputs.env_file();
    if is_named {
        let why = format!("it does not read {}, but {DEFAULT_ENV_FILE}", env_file.display());
        return vec![skipped("unit", why)];
    }
    if !systemctl::is_booted() {
        return vec![skipped("unit", "systemd does not run here")];
    }
    let unit = match systemctl::show(&name, PROPERTIES) {
        Ok(properties) => Unit(properties),
        Err(problem) => return vec![skipped("unit", problem)],
    };
    if unit.get("LoadState") == "not-found" {
        return vec![skipped("unit", format!("{name} is not installed here"))];
    }
    let mut findings = vec![check_loaded(&name, &unit), check_user(unit.get("User"))];
    findings.extend(check_given(seen));
    findings.extend(files::check(settings, &unit));
    findings.extend(network::check(settings, &unit, seen, brokers));
    findings.push(check_timer(&name, &unit));
    findings
}

/// What systemd gives the unit's process, if it can.
fn check_given(seen: &Seen) -> Option<Finding> {
    let name = "unit's credentials";
    match seen.as_ref()? {
        Err(problem) => {
            Some(bad(name, problem, "correct the LoadCredential= line or its file", Exit::Config))
        }
        Ok(given) => {
            let credentials = given.credentials().into_iter();
            let set: Vec<_> = credentials
                .filter(|(_, bytes)| !bytes.is_empty() && bytes != b"\n")
                .map(|(name, _)| name)
                .collect();
            (!set.is_empty()).then(|| ok(name, set.join(", ")))
        }
    }
}

fn check_loaded(unit: &str, properties: &Unit) -> Finding {
    let (name, state) = (format!("unit {unit}"), properties.get("LoadState"));
    if state != "loaded" {
        return bad(name, state, format!("see systemctl status {unit}"), Exit::Config);
    }
    if properties.get("NeedDaemonReload") == "yes" {
        let problem = "its files are newer than what systemd has read";
        return bad(name, problem, "systemctl daemon-reload", Exit::Config);
    }
    if properties.get("ActiveState") == "activating" {
        return ok(name, "loaded; a batch is running");
    }
    // systemd says "success" of a unit that has not run, too, and forgets one that has succeeded.
    if properties.get("InactiveExitTimestamp").is_empty() {
        return ok(name, "loaded; systemd knows of no run, vm4-producer history asks the journal");
    }
    let text = format!("loaded; result of the last run: {}", properties.get("Result"));
    match properties.get("Result") {
        "success" => ok(name, text),
        _ => odd(name, text, "vm4-producer history shows why"),
    }
}

/// The user that the unit runs as; without the static one systemd makes another up.
fn check_user(user: &str) -> Finding {
    let name = "unit's user";
    match (id("-u", user), id("-g", user)) {
        (Some(uid), Some(gid)) if uid == USER_ID && gid == USER_ID => {
            ok(name, format!("{user} is UID {uid}, GID {gid}"))
        }
        (Some(uid), Some(gid)) => {
            let problem = format!("{user} is UID {uid}, GID {gid}, not {USER_ID}");
            let remedy = "free both numbers, then groupmod --gid 10001 vm4-producer, and usermod \
                          --uid 10001 --gid 10001 vm4-producer";
            odd(name, format!("{problem}; batches run anyway"), remedy)
        }
        _ => {
            let problem =
                format!("there is no user {user:?}; batches run as a UID that systemd makes up");
            odd(name, problem, "systemd-sysusers")
        }
    }
}

fn check_timer(unit: &str, service: &Unit) -> Finding {
    let timer = unit.replace(".service", ".timer");
    let name = format!("timer {timer}");
    let asked = ["ActiveState", "UnitFileState", "NextElapseUSecRealtime"];
    let properties = match systemctl::show(&timer, &asked) {
        Ok(properties) => Unit(properties),
        Err(problem) => return skipped(name, problem),
    };
    let get = |property: &str| properties.get(property);
    let state = format!("{}, {}", get("ActiveState"), get("UnitFileState"));
    match get("ActiveState") {
        "active" if get("NextElapseUSecRealtime").is_empty() => {
            let running = service.get("ActiveState") == "activating";
            let when = if running { "a batch is running" } else { "no next batch" };
            ok(name, format!("{state}; {when}"))
        }
        "active" => ok(name, format!("{state}; next batch {}", get("NextElapseUSecRealtime"))),
        "failed" => bad(name, state, format!("see systemctl status {timer}"), Exit::Config),
        _ => ok(name, format!("{state}; systemctl enable --now {timer} starts it")),
    }
}
