//! The files of the settings as the unit sees them: its root holds only what is bound into it, and its
//! user is not root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::commands::doctor::{Finding, bad, odd, ok, skipped};
use crate::exit::Exit;
use crate::host::user::id;
use crate::settings::{DEFAULT_ENV_FILE, Settings, profile_file};

use super::Unit;

/// The seed of the host, which the unit prefers to the packaged one.
const HOST_SEED: &str = "/data/gpu_seed.json";

/// How the librdkafka properties end that name a file.
const OF_FILE: &str = ".location";

/// The properties that name a file with a private key.
const OF_PRIVATE_KEY: [&str; 2] = ["ssl.key.location", "ssl.keystore.location"];

/// Checks the seed, and whether the unit can read every file of the settings.
pub(super) fn check(settings: &Settings, unit: &Unit) -> Vec<Finding> {
    let binds = unit.get("BindReadOnlyPaths");
    let seed = source_of(&settings.gpu_seed, binds);
    let main = PathBuf::from(DEFAULT_ENV_FILE);
    let profile = settings.profile.as_ref().map(|name| profile_file(&main, name));
    let properties = settings.properties.iter().filter(|(name, _)| name.ends_with(OF_FILE));
    let named: Vec<_> = properties.map(|(_, value)| PathBuf::from(value.expose())).collect();
    let private = OF_PRIVATE_KEY.iter().filter_map(|name| settings.properties.get(*name));
    let private: Vec<_> = private.map(|value| PathBuf::from(value.expose())).collect();
    let unseen = named.iter().find(|path| path.exists() && source_of(path, binds).is_none());
    let mut findings = vec![check_seed(&settings.gpu_seed, seed.as_deref())];
    findings.extend(unseen.map(|path| unseen_by_unit("unit's files", path)));
    let files = [Some(main), profile, seed].into_iter().flatten().chain(named);
    findings.push(check_rights(unit, files.filter(|path| path.is_file()), &private));
    findings
}

/// The seed file of the unit, by its path on this host.
fn check_seed(seed: &Path, source: Option<&Path>) -> Finding {
    let name = "unit's seed";
    let Some(source) = source else { return unseen_by_unit(name, seed) };
    let host = Path::new(HOST_SEED);
    if seed == host && host.is_symlink() && !host.exists() {
        let problem = format!(
            "{HOST_SEED} of this host is a link to nothing, so the unit has {}",
            source.display()
        );
        return odd(name, problem, "correct the link, or remove it");
    }
    let shown = match source == seed {
        true => seed.display().to_string(),
        false => format!("{} (on this host {})", seed.display(), source.display()),
    };
    if source.is_file() {
        return ok(name, shown);
    }
    let remedy = "install the package again, or correct GPU_SEED";
    bad(name, format!("{shown} is not there"), remedy, Exit::NoInput)
}

fn unseen_by_unit(name: &str, path: &Path) -> Finding {
    let remedy = "put it into /etc/vm4-producer/shared, or for one profile into \
                  /etc/vm4-producer/NAME, and set its path there";
    bad(name, format!("the unit does not see {}", path.display()), remedy, Exit::NoInput)
}

/// Whether the unit's user can read these files, which root always can.
///
/// `private` are those that nobody else may read.
fn check_rights(unit: &Unit, files: impl Iterator<Item = PathBuf>, private: &[PathBuf]) -> Finding {
    let name = "unit's rights";
    let user = unit.get("User");
    let (Some(uid), Some(gid)) = (id("-u", user), id("-g", user)) else {
        return skipped(name, format!("there is no user {user:?}"));
    };
    if !rustix::process::geteuid().is_root() {
        return skipped(name, format!("only root can tell what UID {uid} can read"));
    }
    let groups = unit.get("SupplementaryGroups").replace(' ', ",");
    let mut readable = 0;
    for file in files {
        for (path, test) in way_to(&file) {
            match may(&uid, &gid, &groups, test, &path) {
                Ok(true) => {}
                Ok(false) => {
                    let (path, right) = (path.display(), test.trim_start_matches('-'));
                    let problem = format!("UID {uid} cannot read {}", file.display());
                    let is_private = test == "-r" && private.contains(&file);
                    let remedy = match is_private {
                        // Whoever has it can be the client.
                        true => format!(
                            "chgrp {gid} {path} && chmod g+r {path}; a private key can also be the \
                             credential ssl.key.pem"
                        ),
                        false => format!("chmod a+{right} {path}"),
                    };
                    return bad(name, problem, remedy, Exit::NoInput);
                }
                Err(problem) => return skipped(name, problem),
            }
        }
        readable += 1;
    }
    ok(name, format!("UID {uid} can read the {readable} files of these settings"))
}

/// Each directory on the way to a file and the file, with the option of test(1) for what is needed.
fn way_to(file: &Path) -> Vec<(PathBuf, &'static str)> {
    let mut way: Vec<_> = file.ancestors().skip(1).map(|up| (up.to_owned(), "-x")).collect();
    way.reverse();
    way.push((file.to_owned(), "-r"));
    way
}

/// Whether a user has a right. It asks the kernel as that user, because access lists count too.
fn may(uid: &str, gid: &str, groups: &str, test: &str, path: &Path) -> Result<bool, String> {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid", uid, "--regid", gid]);
    match groups {
        "" => setpriv.arg("--clear-groups"),
        groups => setpriv.args(["--groups", groups]),
    };
    let status = setpriv.args(["test", test]).arg(path).stderr(Stdio::null()).status();
    match status.map_err(|error| format!("setpriv: {error}"))?.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        other => Err(format!("setpriv ended with {other:?}")),
    }
}

/// The path on the host of what a unit with these `BindReadOnlyPaths=` sees as `path`. Of two binds of
/// one destination systemd keeps the first, also if that is an optional one whose source is missing.
fn source_of(path: &Path, binds: &str) -> Option<PathBuf> {
    let mut bound = BTreeSet::new();
    let binds = binds.split_whitespace().filter_map(|bind| {
        let is_optional = bind.starts_with('-');
        let mut parts = bind.trim_start_matches('-').split(':');
        let source = Path::new(parts.next()?);
        let destination = parts.next().map_or(source, Path::new);
        let is_first = bound.insert(destination);
        let below = path.strip_prefix(destination).ok()?;
        if !is_first || (is_optional && !source.exists()) {
            return None;
        }
        let source = if below == Path::new("") { source.into() } else { source.join(below) };
        Some((destination.components().count(), source))
    });
    binds.max_by_key(|(depth, _)| *depth).map(|(_, source)| source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_unit_is_found_on_the_host() {
        let binds = "/usr/bin/vm4-producer:/usr/bin/vm4-producer:rbind /usr/share/vm4-producer:/data:rbind \
                     -/no/such/two.json:/data/two.json:rbind /srv/seeds:/data:rbind \
                     /srv/two.json:/data/two.json:rbind \
                     /etc/vm4-producer:/etc/vm4-producer:rbind /srv/one.json:/data/one.json:rbind";
        let source = |path: &str| source_of(Path::new(path), binds);
        assert_eq!(source("/data/seed.json"), Some("/usr/share/vm4-producer/seed.json".into()));
        assert_eq!(source("/data/one.json"), Some("/srv/one.json".into()));
        assert_eq!(source("/data/two.json"), Some("/usr/share/vm4-producer/two.json".into()));
        assert_eq!(source("/etc/vm4-producer/b.json"), Some("/etc/vm4-producer/b.json".into()));
        assert_eq!(source("/home/a/seed.json"), None);
    }

    #[test]
    fn every_directory_on_the_way_to_a_file_counts() {
        let way = way_to(Path::new("/etc/vm4-producer.env"));
        let way: Vec<_> = way.iter().map(|(p, test)| (p.to_str().unwrap(), *test)).collect();
        assert_eq!(way, [("/", "-x"), ("/etc", "-x"), ("/etc/vm4-producer.env", "-r")]);
    }
}
