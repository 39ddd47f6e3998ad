//! librdkafka's own properties: `RDKAFKA_*` settings and the files of `$CREDENTIALS_DIRECTORY`.
//!
//! Every property of librdkafka can be set, checked by librdkafka itself, but for the few on which
//! the truth of the report rests; those are refused with the setting to use instead.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::SettingError;
use super::layers::Found;
use super::secrets::CREDENTIAL;

/// What a setting's name starts with when it sets a librdkafka property.
pub const PREFIX: &str = "RDKAFKA_";

/// The value of a property, and where it came from. A secret one cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    value: String,
    secret: bool,
    /// The setting's name as the user wrote it: `RDKAFKA_LINGER_MS`, or a credential's file name.
    pub setting: String,
    /// Where the value came from, in words.
    pub origin: String,
}

impl Property {
    /// The value, for librdkafka alone: it may be a secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The value as it may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.secret { "(not shown)" } else { &self.value }
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} from {}", self.shown(), self.origin)
    }
}

/// The librdkafka properties that the user set, by property name.
pub type Properties = BTreeMap<String, Property>;

/// Properties that this program decides, with what to do instead.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "KAFKA_BOOTSTRAP sets it"),
    ("metadata.broker.list", "KAFKA_BOOTSTRAP sets it"),
    ("message.timeout.ms", "DELIVERY_TIMEOUT_SEC sets it"),
    ("delivery.timeout.ms", "DELIVERY_TIMEOUT_SEC sets it"),
    ("delivery.report.only.error", "acknowledgements could not be counted with it"),
    ("transactional.id", "the program does not use transactions"),
    ("test.mock.num.brokers", "records would go to no cluster; `vm4-producer demo` does that"),
];

/// Whether a property's value must never be shown.
#[must_use]
pub(super) fn is_secret(property: &str) -> bool {
    ["password", "secret", "passphrase", ".pem", "sasl.username", "oauthbearer.config"]
        .iter()
        .any(|part| property.contains(part))
}

/// The property that a setting's name stands for: `RDKAFKA_LINGER_MS` is `linger.ms`.
///
/// librdkafka's names have dots, but for a few that have underscores (`log_level`).
#[must_use]
pub(super) fn name_of(setting: &str) -> String {
    let lower = setting.strip_prefix(PREFIX).unwrap_or(setting).to_ascii_lowercase();
    let dotted = lower.replace('_', ".");
    if is_known(&dotted) || !is_known(&lower) { dotted } else { lower }
}

fn is_known(property: &str) -> bool {
    !matches!(check(property, ""), Err((RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _)))
}

fn check(property: &str, value: &str) -> Result<(), (RDKafkaConfRes, String)> {
    match ClientConfig::new().set(property, value).create_native_config() {
        Err(KafkaError::ClientConfig(result, description, _, _)) => Err((result, description)),
        _ => Ok(()),
    }
}

/// Takes one property in, checked by librdkafka.
///
/// # Errors
/// [`SettingError`] where librdkafka does not know the property or refuses the value, or where the
/// program decides it. It never holds a secret.
pub(super) fn take(
    properties: &mut Properties,
    property: String,
    found: Found,
) -> Result<(), SettingError> {
    let secret = is_secret(&property) || found.origin.starts_with(CREDENTIAL);
    let refuse = |because: String, expected: &str| SettingError {
        name: found.name.clone(),
        value: (!secret).then(|| found.value.clone()),
        origin: found.origin.clone(),
        expected: expected.to_owned(),
        because,
    };
    if let Some((_, instead)) = RESERVED.iter().find(|(name, _)| *name == property) {
        let because = format!("{property} is not free to set: {instead}");
        return Err(refuse(because, "any other librdkafka property"));
    }
    if matches!(property.as_str(), "acks" | "request.required.acks") && found.value.trim() == "0" {
        let because = "without acknowledgements no record could be accounted for".to_owned();
        return Err(refuse(because, "1 or all"));
    }
    check(&property, &found.value).map_err(|(result, description)| match result {
        RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => refuse(
            format!("librdkafka has no property {property:?}"),
            "a property of librdkafka's CONFIGURATION.md, dots written as underscores",
        ),
        _ if secret => refuse(String::new(), "a value that librdkafka accepts"),
        _ => refuse(description, "a value that librdkafka accepts"),
    })?;
    let Found { name, value, origin } = found;
    properties.insert(property, Property { value, secret, setting: name, origin });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, value: &str) -> Found {
        Found { name: name.into(), value: value.into(), origin: "the environment".into() }
    }

    fn taken(name: &str, value: &str) -> Result<Properties, String> {
        let mut properties = Properties::new();
        take(&mut properties, name_of(name), found(name, value)).map_err(|e| e.to_string())?;
        Ok(properties)
    }

    #[test]
    fn names_have_dots_where_librdkafka_has_dots() {
        assert_eq!(name_of("RDKAFKA_SASL_MECHANISM"), "sasl.mechanism");
        assert_eq!(name_of("RDKAFKA_LOG_LEVEL"), "log_level");
        assert_eq!(name_of("RDKAFKA_NO_SUCH"), "no.such");
    }

    #[test]
    fn every_security_feature_and_codec_is_compiled_in() {
        let native = ClientConfig::new().create_native_config().unwrap();
        let features = native.get("builtin.features").unwrap();
        let features: Vec<_> = features.split(',').collect();
        for feature in [
            "ssl",
            "sasl_plain",
            "sasl_scram",
            "sasl_oauthbearer",
            "oidc",
            "gzip",
            "snappy",
            "lz4",
            "zstd",
        ] {
            assert!(features.contains(&feature), "{feature} is not in {features:?}");
        }
    }

    #[test]
    fn unknown_properties_and_bad_values_name_the_setting() {
        assert_eq!(
            taken("RDKAFKA_NO_SUCH", "1").unwrap_err(),
            "RDKAFKA_NO_SUCH: \"1\" from the environment is not valid: librdkafka has no property \
             \"no.such\"; expected a property of librdkafka's CONFIGURATION.md, dots written as \
             underscores"
        );
        let refused = taken("RDKAFKA_COMPRESSION_CODEC", "rar").unwrap_err();
        assert!(refused.starts_with("RDKAFKA_COMPRESSION_CODEC: \"rar\" from"), "{refused}");
    }

    #[test]
    fn what_the_report_rests_on_cannot_be_changed() {
        let refused = taken("RDKAFKA_ACKS", "0").unwrap_err();
        assert!(refused.contains("no record could be accounted for; expected 1 or all"));
        let refused = taken("RDKAFKA_BOOTSTRAP_SERVERS", "kafka:9092").unwrap_err();
        assert!(refused.contains("bootstrap.servers is not free to set: KAFKA_BOOTSTRAP sets it"));
        assert!(taken("RDKAFKA_ACKS", "1").is_ok());
    }

    #[test]
    fn a_secret_is_in_no_output() {
        let secret = "hunter2";
        let properties = taken("RDKAFKA_SASL_PASSWORD", secret).unwrap();
        assert!(!format!("{properties:?}").contains(secret));
        assert_eq!(properties["sasl.password"].shown(), "(not shown)");
        assert_eq!(properties["sasl.password"].expose(), secret);
        // a misspelt secret is not taken for a plain value
        let refused = taken("RDKAFKA_SASL_PASSWORDS", secret).unwrap_err();
        assert!(!refused.contains(secret), "{refused}");
    }
}
