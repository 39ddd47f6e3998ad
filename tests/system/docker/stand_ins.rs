//! Images that take the place of those that the Dockerfile and the compose file name, because none
//! can be pulled here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::engine::engine;
use crate::broker::jars;
use crate::machine::debian::{Release, debian_with};
use crate::{cache, tools};

/// What the image `rust` has beside the toolchain, without what the Dockerfile installs itself.
const BUILD_PACKAGES: &str =
    "ca-certificates,gcc,g++,libc6-dev,libssl-dev,make,pkg-config,zlib1g-dev";

/// A JRE for Kafka, and the independent client that reads the topics back.
const KAFKA_PACKAGES: &str = "default-jre-headless,kcat";

/// How long an import may take.
const IMPORT_LIMIT: Duration = Duration::from_secs(300);

/// A Debian 12 with gcc and the Rust toolchain that runs this test.
pub fn rust() -> &'static str {
    static IMAGE: LazyLock<()> = LazyLock::new(|| {
        let toolchain = sysroot();
        let made_of = format!("{}{BUILD_PACKAGES}", rustc("--version"));
        let tree = cache::made_once(&cache::name("tree-rust", &made_of), |root| {
            let debian = debian_with(Release::Bookworm, BUILD_PACKAGES);
            copy(&debian, root);
            for part in ["bin", "lib", "libexec"].map(|part| toolchain.join(part)) {
                if part.exists() {
                    // Into the directory, of which Debian has an empty one already.
                    copy(&part, &root.join("usr/local"));
                }
            }
        });
        let extra = tempfile::tempdir().expect("a temporary directory");
        // What this machine needs to reach the registries, for cargo in the build.
        for (from, to) in [
            (PathBuf::from("/etc/ssl/certs/ca-certificates.crt"), "etc/ssl/certs/host.crt"),
            (cargo_home().join("config.toml"), "root/.cargo/config.toml"),
        ] {
            if from.exists() {
                put(extra.path(), to, &fs::read(from).expect("a readable file"), 0o644);
            }
        }
        let variable = "ENV SSL_CERT_FILE=/etc/ssl/certs/host.crt";
        let cargo = "ENV CARGO_HTTP_CAINFO=/etc/ssl/certs/host.crt";
        import("rust-stand-in", &tree, extra.path(), &[variable, cargo]);
    });
    LazyLock::force(&IMAGE);
    "rust-stand-in"
}

/// Kafka's jars with the paths, the entry point and the `KAFKA_` variables of the image
/// `apache/kafka`, as far as the compose file uses them.
pub fn kafka() -> &'static str {
    static IMAGE: LazyLock<()> = LazyLock::new(|| {
        let tree = debian_with(Release::Bookworm, KAFKA_PACKAGES);
        let extra = tempfile::tempdir().expect("a temporary directory");
        for jar in fs::read_dir(jars::directory()).expect("the jars").flatten() {
            let to = format!("opt/kafka/libs/{}", jar.file_name().to_string_lossy());
            put(extra.path(), &to, &fs::read(jar.path()).expect("a jar"), 0o644);
        }
        let log = include_bytes!("kafka/log4j2.yaml");
        for (path, content, mode) in [
            ("etc/kafka/docker/run", &include_bytes!("kafka/run")[..], 0o755),
            ("opt/kafka/bin/kafka-topics.sh", include_bytes!("kafka/kafka-topics.sh"), 0o755),
            ("etc/kafka/docker/log4j2.yaml", log, 0o644),
            ("etc/kafka/docker/tools-log4j2.yaml", log, 0o644),
            ("etc/kafka/docker/server.properties", b"", 0o644),
            // Directories come into being with a file in them.
            ("opt/kafka/config/.keep", b"", 0o644),
            ("mnt/shared/config/.keep", b"", 0o644),
        ] {
            put(extra.path(), path, content, mode);
        }
        let entry = "CMD [\"/etc/kafka/docker/run\"]";
        import("kafka-stand-in", &tree, extra.path(), &[entry]);
    });
    LazyLock::force(&IMAGE);
    "kafka-stand-in"
}

/// Makes an image of a tree, the files below `extra`, and these changes of its configuration.
fn import(image: &str, tree: &Path, extra: &Path, changes: &[&str]) {
    let start = Instant::now();
    let list = Command::new("find")
        .args([".", "-type", "f"])
        .current_dir(extra)
        .output()
        .expect("find to start and end");
    let names = extra.with_extension("list");
    fs::write(&names, &list.stdout).expect("a list of files");
    let mut tar = Command::new("tar")
        .args(["--create", "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./var/cache/*"])
        .arg("-C")
        .arg(tree)
        .arg(".")
        .arg("-C")
        .arg(extra)
        .arg("--files-from")
        .arg(&names)
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar to start");
    let mut command = vec!["docker", "import"];
    command.extend(changes.iter().flat_map(|change| ["--change", change]));
    command.extend(["-", image]);
    let archive = tar.stdout.take().expect("its output is piped");
    engine().run_with(IMPORT_LIMIT, &command, archive.into()).exits(0);
    assert!(tar.wait().expect("tar to end").success(), "the tree of {image} cannot be read");
    fs::remove_file(names).expect("the list is ours");
    eprintln!("{image}: imported in {:.1?}", start.elapsed());
}

fn put(directory: &Path, path: &str, content: &[u8], mode: u32) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn copy(from: &Path, to: &Path) {
    tools::success(Command::new("cp").arg("-a").arg(from).arg(to));
}

/// What the compiler says of itself.
fn rustc(question: &str) -> String {
    let output = tools::success(Command::new("rustc").arg(question));
    String::from_utf8(output.stdout).expect("a text").trim_end().to_owned()
}

/// The directory of the Rust toolchain, as rustup installs it.
fn sysroot() -> PathBuf {
    let sysroot = PathBuf::from(rustc("--print=sysroot"));
    let own = sysroot.join("lib/rustlib").is_dir() && sysroot != Path::new("/usr");
    assert!(own, "{} is no toolchain that can be copied; rustup installs one", sysroot.display());
    sysroot
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}
