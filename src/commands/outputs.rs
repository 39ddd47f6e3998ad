//! The files that a command writes beside its stdout: REPORT_FILE and ANSWER_KEY.
//!
//! Each can be written, and is neither the other one nor a file that the command reads. That is
//! known before the first record is sent.

use std::path::{Path, PathBuf};

use crate::host::files;
use crate::settings::{Inputs, SettingError, Settings, profile_file};

/// What a command writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outputs {
    /// Whether stdout has the text of the command.
    pub(super) prints: bool,
    /// Whether it writes REPORT_FILE.
    pub(super) reports: bool,
}

impl Outputs {
    /// The settings that name a file, and the file.
    fn files(self, settings: &Settings) -> impl Iterator<Item = (&'static str, &Path)> {
        let report = settings.report_file.as_deref().filter(|_| self.reports);
        let named = [("REPORT_FILE", report), ("ANSWER_KEY", settings.answer_key.as_deref())];
        named.into_iter().filter_map(|(name, path)| Some((name, path?)))
    }
}

/// Checks that each of these files can be written.
///
/// # Errors
/// The setting whose file cannot be used, and why.
pub(super) fn check(settings: &Settings, outputs: Outputs) -> Result<(), SettingError> {
    check_names(settings, outputs)?;
    for (name, path) in outputs.files(settings) {
        files::check_writable(path).map_err(|error| settings.refuse(name, error.to_string()))?;
    }
    Ok(())
}

/// Checks that none of these files is another one of them, or is one that the command reads.
///
/// # Errors
/// The setting whose file that is, and which other one it is.
pub(super) fn check_names(settings: &Settings, outputs: Outputs) -> Result<(), SettingError> {
    let mut taken: Vec<(&str, &Path)> = Vec::new();
    if outputs.prints {
        taken.push(("this command prints there", Path::new("-")));
    }
    for (name, path) in outputs.files(settings) {
        // A report follows on stdout what is printed there.
        let follows = name == "REPORT_FILE" && files::is_stdout(path);
        let is_it = |(_, taken): &&(&str, &Path)| !follows && files::is_one_place(path, taken);
        let clash = taken.iter().find(is_it).map(|(why, _)| (*why).to_owned());
        let read = || input(settings, path).map(|what| format!("{what} is read from there"));
        if let Some(why) = clash.or_else(read) {
            return Err(settings.refuse(name, why));
        }
        taken.push(("the report goes there (REPORT_FILE)", path));
    }
    Ok(())
}

/// The input that writing to `path` would overwrite.
fn input(settings: &Settings, path: &Path) -> Option<String> {
    let inputs = Inputs { environment: std::env::vars_os().collect(), ..Inputs::default() };
    let (env_file, _) = inputs.env_file();
    let profile = settings.profile.as_ref().map(|profile| profile_file(&env_file, profile));
    let locations = settings.properties.iter().filter(|(name, _)| name.ends_with(".location"));
    let locations =
        locations.map(|(name, property)| (name.clone(), PathBuf::from(property.expose())));
    [("the env file".to_owned(), env_file), ("GPU_SEED".to_owned(), settings.gpu_seed.clone())]
        .into_iter()
        .chain(profile.map(|path| ("the env file of PROFILE".to_owned(), path)))
        .chain(locations)
        .find(|(_, read)| read != Path::new("-") && files::is_one_place(path, read))
        .map(|(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties;
    use std::fs;

    const RUN: Outputs = Outputs { prints: false, reports: true };

    /// What is said of settings with these values.
    fn said(values: &[(&str, &Path)], outputs: Outputs) -> String {
        let environment = [("VM4_PRODUCER_ENV".into(), "/dev/null".into())].into_iter();
        let environment = environment.chain(values.iter().map(|(n, p)| ((*n).into(), (*p).into())));
        let inputs = Inputs { environment: environment.collect(), ..Inputs::default() };
        let settings = Settings::load(&inputs, properties::check).unwrap();
        check(&settings, outputs).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn two_names_of_one_file_are_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("there"), "").unwrap();
        std::os::unix::fs::symlink(at("there"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("d"), at("e")).unwrap();
        for (report, key) in [
            ("k", "k"),
            ("k", "./k"),
            ("k", "d/../k"),
            ("d/k", "e/k"),
            ("there", "link"),
            ("link", "./there"),
        ] {
            let values = [("REPORT_FILE", &*at(report)), ("ANSWER_KEY", &*at(key))];
            let why = "the report goes there (REPORT_FILE)";
            assert!(said(&values, RUN).contains(why), "{report} {key}: {}", said(&values, RUN));
            let only_key = Outputs { prints: true, reports: false };
            assert_eq!(said(&values, only_key), "", "no report is written");
        }
        let values = [("REPORT_FILE", &*at("k")), ("ANSWER_KEY", &*at("d/k"))];
        assert_eq!(said(&values, RUN), "");
        let null = Path::new("/dev/null");
        assert_eq!(said(&[("REPORT_FILE", null), ("ANSWER_KEY", null)], RUN), "");
    }

    #[test]
    fn an_input_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let seed = directory.path().join("seed.json");
        fs::write(&seed, "[]").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&seed, &link).unwrap();
        for output in ["REPORT_FILE", "ANSWER_KEY"] {
            let said = said(&[("GPU_SEED", &seed), (output, &link)], RUN);
            assert!(said.starts_with(&format!("{output}: ")), "{said}");
            assert!(said.contains("GPU_SEED is read from there"), "{said}");
        }
        let ca = ("RDKAFKA_SSL_CA_LOCATION", &*seed);
        let said = said(&[ca, ("REPORT_FILE", &link)], RUN);
        assert!(said.contains("ssl.ca.location is read from there"), "{said}");
    }
}
