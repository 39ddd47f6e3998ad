//! Writes the list into an env file and has systemd read it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tracing::{info, warn};

use crate::allow_list::AllowList;
use crate::exit::Exit;
use crate::host::{files, systemctl};
use crate::settings::edit::{self, EditError};
use crate::settings::{DEFAULT_ENV_FILE, Inputs, Origin, Settings, profile_file};

/// The first systemd whose `daemon-reload` leaves the filter of a running unit as it is, as measured.
const KEEPS_A_RUNNING_FILTER: u32 = 257;

/// The setting with the list.
pub const SETTING: &str = "EGRESS_ALLOW";

/// Why the list is not in effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The env file cannot be read or written.
    #[error("cannot {0} {path}: {2}{advice}", path = .1.display(), advice = advice(.2))]
    File(&'static str, PathBuf, io::Error),
    /// The env file cannot be changed safely.
    #[error("{path}: {1}", path = .0.display())]
    Edit(PathBuf, EditError),
    /// systemd did not read the list.
    #[error("the list is not in effect yet: {0}; run it as root")]
    Reload(String),
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn advice(error: &io::Error) -> &'static str {
    if is_denied(error) { "; run it as root" } else { "" }
}

impl ApplyError {
    /// The exit code of a command that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::File(_, _, error) if !is_denied(error) => Exit::IoErr,
            Self::File(..) | Self::Reload(_) => Exit::NoPerm,
            Self::Edit(..) => Exit::Config,
        }
    }
}

/// Puts the list into the env file that has the last word, and has systemd read it.
///
/// # Errors
/// The file cannot be changed, or systemd refuses to read it.
pub fn apply(settings: &Settings, inputs: &Inputs, list: &AllowList) -> Result<(), ApplyError> {
    let (main, is_named) = inputs.env_file();
    let path = settings.profile.as_ref().map_or(main.clone(), |name| profile_file(&main, name));
    // An absent list is an empty one; what the files say already is not written again.
    let of_files = settings
        .resolved(SETTING)
        .is_none_or(|found| matches!(found.origin, Origin::Default | Origin::EnvFile { .. }));
    let is_there = of_files && *list == settings.egress_allow.clone().unwrap_or_default();
    if is_there {
        info!("{} has the list already", path.display());
    } else {
        let line = write(&path, list)?;
        info!("{} line {line} has the list", path.display());
    }
    if is_named {
        warn!("the unit reads {DEFAULT_ENV_FILE}, so nothing changes for it");
        return Ok(());
    }
    if !systemctl::is_booted() {
        warn!("systemd does not run here: the list takes effect where it does");
        return Ok(());
    }
    warn_of_running(settings);
    systemctl::daemon_reload().map_err(ApplyError::Reload)?;
    info!("systemd has read it; the next run can reach these addresses");
    Ok(())
}

/// Says what a reload does to a batch that is on its way: systemd before 257 gives it the new list.
fn warn_of_running(settings: &Settings) {
    let unit = systemctl::service(settings.profile.as_deref());
    let shown = systemctl::show(&unit, &["ActiveState"]).unwrap_or_default();
    let is_running = shown.get("ActiveState").is_some_and(|state| state == "activating");
    if is_running && systemctl::version().is_some_and(|version| version < KEEPS_A_RUNNING_FILTER) {
        warn!("{unit} is running, and this systemd puts the new list on it at once");
    }
}

/// Writes the list into an env file; returns its line.
fn write(path: &Path, list: &AllowList) -> Result<usize, ApplyError> {
    let failed = |access| move |error| ApplyError::File(access, path.into(), error);
    let before = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(failed("read"))?,
    };
    let edited = edit::set(&before, SETTING, &list.to_string())
        .map_err(|error| ApplyError::Edit(path.into(), error))?;
    if edited.content != before {
        files::rewrite(path, &edited.content).map_err(failed("write"))?;
    }
    Ok(edited.line)
}
