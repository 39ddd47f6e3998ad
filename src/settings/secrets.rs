//! Secrets that never touch the env file: the files of `$CREDENTIALS_DIRECTORY`.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::BASE64;

use super::properties::{self, Librdkafka};
use super::source::{Inputs, Key, Origin, Resolved, read_small_file};
use super::{LoadError, SettingError};

/// How what systemd-creds has encrypted begins: the kind of its key, `CRED_AES256_GCM_BY_*` in
/// src/shared/creds-util.h of systemd 257.
const ENCRYPTED: [[u8; 16]; 6] = [
    0x5a1c_6a86_df9d_4096_b1d5_a65e_0862_f19a_u128.to_be_bytes(),
    0x0c7c_c07b_1176_4591_9c4b_0bea_08bc_20fe_u128.to_be_bytes(),
    0xfaf7_eb93_41e3_412c_a1a4_36f9_5a29_362f_u128.to_be_bytes(),
    0x93a8_9409_4874_4490_90ca_f2fc_93ca_b553_u128.to_be_bytes(),
    0xaf49_50a8_4913_4eb1_a738_4630_4ff3_0c05_u128.to_be_bytes(),
    0x0584_69da_f6f5_4324_8005_49da_0f8e_a2fb_u128.to_be_bytes(),
];

/// Whether a value is what systemd-creds made of a secret. `LoadCredential=` of systemd 257 looks into
/// `/etc/credstore.encrypted` too, and hands over what it finds there as it is.
fn is_encrypted(value: &str) -> bool {
    // Eighteen bytes, which hold the sixteen of the kind.
    let head = value.get(..24).and_then(|head| BASE64.decode(head.as_bytes()).ok());
    head.is_some_and(|head| ENCRYPTED.iter().any(|kind| head.starts_with(kind)))
}

/// Each file of `$CREDENTIALS_DIRECTORY` sets the librdkafka property that it is named as. Those that
/// cannot be used are put into `bad`.
pub(super) fn credentials(
    inputs: &Inputs,
    librdkafka: Librdkafka,
    bad: &mut Vec<SettingError>,
) -> Result<Vec<Resolved>, LoadError> {
    let Some(directory) = inputs.variable("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) else {
        return of_unit(inputs, librdkafka, bad);
    };
    let directory = Path::new(directory);
    let named_by = || Some("in CREDENTIALS_DIRECTORY".to_owned());
    let fail =
        |path: &Path, source| LoadError::File { path: path.into(), named_by: named_by(), source };
    let mut credentials = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| fail(directory, e))? {
        let path = entry.map_err(|e| fail(directory, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A Kubernetes secret volume keeps its data behind names that start with two dots.
        if name.starts_with('.') {
            continue;
        }
        let bytes = read_small_file(&path).map_err(|e| fail(&path, e))?;
        let credential = credential(name, bytes, librdkafka, bad);
        credentials.extend(credential.map_err(|error| fail(&path, error))?);
    }
    Ok(credentials)
}

/// The credentials that a unit gives its process, where a command looks at it from outside.
fn of_unit(
    inputs: &Inputs,
    librdkafka: Librdkafka,
    bad: &mut Vec<SettingError>,
) -> Result<Vec<Resolved>, LoadError> {
    let mut credentials = Vec::new();
    if let Some(unit) = &inputs.unit {
        for (name, bytes) in &unit.credentials {
            let read = credential(name.clone(), bytes.clone(), librdkafka, bad);
            let fail = |source| LoadError::File {
                path: name.into(),
                named_by: Some(format!("a credential of {}", unit.name)),
                source,
            };
            credentials.extend(read.map_err(fail)?);
        }
    }
    Ok(credentials)
}

/// The property that a credential sets, if it is not empty; one that cannot be used is put into `bad`.
fn credential(
    name: String,
    bytes: Vec<u8>,
    librdkafka: Librdkafka,
    bad: &mut Vec<SettingError>,
) -> io::Result<Option<Resolved>> {
    let value =
        String::from_utf8(bytes).map_err(|_| io::Error::other("not valid UTF-8; expected text"))?;
    // An editor or `echo` ends the file with a newline that is no part of the secret.
    let value = value.strip_suffix('\n').unwrap_or(&value).to_owned();
    // A unit that loads an optional credential has an empty one in its stead.
    if value.is_empty() {
        return Ok(None);
    }
    let is_encrypted = is_encrypted(&value);
    let key = Key::Property(properties::named(&name, librdkafka));
    let credential = Resolved::new(key, value, Origin::Credential(name));
    if is_encrypted {
        let because = "systemd-creds has encrypted it, and LoadCredential= decrypts nothing";
        let expected = "the secret itself, as LoadCredentialEncrypted= in a drop-in hands it over";
        // systemd-creds breaks its lines, and so the value has several of them; that is not what is wrong.
        let error = SettingError::new(&credential, None, expected);
        bad.push(SettingError { because: Some(because.into()), ..error });
        return Ok(None);
    }
    Ok(Some(credential))
}
