//! What the systemd unit gives its process, for a command of root that looks at it from outside.
//!
//! systemd alone knows that: it reads the credentials, decrypts some, merges the variables of drop-ins
//! and files, and filters the packets, or does not. So it is asked to start this program with these
//! properties of the unit, as a process that says what it was given and sends nothing.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, io};

use data_encoding::BASE64;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::allow_list::AllowList;
use crate::commands::print_alone;
use crate::egress::filter::{self, Filter};
use crate::exit::Exit;
use crate::host::{journal, systemctl};

/// The first argument of a process that says what it was given. It is no command, because it is of no
/// use to anybody else.
const ARGUMENT: &str = "@what-the-unit-gives";

/// The variable with the directory of the credentials: systemd.exec(5).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// More than a credential can be: systemd takes no more than 1 MiB of all together.
const CREDENTIAL_MAX_BYTES: u64 = 1 << 20;

/// What a process of the unit was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Given {
    /// The variables of the unit and of its files.
    pub(crate) environment: Vec<(String, String)>,
    /// Names and contents of the credentials, in Base64.
    credentials: Vec<(String, String)>,
    /// Whether packets to addresses that are not on its list are stopped.
    pub(crate) filter: Filter,
}

impl Given {
    /// Names and contents of the credentials.
    pub(crate) fn credentials(&self) -> Vec<(String, Vec<u8>)> {
        let decoded = |(name, text): &(String, String)| {
            Some((name.clone(), BASE64.decode(text.as_bytes()).ok()?))
        };
        self.credentials.iter().filter_map(decoded).collect()
    }
}

/// Whether systemd can be asked on behalf of this process: only root may see what it gives to others, and
/// a process that has credentials of its own was given them on purpose.
pub(crate) fn can_ask() -> bool {
    geteuid().is_root() && systemctl::is_booted() && env::var_os(CREDENTIALS).is_none()
}

/// What a process of this unit is given.
///
/// # Errors
/// systemd cannot say, or cannot give it: then no run of the unit can start either.
pub(crate) fn given(unit: &str) -> Result<Given, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let shown = systemctl::show(unit, &["IPAddressAllow", "IPAddressDeny"])?;
    let of = |property: &str| shown.get(property).map_or("", String::as_str);
    let (allow, deny) = (of("IPAddressAllow"), of("IPAddressDeny"));
    // A name of its own, by which the journal has what systemd says of it.
    let name = format!("vm4-producer-look-{}.service", std::process::id());
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--wait", "--pipe", "--collect", "--unit", &name]);
    run.arg(format!("--description=What {unit} is given"));
    for property in properties(unit)? {
        run.arg("-p").arg(property);
    }
    for (property, list) in [("IPAddressDeny", deny), ("IPAddressAllow", allow)] {
        run.args(
            list.split_whitespace().flat_map(|entry| ["-p".into(), format!("{property}={entry}")]),
        );
    }
    run.arg("--").arg(program).arg(ARGUMENT).arg(allow);
    let output = run.stdin(Stdio::null()).output().map_err(|e| format!("systemd-run: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let reason = match said.is_empty() {
            true => journal::first_error(&name).unwrap_or_else(|| "it gives no reason".to_owned()),
            false => said,
        };
        return Err(match output.status.code() {
            Some(243) => format!("systemd cannot give {unit} its credentials: {reason}"),
            _ => format!("systemd-run: {reason}"),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("systemd-run: {error}"))
}

/// The properties of a unit that decide what its process is given, as systemd-run takes them.
/// systemctl shows no credentials.
fn properties(unit: &str) -> Result<Vec<String>, String> {
    let path = format!("/org/freedesktop/systemd1/unit/{}", label(unit));
    let get = |property: &str| {
        let interface = "org.freedesktop.systemd1.Service";
        let mut busctl = Command::new("busctl");
        busctl.args(["--json=short", "get-property", "org.freedesktop.systemd1", &path, interface]);
        let output = busctl.arg(property).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("busctl: {error}"))?;
        if !output.status.success() {
            return Err(format!("busctl: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let value: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
        Ok(value["data"].as_array().cloned().unwrap_or_default())
    };
    let mut properties = Vec::new();
    for name in ["LoadCredential", "LoadCredentialEncrypted"] {
        properties.extend(get(name)?.iter().filter_map(|value| {
            Some(format!("{name}={}:{}", value[0].as_str()?, value[1].as_str()?))
        }));
    }
    for name in ["SetCredential", "SetCredentialEncrypted"] {
        properties.extend(get(name)?.iter().filter_map(|value| {
            let bytes: Option<Vec<u8>> =
                value[1].as_array()?.iter().map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            let text = match name {
                "SetCredential" => bytes?.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
                _ => BASE64.encode(&bytes?),
            };
            Some(format!("{name}={}:{text}", value[0].as_str()?))
        }));
    }
    // systemd 252 knows no ImportCredential=.
    let imported = get("ImportCredential").unwrap_or_default();
    let imported = imported.iter().filter_map(Value::as_str);
    properties.extend(imported.map(|glob| format!("ImportCredential={glob}")));
    properties.extend(get("EnvironmentFiles")?.iter().filter_map(|value| {
        let optional = if value[1].as_bool()? { "-" } else { "" };
        Some(format!("EnvironmentFile={optional}{}", value[0].as_str()?))
    }));
    for name in ["Environment", "PassEnvironment", "UnsetEnvironment"] {
        let values = get(name)?;
        properties
            .extend(values.iter().filter_map(|v| Some(format!("{name}={}", quoted(v.as_str()?)))));
    }
    Ok(properties)
}

/// A word as systemd.syntax(7) reads it back.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", escaped.replace('%', "%%"))
}

/// A unit's name in the path of its D-Bus object: sd_bus_path_encode(3).
fn label(unit: &str) -> String {
    let is_plain =
        |place: usize, byte: u8| byte.is_ascii_alphabetic() || (place > 0 && byte.is_ascii_digit());
    let encoded = unit.bytes().enumerate().map(|(place, byte)| match is_plain(place, byte) {
        true => char::from(byte).to_string(),
        false => format!("_{byte:02x}"),
    });
    encoded.collect()
}

/// Whether this process was started to say what it was given.
pub(crate) fn is_asked(argument: Option<&OsStr>) -> bool {
    argument == Some(OsStr::new(ARGUMENT))
}

/// Says what this process was given, whose unit has this `IPAddressAllow=`.
pub(crate) fn say(allow: Option<&OsStr>) -> Exit {
    let allowed = allow.map(OsStr::to_string_lossy).unwrap_or_default();
    let allowed = allowed.parse::<AllowList>().unwrap_or_default();
    let credentials = match env::var_os(CREDENTIALS).map(|path| read(Path::new(&path))) {
        Some(Ok(credentials)) => credentials,
        None => Vec::new(),
        Some(Err(_)) => return Exit::NoInput,
    };
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let filter = filter::probe(&allowed);
    let given = Given { environment: environment.collect(), credentials, filter };
    match serde_json::to_string(&given) {
        Ok(text) => print_alone(&text),
        Err(_) => Exit::Software,
    }
}

fn read(directory: &Path) -> io::Result<Vec<(String, String)>> {
    let mut credentials = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.metadata()?.len() > CREDENTIAL_MAX_BYTES {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        credentials.push((name, BASE64.encode(&fs::read(entry.path())?)));
    }
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_an_object_of_the_bus_by_its_encoded_name() {
        assert_eq!(label("vm4-producer.service"), "vm4_2dproducer_2eservice");
        assert_eq!(label("vm4-producer@site_1.service"), "vm4_2dproducer_40site_5f1_2eservice");
    }

    #[test]
    fn a_variable_is_quoted_as_systemd_reads_it() {
        assert_eq!(quoted("A=two \"words\" 5%\\"), "\"A=two \\\"words\\\" 5%%\\\\\"");
    }
}
