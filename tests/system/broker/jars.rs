//! Fetches the broker's jars once per machine and keeps them outside the
//! checkout, in `$XDG_CACHE_HOME/vm4-producer` (or `~/.cache/vm4-producer`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::tools;

const POM: &str = include_str!("../kafka/pom.xml");
/// The longest that a download on a slow line may take.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(900);

/// The directory that holds the broker's jars, filled on first use.
///
/// The directory gets its final name only when it is complete. Of two processes
/// that need the jars at the same time both download them, and the first to be
/// ready wins.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let cache = cache();
        let jars = cache.join(format!("kafka-4.3.0-{:016x}", fnv1a(POM.as_bytes())));
        if !jars.is_dir() {
            fs::create_dir_all(&cache).expect("the jar cache to be created");
            download(&cache, &jars);
        }
        jars
    })
}

pub fn cache() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let root = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .expect("XDG_CACHE_HOME or HOME to be set, to keep Kafka's jars there");
    root.join("vm4-producer")
}

fn download(cache: &Path, jars: &Path) {
    let unfinished = tempfile::Builder::new()
        .prefix("unfinished-")
        .tempdir_in(cache)
        .expect("a directory for the download");
    let pom = unfinished.path().join("pom.xml");
    fs::write(&pom, POM).expect("the pom to be copied");
    let copied = unfinished.path().join("jars");
    let mut out = std::ffi::OsString::from("-DoutputDirectory=");
    out.push(&copied);
    let maven = tools::bounded(DOWNLOAD_LIMIT, "mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(out)
        .output()
        .expect("mvn to start and end");
    assert!(
        maven.status.success(),
        "mvn could not fetch the broker's jars ({}): {}{}",
        maven.status,
        String::from_utf8_lossy(&maven.stdout),
        String::from_utf8_lossy(&maven.stderr)
    );
    let renamed = fs::rename(&copied, jars);
    assert!(renamed.is_ok() || jars.is_dir(), "the download could not be renamed: {renamed:?}");
}

/// A hash that, unlike the standard library's, never changes with the
/// compiler.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
