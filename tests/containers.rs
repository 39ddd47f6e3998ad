//! What the files around the image say agrees with the program and with each other. The image
//! itself is tested in `tests/system/docker`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use vm4_producer::settings::{DEFINITIONS, definition};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails unless the file has this text.
#[track_caller]
fn says(path: &str, text: &str) {
    assert!(read(path).contains(text), "{path} does not have {text:?}");
}

/// The rest of the one line of a file that starts so.
#[track_caller]
fn line(path: &str, start: &str) -> String {
    let text = read(path);
    let mut found = text.lines().filter_map(|line| line.trim_start().strip_prefix(start));
    let line = found.next().unwrap_or_else(|| panic!("{path} has no line {start:?}")).to_owned();
    assert_eq!(found.next(), None, "{path} has two lines {start:?}");
    line
}

#[test]
fn every_file_names_the_version_of_the_program() {
    assert_eq!(line("Dockerfile", "ARG VERSION="), VERSION);
    says("docker-compose.yml", &format!("${{PRODUCER_IMAGE:-vm4-producer:{VERSION}}}"));
    says("packaging/swarm/stack.yml", &format!("${{PRODUCER_IMAGE:-vm4-producer:{VERSION}}}"));
    for way in ["job", "cronjob"] {
        let tag = line(&format!("packaging/kubernetes/{way}/kustomization.yaml"), "newTag: ");
        assert_eq!(tag, VERSION);
    }
}

#[test]
fn the_image_is_built_with_the_oldest_rust_that_the_program_supports() {
    let image = line("Dockerfile", "ARG BUILD_IMAGE=");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(image.starts_with(&format!("docker.io/library/rust:{rust}.")), "{image}");
    says("docker-compose.yml", &format!("${{BUILD_IMAGE:-{image}}}"));
}

#[test]
fn the_image_is_built_with_what_the_makefile_installs() {
    let packages = line("Makefile", "BUILD_PACKAGES := ");
    let installed = line("Dockerfile", "ca-certificates ");
    for package in packages.split(' ').filter(|package| *package != "ca-certificates") {
        let named = installed.split_whitespace().any(|name| name == package);
        assert!(named, "{package} is not in {installed:?}");
    }
}

#[test]
fn one_dockerfile_serves_every_architecture() {
    for path in ["Dockerfile", "packaging/image-root", "docker-compose.yml"] {
        for (number, line) in read(path).lines().enumerate() {
            let prose = line.trim_start().starts_with('#');
            for name in ["x86", "amd64", "arm64", "aarch64", "TARGETARCH", "--platform"] {
                assert!(prose || !line.contains(name), "{path}:{}: {line}", number + 1);
            }
        }
    }
}

#[test]
fn the_example_of_env_shows_settings_and_their_defaults() {
    let mut shown = 0;
    for line in read(".env.example").lines() {
        let Some((name, value)) = line.trim_start_matches('#').split_once('=') else { continue };
        if name.contains(' ') || name.starts_with("RDKAFKA_") {
            continue;
        }
        let known = definition(name).unwrap_or_else(|| panic!("{name} is no setting"));
        assert!(line.starts_with('#'), "{name} is not commented out");
        if let Some(default) = known.default {
            assert_eq!(value, default, "{name}");
        }
        shown += 1;
    }
    assert!(shown > 8 && shown < DEFINITIONS.len());
}

#[test]
fn the_default_broker_is_that_of_the_program() {
    let default = definition("KAFKA_BOOTSTRAP").and_then(|setting| setting.default).unwrap();
    says("Makefile", &format!(",{default})\n"));
    says("packaging/swarm/stack.yml", &format!("${{KAFKA_BOOTSTRAP:-{default}}}"));
    says("packaging/kubernetes/base/kustomization.yaml", &format!("KAFKA_BOOTSTRAP={default}\n"));
    let (address, port) = default.split_once(':').unwrap();
    says("packaging/kubernetes/base/networkpolicy.yaml", &format!("cidr: {address}/32}}"));
    says("packaging/kubernetes/base/networkpolicy.yaml", &format!("port: {port}}}"));
}

#[test]
fn a_container_has_the_delivery_timeout_and_more_to_stop() {
    let timeout = definition("DELIVERY_TIMEOUT_SEC").and_then(|setting| setting.default).unwrap();
    let timeout: u32 = timeout.parse().unwrap();
    for (path, start) in [
        ("docker-compose.yml", "stop_grace_period: "),
        ("packaging/swarm/stack.yml", "stop_grace_period: "),
        ("packaging/kubernetes/job/job.yaml", "terminationGracePeriodSeconds: "),
        ("packaging/kubernetes/cronjob/cronjob.yaml", "terminationGracePeriodSeconds: "),
    ] {
        let grace: u32 = line(path, start).trim_end_matches('s').parse().unwrap();
        assert!(grace > timeout, "{path}: {grace}");
    }
}
