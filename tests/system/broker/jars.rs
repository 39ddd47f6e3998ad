//! Fetches the jars of the broker, and of clients in Java, once per machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::{cache, tools};

const POM: &str = include_str!("pom.xml");
/// The longest that a download on a slow line may take.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(900);

/// The directory that holds the broker's jars, filled on first use.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| of("kafka-4.3.0", POM))
}

/// The directory that holds the jars of a pom, filled on first use.
pub fn of(kind: &str, pom: &str) -> PathBuf {
    cache::made_once(&cache::name(kind, pom), |jars| download(pom, jars))
}

fn download(content: &str, jars: &Path) {
    let pom = jars.with_file_name("pom.xml");
    fs::write(&pom, content).expect("the pom to be copied");
    let mut out = std::ffi::OsString::from("-DoutputDirectory=");
    out.push(jars);
    let mut maven = tools::bounded(DOWNLOAD_LIMIT, "mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]).arg(out);
    tools::success(&mut maven);
}
