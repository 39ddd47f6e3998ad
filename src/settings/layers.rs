//! Where settings come from: default < env file < profile < credential < environment < flag.
//!
//! figment merges the layers and tags each value with the layer that it came from. All values are
//! text: figment's own environment reader would guess types, and `HOSTNAME=007` is not a number.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use figment::value::magic::Tagged;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use jiff::Timestamp;

use super::env_file::{self, EnvFileError};
use super::error::{Problems, UnknownKey};
use super::properties::{self, Librdkafka};
use super::secrets::credentials;
use super::source::{
    self, ENV_FILE_VARIABLE, Inputs, Key, Origin, Resolved, profile_file, read_small_file,
};
use super::{
    DEFINITIONS, LoadError, OF_THE_EVENTS, SettingError, definition, event_start, parse, suggest,
};

/// Values of one origin.
struct Layer {
    origin: Origin,
    values: Vec<(Key, String)>,
}

impl Layer {
    fn of(resolved: Resolved) -> Self {
        let value = resolved.expose().to_owned();
        Self { values: vec![(resolved.key, value)], origin: resolved.origin }
    }
}

/// A layer and its place in the list.
struct Placed<'a>(usize, &'a Layer);

impl Provider for Placed<'_> {
    /// The place is how the origin is found again: figment's own sources have no line of a file.
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let values = self.1.values.iter();
        let values =
            values.map(|(key, value)| (key.name().to_owned(), Value::from(value.as_str())));
        Ok(Profile::Default.collect(values.collect()))
    }
}

/// All layers merged.
pub(super) struct Layers {
    values: BTreeMap<String, Resolved>,
    /// Keys that stand in one env file more than once, in words.
    pub(super) repeated: Vec<String>,
    /// `EVENT_START` as it was written, where it counts from now.
    pub(super) relative_start: Option<String>,
}

impl Layers {
    /// The value in force of one setting.
    pub(super) fn get(&self, name: &str) -> Option<&Resolved> {
        self.values.get(name)
    }

    /// The librdkafka properties that are set.
    pub(super) fn properties(&self) -> impl Iterator<Item = &Resolved> {
        self.values.values().filter(|resolved| matches!(resolved.key, Key::Property(_)))
    }

    /// Reads every source; what is wrong there does not hide what is wrong elsewhere.
    pub(super) fn read(
        inputs: &Inputs,
        librdkafka: Librdkafka,
    ) -> Result<(Self, Problems), LoadError> {
        let mut problems = Problems::default();
        let unknown = &mut problems.unknown;
        let (path, is_named) = inputs.env_file();
        let mut layers = defaults(inputs);
        layers.extend(past(inputs, librdkafka, false));
        let named_by =
            is_named.then(|| format!("{ENV_FILE_VARIABLE} from {}", Origin::Environment));
        layers.extend(env_file_layers(&path, named_by, librdkafka, unknown)?);
        let (environment, flags) = (environment(inputs, librdkafka), flags(inputs, librdkafka));
        let read = environment.iter().chain(&flags);
        problems.values.extend(read.filter_map(|read| read.as_ref().err().cloned()));
        let mut given: Vec<_> = of_unit(inputs, librdkafka).map(Layer::of).collect();
        given.extend(environment.into_iter().flatten().map(Layer::of));
        given.extend(past(inputs, librdkafka, true));
        given.extend(flags.into_iter().flatten().map(Layer::of));

        // A name that is none is refused with the other values.
        if let Some((profile, origin)) = profile(&Self::merged(layers.iter().chain(&given))?) {
            let named_by = Some(format!("PROFILE={profile} from {origin}"));
            let path = profile_file(&path, &profile);
            layers.extend(env_file_layers(&path, named_by, librdkafka, unknown)?);
        }
        let credentials = credentials(inputs, librdkafka, &mut problems.values)?;
        layers.extend(credentials.into_iter().map(Layer::of));
        let mut merged = Self::merged(layers.iter().chain(&given))?;
        merged.count_from(inputs.now);
        Ok((merged, problems))
    }

    /// The values in force: a later layer beats an earlier one.
    fn merged<'a>(layers: impl Iterator<Item = &'a Layer>) -> Result<Self, LoadError> {
        let layers: Vec<_> = layers.collect();
        let places = layers.iter().enumerate().map(|(place, layer)| Placed(place, layer));
        let figment = places.fold(Figment::new(), Figment::merge);
        let texts = figment.extract::<BTreeMap<String, Tagged<String>>>();
        let resolved = texts.map_err(Box::new)?.into_iter().map(|(name, text)| {
            let place = figment.get_metadata(text.tag()).and_then(|m| m.name.parse::<usize>().ok());
            let layer = place.and_then(|place| layers.get(place));
            let layer = layer.ok_or_else(|| Box::new(format!("{name} has no source").into()))?;
            // No property has the name of a setting: those are in capitals.
            let key = definition(&name).map(|d| Key::Setting(d.name));
            let key = key.unwrap_or_else(|| Key::Property(name.clone()));
            Ok((name, Resolved::new(key, text.into_inner(), layer.origin.clone())))
        });
        let values = resolved.collect::<Result<_, Box<figment::Error>>>()?;
        Ok(Self { values, repeated: repeated(&layers), relative_start: None })
    }

    /// Makes an `EVENT_START` that counts from now a time: whoever asks later gets the same.
    fn count_from(&mut self, now: Timestamp) {
        let Some(written) = self.values.get_mut("EVENT_START") else { return };
        if let Some(start) = event_start::counted_from(now, written.expose()) {
            let start = Resolved::new(written.key.clone(), start, written.origin.clone());
            self.relative_start = Some(std::mem::replace(written, start).expose().to_owned());
        }
    }
}

/// Assignments that a later one of the same file takes the effect from, as systemd has it.
fn repeated(layers: &[&Layer]) -> Vec<String> {
    let mut last: BTreeMap<(&Path, &Key), usize> = BTreeMap::new();
    let mut repeated = Vec::new();
    for Layer { origin, values } in layers {
        let (Origin::EnvFile { path, line }, [(key, _)]) = (origin, &values[..]) else { continue };
        if let Some(before) = last.insert((path, key), *line) {
            let path = path.display();
            repeated.push(format!("{path}: {key} of line {before} is set again on line {line}"));
        }
    }
    repeated
}

fn defaults(inputs: &Inputs) -> Vec<Layer> {
    let program = DEFINITIONS.iter().filter_map(|d| Some((d.name, d.default?)));
    let layer = |origin, values: Vec<(&'static str, &str)>| Layer {
        origin,
        values: values.into_iter().map(|(k, v)| (Key::Setting(k), v.to_owned())).collect(),
    };
    vec![
        layer(Origin::Default, program.collect()),
        layer(Origin::CommandDefault, inputs.command_defaults.to_vec()),
    ]
}

/// The settings of a run that is over: those of its events, also where nobody chose them, or the
/// others, where somebody did. Of those of the events only a flag beats what a report says.
fn past(inputs: &Inputs, librdkafka: Librdkafka, of_the_events: bool) -> Option<Layer> {
    /// What belongs to the other process, and not to its run.
    const ITS_OWN: [&str; 6] =
        ["REPORT_FILE", "ANSWER_KEY", "PROFILE", "LOG_FORMAT", "RUST_LOG", "EGRESS_ALLOW"];
    let past = inputs.past.as_ref()?;
    let values = past.values.iter().filter(|(name, _, is_chosen)| {
        let is_event = OF_THE_EVENTS.contains(&name.as_str());
        is_event == of_the_events && (is_event || *is_chosen && !ITS_OWN.contains(&name.as_str()))
    });
    let values =
        values.filter_map(|(name, value, _)| Some((key_of(name, librdkafka)?, value.clone())));
    Some(Layer { origin: Origin::Report(past.path.clone()), values: values.collect() })
}

/// One layer an assignment: each has its own line. `named_by` is what names the file, if anything does.
fn env_file_layers(
    path: &Path,
    named_by: Option<String>,
    librdkafka: Librdkafka,
    unknown: &mut Vec<UnknownKey>,
) -> Result<Vec<Layer>, LoadError> {
    let bytes = match read_small_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && named_by.is_none() => {
            return Ok(Vec::new());
        }
        read => read.map_err(|source| LoadError::File { path: path.into(), named_by, source })?,
    };
    let wrong = |e: EnvFileError| LoadError::EnvFile { path: path.into(), problem: e.to_string() };
    let mut layers = Vec::new();
    for a in env_file::parse(&bytes).map_err(wrong)? {
        if let Some(key) = key_of(&a.key, librdkafka) {
            let origin = Origin::EnvFile { path: path.into(), line: a.line };
            layers.push(Layer { origin, values: vec![(key, a.value)] });
        } else {
            // A secret that ends with "=" is no key.
            let key = if suggest::is_name(&a.key) { a.key } else { "(not shown)".to_owned() };
            let hint = suggest::key(&key, librdkafka);
            unknown.push(UnknownKey { path: path.into(), line: a.line, key, hint });
        }
    }
    Ok(layers)
}

/// What a variable of this name sets, if it sets anything.
fn key_of(variable: &str, librdkafka: Librdkafka) -> Option<Key> {
    if let Some(definition) = definition(variable) {
        return Some(Key::Setting(definition.name));
    }
    let property = variable.strip_prefix(source::PREFIX).filter(|rest| !rest.is_empty())?;
    Some(Key::Property(properties::named(property, librdkafka)))
}

/// The settings of the environment of the unit, where a command looks at that from outside.
fn of_unit(inputs: &Inputs, librdkafka: Librdkafka) -> impl Iterator<Item = Resolved> {
    let unit = inputs.unit.iter();
    let variables = unit.flat_map(|unit| unit.environment.iter().map(move |pair| (unit, pair)));
    variables.filter_map(move |(unit, (name, value))| {
        let origin = Origin::Unit(unit.name.clone());
        Some(Resolved::new(key_of(name, librdkafka)?, value.clone(), origin))
    })
}

/// The settings of the process environment. Other variables are nobody's business here.
fn environment(inputs: &Inputs, librdkafka: Librdkafka) -> Vec<Result<Resolved, SettingError>> {
    let variables = inputs.environment.iter().filter_map(|(name, value)| {
        let key = key_of(name.to_str()?, librdkafka)?;
        Some(text(key, value, Origin::Environment))
    });
    variables.collect()
}

fn flags(inputs: &Inputs, librdkafka: Librdkafka) -> Vec<Result<Resolved, SettingError>> {
    let flags = inputs.flags.iter().map(|(key, value)| match key {
        Key::Setting(name) => {
            let flag = format!("--{}", definition(name).map(|d| d.flag()).unwrap_or_default());
            text(key.clone(), value, Origin::Flag(flag))
        }
        Key::Property(typed) => {
            let key = Key::Property(properties::named(typed, librdkafka));
            text(key, value, Origin::Flag(format!("-X {typed}")))
        }
    });
    flags.collect()
}

fn text(key: Key, value: &OsStr, origin: Origin) -> Result<Resolved, SettingError> {
    let resolved = Resolved::new(key, value.to_string_lossy().into_owned(), origin);
    match value.to_str() {
        Some(_) => Ok(resolved),
        // Of a property it may be a secret, under whatever name.
        None if matches!(resolved.key, Key::Property(_)) => {
            Err(SettingError { value: None, ..SettingError::new(&resolved, None, "UTF-8 text") })
        }
        None => Err(SettingError::new(&resolved, None, "UTF-8 text")),
    }
}

/// The profile that is chosen, and where.
fn profile(layers: &Layers) -> Option<(String, Origin)> {
    let found = layers.get("PROFILE").filter(|found| !found.expose().is_empty())?;
    Some((parse::profile(found.expose()).ok()?, found.origin.clone()))
}
