//! Secrets at every place where settings are read: no text that is made of them has one.

use proptest::prelude::*;

use super::*;

/// Lines of an env file with a secret, beside which others are wrong, so that every error is told.
const LINES: &[&str] = &[
    "RDKAFKA_SASL_PASSWORD=SECRET",
    "RDKAFKA_SASL_PASSWORD=\"SECRET",
    "RDKAFKA_SASL_PASSWORD = 'SECRET'",
    "RDKAFKA_SASL_PASWORD=SECRET",
    "RDKAFKA_SSL_KEY_PASSWORD=SECRET",
    "RDKAFKA_SSL_KEY_PASSWORD=SECRET\u{7}",
    "RDKAFKA_SSL_KEYSTORE_PASSWORD=SECRET",
    "RDKAFKA_SSL_KEY_PASS=SECRET",
    "RDKAFKA_SASL_USERNAME=SECRET",
    "RDKAFKA_SASL_OAUTHBEARER_CLIENT_SECRET=SECRET",
    "RDKAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET=SECRET",
    "RDKAFKA_SASL_OAUTHBEARER_CONFIG=principal=ann SECRET",
    "RDKAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE=SECRET",
    "RDKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL=https://u:SECRET@id.example/token",
    "RDKAFKA_SASL_JAAS_CONFIG=org.apache.kafka.common.security.plain.PlainLoginModule required \
     username=\"u\" password=\"SECRET\";",
    "RDKAFKA_SASL_JAAS_CONFIG=PlainLoginModule required password=\"SECRET\";",
    "RDKAFKA_SSL_KEY_PEM=-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
    "RDKAFKA_SSL_KEY_PEM=-----BEGIN PRIVATE KEY-----\nSECRET=\nSECRET==\n-----END PRIVATE KEY-----",
    "RDKAFKA_ACKS=\"1\nRDKAFKA_SASL_PASSWORD=SECRET",
    "RDKAFKA_LINGER_MS='fast\nRDKAFKA_SASL_PASSWORD=SECRET",
    "RDKAFKA_NO_SUCH=SECRET",
    "BATCH=\"20\nRDKAFKA_SASL_PASSWORD=SECRET",
    "HOSTNAME='a\nRDKAFKA_SASL_PASSWORD=SECRET",
    "KAFKA_BOOTSTRAP=http://u:SECRET@kafka-1:9092",
    "KAFKA_BOOTSTRAP=u:SECRET@kafka-1:9092,kafka-2:9092",
    "GPU_SEED=https://u:SECRET@example.org/seed.json",
    "REPORT_FILE=ftp://u:SECRET@example.org/report.json",
    "SASL_PASSWORD=SECRET",
    "sasl.password=SECRET",
    "sasl.jaas.config=PlainLoginModule required password=\"SECRET\";",
    "export PASSWORD=SECRET",
    "PASSWORD SECRET",
    "sasl.password: SECRET",
    "BATCH SECRET",
    "SECRET",
    "SECRET=",
    "SECRET==",
];

/// Names of properties, right and wrong, that have a secret as their value.
const PROPERTIES: &[&str] = &[
    "sasl.password",
    "sasl.pasword",
    "SASL_PASSWORD",
    "ssl.key.password",
    "ssl.key.pem",
    "sasl.jaas.config",
    "sasl.oauthbearer.client.secret",
    "no.such",
];

/// All that settings have to say.
fn said(world: World) -> String {
    let world = world.isolated();
    match Settings::load(&world.inputs, librdkafka) {
        Ok(settings) => {
            let listed: Vec<_> = settings.listing().map(|listed| format!("{listed:?}")).collect();
            let odd = settings.without_effect();
            format!("{settings:?} {listed:?} {odd:?} {:?}", settings.unreadable_location())
        }
        Err(error) => format!("{error} {error:?}"),
    }
}

/// What nobody would take for a name: a password of a generator, or a key in base64.
fn secret() -> impl Strategy<Value = String> {
    "[a-z][A-Z][0-9][A-Za-z0-9+/]{13,40}"
}

fn holds(secret: &str, place: &str, said: &str) -> Result<(), TestCaseError> {
    // A part of it is enough for whoever knows the rest.
    let part = &secret[..8];
    prop_assert!(!said.contains(part), "{secret} of {place:?} is in {said}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn no_text_of_settings_has_a_secret(secret in secret()) {
        for line in LINES {
            let line = line.replace("SECRET", &secret);
            for others in ["", "BATCH=x\nRDKAFKA_LINGER_MS=fast\nNO_SUCH=1\n"] {
                let content = format!("{others}{line}\n");
                holds(&secret, &line, &said(world().env_file(&content)))?;
                let profile = world().env_file("").file("vm4/p.env", &content);
                holds(&secret, &line, &said(profile.flag("PROFILE", "p")))?;
            }
            if let Some((name, value)) = line.split_once('=') {
                let bad = world().variable(name, value).variable("BATCH", "x");
                holds(&secret, &line, &said(bad))?;
            }
        }
        for name in PROPERTIES {
            holds(&secret, name, &said(world().flag(name, &secret)))?;
            holds(&secret, name, &said(world().flag(name, &secret).flag("BATCH", "x")))?;
            holds(&secret, name, &said(world().credential(name, &secret)))?;
            let variable = format!("RDKAFKA_{}", name.to_uppercase().replace('.', "_"));
            let bytes = [secret.as_bytes(), b"\xff"].concat();
            holds(&secret, name, &said(world().variable(&variable, OsString::from_vec(bytes))))?;
        }
    }
}

#[test]
fn what_looks_like_a_name_is_shown_and_what_looks_like_a_secret_is_not() {
    for name in ["BACTH", "Batch", "sasl.username", "export TOPIC_2", "SLEEPSEC", "é", "X"] {
        assert!(suggest::is_name(name), "{name}");
    }
    for secret in ["aGVsbG8", "s3cr3t", "hunTer2", "p4ss_word", "abc/def+g", &"a".repeat(65)] {
        assert!(!suggest::is_name(secret), "{secret}");
    }
}
