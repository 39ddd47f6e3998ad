//! The systemd unit's egress allow list, compared with the addresses that a run needs.
//!
//! The unit blocks every address that is not on the list: its packets are dropped without an error,
//! and a run would wait for an answer. So a run compares first, and ends at once with what is blocked.
//!
//! The list is made of the literal addresses in `KAFKA_BOOTSTRAP` and of `EGRESS_ALLOW`. Names take
//! part in it only through the latter, because [`systemd_generator`] must not ask for an address.
//! [`apply`] writes `EGRESS_ALLOW`.

pub mod apply;
pub mod filter;
mod required;
pub mod resolve;
pub mod systemd_generator;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::allow_list::AllowList;
use crate::net::Server;
use crate::settings::Settings;
use filter::Filter;
use required::RequiredServer;
pub use required::{AddressFilter, RequiredAddresses, UnknownAddresses, family};

/// The variable with the list that the generator wrote for the unit. It is absent outside of the
/// unit, where nothing is blocked.
pub const LIST_VARIABLE: &str = "VM4_EGRESS_IN_FORCE";

/// The settings that make the list. The generator reads them from the env files alone.
pub const LIST_SETTINGS: [&str; 2] = ["KAFKA_BOOTSTRAP", apply::SETTING];

/// How long a run waits for names before it begins: a slow resolver is not a list that lacks an
/// address, and a run must tell of the latter at once.
const RESOLVE_WITHIN: Duration = Duration::from_millis(1500);

/// How many blocked servers an error names.
const NAMED: usize = 5;

/// What a unit allows its process to reach.
#[derive(Debug, Clone)]
pub struct EgressPolicy {
    allowed: AllowList,
    family: AddressFilter,
    profile: Option<String>,
    /// The servers of the run that were checked, each with its role.
    checked: Arc<Mutex<Vec<(&'static str, Server)>>>,
}

impl EgressPolicy {
    /// The policy of the unit that runs this process; `None` outside of the unit.
    #[must_use]
    pub fn of_process(settings: &Settings) -> Option<Self> {
        let list = std::env::var_os(LIST_VARIABLE)?;
        Some(Self::of_generator(settings, &list.to_string_lossy()))
    }

    /// The policy that a run of a unit checks, which has this value of [`LIST_VARIABLE`].
    #[must_use]
    pub fn of_generator(settings: &Settings, list: &str) -> Self {
        // The generator wrote it. A list that cannot be read allows nothing.
        Self::new(settings, list.parse().unwrap_or_default())
    }

    /// The policy of a unit with these `IPAddressDeny=` and `IPAddressAllow=`; `None` if it denies
    /// nothing.
    ///
    /// # Errors
    /// `allow` has an entry that is neither an address nor a prefix.
    pub fn of_unit(settings: &Settings, deny: &str, allow: &str) -> Result<Option<Self>, String> {
        if deny.is_empty() {
            return Ok(None);
        }
        // systemd has the entries in no order.
        Ok(Some(Self::new(settings, allow.parse::<AllowList>()?.sorted())))
    }

    fn new(settings: &Settings, allowed: AllowList) -> Self {
        let (family, profile) = (family(settings), settings.profile.clone());
        Self { allowed, family, profile, checked: Arc::default() }
    }

    /// Checks that the list has every address of these servers, each group with its role in front.
    /// It may block for as long as `within`.
    ///
    /// # Errors
    /// The servers that the list blocks. A name that cannot be resolved for another reason is no
    /// error here.
    pub fn check(
        &self,
        groups: &[(&str, &[Server])],
        within: Duration,
    ) -> Result<(), EgressViolation> {
        let required = RequiredAddresses::resolve(self.family, groups, within);
        let servers = required.servers.iter();
        let blocked = servers.filter_map(|server| self.blocked(server, &required.name_servers));
        let blocked: Vec<_> = blocked.collect();
        if blocked.is_empty() {
            return Ok(());
        }
        Err(EgressViolation { policy: self.clone(), blocked })
    }

    /// [`Self::check`] for the servers of a run, without blocking the caller's thread.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn check_run(
        &self,
        role: &'static str,
        servers: &[Server],
    ) -> Result<(), EgressViolation> {
        let (policy, servers) = (self.clone(), servers.to_vec());
        let checked = servers.iter().map(|server| (role, server.clone()));
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).extend(checked);
        let check = move || policy.check(&[(role, &servers)], RESOLVE_WITHIN);
        // A check that itself failed blocks nothing.
        tokio::task::spawn_blocking(check).await.unwrap_or(Ok(()))
    }

    /// What the kernel does for this policy.
    #[must_use]
    pub fn filter(&self) -> Filter {
        filter::probe(&self.allowed)
    }

    /// Why servers that were on the list when the run began cannot be reached any more, as far as the
    /// unit is the reason: their names have new addresses, or systemd has put another list on the unit.
    pub async fn changed(&self) -> Option<String> {
        let policy = self.clone();
        tokio::task::spawn_blocking(move || policy.find_change()).await.ok().flatten()
    }

    fn find_change(&self) -> Option<String> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let groups: Vec<_> =
            checked.iter().map(|(role, server)| (*role, std::slice::from_ref(server))).collect();
        if let Err(violation) = self.check(&groups, RESOLVE_WITHIN) {
            return Some(format!("a name has other addresses since the run began: {violation}"));
        }
        let required = RequiredAddresses::resolve(self.family, &groups, RESOLVE_WITHIN);
        let stopped = required.servers.iter().find_map(|server| {
            let addresses = server.addresses.as_ref().ok()?.iter();
            let stopped = addresses.copied().find(|a| filter::stops(*a) == Filter::InForce)?;
            Some((server, stopped))
        });
        let (RequiredServer { name, .. }, address) = stopped?;
        Some(format!(
            "the unit's filter now stops {name} ({address}), which was on its list when the run began: \
             systemd before 257 puts the list that a daemon-reload reads on a running batch, too"
        ))
    }

    /// Describes the server's addresses that the allow list blocks; `None` if it blocks none.
    fn blocked(&self, server: &RequiredServer, name_servers: &[IpAddr]) -> Option<String> {
        let blocks = |address: &IpAddr| !self.allowed.allows(*address);
        let RequiredServer { name, addresses } = server;
        match addresses {
            Ok(addresses) => {
                let blocked: Vec<_> = addresses.iter().copied().filter(blocks).collect();
                (!blocked.is_empty()).then(|| format!("{name} ({})", listed(&blocked)))
            }
            Err(why) if !name_servers.is_empty() && name_servers.iter().all(blocks) => {
                let servers = listed(name_servers);
                Some(format!("the name servers ({servers}), so {name} cannot be resolved: {why}"))
            }
            Err(_) => None,
        }
    }
}

/// The allowed addresses.
impl fmt::Display for EgressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.allowed.is_empty() { f.write_str("nothing") } else { self.allowed.fmt(f) }
    }
}

/// Servers that the unit's egress allow list blocks.
#[derive(Debug, Clone)]
pub struct EgressViolation {
    policy: EgressPolicy,
    /// Each server with its blocked addresses.
    blocked: Vec<String>,
}

impl EgressViolation {
    /// What the list blocks and allows, without the subject.
    #[must_use]
    pub fn problem(&self) -> String {
        let (named, others) = self.blocked.split_at(self.blocked.len().min(NAMED));
        let others = match others.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        format!("blocks {}{others}; it allows {}", named.join(", "), self.policy)
    }

    /// What the user can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let profile = self.policy.profile.as_ref();
        let profile = profile.map(|name| format!(" --profile {name}")).unwrap_or_default();
        format!(
            "run `vm4-producer egress --apply{profile}` as root, or add to EGRESS_ALLOW what is \
             missing and run `systemctl daemon-reload`"
        )
    }
}

impl fmt::Display for EgressViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the unit's egress allow list {}; {}", self.problem(), self.remedy())
    }
}

impl std::error::Error for EgressViolation {}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &str) -> EgressPolicy {
        let allowed = allowed.parse().unwrap();
        let profile = Some("site-a".into());
        EgressPolicy { allowed, family: |_| true, profile, checked: Arc::default() }
    }

    fn server(host: &str) -> Server {
        Server { host: host.into(), port: 9092 }
    }

    #[test]
    fn a_violation_names_what_is_blocked_what_is_allowed_and_the_remedy() {
        let servers = ["10.0.0.1", "10.0.0.2", "::1"].map(server);
        let groups: [(&str, &[Server]); 2] =
            [("broker", &servers[..2]), ("advertised broker", &servers[2..])];
        let violation = policy("10.0.0.1").check(&groups, Duration::ZERO).unwrap_err();
        assert_eq!(
            violation.to_string(),
            "the unit's egress allow list blocks broker 10.0.0.2:9092 (10.0.0.2), advertised broker \
             [::1]:9092 (::1); it allows 10.0.0.1; run `vm4-producer egress --apply --profile \
             site-a` as root, or add to EGRESS_ALLOW what is missing and run `systemctl \
             daemon-reload`"
        );
        assert!(policy("10.0.0.0/8,::1").check(&groups, Duration::ZERO).is_ok());
    }

    #[test]
    fn a_violation_of_many_servers_counts_the_rest() {
        let servers: Vec<_> = (1..=7).map(|byte| server(&format!("10.0.0.{byte}"))).collect();
        let violation = policy("").check(&[("broker", &servers)], Duration::ZERO).unwrap_err();
        let problem = violation.problem();
        assert!(
            problem.ends_with("broker 10.0.0.5:9092 (10.0.0.5) and 2 more; it allows nothing"),
            "{problem}"
        );
    }

    #[test]
    fn a_name_that_cannot_be_resolved_is_a_violation_if_every_name_server_is_blocked() {
        let name = "broker kafka:9092".to_owned();
        let unresolved = RequiredServer { name, addresses: Err("timed out".into()) };
        let name_servers = ["10.0.0.53", "10.0.1.53"].map(|address| address.parse().unwrap());
        assert_eq!(
            policy("10.0.2.0/24").blocked(&unresolved, &name_servers).unwrap(),
            "the name servers (10.0.0.53, 10.0.1.53), so broker kafka:9092 cannot be resolved: timed \
             out"
        );
        assert_eq!(policy("10.0.1.53").blocked(&unresolved, &name_servers), None);
        assert_eq!(policy("").blocked(&unresolved, &[]), None);
    }
}
