//! The commands of root see the unit as systemd has it.

pub(crate) mod given;

use std::collections::BTreeMap;

use crate::host::systemctl;
use crate::settings::{self, Inputs, UnitInputs};
use given::Given;

/// What the unit of these inputs is given, or why systemd cannot give it; `None` where it is not asked,
/// because this is not root or reads other files than the unit.
pub(crate) type Seen = Option<Result<Given, String>>;

/// Asks systemd what it gives the unit of these inputs, and adds that to them.
pub(crate) fn look(inputs: &mut Inputs) -> Seen {
    let (_, is_named) = inputs.env_file();
    if is_named || !given::can_ask() {
        return None;
    }
    let name = systemctl::service(settings::profile(inputs).as_deref());
    let state = systemctl::show(&name, &["LoadState"]).ok()?.remove("LoadState");
    if state.as_deref() != Some("loaded") {
        return None;
    }
    let given = given::given(&name);
    if let Ok(given) = &given {
        let (environment, credentials) = (given.environment.clone(), given.credentials());
        inputs.unit = Some(UnitInputs { name, environment, credentials });
    }
    Some(given)
}

/// The variables of the unit: all that its process gets, or what systemd shows to everybody.
pub(super) fn variables(seen: &Seen, shown: &str) -> BTreeMap<String, String> {
    match seen {
        Some(Ok(given)) => given.environment.iter().cloned().collect(),
        _ => systemctl::variables(shown),
    }
}
