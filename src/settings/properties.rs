//! librdkafka's own properties: `RDKAFKA_*`, `-X` and the files of `$CREDENTIALS_DIRECTORY`.
//!
//! Every property can be set, and librdkafka checks it, but for the few on which the truth of the
//! report rests; those are refused with the setting to use instead.

use std::collections::BTreeMap;

use super::SettingError;
use super::source::{Origin, Resolved};

/// Whether librdkafka takes this value for this property. Whoever loads the settings passes it in:
/// they are below the modules that know Kafka.
pub type Librdkafka = fn(property: &str, value: &str) -> Result<(), PropertyError>;

/// Why librdkafka does not take a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyError {
    /// There is none of this name.
    Unknown,
    /// It refuses the value, in these words.
    Refused(String),
}

/// The librdkafka properties that the user set, by property name.
pub type Properties = BTreeMap<String, Resolved>;

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

/// What a client in Java calls some properties.
const OF_JAVA: &[(&str, &str)] = &[
    ("max.request.size", "message.max.bytes"),
    ("buffer.memory", "queue.buffering.max.kbytes"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("sasl.oauthbearer.token.endpoint.uri", "sasl.oauthbearer.token.endpoint.url"),
];

/// What to do with a line of JAAS, which only a client in Java reads.
pub(super) const NO_JAAS: &str = "librdkafka reads no JAAS line: RDKAFKA_SASL_USERNAME has its \
    username, and the credential sasl.password its password";

/// Whether a property, with dots, has a line of JAAS.
pub(super) fn is_jaas(name: &str) -> bool {
    name.ends_with("jaas.config")
}

/// The property of a name in any spelling: `LINGER_MS` is `linger.ms`.
///
/// librdkafka's names have dots, but for a few that have underscores (`log_level`).
pub(super) fn named(text: &str, librdkafka: Librdkafka) -> String {
    let is_known = |name: &str| librdkafka(name, "") != Err(PropertyError::Unknown);
    let lower = text.to_ascii_lowercase();
    let dotted = lower.replace(['_', '-'], ".");
    if is_known(&dotted) || !is_known(&lower) { dotted } else { lower }
}

/// Checks one property.
///
/// # Errors
/// [`SettingError`] if librdkafka does not know the property or refuses the value, or if the program
/// decides it. It never holds a secret.
pub(super) fn check(property: &Resolved, librdkafka: Librdkafka) -> Result<(), SettingError> {
    let (name, value) = (property.key.name(), property.expose());
    let refuse = |because: Option<String>, expected| SettingError::new(property, because, expected);
    if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        let because = format!("{name} is not free to set: {instead}");
        return Err(refuse(Some(because), "any other librdkafka property"));
    }
    if is_jaas(name) {
        return Err(refuse(Some(NO_JAAS.into()), "user and password as settings of their own"));
    }
    if matches!(name, "acks" | "request.required.acks") && !matches!(value.trim(), "all" | "-1") {
        let because = "exit 0 could not mean that every record is in the log: a leader that \
                       acknowledges alone takes its records along when it is gone";
        return Err(refuse(Some(because.into()), "all, which is the default"));
    }
    librdkafka(name, value).map_err(|error| match error {
        PropertyError::Unknown => {
            let expected = match property.origin {
                Origin::Flag(_) | Origin::Credential(_) => {
                    "a property of librdkafka's CONFIGURATION.md"
                }
                _ => "a property of librdkafka's CONFIGURATION.md, dots written as underscores",
            };
            let of_java = OF_JAVA.iter().find(|(java, _)| *java == name);
            let of_java = of_java.map(|(_, ours)| (*ours).to_owned());
            let nearest = of_java.or_else(|| nearest(name, librdkafka));
            let nearest = nearest.map_or(String::new(), |nearest| format!(", but {nearest:?}"));
            let because = format!("librdkafka has no property {name:?}{nearest}");
            // A misspelled password is one, too, whatever its property is called.
            SettingError { value: None, ..refuse(Some(because), expected) }
        }
        PropertyError::Refused(description) => {
            // librdkafka repeats the value in its description.
            let because =
                (!property.is_secret()).then(|| explained(property, &description, librdkafka));
            refuse(because, "a value that librdkafka accepts")
        }
    })
}

/// Why librdkafka refuses a value, under the name that the user gave the property, and the value that
/// was probably meant.
fn explained(property: &Resolved, description: &str, librdkafka: Librdkafka) -> String {
    let name = property.key.name();
    // Of a name and its alias librdkafka speaks of the one that it keeps.
    let kept = description.split("property \"").nth(1).and_then(|rest| rest.split('"').next());
    let description = match kept {
        Some(kept) => description.replace(&format!("\"{kept}\""), &format!("{name:?}")),
        None => description.to_owned(),
    };
    let is_taken = |value: &str| !value.is_empty() && librdkafka(name, value).is_ok();
    let value = property.expose().to_ascii_lowercase();
    match slip_of(&value, is_taken).filter(|meant| meant.contains(char::is_alphabetic)) {
        Some(meant) => format!("{description}; perhaps you mean {meant:?}"),
        None => description,
    }
}

/// A property whose name differs in one slip of a key. librdkafka tells no list of its names, but knows
/// one when it sees it.
fn nearest(name: &str, librdkafka: Librdkafka) -> Option<String> {
    slip_of(name, |slip| librdkafka(slip, "") != Err(PropertyError::Unknown))
}

/// Longer than any name of a property, which bounds the search for a similar one.
const NAME_MAX: usize = 64;

/// The text itself, or a text that differs from it in one slip of a key (a letter missing, wrong, or
/// too many, or two swapped), for which `is_it` holds.
fn slip_of(name: &str, is_it: impl Fn(&str) -> bool) -> Option<String> {
    if name.len() > NAME_MAX || !name.is_ascii() {
        return None;
    }
    let slips = (0..=name.len()).flat_map(|at| {
        let (head, tail) = name.split_at(at);
        let after = tail.get(1..).unwrap_or_default();
        let swapped =
            tail.get(1..2).map(|next| format!("{head}{next}{}{}", &tail[..1], &tail[2..]));
        let letters = ('a'..='z').chain(['.', '_']);
        let typed =
            letters.flat_map(move |c| [format!("{head}{c}{after}"), format!("{head}{c}{tail}")]);
        [format!("{head}{after}")].into_iter().chain(swapped).chain(typed)
    });
    [name.to_owned()].into_iter().chain(slips).find(|slip| is_it(slip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties::check as librdkafka;
    use crate::settings::source::{Key, PREFIX};

    fn resolved(variable: &str, value: &str, origin: Origin) -> Resolved {
        let name = named(variable.strip_prefix(PREFIX).unwrap(), librdkafka);
        Resolved::new(Key::Property(name), value.into(), origin)
    }

    fn error(variable: &str, value: &str) -> String {
        let property = resolved(variable, value, Origin::Environment);
        check(&property, librdkafka).unwrap_err().to_string()
    }

    #[test]
    fn names_have_dots_where_librdkafka_has_dots() {
        for (text, name) in [
            ("SASL_MECHANISM", "sasl.mechanism"),
            ("sasl.mechanism", "sasl.mechanism"),
            ("LOG_LEVEL", "log_level"),
            ("log_level", "log_level"),
            ("NO_SUCH", "no.such"),
        ] {
            assert_eq!(named(text, librdkafka), name);
        }
    }

    #[test]
    fn unknown_properties_and_bad_values_name_the_setting() {
        assert_eq!(
            error("RDKAFKA_NO_SUCH", "1"),
            "RDKAFKA_NO_SUCH: the value from the environment is not valid: librdkafka has no property \
             \"no.such\"; expected a property of librdkafka's CONFIGURATION.md, dots written as \
             underscores"
        );
        let refused = error("RDKAFKA_COMPRESSION_CODEC", "rar");
        assert!(refused.starts_with("RDKAFKA_COMPRESSION_CODEC: \"rar\" from"), "{refused}");
        let refused = error("RDKAFKA_SECURITY_PROTOCOL", "sls");
        assert!(refused.contains("; perhaps you mean \"ssl\"; expected"), "{refused}");
        let refused = error("RDKAFKA_LINGER_MS", "fast");
        assert!(refused.contains("property \"linger.ms\""), "{refused}");
        assert!(!refused.contains("queue.buffering") && !refused.contains("perhaps"), "{refused}");
        let refused = error("RDKAFKA_LOG_LEVEL", "99");
        assert!(refused.contains("range 0..7; expected a value"), "{refused}");
    }

    #[test]
    fn what_a_client_in_java_has_is_translated() {
        let refused = error("RDKAFKA_BUFFER_MEMORY", "1");
        assert!(refused.contains(", but \"queue.buffering.max.kbytes\""), "{refused}");
        let refused = error("RDKAFKA_SASL_JAAS_CONFIG", "PlainLoginModule password=\"hunter2\";");
        assert!(
            refused.contains("the value from the environment is not valid: librdkafka reads no")
        );
    }

    #[test]
    fn the_value_of_a_misspelled_property_is_not_shown() {
        for name in ["RDKAFKA_SASL_PASWORD", "RDKAFKA_SASL_PASS", "RDKAFKA_SSL_KEY_PWD"] {
            assert!(!error(name, "hunter2").contains("hunter2"), "{}", error(name, "hunter2"));
        }
    }

    #[test]
    fn a_slip_of_a_key_is_recognised() {
        for (slip, meant) in [
            ("linger.mss", Some("linger.ms")),
            ("linge.ms", Some("linger.ms")),
            ("lingre.ms", Some("linger.ms")),
            ("lingar.ms", Some("linger.ms")),
            ("linger_ms", Some("linger.ms")),
            ("sasl.pasword", Some("sasl.password")),
            ("compression", None),
            ("buffer.memory", None),
            ("lingér.ms", None),
        ] {
            assert_eq!(nearest(slip, librdkafka).as_deref(), meant, "{slip}");
        }
        assert_eq!(nearest(&"a".repeat(1 << 20), librdkafka), None);
    }

    #[test]
    fn what_the_report_rests_on_cannot_be_changed() {
        for (name, value) in [
            ("RDKAFKA_ACKS", "0"),
            ("RDKAFKA_ACKS", "1"),
            ("RDKAFKA_ACKS", "2"),
            ("RDKAFKA_ACKS", "most"),
            ("RDKAFKA_REQUEST_REQUIRED_ACKS", "1"),
        ] {
            let refused = error(name, value);
            let because = "exit 0 could not mean that every record is in the log";
            assert!(refused.contains(because), "{refused}");
            assert!(refused.ends_with("expected all, which is the default"), "{refused}");
            assert!(refused.starts_with(&format!("{name}: \"{value}\" from the env")), "{refused}");
        }
        let refused = error("RDKAFKA_BOOTSTRAP_SERVERS", "kafka:9092");
        assert!(refused.contains("bootstrap.servers is not free to set: KAFKA_BOOTSTRAP sets it"));
        for value in ["all", "-1"] {
            let property = resolved("RDKAFKA_ACKS", value, Origin::Environment);
            assert_eq!(check(&property, librdkafka), Ok(()));
        }
    }

    #[test]
    fn a_secret_is_in_no_output() {
        let secret = "hunter2";
        let password = resolved("RDKAFKA_SASL_PASSWORD", secret, Origin::Environment);
        assert!(!format!("{password:?}").contains(secret));
        assert_eq!((password.shown(), password.expose()), ("(not shown)", secret));
        // a misspelt secret is not taken for a plain value
        let refused = error("RDKAFKA_SASL_PASSWORDS", secret);
        assert!(!refused.contains(secret), "{refused}");
    }

    #[test]
    fn an_origin_is_no_secret_for_its_text() {
        let from = |origin| resolved("RDKAFKA_LINGER_MS", "7", origin).shown().to_owned();
        let path = "credential x.env".into();
        assert_eq!(from(Origin::EnvFile { path, line: 1 }), "7");
        assert_eq!(from(Origin::Credential("linger.ms".into())), "(not shown)");
    }
}
