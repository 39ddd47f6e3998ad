//! `egress`: the allow list that the cluster needs for the systemd unit.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{info, warn};

use super::{complain, print};
use crate::allow_list::AllowList;
use crate::exit::Exit;
use crate::host::egress::{Families, Needs};
use crate::host::{files, systemctl};
use crate::kafka::admin::{self, Bound, NotReady};
use crate::kafka::config;
use crate::settings::{DEFAULT_ENV_FILE, Inputs, LoadError, Server, Settings, edit, profile_file};

/// The setting that is printed and written.
const SETTING: &str = "EGRESS_ALLOW";

/// How long names, and then the description of the cluster, may take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What ends the command, in words, and the exit code it leads to.
type Failed = (Exit, String);

/// Prints the line that this cluster needs; writes it into the env file if asked to.
#[must_use]
pub fn egress(settings: &Settings, inputs: &Inputs, apply: bool) -> Exit {
    let done = needed(settings).and_then(|list| {
        let printed = print(&format!("{SETTING}={list}\n"));
        if apply && printed == Exit::Success {
            put(settings, inputs, &list)?
        }
        Ok(printed)
    });
    done.unwrap_or_else(|(exit, problem)| {
        complain(&problem);
        exit
    })
}

/// What has to be in `EGRESS_ALLOW`: what is there, and every address that is missing.
fn needed(settings: &Settings) -> Result<AllowList, Failed> {
    let bootstrap = settings.kafka_bootstrap.servers();
    let mut needed = resolved(settings, "broker", bootstrap)?;
    let cluster =
        admin::describe(&config::client(settings), Bound::within(ANSWER_WITHIN), &|| false)
            .map_err(|silent| {
                (silence(&silent).1, format!("cannot ask for the advertised brokers: {silent}"))
            })?;
    needed.extend(resolved(settings, "advertised broker", &cluster.brokers)?);

    let mut in_force = settings.egress();
    let mut list = settings.egress_allow.clone().unwrap_or_default();
    let addresses: Vec<IpAddr> = needed.iter().map(|(address, _)| *address).collect();
    for (address, what) in needed {
        if !in_force.allows(address) {
            in_force.allow(address);
            list.allow(address);
            info!("{address}: {what}");
        }
    }
    let unused = list.without_use(&addresses);
    if !unused.is_empty() {
        warn!("kept, although this cluster does not need it: {unused}");
    }
    Ok(list)
}

/// Every address of these servers, and of the name servers that find them, each with what it is.
fn resolved(
    settings: &Settings,
    what: &str,
    servers: &[Server],
) -> Result<Vec<(IpAddr, String)>, Failed> {
    let needs = Needs::of(Families::of(settings), servers, ANSWER_WITHIN);
    let mut found = Vec::new();
    for server in servers {
        let addresses = needs.addresses(&server.host).map_err(|why| {
            (Exit::Unavailable, format!("the addresses of {what} {server} are not known: {why}"))
        })?;
        found.extend(addresses.into_iter().map(|address| (address, format!("{what} {server}"))));
    }
    let name_servers = needs.name_servers().into_iter();
    found.extend(name_servers.map(|address| (address, "name server".to_owned())));
    Ok(found)
}

/// What to do about a cluster that does not describe itself, and the exit code of it.
pub(super) fn silence(silent: &NotReady) -> (&'static str, Exit) {
    match silent {
        NotReady::Client(_) => ("correct the RDKAFKA_ settings", Exit::Config),
        NotReady::Denied(_) => {
            ("correct the credentials, or the cluster's rights for this client", Exit::NoPerm)
        }
        _ => (
            "check that the server is a Kafka broker and that RDKAFKA_SECURITY_PROTOCOL fits its \
             listener",
            Exit::Unavailable,
        ),
    }
}

/// Puts the list into the env file that has the last word, and has systemd read it.
fn put(settings: &Settings, inputs: &Inputs, list: &AllowList) -> Result<(), Failed> {
    let (main, is_named) = inputs.env_file();
    let path = settings.profile.as_ref().map_or(main.clone(), |name| profile_file(&main, name));
    let line = put_into(&path, list)?;
    info!("{} line {line} has the list", path.display());
    if is_named {
        warn!("the unit reads {DEFAULT_ENV_FILE}, so nothing changes for it");
        return Ok(());
    }
    if !systemctl::is_booted() {
        warn!("systemd does not run here: the list takes effect where it does");
        return Ok(());
    }
    systemctl::daemon_reload().map_err(|problem| {
        (Exit::NoPerm, format!("the list is not in force yet: {problem}; run it as root"))
    })?;
    info!("systemd has read it; the next run may reach these addresses");
    Ok(())
}

fn put_into(path: &Path, list: &AllowList) -> Result<usize, Failed> {
    let before = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|error| refused(path, "read", &error))?,
    };
    let edited = edit::set(&before, SETTING, &list.to_string()).map_err(|error| {
        let error = LoadError::EnvFile { path: PathBuf::from(path), problem: error.to_string() };
        (Exit::Config, error.to_string())
    })?;
    if edited.content != before {
        files::rewrite(path, &edited.content).map_err(|error| refused(path, "write", &error))?;
    }
    Ok(edited.line)
}

fn refused(path: &Path, what: &str, error: &io::Error) -> Failed {
    let problem = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => (Exit::NoPerm, format!("{problem}; run it as root")),
        _ => (Exit::IoErr, problem),
    }
}
