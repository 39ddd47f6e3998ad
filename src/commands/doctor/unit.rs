//! What the systemd unit makes of the same settings: user, seed, egress, timer.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Finding, bad, ok, skipped};
use crate::commands::egress::ANSWER_WITHIN;
use crate::egress::EgressPolicy;
use crate::exit::Exit;
use crate::host::systemctl;
use crate::net::Server;
use crate::settings::{DEFAULT_ENV_FILE, Inputs, Settings};

/// UID and GID of the static user, as sysusers.d has it.
const USER_ID: &str = "10001";

/// What is asked about the unit.
const PROPERTIES: &[&str] = &[
    "BindReadOnlyPaths",
    "IPAddressAllow",
    "IPAddressDeny",
    "LoadState",
    "NeedDaemonReload",
    "Result",
    "User",
];

/// Checks the unit that runs with these settings; `brokers` are the advertised ones, where known.
pub(super) fn check_unit(settings: &Settings, inputs: &Inputs, brokers: &[Server]) -> Vec<Finding> {
    let instance = settings.profile.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
    let unit = format!("vm4-producer{instance}.service");
    let (env_file, is_named) = inputs.env_file();
    if is_named {
        let why = format!("it does not read {}, but {DEFAULT_ENV_FILE}", env_file.display());
        return vec![skipped("unit", why)];
    }
    if !systemctl::is_booted() {
        return vec![skipped("unit", "systemd does not run here")];
    }
    let properties = match systemctl::show(&unit, PROPERTIES) {
        Ok(properties) => properties,
        Err(problem) => return vec![skipped("unit", problem)],
    };
    let get = |name: &str| properties.get(name).map_or("", String::as_str);
    if get("LoadState") == "not-found" {
        return vec![skipped("unit", format!("{unit} is not installed here"))];
    }
    vec![
        check_loaded(&unit, get("LoadState"), get("NeedDaemonReload"), get("Result")),
        check_user(get("User")),
        check_seed(&settings.gpu_seed, get("BindReadOnlyPaths")),
        check_egress(settings, brokers, get("IPAddressDeny"), get("IPAddressAllow")),
        check_timer(&unit),
    ]
}

fn check_loaded(unit: &str, state: &str, outdated: &str, result: &str) -> Finding {
    let name = format!("unit {unit}");
    if state != "loaded" {
        return bad(name, state, format!("see systemctl status {unit}"), Exit::Config);
    }
    if outdated == "yes" {
        let problem = "its files are newer than what systemd has read";
        return bad(name, problem, "systemctl daemon-reload", Exit::Config);
    }
    ok(name, format!("loaded; result of the last run: {result}"))
}

/// The user that the unit runs as; without the static one systemd makes another up.
fn check_user(user: &str) -> Finding {
    let name = "unit's user";
    let id = |option: &str| {
        let output = Command::new("id").args([option, user]).output().ok();
        let output = output.filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (id("-u"), id("-g")) {
        (Some(uid), Some(gid)) if uid == USER_ID && gid == USER_ID => {
            ok(name, format!("{user} is UID {uid}, GID {gid}"))
        }
        (Some(uid), Some(gid)) => {
            let problem = format!("{user} is UID {uid}, GID {gid}, not {USER_ID}");
            let remedy = "free both numbers, then groupmod --gid 10001 vm4-producer, and usermod \
                          --uid 10001 --gid 10001 vm4-producer";
            bad(name, problem, remedy, Exit::Config)
        }
        _ => bad(name, format!("there is no user {user:?}"), "systemd-sysusers", Exit::Config),
    }
}

/// The seed file as the unit sees it: its root holds only what is bound into it.
fn check_seed(seed: &Path, binds: &str) -> Finding {
    let name = "unit's seed";
    let Some(source) = source_of(seed, binds) else {
        let problem = format!("the unit does not see {}", seed.display());
        let remedy = "put it into /etc/vm4-producer, and its path into GPU_SEED";
        return bad(name, problem, remedy, Exit::NoInput);
    };
    let shown = match source == seed {
        true => seed.display().to_string(),
        false => format!("{} (on this host {})", seed.display(), source.display()),
    };
    if source.is_file() {
        return ok(name, shown);
    }
    let remedy = "install the package again, or correct GPU_SEED";
    bad(name, format!("{shown} is not there"), remedy, Exit::NoInput)
}

/// The path on the host of what a unit with these `BindReadOnlyPaths=` sees as `path`.
fn source_of(path: &Path, binds: &str) -> Option<PathBuf> {
    let binds = binds.split_whitespace().filter_map(|bind| {
        let mut parts = bind.trim_start_matches('-').split(':');
        let source = Path::new(parts.next()?);
        let destination = parts.next().map_or(source, Path::new);
        let below = path.strip_prefix(destination).ok()?;
        let source = if below == Path::new("") { source.into() } else { source.join(below) };
        Some((destination.components().count(), source))
    });
    binds.max_by_key(|(depth, _)| *depth).map(|(_, source)| source)
}

/// The unit's allow list, compared with the addresses of all brokers.
fn check_egress(settings: &Settings, brokers: &[Server], deny: &str, allow: &str) -> Finding {
    let name = "unit's egress";
    let policy = match EgressPolicy::of_unit(settings, deny, allow) {
        Ok(Some(policy)) => policy,
        Ok(None) => return ok(name, "nothing is denied"),
        Err(problem) => return bad(name, problem, "see systemctl cat", Exit::Config),
    };
    let bootstrap = settings.kafka_bootstrap.servers();
    let groups = [("broker", bootstrap), ("advertised broker", brokers)];
    match policy.check(&groups, ANSWER_WITHIN) {
        Ok(()) => {
            let (first, more) = (bootstrap.len(), brokers.len());
            ok(name, format!("{policy}; covers {first} bootstrap and {more} advertised brokers"))
        }
        Err(violation) => {
            let problem = format!("the allow list {}", violation.problem());
            bad(name, problem, violation.remedy(), Exit::Config)
        }
    }
}

fn check_timer(unit: &str) -> Finding {
    let timer = unit.replace(".service", ".timer");
    let name = format!("timer {timer}");
    let asked = ["ActiveState", "UnitFileState", "NextElapseUSecRealtime"];
    let properties = match systemctl::show(&timer, &asked) {
        Ok(properties) => properties,
        Err(problem) => return skipped(name, problem),
    };
    let get = |property: &str| properties.get(property).map_or("", String::as_str);
    let state = format!("{}, {}", get("ActiveState"), get("UnitFileState"));
    match get("ActiveState") {
        "active" => ok(name, format!("{state}; next batch {}", get("NextElapseUSecRealtime"))),
        "failed" => bad(name, state, format!("see systemctl status {timer}"), Exit::Config),
        _ => ok(name, format!("{state}; systemctl enable --now {timer} starts it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_unit_is_found_on_the_host() {
        let binds = "/usr/bin/vm4-producer:/usr/bin/vm4-producer:rbind /usr/share/vm4-producer:/data:rbind \
                     /etc/vm4-producer:/etc/vm4-producer:rbind /srv/one.json:/data/one.json:rbind";
        let source = |path: &str| source_of(Path::new(path), binds);
        assert_eq!(source("/data/seed.json"), Some("/usr/share/vm4-producer/seed.json".into()));
        assert_eq!(source("/data/one.json"), Some("/srv/one.json".into()));
        assert_eq!(source("/etc/vm4-producer/b.json"), Some("/etc/vm4-producer/b.json".into()));
        assert_eq!(source("/home/a/seed.json"), None);
    }
}
