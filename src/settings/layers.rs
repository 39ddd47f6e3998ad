//! Where settings come from: default < env file < profile < credential < environment < flag.
//!
//! figment merges the layers and remembers which one each value came from. All values enter as
//! text: figment's own environment reader would guess types, and `HOSTNAME=007` is not a number.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::env_file;
use super::properties;
use super::secrets::credential_layers;
use super::{LoadError, SettingError, definition, parse};

/// Path of the env file, unless `VM4_PRODUCER_ENV` names another.
pub const DEFAULT_ENV_FILE: &str = "/etc/vm4-producer.env";

/// Names another env file; set in the process environment only.
pub const ENV_FILE_VARIABLE: &str = "VM4_PRODUCER_ENV";

/// Origin of a value that nobody chose.
pub(super) const DEFAULT: &str = "default";

/// Origin of a value that nobody chose, where the command has a default of its own.
pub(super) const COMMAND_DEFAULT: &str = "default of this command";

/// More than any env file needs; a larger one is a mistake (a device, a log).
const ENV_FILE_MAX_BYTES: u64 = 1 << 20;

/// What the process was given: nothing below here reads the environment or the command line.
#[derive(Debug, Default, Clone)]
pub struct Inputs {
    /// Setting name and value of each flag on the command line.
    pub flags: Vec<(String, OsString)>,
    /// The process environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Defaults of a command that differ from the program's.
    pub command_defaults: &'static [(&'static str, &'static str)],
    /// Stands in for [`DEFAULT_ENV_FILE`].
    pub default_env_file: Option<PathBuf>,
}

impl Inputs {
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
    }

    /// The main env file, and whether the user named it.
    #[must_use]
    pub fn env_file(&self) -> (PathBuf, bool) {
        match self.variable(ENV_FILE_VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => (path.into(), true),
            None => {
                let default = || PathBuf::from(DEFAULT_ENV_FILE);
                (self.default_env_file.clone().unwrap_or_else(default), false)
            }
        }
    }
}

/// The file of a profile: `NAME.env` in the directory named as the main file without its `.env`.
#[must_use]
pub fn profile_file(env_file: &Path, profile: &str) -> PathBuf {
    env_file.with_extension("").join(format!("{profile}.env"))
}

/// A setting's value as text, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The setting's name.
    pub name: String,
    /// Its value as text.
    pub value: String,
    /// Where it came from, in words: `flag --batch`, `/etc/vm4-producer.env line 7`.
    pub origin: String,
}

/// One source of values with one name.
pub(super) struct Layer {
    pub(super) origin: String,
    pub(super) values: Vec<(String, String)>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let values = self.values.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
        Ok(Profile::Default.collect(values.collect()))
    }
}

/// All layers merged.
pub(super) struct Layers {
    found: BTreeMap<String, Found>,
}

impl Layers {
    /// The value in force of one setting.
    pub(super) fn get(&self, name: &str) -> Option<&Found> {
        self.found.get(name)
    }

    /// The `RDKAFKA_*` settings.
    pub(super) fn properties(&self) -> impl Iterator<Item = &Found> {
        self.found.values().filter(|found| found.name.starts_with(properties::PREFIX))
    }

    /// Reads every source.
    pub(super) fn read(inputs: &Inputs) -> Result<Self, LoadError> {
        let defaults = super::DEFINITIONS.iter();
        let defaults = defaults.filter_map(|d| Some((d.name.to_owned(), d.default?.to_owned())));
        let mut figment =
            Figment::new().merge(Layer { origin: DEFAULT.into(), values: defaults.collect() });
        let own = inputs.command_defaults.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        figment = figment.merge(Layer { origin: COMMAND_DEFAULT.into(), values: own.collect() });

        let (path, named) = inputs.env_file();
        for layer in env_file_layers(&path, named)? {
            figment = figment.merge(layer);
        }
        let mut bad = Vec::new();
        let environment = environment_layer(inputs, &mut bad);
        let flags = flag_layers(inputs, &mut bad);

        let with_profile = flags.iter().fold(figment.clone().merge(&environment), Figment::merge);
        if let Some(profile) = profile(&with_profile)? {
            for layer in env_file_layers(&profile_file(&path, &profile), true)? {
                figment = figment.merge(layer);
            }
        }
        figment = credential_layers(inputs)?.iter().fold(figment, Figment::merge);
        figment = flags.iter().fold(figment.merge(&environment), Figment::merge);
        if bad.is_empty() { Ok(Self::merged(&figment)) } else { Err(LoadError::Settings(bad)) }
    }

    fn merged(figment: &Figment) -> Self {
        let values: BTreeMap<String, String> = figment.extract().unwrap_or_default();
        let found = values.into_iter().map(|(name, value)| {
            let origin = figment.find_metadata(&name).map(|m| m.name.clone().into_owned());
            (name.clone(), Found { name, value, origin: origin.unwrap_or_default() })
        });
        Self { found: found.collect() }
    }
}

/// One layer an assignment, so that each keeps its line.
fn env_file_layers(path: &Path, named: bool) -> Result<Vec<Layer>, LoadError> {
    let bytes = match read_small_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Vec::new()),
        read => read.map_err(|source| LoadError::File { path: path.into(), source })?,
    };
    let wrong = |problem: String| LoadError::EnvFile { path: path.into(), problem };
    let assignments = env_file::parse(&bytes).map_err(|e| wrong(e.to_string()))?;
    assignments
        .into_iter()
        .map(|a| {
            if !is_setting(&a.key) {
                let nearest = nearest(&a.key);
                return Err(wrong(format!("line {}: unknown key {:?}; {nearest}", a.line, a.key)));
            }
            let origin = format!("{} line {}", path.display(), a.line);
            Ok(Layer { origin, values: vec![(a.key, a.value)] })
        })
        .collect()
}

pub(super) fn read_small_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(ENV_FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ENV_FILE_MAX_BYTES {
        return Err(std::io::Error::other("larger than 1 MiB, which no env file is"));
    }
    Ok(bytes)
}

fn is_setting(key: &str) -> bool {
    definition(key).is_some() || key.strip_prefix(properties::PREFIX).is_some_and(|p| !p.is_empty())
}

fn nearest(key: &str) -> String {
    if key == ENV_FILE_VARIABLE {
        return "it names this file, and is read from the process environment only".into();
    }
    let names = super::DEFINITIONS.iter().map(|d| d.name);
    let nearest = names.min_by_key(|name| strsim::damerau_levenshtein(name, key));
    format!("the nearest known key is {}", nearest.unwrap_or_default())
}

/// The settings of the process environment. Other variables are nobody's business here.
fn environment_layer(inputs: &Inputs, bad: &mut Vec<SettingError>) -> Layer {
    let origin = "the environment";
    let variables = inputs.environment.iter().filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| is_setting(name))?;
        text(name, value, origin, bad)
    });
    let values = variables.collect();
    Layer { origin: origin.into(), values }
}

fn flag_layers(inputs: &Inputs, bad: &mut Vec<SettingError>) -> Vec<Layer> {
    let layers = inputs.flags.iter().filter_map(|(name, value)| {
        let origin = format!("flag --{}", name.to_ascii_lowercase().replace('_', "-"));
        let values = vec![text(name, value, &origin, bad)?];
        Some(Layer { origin, values })
    });
    layers.collect()
}

fn text(
    name: &str,
    value: &OsStr,
    origin: &str,
    bad: &mut Vec<SettingError>,
) -> Option<(String, String)> {
    if let Some(value) = value.to_str() {
        return Some((name.to_owned(), value.to_owned()));
    }
    let secret = properties::is_secret(&properties::name_of(name));
    bad.push(SettingError {
        name: name.to_owned(),
        value: (!secret).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        origin: origin.to_owned(),
        expected: "UTF-8 text".into(),
        because: String::new(),
    });
    None
}

fn profile(figment: &Figment) -> Result<Option<String>, LoadError> {
    let merged = Layers::merged(figment);
    let Some(found) = merged.get("PROFILE").filter(|found| !found.value.is_empty()) else {
        return Ok(None);
    };
    let name = parse::profile(&found.value);
    name.map(Some).map_err(|because| {
        LoadError::Settings(vec![SettingError::of_definition(found, "PROFILE", because)])
    })
}
