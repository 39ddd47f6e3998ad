//! The image: built from nothing but the repository, small, without a shell, without a secret.

use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::compose::Project;
use super::engine::{Output, engine};
use super::stand_ins;

/// How long a build may take on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// The image is smaller than this, in MB, as docs/containers.md says. The project allows itself 40.
const SMALLER_THAN: u64 = 24;

/// What stands in files of the checkout that no image may show.
const SECRET: &str = "hunter2-is-in-a-layer";

/// A command line of the shell in the copy of the repository, with the stand-ins for base images.
pub fn with_stand_ins(limit: Duration, line: &str) -> Output {
    let (rust, kafka) = thread::scope(|scope| {
        let kafka = scope.spawn(stand_ins::kafka);
        (stand_ins::rust(), kafka.join().expect("an image"))
    });
    engine().shell_within(limit, &format!("export BUILD_IMAGE={rust} KAFKA_IMAGE={kafka}; {line}"))
}

/// The name of the image, built the first time with the Makefile.
pub fn image() -> &'static str {
    static IMAGE: LazyLock<String> = LazyLock::new(|| {
        copy_repository();
        engine().shell(&format!("mkdir secrets && echo {SECRET} >secrets/sasl.password")).exits(0);
        engine().shell(&format!("echo RDKAFKA_SASL_PASSWORD={SECRET} >.env")).exits(0);
        let built = with_stand_ins(BUILD_LIMIT, "make build");
        engine().shell("rm -r .env secrets").exits(0);
        eprintln!("make build: {:.1?}", built.exits(0).elapsed);
        format!("vm4-producer:{}", env!("CARGO_PKG_VERSION"))
    });
    &IMAGE
}

/// Copies every file of the checkout that git does not ignore to the engine's host.
fn copy_repository() {
    let mut archive = Command::new("sh")
        .args(["-c", "git ls-files -co --exclude-standard -z | tar --create --null -T -"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh to start");
    let output = archive.stdout.take().expect("its output is piped");
    let extract = ["tar", "--extract", "--no-same-owner", "-C", "/repository"];
    engine().run_with(Duration::from_secs(60), &extract, output.into()).exits(0);
    assert!(archive.wait().expect("sh to end").success(), "git lists the files of the checkout");
}

/// What the engine knows of the image.
fn inspected() -> Value {
    let text = engine().run(&["docker", "image", "inspect", image()]).text();
    serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
}

#[test]
fn the_image_is_small_and_says_what_it_is() {
    let inspected = inspected();
    let size = inspected["Size"].as_u64().expect("a size");
    println!("image: {:.1} MB", size as f64 / 1e6);
    assert!(size < SMALLER_THAN * 1_000_000, "{size} bytes");
    let page = include_str!("../../../docs/containers.md");
    assert!(page.contains(&format!("less than {SMALLER_THAN} MB, no shell, amd64 and arm64")));
    let config = &inspected["Config"];
    assert_eq!(config["User"], "10001:10001");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/vm4-producer"]));
    let check = &config["Healthcheck"]["Test"];
    assert_eq!(*check, serde_json::json!(["CMD", "/usr/bin/vm4-producer", "doctor", "--tcp"]));
    let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
    assert_eq!(label("title"), "vm4-producer");
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), "Apache-2.0 OR MIT");
    let version = engine().run(&["docker", "run", "--rm", image(), "--version"]).text();
    assert_eq!(version, concat!("vm4-producer ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_image_has_no_shell_and_nothing_else_to_run() {
    let list = "id=$(docker create $0) && docker export $id | tar --list --verbose && \
                docker rm $id >/dev/null";
    let list = engine().run(&["sh", "-c", list, image()]).text();
    // The engine makes some empty files in every container, for what it mounts there.
    let column = |line: &'_ str, number| line.split_whitespace().nth(number).map(str::to_owned);
    let files: Vec<(&str, String)> = (list.lines())
        .filter(|line| !line.starts_with('d') && column(line, 2).as_deref() != Some("0"))
        .map(|line| (&line[..10], column(line, 5).expect("a name")))
        .collect();
    assert!(files.iter().any(|(_, name)| name == "data/gpu_seed.json"), "{list}");
    let runs = |(mode, _): &&(&str, String)| mode.starts_with('-') && mode.contains('x');
    let programs: Vec<&str> = files.iter().filter(runs).map(|(_, name)| name.as_str()).collect();
    let [linker, own] = programs[..] else { panic!("{programs:?}") };
    assert_eq!(own, "usr/bin/vm4-producer");
    // The kernel starts it to start the program.
    assert!(linker.starts_with("lib") && linker.contains("/ld-linux-"), "{linker}");
    for shell in ["/bin/sh", "/bin/bash", "sh"] {
        let run = ["docker", "run", "--rm", "--entrypoint", shell, image(), "-c", "true"];
        engine().run(&run).exits(127);
    }
    println!("image: {} files, to run: {programs:?}", files.len());
}

#[test]
fn no_secret_of_the_checkout_is_in_a_layer() {
    let found = |text: &str| {
        let line =
            format!("docker save {} | grep --text --count --fixed-strings '{text}'", image());
        let count = engine().shell(&line);
        count.stdout.trim_end().parse::<u32>().expect("a count")
    };
    // The layers are not compressed, or this would not be there either.
    assert_ne!(found("RTX 3090"), 0, "the seed file of the checkout is in a layer");
    assert_eq!(found(SECRET), 0);
    let history = ["docker", "history", "--no-trunc", image()];
    assert!(!engine().run(&history).text().contains(SECRET));
}

#[test]
fn a_change_of_the_source_leaves_the_dependencies_in_the_cache() {
    // Compose is one for all tests, and one of them takes it away for a while.
    let project = Project::with("");
    // An error, so that the build ends before it has compiled everything.
    let line = "cp -r /repository /tmp/changed && cd /tmp/changed && \
                echo 'compile_error!(\"changed\");' >>src/main.rs && \
                docker compose --progress plain build producer";
    let built = project.shell(line);
    assert_ne!(built.code, Some(0), "{}", built.stdout);
    let log = format!("{}{}", built.stdout, built.stderr);
    assert!(log.contains("error: changed"), "{log}");
    // BuildKit numbers the steps, and says of which of them it has the result.
    let step = |command: &str| {
        let line = log.lines().find(|line| line.contains(command)).expect("the step is shown");
        line.split(' ').next().expect("a number")
    };
    for command in ["apt-get install", "cargo clean"] {
        let cached = format!("{} CACHED", step(command));
        assert!(log.lines().any(|line| line == cached), "{command}: no {cached:?} in {log}");
    }
}

#[test]
fn the_classic_builder_takes_the_dockerfile_too() {
    let image = image();
    // The stage in which everything is compiled already, as the base of another build of it.
    let line = format!(
        "docker build --quiet --target build --tag compiled --build-arg BUILD_IMAGE={} . && \
         DOCKER_BUILDKIT=0 docker build --build-arg BUILD_IMAGE=compiled --tag classic .",
        stand_ins::rust()
    );
    let built = engine().shell_within(BUILD_LIMIT, &line).exits(0);
    println!("classic builder: {:.1?}", built.elapsed);
    let generated = |image: &str| {
        let settings = ["--run-seed=1", "--event-start=2026-01-01T00:00:00Z", "--batch=3"];
        let command = [&["docker", "run", "--rm", image, "generate"], &settings[..]].concat();
        engine().run(&command).text()
    };
    assert_eq!(generated("classic"), generated(image));
}
