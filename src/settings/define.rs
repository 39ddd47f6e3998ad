//! What a setting is, and how the list of them becomes a type.

use super::SettingError;
use super::layers::Layers;
use super::parse::Refusal;
use super::properties::{self, Librdkafka, Properties};
use super::source::Resolved;

/// One setting as the user meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Name in the environment and the env file; the flag is the same in kebab case.
    pub name: &'static str,
    /// Default as text; `None` if there is none.
    pub default: Option<&'static str>,
    /// The values, where there is a closed list of them, or those to offer first.
    pub words: &'static [&'static str],
    /// What a value must look like; completes "expected ...".
    pub expected: &'static str,
    /// One line for `--help`, the man page and the README.
    pub help: &'static str,
}

impl Definition {
    /// The long flag without its dashes: `SLEEP_SEC` is `sleep-sec`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }
}

/// Defines [`Settings`](super::Settings) and [`DEFINITIONS`](super::DEFINITIONS) from one list. A
/// setting without a default is an `Option`, and may be set to nothing (`RUN_SEED=`), which leaves it
/// out.
macro_rules! settings {
    ($($field:ident: $type:ty {
        name: $name:literal,
        parse: $parser:path,
        $(default: $default:literal,)?
        $(words: $words:expr,)?
        expected: $expected:literal,
        help: $help:literal,
    })+) => {
        /// All settings in one list, in the order of the documentation.
        pub const DEFINITIONS: &[Definition] = &[$(Definition {
            name: $name,
            default: settings!(@default $($default)?),
            words: settings!(@words $($words)?),
            expected: $expected,
            help: $help,
        }),+];

        /// Every setting, validated.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(
                #[doc = concat!("`", $name, "`; [`DEFINITIONS`] says what it means.")]
                pub $field: settings!(@type $type; $($default)?),
            )+
            /// librdkafka properties set by the user.
            pub properties: Properties,
            /// Keys that stand in one env file more than once, in words; the last one counts.
            pub repeated: Vec<String>,
            /// `EVENT_START` as it was written, where it counts from now.
            pub relative_start: Option<String>,
            pub(super) resolved: Vec<Resolved>,
        }

        impl Settings {
            pub(super) fn from_layers(
                layers: &Layers,
                librdkafka: Librdkafka,
                bad: &mut Vec<SettingError>,
            ) -> Option<Self> {
                $(
                    let found = layers.get($name);
                    let $field = settings!(@read found, $parser, bad; $($default)?);
                )+
                let properties = read_properties(layers, librdkafka, bad);
                let resolved = DEFINITIONS.iter().filter_map(|d| layers.get(d.name).cloned());
                let resolved = resolved.collect();
                Some(Self { $($field: $field?,)+ properties, repeated: layers.repeated.clone(), relative_start: layers.relative_start.clone(), resolved })
            }
        }
    };
    (@default $default:literal) => { Some($default) };
    (@default) => { None };
    (@words $words:expr) => { $words };
    (@words) => { &[] };
    (@type $type:ty; $default:literal) => { $type };
    (@type $type:ty;) => { Option<$type> };
    (@read $found:ident, $parser:path, $bad:expr; $default:literal) => {
        read($found, $parser, $bad)
    };
    (@read $found:ident, $parser:path, $bad:expr;) => { read_optional($found, $parser, $bad) };
}

pub(super) use settings;

/// The value of a setting; `None` if there is none or it is refused.
pub(super) fn read<T>(
    found: Option<&Resolved>,
    parser: fn(&str) -> Result<T, Refusal>,
    bad: &mut Vec<SettingError>,
) -> Option<T> {
    let found = found?;
    let refused = |refusal: Refusal| {
        bad.push(SettingError::of_definition(found, refusal.because()));
    };
    parser(found.expose()).map_err(refused).ok()
}

/// The value of a setting that may be left out; `None` if it is refused.
pub(super) fn read_optional<T>(
    found: Option<&Resolved>,
    parser: fn(&str) -> Result<T, Refusal>,
    bad: &mut Vec<SettingError>,
) -> Option<Option<T>> {
    match found.filter(|found| !found.expose().is_empty()) {
        None => Some(None),
        found => read(found, parser, bad).map(Some),
    }
}

/// The properties that librdkafka takes.
pub(super) fn read_properties(
    layers: &Layers,
    librdkafka: Librdkafka,
    bad: &mut Vec<SettingError>,
) -> Properties {
    let good = layers.properties().filter(|property| {
        let checked = properties::check(property, librdkafka);
        checked.map_err(|error| bad.push(error)).is_ok()
    });
    good.map(|property| (property.key.name().to_owned(), property.clone())).collect()
}
