//! The egress allow list in force, held against the addresses that a run needs.
//!
//! A packet to an address that is not on the list is dropped without an error. A run would hang on
//! it; instead it ends at once and says which address is missing.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::resolve::{self, Resolved};
use crate::allow_list::AllowList;
use crate::net::literal;
use crate::settings::{Server, Settings};

/// The list that the generator wrote for the unit, as the unit's process has it in its environment.
/// Absent outside of the unit, where nothing is denied.
pub const IN_FORCE: &str = "VM4_EGRESS_IN_FORCE";

/// How long a run waits for names before it begins: a list that lacks an address must be told at
/// once, and a resolver that is slow is not a list that lacks an address.
const RESOLVE_WITHIN: Duration = Duration::from_millis(1500);

/// The addresses of the hosts that a run needs.
#[derive(Debug, Clone)]
pub struct Needs {
    resolved: BTreeMap<String, Resolved>,
    families: Families,
}

/// Which addresses the client connects to: librdkafka's `broker.address.family`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// All that a name has.
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Families {
    /// What the settings ask for.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        match settings.properties.get("broker.address.family").map(|family| family.expose()) {
            Some("v4") => Self::V4,
            Some("v6") => Self::V6,
            _ => Self::Any,
        }
    }
}

impl Needs {
    /// Resolves the hosts of these servers.
    #[must_use]
    pub fn of(families: Families, servers: &[Server], within: Duration) -> Self {
        let hosts = servers.iter().map(|server| server.host.as_str());
        Self { resolved: resolve::all(hosts, within), families }
    }

    /// The addresses of a host to which the client connects, or why there are none.
    ///
    /// # Errors
    /// What the resolver says.
    pub fn addresses(&self, host: &str) -> Resolved {
        let wanted = |address: &IpAddr| match self.families {
            Families::Any => true,
            Families::V4 => address.is_ipv4(),
            Families::V6 => address.is_ipv6(),
        };
        match self.resolved.get(host) {
            Some(Ok(addresses)) => Ok(addresses.iter().copied().filter(wanted).collect()),
            Some(Err(why)) => Err(why.clone()),
            None => Err("not asked for".into()),
        }
    }

    /// The name servers to ask, if any host is a name that has to be asked for.
    #[must_use]
    pub fn name_servers(&self) -> Vec<IpAddr> {
        let is_asked_for =
            |host: &&String| literal(host).is_empty() && !resolve::is_in_hosts_file(host);
        if self.resolved.keys().any(|host| is_asked_for(&host)) {
            resolve::name_servers()
        } else {
            Vec::new()
        }
    }
}

/// Something that the list in force does not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The server, and the addresses of it that are missing; or the name that cannot be asked for.
    what: String,
    list: AllowList,
    profile: Option<String>,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, list, profile } = self;
        let list = if list.is_empty() { "nothing".into() } else { list.to_string() };
        write!(f, "{what}: the unit's egress allow list has {list}; {}", remedy(profile.as_deref()))
    }
}

/// What to do about a list that lacks something.
#[must_use]
pub fn remedy(profile: Option<&str>) -> String {
    let profile = profile.map(|name| format!(" --profile {name}")).unwrap_or_default();
    format!(
        "run `vm4-producer egress --apply{profile}` as root, or add to EGRESS_ALLOW what is missing \
         and run `systemctl daemon-reload`"
    )
}

/// The list in force for this process; `None` outside of the unit.
#[derive(Debug, Clone)]
pub struct Guard {
    list: AllowList,
    families: Families,
    profile: Option<String>,
}

impl Guard {
    /// The list that the unit gives this process.
    #[must_use]
    pub fn of_process(settings: &Settings) -> Option<Self> {
        let list = std::env::var_os(IN_FORCE)?;
        // Written by the generator; whoever wrote something else allowed nothing.
        let list = list.to_string_lossy().parse().unwrap_or_default();
        let (families, profile) = (Families::of(settings), settings.profile.clone());
        Some(Self { list, families, profile })
    }

    /// Whether every address of these servers may be reached.
    ///
    /// # Errors
    /// The first that may not. A name that cannot be resolved for another reason is no error here.
    pub fn check(&self, what: &str, servers: &[Server]) -> Result<(), Denied> {
        let needs = Needs::of(self.families, servers, RESOLVE_WITHIN);
        let denied = servers.iter().find_map(|server| denied(&self.list, &needs, what, server));
        let (list, profile) = (self.list.clone(), self.profile.clone());
        denied.map_or(Ok(()), |what| Err(Denied { what, list, profile }))
    }
}

/// What of this server the list does not let through, in words.
#[must_use]
pub fn denied(list: &AllowList, needs: &Needs, what: &str, server: &Server) -> Option<String> {
    match needs.addresses(&server.host) {
        Ok(addresses) => {
            let missing = addresses.iter().filter(|address| !list.allows(**address));
            let missing: Vec<_> = missing.map(ToString::to_string).collect();
            (!missing.is_empty())
                .then(|| format!("{what} {server} may not be reached at {}", missing.join(", ")))
        }
        Err(why) => {
            let servers = needs.name_servers();
            let cut_off = !servers.is_empty() && !servers.iter().any(|s| list.allows(*s));
            let servers = servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            cut_off.then(|| {
                format!("{what} {server} cannot be resolved ({why}), and no name server ({servers}) may be asked")
            })
        }
    }
}
