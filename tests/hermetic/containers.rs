//! What the files around the image say agrees with the program and with each other. The image
//! itself is tested in `tests/system/docker`.

use std::process::Command;

use vm4_producer::settings::{DEFINITIONS, definition};

use crate::process::install;

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
    for directory in ["cronjob", "example"] {
        let tag = line(&format!("packaging/kubernetes/{directory}/kustomization.yaml"), "newTag: ");
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
        ("packaging/kubernetes/cronjob/cronjob.yaml", "terminationGracePeriodSeconds: "),
    ] {
        let grace: u32 = line(path, start).trim_end_matches('s').parse().unwrap();
        assert!(grace > timeout, "{path}: {grace}");
    }
}

#[test]
fn the_seed_of_the_example_for_kubernetes_is_the_shipped_one() {
    // kustomize reads no file outside of the directory that it builds.
    assert_eq!(read("packaging/kubernetes/example/gpu_seed.json"), read("gpu_seed.json"));
}

/// The broker that a target names to Compose, in a checkout with this `.env`.
fn broker(env: Option<&str>, arguments: &[&str]) -> String {
    broker_with(&[], env, arguments)
}

/// The same with these variables in the environment.
fn broker_with(variables: &[(&str, &str)], env: Option<&str>, arguments: &[&str]) -> String {
    let checkout = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(checkout.path().join("Makefile"), read("Makefile")).expect("a file");
    if let Some(env) = env {
        std::fs::write(checkout.path().join(".env"), env).expect("a file");
    }
    let mut make = Command::new("make");
    make.current_dir(&checkout).env_remove("KAFKA").env_remove("MAKEFLAGS");
    make.env_remove("KAFKA_BOOTSTRAP").envs(variables.iter().copied());
    // In place of Compose, a command that tells what Compose would be told.
    make.args(["--silent", "COMPOSE=printenv KAFKA_BOOTSTRAP; true"]).args(arguments);
    let output = make.output().expect("make to start and end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text").trim_end().to_owned()
}

#[test]
fn the_makefile_names_the_broker_of_the_command_line_or_of_env_or_the_default() {
    let default = definition("KAFKA_BOOTSTRAP").and_then(|setting| setting.default).unwrap();
    for target in ["up", "run-once", "restart", "doctor"] {
        assert_eq!(broker(None, &[target]), default);
        assert_eq!(broker(Some("BATCH=1\n"), &[target]), default);
        let env = Some("KAFKA_BOOTSTRAP=kafka-1:9092\n#KAFKA_BOOTSTRAP=kafka-2\n");
        assert_eq!(broker(env, &[target]), "kafka-1:9092");
        assert_eq!(broker(Some("KAFKA_BOOTSTRAP=\"[::1]:9092\"\n"), &[target]), "[::1]:9092");
        assert_eq!(broker(env, &[target, "KAFKA=kafka-3"]), "kafka-3");
        for line in [
            "KAFKA_BOOTSTRAP=kafka-1:9092 # mine\n",
            "export KAFKA_BOOTSTRAP=kafka-1:9092\n",
            "  KAFKA_BOOTSTRAP = 'kafka-1:9092'  \n",
        ] {
            assert_eq!(broker(Some(line), &[target]), "kafka-1:9092", "{line:?}");
        }
        // As docker compose has it: the environment beats the file.
        assert_eq!(broker_with(&[("KAFKA_BOOTSTRAP", "mine:9092")], env, &[target]), "mine:9092");
    }
    assert_eq!(broker(Some("KAFKA_BOOTSTRAP=kafka-1\n"), &["compose-demo"]), "kafka:9092");
}

#[test]
fn the_makefile_says_what_installs_compose_where_there_is_none() {
    let checkout = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(checkout.path().join("Makefile"), read("Makefile")).expect("a file");
    let docker = checkout.path().join("bin/docker");
    let make = |target: &str| {
        let mut make = Command::new("make");
        make.current_dir(&checkout)
            .env("PATH", format!("{}/bin:/usr/bin:/bin", checkout.path().display()));
        let output = make.env_remove("MAKEFLAGS").arg(target).output().expect("make to start");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    install(&docker, "#!/bin/sh\necho \"docker: unknown command: docker compose\" >&2\nexit 1\n");
    for target in ["up", "run-once", "logs", "ps", "down", "restart", "doctor", "build"] {
        let (is_well, said) = make(target);
        assert!(
            !is_well && said.contains("there is no docker compose here: run make setup"),
            "{said}"
        );
    }
    install(&docker, "#!/bin/sh\necho v2\n");
    assert_eq!(make("ps"), (true, String::new()));
}
