//! `doctor`: what a run needs, checked one by one, each failure with its remedy.

mod keys;
mod security;
mod shown;
mod topics;
mod unit;

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::geteuid;

use super::egress::silence;
use super::outputs::{self, Outputs};
use super::unit::Seen;
use super::{cause_of_seed, exit_of, print_alone};
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::files;
use crate::kafka::admin::{Bound, NotReady};
use crate::kafka::causes::{self, Cause};
use crate::kafka::{config, inquiry};
use crate::plan::{Identity, MadeId, Plan};
use crate::settings::{Inputs, LoadError, Server, Settings};
use crate::workload::seed::Seed;
pub use shown::Shown;

/// How long one TCP connection may take: a packet filter that drops packets answers nothing.
const TCP_WITHIN: Duration = Duration::from_secs(3);

/// How long a broker may take to describe the cluster.
const METADATA_WITHIN: Duration = Duration::from_secs(10);

/// What a check found.
struct Finding {
    name: String,
    result: Found,
}

enum Found {
    /// What is well.
    Well(String),
    /// Why there was nothing to check.
    Skipped(String),
    /// What a run goes on with, but is hardly meant, and the remedy.
    Odd(String, String),
    /// What is not well, the remedy, and the exit code it leads to.
    Bad(String, String, Exit),
}

impl Found {
    /// The word in front of the check.
    fn word(&self) -> &'static str {
        match self {
            Self::Well(_) => "ok",
            Self::Skipped(_) => "skip",
            Self::Odd(..) => "warn",
            Self::Bad(..) => "FAIL",
        }
    }

    /// What was found, the remedy, and the exit code.
    fn parts(&self) -> (&str, Option<&str>, Option<Exit>) {
        match self {
            Self::Well(text) | Self::Skipped(text) => (text, None, None),
            Self::Odd(problem, remedy) => (problem, Some(remedy), None),
            Self::Bad(problem, remedy, exit) => (problem, Some(remedy), Some(*exit)),
        }
    }
}

impl Finding {
    /// Makes of a failure what a run gets over.
    fn excuse(&mut self) {
        if let Found::Bad(problem, remedy, _) = &self.result {
            self.result = Found::Odd(problem.clone(), remedy.clone());
        }
    }
}

fn ok(name: impl Into<String>, text: impl Into<String>) -> Finding {
    Finding { name: name.into(), result: Found::Well(text.into()) }
}

fn skipped(name: impl Into<String>, why: impl Into<String>) -> Finding {
    Finding { name: name.into(), result: Found::Skipped(why.into()) }
}

fn odd(name: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { name: name.into(), result: Found::Odd(problem.into(), remedy.into()) }
}

fn bad(
    name: impl Into<String>,
    problem: impl Into<String>,
    remedy: impl Into<String>,
    exit: Exit,
) -> Finding {
    Finding { name: name.into(), result: Found::Bad(problem.into(), remedy.into(), exit) }
}

/// Runs the checks, and prints what was asked for.
///
/// The exit code is that of the first check that failed: the one a run would end with.
#[must_use]
pub(crate) fn doctor(
    settings: Result<&Settings, &LoadError>,
    inputs: &Inputs,
    seen: &Seen,
    shown: Shown,
) -> Exit {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            let exit = exit_of(error);
            let findings: Vec<_> = error
                .to_string()
                .lines()
                .map(|line| bad("settings", line, "correct it where it was set", exit))
                .collect();
            return conclude(&findings, None, shown);
        }
    };
    let (mut findings, mut seed) = (Vec::new(), None);
    if !shown.tcp_only {
        findings.push(check_settings(settings));
        findings.extend(settings.repeated.iter().map(|problem| Finding {
            name: "settings".into(),
            result: Found::Odd(problem.clone(), "leave one of them out".into()),
        }));
        findings.extend(security::check(settings));
        findings.extend(check_outputs(settings));
        let (finding, found) = check_seed(settings);
        findings.push(finding);
        seed = found;
        findings.extend(seed.as_ref().and_then(|seed| check_incidents(settings, seed)));
        findings.extend(seed.as_ref().and_then(|seed| check_run_id(settings, seed)));
    }
    let servers = settings.kafka_bootstrap.servers();
    let mut reach: Vec<_> = servers.iter().map(check_reach).collect();
    let reached = reach.iter().any(|finding| matches!(finding.result, Found::Well(_)));
    if reached {
        // One of them is all that a run needs.
        reach.iter_mut().for_each(Finding::excuse);
    }
    findings.extend(reach);
    if shown.tcp_only {
        return conclude(&findings, None, shown);
    }
    let mut brokers = Vec::new();
    if reached {
        let (found, advertised) = check_cluster(settings, seed.as_ref());
        findings.extend(found);
        brokers = advertised;
    }
    findings.extend(unit::check_unit(settings, inputs, seen, &brokers));
    conclude(&findings, Some(settings), shown)
}

fn conclude(findings: &[Finding], settings: Option<&Settings>, shown: Shown) -> Exit {
    match print_alone(&shown::text(findings, settings, shown)) {
        Exit::Success => shown::exit(findings),
        failed => failed,
    }
}

fn check_settings(settings: &Settings) -> Finding {
    let set = settings.listing().filter(|setting| setting.is_set).count();
    ok("settings", format!("all valid, {set} set by you"))
}

fn check_seed(settings: &Settings) -> (Finding, Option<Seed>) {
    match files::seed(settings, None) {
        Ok((seed, source)) => {
            let gpus = seed.rows.iter().map(|row| format!("GPU {} {}", row.gpu_index, row.name));
            let gpus = gpus.collect::<Vec<_>>().join(", ");
            let warnings: String =
                seed.warnings.iter().map(|w| format!("; warning: {w}")).collect();
            (ok("seed file", format!("{source}: {gpus}{warnings}")), Some(seed))
        }
        Err(error) => {
            let (exit, remedy) = (cause_of_seed(&error).exit(), "correct the file, or GPU_SEED");
            (bad("seed file", error.to_string(), remedy, exit), None)
        }
    }
}

/// Whether the files that a run is to write can be written, if there are any.
fn check_outputs(settings: &Settings) -> Option<Finding> {
    let named = [("REPORT_FILE", &settings.report_file), ("ANSWER_KEY", &settings.answer_key)];
    let named: Vec<_> = named
        .into_iter()
        .filter_map(|(name, path)| Some(format!("{name} {}", path.as_ref()?.display())))
        .collect();
    if named.is_empty() {
        return None;
    }
    let outputs = Outputs { prints: false, reports: true };
    Some(match (outputs::check_names(settings, outputs), outputs::check(settings, outputs)) {
        (Ok(()), Ok(())) => ok("outputs", named.join(", ")),
        // A unit has directories that are there only while it runs.
        (Ok(()), Err(error)) if geteuid().is_root() => {
            let remedy = "name another file, unless the unit has this directory only while it runs";
            Finding { name: "outputs".into(), result: Found::Odd(error.to_string(), remedy.into()) }
        }
        (Err(error), _) | (_, Err(error)) => {
            bad("outputs", error.to_string(), "name another file", Exit::Config)
        }
    })
}

/// Whether every incident is about a GPU of the seed, if there are incidents.
fn check_incidents(settings: &Settings, seed: &Seed) -> Option<Finding> {
    let incidents = settings.incidents.as_ref()?;
    Some(match settings.check_incident_gpus(seed) {
        Ok(()) => {
            let plan = Plan::new(settings, seed, Identity::new(settings, Timestamp::now(), 0));
            let idle = plan.idle_incidents();
            if idle.is_empty() {
                let texts: Vec<_> = incidents.iter().map(|incident| &*incident.text).collect();
                ok("incidents", texts.join(", "))
            } else {
                let remedy = "move it to when the run has pairs, or make the run longer (BATCH)";
                Finding {
                    name: "incidents".into(),
                    result: Found::Odd(idle.join("; "), remedy.into()),
                }
            }
        }
        Err(error) => {
            let remedy = "name an index of the seed file, or *";
            bad("incidents", error.to_string(), remedy, Exit::Config)
        }
    })
}

/// Whether a `RUN_ID` of the form that the program makes is that of these settings, if it is set.
fn check_run_id(settings: &Settings, seed: &Seed) -> Option<Finding> {
    let id = settings.run_id.as_ref()?;
    Some(match MadeId::check(settings, seed, settings.run_seed) {
        Ok(()) => ok("run id", id),
        Err(error) => {
            bad("run id", error.to_string(), "choose another name, or none", Exit::Config)
        }
    })
}

/// Resolves a server and connects to each of its addresses until one answers.
fn reach(server: &Server) -> Result<SocketAddr, (String, bool)> {
    let addresses = (server.host.as_str(), server.port).to_socket_addrs();
    let addresses: Vec<_> = addresses.map_err(|error| (error.to_string(), false))?.collect();
    let mut problems = Vec::new();
    for address in &addresses {
        match TcpStream::connect_timeout(address, TCP_WITHIN) {
            Ok(_) => return Ok(*address),
            // The name of the check may say it all.
            Err(error) if address.to_string() == server.to_string() => {
                problems.push(error.to_string());
            }
            Err(error) => problems.push(format!("{address}: {error}")),
        }
    }
    Err((problems.join(", "), true))
}

/// Whether a bootstrap server can be reached.
fn check_reach(server: &Server) -> Finding {
    let name = format!("bootstrap {server}");
    match reach(server) {
        Ok(address) => ok(name, format!("{address} accepts connections")),
        Err((error, false)) => {
            let problem = format!("cannot be resolved: {error}");
            bad(name, problem, causes::UNRESOLVED, Exit::Unavailable)
        }
        Err((error, true)) => {
            let remedy = format!("{}; a time-out points to a packet filter", causes::REFUSED);
            bad(name, error, remedy, Exit::Unavailable)
        }
    }
}

/// Whether a broker can be reached that the cluster named.
fn check_advertised(settings: &Settings, server: &Server) -> Finding {
    let name = format!("advertised {server}");
    let error = match reach(server) {
        Ok(address) => return ok(name, format!("{address} accepts connections")),
        Err((error, is_resolved)) => {
            if is_resolved {
                error
            } else {
                format!("Failed to resolve: {error}")
            }
        }
    };
    let why = causes::unreached(&server.host, &error);
    let bootstrap = settings.kafka_bootstrap.to_string();
    let Cause { problem, remedy } =
        causes::advertised(&bootstrap, &[(server.to_string(), why)].into());
    bad(name, problem, remedy.unwrap_or_default(), Exit::Unavailable)
}

/// The findings, and the brokers that the cluster advertises.
fn check_cluster(settings: &Settings, seed: Option<&Seed>) -> (Vec<Finding>, Vec<Server>) {
    let bound = || Bound::within(METADATA_WITHIN, settings.kafka_bootstrap.servers().len());
    let client = config::client(settings);
    // Before anything else is asked: a client asks none but the brokers that it has learned of.
    let brokers = match inquiry::brokers(&client, bound(), &|| false) {
        Ok(brokers) => brokers,
        Err(silent) => return (vec![no_metadata(&silent)], Vec::new()),
    };
    let mut advertised: Vec<_> =
        brokers.iter().map(|broker| check_advertised(settings, broker)).collect();
    let is_reached = |finding: &Finding| matches!(finding.result, Found::Well(_));
    if !advertised.iter().any(is_reached) {
        return (advertised, brokers);
    }
    let needs = Kind::BOTH.map(|kind| settings.topic(kind));
    let cluster = match inquiry::describe(&client, &needs, bound(), &|| false) {
        Ok(cluster) => cluster,
        Err(silent) => {
            advertised.insert(0, no_metadata(&silent));
            return (advertised, brokers);
        }
    };
    let mut findings = vec![ok("metadata", counted(brokers.len(), "advertised broker"))];
    findings.extend(topics::check(settings, &cluster));
    if let Some(seed) = seed {
        findings.extend(keys::check(settings, seed, &cluster));
    }
    findings.append(&mut advertised);
    (findings, brokers)
}

/// A number of things, of which there may be one.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn no_metadata(silent: &NotReady) -> Finding {
    let (remedy, exit) = silence(silent);
    bad("metadata", silent.in_parts().0, remedy, exit)
}
