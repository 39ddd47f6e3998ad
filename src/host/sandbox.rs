//! What a systemd unit takes from its process without a word.

use std::fs;
use std::path::Path;

use rustix::process::geteuid;

/// systemd sets it for every process of a unit.
const IN_UNIT: &str = "INVOCATION_ID";

/// The directory behind the `/tmp` of a unit with `PrivateTmp=yes`, as proc_pid_mountinfo(5) names it.
const PRIVATE_TMP: &str = "/systemd-private-";

/// Where a unit with `PrivateTmp=yes` and a root of its own can write, and what ends with it.
const PRIVATE: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// The UIDs that systemd makes up for units whose user does not exist.
pub(super) const MADE_UP: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// What is odd about this process in its unit, and about the files that these settings name; nothing
/// elsewhere.
#[must_use]
pub fn problems(outputs: [(&str, Option<&Path>); 2]) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let has_private_tmp = mounts.contains(PRIVATE_TMP);
    let files = outputs.into_iter().filter(|_| has_private_tmp);
    let lost = files.filter_map(|(setting, path)| lost(setting, path?));
    let in_unit = std::env::var_os(IN_UNIT).is_some();
    let uid = in_unit.then(|| geteuid().as_raw()).and_then(made_up);
    lost.chain(uid).collect()
}

fn lost(setting: &str, path: &Path) -> Option<String> {
    PRIVATE.iter().any(|private| path.starts_with(private)).then(|| {
        format!(
            "{setting}: {} is in a directory that ends with this unit; {setting}=- puts it into the journal, and StateDirectory=vm4-producer in a drop-in \
             gives the unit /var/lib/vm4-producer for it",
            path.display()
        )
    })
}

fn made_up(uid: u32) -> Option<String> {
    MADE_UP.contains(&uid).then(|| {
        format!(
            "this unit runs as UID {uid}, which systemd made up because its user does not exist; \
             run `systemd-sysusers` as root to make it again"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_a_directory_of_the_unit_alone_is_lost() {
        for path in ["/tmp/r.json", "/var/tmp/a/r.json", "/run/r.json"] {
            let problem = lost("REPORT_FILE", Path::new(path)).unwrap();
            assert!(
                problem.starts_with(&format!("REPORT_FILE: {path} is in a directory")),
                "{problem}"
            );
        }
        for path in ["-", "/var/lib/vm4-producer/r.json", "/tmpfs/r.json"] {
            assert_eq!(lost("REPORT_FILE", Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn a_user_that_systemd_made_up_is_told() {
        assert!(made_up(63_885).unwrap().starts_with("this unit runs as UID 63885, which"));
        assert_eq!([0, 10_001, 65_534].map(made_up), [None, None, None]);
    }
}
