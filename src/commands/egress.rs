//! `egress`: the allow list that the cluster needs for the systemd unit.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{info, warn};

use super::unit::{self, Seen};
use super::{complain, print};
use crate::allow_list::AllowList;
use crate::egress::apply::{ApplyError, SETTING, apply};
use crate::egress::{LIST_SETTINGS, RequiredAddresses, UnknownAddresses, family};
use crate::exit::Exit;
use crate::host::systemctl;
use crate::kafka::admin::{Bound, NotReady};
use crate::kafka::{config, inquiry};
use crate::net::Server;
use crate::settings::{Inputs, Settings};

/// How long names, and then the description of the cluster, may take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Why the command fails.
#[derive(Debug, thiserror::Error)]
enum EgressError {
    #[error(transparent)]
    Unknown(#[from] UnknownAddresses),
    #[error("cannot ask for the advertised brokers: {0}")]
    NoMetadata(#[from] NotReady),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(
        "a drop-in (Environment= or EnvironmentFile=) sets {} for {unit}, and the list is made without \
         it; set it in {file} instead", settings.join(", ")
    )]
    OnlyInUnit { settings: Vec<&'static str>, unit: String, file: String },
}

impl EgressError {
    fn exit(&self) -> Exit {
        match self {
            Self::Unknown(_) => Exit::Unavailable,
            Self::NoMetadata(error) => silence(error).1,
            Self::Apply(error) => error.exit(),
            Self::OnlyInUnit { .. } => Exit::Config,
        }
    }

    /// What to do, where the error does not say it itself.
    fn remedy(&self) -> String {
        match self {
            // The error has its own remedy.
            Self::NoMetadata(error) if error.in_parts().1.is_some() => String::new(),
            Self::NoMetadata(error) => {
                format!("{}; `vm4-producer doctor` names the cause; ", silence(error).0)
            }
            Self::Unknown(_) => "`vm4-producer doctor` shows which name; ".into(),
            Self::Apply(_) | Self::OnlyInUnit { .. } => String::new(),
        }
    }
}

/// Prints the line that this cluster needs; writes it into the env file if asked to.
#[must_use]
pub(crate) fn egress(settings: &Settings, inputs: &Inputs, seen: &Seen, applies: bool) -> Exit {
    if let Some(Err(problem)) = seen {
        warn!("asked without the credentials and variables of the unit: {problem}");
    }
    let done =
        check_unit(settings, inputs, seen).and_then(|()| needed(settings)).and_then(|list| {
            let printed = print(&format!("{SETTING}={list}\n"));
            if applies && printed == Exit::Success {
                apply(settings, inputs, &list)?;
            }
            Ok(printed)
        });
    done.unwrap_or_else(|error| {
        let exit = error.exit();
        complain(&format!("{error}; {}exit {exit}", error.remedy()));
        exit
    })
}

/// Refuses to ask the cluster of the env file while the unit has another one from a drop-in.
fn check_unit(settings: &Settings, inputs: &Inputs, seen: &Seen) -> Result<(), EgressError> {
    let (file, is_named) = inputs.env_file();
    if is_named || !systemctl::is_booted() {
        return Ok(());
    }
    let unit = systemctl::service(settings.profile.as_deref());
    // Without an answer, or a unit, there is nothing to be told.
    let shown = systemctl::show(&unit, &["Environment"]).unwrap_or_default();
    let shown = shown.get("Environment").map_or("", String::as_str);
    let set = unit::variables(seen, shown);
    let settings: Vec<_> = LIST_SETTINGS.into_iter().filter(|s| set.contains_key(*s)).collect();
    if settings.is_empty() {
        return Ok(());
    }
    Err(EgressError::OnlyInUnit { settings, unit, file: file.display().to_string() })
}

/// What has to be in `EGRESS_ALLOW`: what is there, and every address that is missing.
fn needed(settings: &Settings) -> Result<AllowList, EgressError> {
    let addresses = |role, servers: &[Server]| {
        RequiredAddresses::resolve(family(settings), &[(role, servers)], ANSWER_WITHIN)
            .with_owners()
    };
    let mut needed = addresses("broker", settings.kafka_bootstrap.servers())?;
    let servers = settings.kafka_bootstrap.servers().len();
    let (client, bound) = (config::client(settings), Bound::within(ANSWER_WITHIN, servers));
    let cluster = inquiry::describe(&client, &[], bound, &|| false)?;
    let endpoint: Vec<_> = settings.token_endpoint().into_iter().collect();
    needed.extend(addresses("token endpoint", &endpoint)?);
    needed.extend(addresses("advertised broker", &cluster.brokers)?);

    let mut allowed = settings.egress();
    let mut list = settings.egress_allow.clone().unwrap_or_default();
    let addresses: Vec<IpAddr> = needed.iter().map(|(address, _)| *address).collect();
    if addresses.iter().all(|address| allowed.allows(*address)) {
        info!("nothing to add: KAFKA_BOOTSTRAP and {SETTING} have every address of this cluster");
    }
    for (address, owner) in needed {
        if !allowed.allows(address) {
            allowed.allow(address);
            list.allow(address);
            info!("{address}: {owner}");
        }
    }
    let unused = list.without_use(&addresses);
    if !unused.is_empty() {
        warn!("kept, although this cluster does not need it: {unused}");
    }
    Ok(list)
}

/// What to do about a cluster that does not describe itself, and the exit code of it.
pub(super) fn silence(silent: &NotReady) -> (String, Exit) {
    let (otherwise, exit) = match silent {
        NotReady::Client(_) => ("correct the RDKAFKA_ settings", Exit::Config),
        NotReady::Denied(_) => {
            ("correct the credentials, or the cluster's rights for this client", Exit::NoPerm)
        }
        NotReady::Exhausted(_) => ("raise the limit", Exit::OsErr),
        _ => (
            "check that the server is a Kafka broker and that RDKAFKA_SECURITY_PROTOCOL fits its \
             listener",
            Exit::Unavailable,
        ),
    };
    (silent.in_parts().1.unwrap_or_else(|| otherwise.to_owned()), exit)
}
