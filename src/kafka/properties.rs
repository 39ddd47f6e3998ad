//! Properties as librdkafka itself judges them.

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::settings::PropertyError;

/// Whether librdkafka takes this value for this property.
///
/// # Errors
/// [`PropertyError`]: it does not know the property, or refuses the value.
pub fn check(property: &str, value: &str) -> Result<(), PropertyError> {
    match ClientConfig::new().set(property, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err(PropertyError::Unknown)
        }
        Err(KafkaError::ClientConfig(_, description, ..)) => {
            Err(PropertyError::Refused(description.trim_end().to_owned()))
        }
        Err(error) => Err(PropertyError::Refused(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_librdkafka_does_not_take_is_unknown_or_refused_in_one_line() {
        assert_eq!(check("linger.ms", "5"), Ok(()));
        assert_eq!(check("no.such", "5"), Err(PropertyError::Unknown));
        for (property, value) in [("log_level", "99"), ("client.id", "a\0b")] {
            let Err(PropertyError::Refused(words)) = check(property, value) else {
                panic!("{property} is taken");
            };
            assert!(!words.is_empty() && !words.contains('\n'), "{words:?}");
        }
    }
}
