//! The systemd generator: turns the egress allow list of the env files into `IPAddressAllow=`.
//!
//! systemd runs it at boot and at `daemon-reload`, before there is a network: systemd.generator(7).
//! It reads files and writes files, asks nobody for a name, and cannot fail a boot: what is wrong
//! with an env file goes to the log, and its unit stays without a list, so that it reaches nothing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::LIST_VARIABLE;
use crate::exit::Exit;
use crate::host::boot_log;
use crate::settings::{self, DEFAULT_ENV_FILE, Inputs};

/// The name under which the program is the generator.
pub const NAME: &str = "vm4-producer-generator";

/// The drop-in's file name, below the unit's `.d` directory.
const DROP_IN: &str = "50-egress.conf";

/// Whether a process was started under the generator's name.
#[must_use]
pub fn is_name(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(NAME))
}

/// Writes the drop-ins into the first directory of these arguments. Always a success.
#[must_use]
pub fn main(mut directories: impl Iterator<Item = OsString>) -> Exit {
    let problems = match directories.next() {
        Some(directory) => generate(Path::new(DEFAULT_ENV_FILE), Path::new(&directory)),
        None => {
            vec!["expected the directory for the drop-ins, as systemd.generator(7) has it".into()]
        }
    };
    problems.iter().for_each(|problem| boot_log::complain(NAME, problem));
    Exit::Success
}

/// Writes the drop-in of the plain unit and of each profile's instance; returns what went wrong.
#[must_use]
pub fn generate(env_file: &Path, directory: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let mut units = vec![(String::from("vm4-producer.service"), None)];
    match profiles(env_file) {
        Ok(profiles) => units.extend(
            profiles.into_iter().map(|name| (format!("vm4-producer@{name}.service"), Some(name))),
        ),
        Err(error) => problems.push(format!("cannot look for profiles: {error}")),
    }
    for (unit, profile) in units {
        let written = drop_in(env_file, profile)
            .and_then(|text| write(&directory.join(format!("{unit}.d")), &text));
        if let Err(problem) = written {
            problems.push(format!("{unit} can reach nothing: {problem}"));
        }
    }
    problems
}

/// The names of the profiles, sorted.
fn profiles(env_file: &Path) -> io::Result<Vec<String>> {
    let directory = env_file.with_extension("");
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).and_then(|n| n.strip_suffix(".env"));
        names.extend(name.filter(|name| settings::is_profile(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn drop_in(env_file: &Path, profile: Option<String>) -> Result<String, String> {
    let environment = profile.map(|name| ("PROFILE".into(), name.into()));
    let inputs = Inputs {
        environment: environment.into_iter().collect(),
        default_env_file: Some(PathBuf::from(env_file)),
        ..Inputs::default()
    };
    let list = settings::egress(&inputs).map_err(|error| error.to_string().replace('\n', "; "))?;
    let entries = list.entries().map(|entry| format!("IPAddressAllow={entry}\n"));
    Ok(format!(
        "# From the addresses in KAFKA_BOOTSTRAP and EGRESS_ALLOW, at boot and daemon-reload:\n\
         # see vm4-producer(1).\n[Service]\n{}Environment={LIST_VARIABLE}={list}\n",
        entries.collect::<String>()
    ))
}

fn write(directory: &Path, text: &str) -> Result<(), String> {
    let path = directory.join(DROP_IN);
    let written = fs::create_dir_all(directory).and_then(|()| fs::write(&path, text));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems, and the text of each drop-in by its path.
    fn generated(files: &[(&str, &str)]) -> (Vec<String>, Vec<(String, String)>) {
        let etc = tempfile::tempdir().unwrap();
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(etc.path().join("vm4-producer")).unwrap();
        for (path, text) in files {
            fs::write(etc.path().join(path), text).unwrap();
        }
        let problems = generate(&etc.path().join("vm4-producer.env"), run.path());
        let mut found = Vec::new();
        for unit in fs::read_dir(run.path()).unwrap() {
            let unit = unit.unwrap();
            let text = fs::read_to_string(unit.path().join(DROP_IN)).unwrap();
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            found.push((unit.file_name().into_string().unwrap(), lines.join("\n")));
        }
        found.sort();
        let etc = etc.path().display().to_string();
        (problems.iter().map(|problem| problem.replace(&etc, "/etc")).collect(), found)
    }

    fn drop_in(unit: &str, entries: &[&str]) -> (String, String) {
        let lines: String = entries.iter().map(|e| format!("IPAddressAllow={e}\n")).collect();
        let list = entries.join(",");
        (
            format!("{unit}.service.d"),
            format!("[Service]\n{lines}Environment={LIST_VARIABLE}={list}"),
        )
    }

    #[test]
    fn without_files_the_default_broker_is_allowed() {
        assert_eq!(generated(&[]), (vec![], vec![drop_in("vm4-producer", &["10.0.1.197"])]));
    }

    #[test]
    fn every_profile_has_the_list_of_its_own_settings() {
        let files = [
            (
                "vm4-producer.env",
                "KAFKA_BOOTSTRAP=10.0.0.1,kafka-2,[2001:db8::7]:9093\nEGRESS_ALLOW=10.9.0.0/16\n",
            ),
            ("vm4-producer/site-a.env", "KAFKA_BOOTSTRAP=localhost\n"),
            ("vm4-producer/site-b.env", "EGRESS_ALLOW=\n"),
            ("vm4-producer/.hidden.env", "KAFKA_BOOTSTRAP=10.6.6.6\n"),
            ("vm4-producer/notes.txt", "KAFKA_BOOTSTRAP=10.6.6.6\n"),
        ];
        let (problems, found) = generated(&files);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            found,
            [
                drop_in("vm4-producer", &["10.0.0.1", "2001:db8::7", "10.9.0.0/16"]),
                drop_in("vm4-producer@site-a", &["127.0.0.1", "::1", "10.9.0.0/16"]),
                drop_in("vm4-producer@site-b", &["10.0.0.1", "2001:db8::7"]),
            ]
        );
    }

    #[test]
    fn a_file_that_is_wrong_leaves_its_unit_without_a_list_and_the_others_with_theirs() {
        let files = [
            ("vm4-producer/bad.env", "EGRESS_ALLOW=kafka\n"),
            ("vm4-producer/broken.env", "BATCH 20\n"),
            ("vm4-producer/busy.env", "BATCH=many\n"),
        ];
        let (problems, found) = generated(&files);
        assert_eq!(
            problems,
            [
                "vm4-producer@bad.service can reach nothing: EGRESS_ALLOW: \"kafka\" from \
                 /etc/vm4-producer/bad.env line 1 is not valid: \"kafka\" is neither an address nor \
                 a prefix; expected addresses and prefixes separated by commas or spaces, as in \
                 10.0.1.0/24,2001:db8::7",
                "vm4-producer@broken.service can reach nothing: /etc/vm4-producer/broken.env: line \
                 1: \"BATCH ...\" has no \"=\"; expected KEY=value, or \"#\" before a comment",
            ]
        );
        // What does not concern the list does not cost it.
        let list = ["10.0.1.197"];
        assert_eq!(found, [drop_in("vm4-producer", &list), drop_in("vm4-producer@busy", &list)]);
    }

    #[test]
    fn it_is_known_by_its_name() {
        assert!(is_name(OsStr::new("/usr/lib/systemd/system-generators/vm4-producer-generator")));
        assert!(!is_name(OsStr::new("vm4-producer")));
    }

    #[test]
    fn it_succeeds_even_without_a_place_to_write_to() {
        assert_eq!(main(std::iter::empty()), Exit::Success);
    }
}
