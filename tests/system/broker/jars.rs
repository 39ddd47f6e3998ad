//! Fetches the broker's jars once per machine.

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
    DIRECTORY.get_or_init(|| cache::made_once(&cache::name("kafka-4.3.0", POM), download))
}

fn download(jars: &Path) {
    let pom = jars.with_file_name("pom.xml");
    fs::write(&pom, POM).expect("the pom to be copied");
    let mut out = std::ffi::OsString::from("-DoutputDirectory=");
    out.push(jars);
    let mut maven = tools::bounded(DOWNLOAD_LIMIT, "mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]).arg(out);
    tools::success(&mut maven);
}
