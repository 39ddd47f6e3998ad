//! The Kubernetes manifests, as kustomize renders them, against the published JSON Schemas and the
//! strictest Pod Security Standard.
//!
//! The schemas are those of kubernetes-validate, a package of PyPI that holds them for each release,
//! in the strict form that refuses unknown fields. There is no API server here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::cache::made_once;
use crate::tools::{self, success};

/// The oldest release that has all that the manifests use, and the newest with schemas.
const RELEASES: [&str; 2] = ["1.29.0", "1.37.0"];

const KUSTOMIZE: &str = "v5.0.1";
const VALIDATE: &str = "1.37.0";

/// How long fetching and building a tool may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// The directories that are applied, and the documents that each renders.
const APPLIED: [(&str, usize); 2] = [("cronjob", 7), ("example", 8)];

/// The specification of the jobs that a CronJob is the template of.
const JOB: &str = "/spec/jobTemplate/spec";

/// kustomize, built from its Go module: this version builds with Debian 12's Go too.
fn kustomize() -> PathBuf {
    let bin = made_once(&format!("kustomize-{KUSTOMIZE}"), |bin| {
        let module = format!("sigs.k8s.io/kustomize/kustomize/v5@{KUSTOMIZE}");
        let mut go = tools::bounded(INSTALL_LIMIT, "go");
        success(go.args(["install", "-trimpath", &module]).env("GOBIN", bin));
    });
    bin.join("kustomize")
}

/// The interpreter that has kubernetes-validate and a reader of YAML.
fn python() -> PathBuf {
    let environment = made_once(&format!("kubernetes-validate-{VALIDATE}"), |environment| {
        let mut venv = tools::bounded(INSTALL_LIMIT, "python3");
        success(venv.args(["-m", "venv"]).arg(environment));
        let python = environment.join("bin/python").display().to_string();
        let package = format!("kubernetes-validate=={VALIDATE}");
        let mut pip = Command::new("timeout");
        pip.arg(INSTALL_LIMIT.as_secs().to_string()).args([&python, "-m", "pip", "install", "-q"]);
        success(pip.arg(package));
    });
    environment.join("bin/python")
}

/// What kustomize renders of a directory of the manifests, after `change` of its files.
fn rendered(directory: &str, change: impl FnOnce(&Path)) -> tempfile::NamedTempFile {
    let copy = tempfile::tempdir().expect("a temporary directory");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/kubernetes");
    success(Command::new("cp").args(["-r", source]).arg(copy.path()));
    let directory = copy.path().join("kubernetes").join(directory);
    change(&directory);
    let output = success(Command::new(kustomize()).arg("build").arg(directory));
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), output.stdout).expect("a file");
    file
}

/// Leaves the manifests as they are.
fn unchanged(_directory: &Path) {}

/// Replaces a text in a file of a directory, which has it once.
fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a file");
    assert_eq!(text.matches(from).count(), 1, "{} has {from:?} once", file.display());
    fs::write(file, text.replace(from, to)).expect("a file");
}

/// The rendered documents.
fn documents(file: &tempfile::NamedTempFile) -> Vec<Value> {
    const READ: &str =
        "import json,sys,yaml\nprint(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = success(Command::new(python()).args(["-c", READ]).arg(file.path()));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found = documents.iter().find(|document| document["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

/// The CronJob of this name.
fn cron_job<'a>(documents: &'a [Value], name: &str) -> &'a Value {
    let is_it =
        |document: &&Value| document["kind"] == "CronJob" && document["metadata"]["name"] == name;
    documents.iter().find(is_it).unwrap_or_else(|| panic!("no CronJob {name}"))
}

/// Whether every document fits the schemas of a release, and what the validator said.
fn validated(file: &tempfile::NamedTempFile, release: &str) -> (bool, String) {
    let output = Command::new(python())
        .args(["-m", "kubernetes_validate", "--strict", "-k", release])
        .arg(file.path())
        .output()
        .expect("the validator to start and end");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_manifests_fit_the_published_schemas() {
    for (directory, count) in APPLIED {
        let file = rendered(directory, unchanged);
        for release in RELEASES {
            let (fits, said) = validated(&file, release);
            assert!(fits, "{directory}, {release}: {said}");
            assert_eq!(said.matches(" passed for resource ").count(), count, "{said}");
            println!("{directory}: {count} documents fit the schemas of Kubernetes {release}");
        }
    }
    let misspelt = rendered("cronjob", |directory| {
        replace(&directory.join("cronjob.yaml"), "completionMode", "completionsMode");
    });
    let (fits, said) = validated(&misspelt, RELEASES[1]);
    assert!(!fits && said.contains("('completionsMode' was unexpected)"), "{said}");
}

#[test]
fn every_pod_meets_the_restricted_standard_and_names_its_end() {
    for (directory, _) in APPLIED {
        let documents = documents(&rendered(directory, unchanged));
        let labels = &of_kind(&documents, "Namespace")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
        for name in ["vm4-producer", "vm4-producer-doctor", "vm4-producer-verify"] {
            let job = cron_job(&documents, name).pointer(JOB).expect("a job");
            let (pod, container) =
                (&job["template"]["spec"], &job["template"]["spec"]["containers"][0]);
            let own = &container["securityContext"];
            // What `restricted` asks of a pod beyond having no field that `baseline` forbids.
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["runAsUser"], 10001);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            assert_eq!(own["allowPrivilegeEscalation"], false);
            assert_eq!(own["capabilities"], serde_json::json!({"drop": ["ALL"]}));
            for forbidden in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"] {
                assert!(pod.get(forbidden).is_none(), "{forbidden}");
            }
            assert!(own.get("privileged").is_none() && container.get("ports").is_none());
            let volumes = pod["volumes"].as_array().expect("volumes");
            let allowed =
                |volume: &Value| ["secret", "configMap"].iter().any(|k| volume.get(k).is_some());
            assert!(volumes.iter().all(allowed), "{volumes:?}");
            assert_eq!(own["readOnlyRootFilesystem"], true);

            assert_eq!(container["terminationMessagePolicy"], "FallbackToLogsOnError");
            assert!(job["activeDeadlineSeconds"].as_u64().is_some_and(|seconds| seconds > 0));
            assert_eq!(pod["restartPolicy"], "Never");
            let labels = &job["template"]["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/name"], "vm4-producer");
        }
    }
}

#[test]
fn a_batch_is_started_from_a_template_that_can_be_applied_again() {
    let documents = documents(&rendered("cronjob", unchanged));
    assert!(documents.iter().all(|document| document["kind"] != "Job"));
    for name in ["vm4-producer", "vm4-producer-doctor", "vm4-producer-verify"] {
        assert_eq!(cron_job(&documents, name)["spec"]["suspend"], true, "{name}");
    }
    let cron = &cron_job(&documents, "vm4-producer")["spec"];
    assert_eq!(cron["concurrencyPolicy"], "Forbid");
    let job = cron.pointer("/jobTemplate/spec").expect("a job");
    assert_eq!(job["completionMode"], "Indexed");
    // Hourly: a job that hangs is over before the next is due.
    assert!(job["activeDeadlineSeconds"].as_u64().is_some_and(|seconds| seconds < 3600));
    let container = &job["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], concat!("vm4-producer:", env!("CARGO_PKG_VERSION")));
    // $(NAME) is expanded from what stands above it only.
    let variables = container["env"].as_array().expect("variables");
    let place = |name| variables.iter().position(|variable| variable["name"] == name);
    assert!(place("SHARD_INDEX").expect("an index") < place("SHARD").expect("a shard"));
    let run = &variables[place("RUN_ID").expect("a run")];
    assert_eq!(
        run["valueFrom"]["fieldRef"]["fieldPath"],
        "metadata.labels['batch.kubernetes.io/job-name']"
    );
    assert!(of_kind(&documents, "ConfigMap")["data"]["RUN_SEED"].is_string());
    let spread = &job["template"]["spec"]["topologySpreadConstraints"][0];
    for (label, value) in spread["labelSelector"]["matchLabels"].as_object().expect("labels") {
        assert_eq!(&job["template"]["metadata"]["labels"][label], value, "{label}");
    }
}

#[test]
fn verify_and_doctor_have_the_settings_and_secrets_of_the_batch_and_no_shard() {
    for (directory, _) in APPLIED {
        let documents = documents(&rendered(directory, unchanged));
        let pod = |name| {
            let job = cron_job(&documents, name).pointer(JOB).expect("a job");
            job["template"]["spec"].clone()
        };
        let producer = pod("vm4-producer");
        for (name, command) in
            [("vm4-producer-doctor", "doctor"), ("vm4-producer-verify", "verify")]
        {
            let pod = pod(name);
            let (own, batch) = (&pod["containers"][0], &producer["containers"][0]);
            assert_eq!(own["args"], serde_json::json!([command]));
            for field in ["image", "envFrom", "volumeMounts"] {
                assert_eq!(own[field], batch[field], "{directory} {name} {field}");
            }
            assert_eq!(pod["volumes"], producer["volumes"], "{directory} {name}");
            let variables = own["env"].as_array().expect("variables");
            let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
            assert_eq!(names, ["CREDENTIALS_DIRECTORY"], "{directory} {name}");
        }
    }
}

#[test]
fn the_number_of_shards_is_set_in_one_place() {
    let shards = |file: &tempfile::NamedTempFile, count: u64| {
        let documents = documents(file);
        let job = cron_job(&documents, "vm4-producer").pointer(JOB).expect("a job");
        assert_eq!((&job["completions"], &job["parallelism"]), (&count.into(), &count.into()));
        let variables = job["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        let shard = variables.iter().find(|variable| variable["name"] == "SHARD").unwrap();
        assert_eq!(shard["value"], format!("$(SHARD_INDEX)/{count}"));
    };
    for count in [2, 6, 9] {
        shards(
            &rendered("cronjob", |directory| {
                let to = format!("completions: {count}");
                replace(&directory.join("cronjob.yaml"), "completions: 4", &to);
            }),
            count,
        );
        // An overlay's number reaches all places, too.
        shards(
            &rendered("example", |directory| {
                let to = format!("completions, value: {count}}}");
                replace(&directory.join("kustomization.yaml"), "completions, value: 8}", &to);
            }),
            count,
        );
    }
    shards(&rendered("example", unchanged), 8);
}

#[test]
fn the_example_changes_image_namespace_brokers_seed_and_secret() {
    let documents = documents(&rendered("example", unchanged));
    let namespaced = documents.iter().filter(|document| document["kind"] != "Namespace");
    for document in namespaced {
        assert_eq!(document["metadata"]["namespace"], "telemetry-test", "{}", document["kind"]);
    }
    assert_eq!(of_kind(&documents, "Namespace")["metadata"]["name"], "telemetry-test");
    let pod = &cron_job(&documents, "vm4-producer").pointer(JOB).unwrap()["template"]["spec"];
    let image = concat!("registry.example/telemetry/vm4-producer:", env!("CARGO_PKG_VERSION"));
    assert_eq!(pod["containers"][0]["image"], image);
    let named = |kind: &str, start: &str| {
        let is_it = |document: &&Value| {
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            document["kind"] == kind && name.starts_with(start)
        };
        documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {start}")).clone()
    };
    let seed = named("ConfigMap", "vm4-producer-seed-");
    let volumes = pod["volumes"].as_array().expect("volumes");
    let is_seed = |volume: &&Value| volume["configMap"]["name"] == seed["metadata"]["name"];
    assert!(volumes.iter().any(|volume| is_seed(&volume)), "{volumes:?}");
    let secret = named("Secret", "vm4-producer-");
    assert!(secret["data"]["sasl.password"].is_string());
    // What the example does not change stays as it is.
    let has_seed = |document: &&Value| !document["data"]["RUN_SEED"].is_null();
    let settings = documents.iter().find(has_seed).expect("the settings");
    assert_eq!(settings["data"]["RUN_SEED"], "1");
    assert_eq!(settings["data"]["KAFKA_BOOTSTRAP"], "kafka-bootstrap.kafka.svc:9092");
    let egress = of_kind(&documents, "NetworkPolicy")["spec"]["egress"].to_string();
    assert!(!egress.contains("10.0.1.197") && egress.contains("kube-dns"), "{egress}");
}

#[test]
fn the_pods_may_reach_kafka_and_nothing_else() {
    let documents = documents(&rendered("cronjob", unchanged));
    let policy = &of_kind(&documents, "NetworkPolicy")["spec"];
    assert_eq!(policy["podSelector"], serde_json::json!({}));
    assert_eq!(policy["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    assert!(policy.get("ingress").is_none());
    let kafka = serde_json::json!([{
        "to": [{"ipBlock": {"cidr": "10.0.1.197/32"}}],
        "ports": [{"protocol": "TCP", "port": 9092}]
    }]);
    assert_eq!(policy["egress"], kafka);
    // The address of the settings is the one that the policy lets through.
    let bootstrap = &of_kind(&documents, "ConfigMap")["data"]["KAFKA_BOOTSTRAP"];
    assert_eq!(bootstrap, "10.0.1.197:9092");
}
