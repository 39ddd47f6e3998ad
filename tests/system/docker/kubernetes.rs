//! The Kubernetes manifests, as kustomize renders them, against the published JSON Schemas and the
//! strictest Pod Security Standard.
//!
//! The schemas are those of kubernetes-validate, a package of PyPI that holds them for each release,
//! in the strict form that refuses unknown fields. There is no API server here.

use std::path::PathBuf;
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

/// The two ways to start a batch: directory, kind and path of the job's specification.
const WAYS: [(&str, &str, &str); 2] =
    [("job", "Job", "/spec"), ("cronjob", "CronJob", "/spec/jobTemplate/spec")];

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
fn rendered(way: &str, change: impl FnOnce(&mut Command)) -> tempfile::NamedTempFile {
    let copy = tempfile::tempdir().expect("a temporary directory");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/kubernetes");
    success(Command::new("cp").args(["-r", source]).arg(copy.path()));
    let mut sed = Command::new("sed");
    change(sed.current_dir(copy.path().join("kubernetes").join(way)));
    success(&mut sed);
    let directory = copy.path().join("kubernetes").join(way);
    let output = success(Command::new(kustomize()).arg("build").arg(directory));
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), output.stdout).expect("a file");
    file
}

/// Leaves the manifests as they are.
fn unchanged(sed: &mut Command) {
    sed.args(["-n", "", "kustomization.yaml"]);
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
    for (way, kind, _) in WAYS {
        let file = rendered(way, unchanged);
        for release in RELEASES {
            let (fits, said) = validated(&file, release);
            assert!(fits, "{way}, {release}: {said}");
            assert_eq!(said.matches(" passed for resource ").count(), 5, "{said}");
            println!("{kind} and the rest fit the schemas of Kubernetes {release}");
        }
        let misspelt = rendered(way, |sed| {
            sed.args(["-i", "s/completionMode/completionsMode/", &format!("{way}.yaml")]);
        });
        let (fits, said) = validated(&misspelt, RELEASES[1]);
        assert!(!fits && said.contains("('completionsMode' was unexpected)"), "{said}");
    }
}

#[test]
fn the_pods_meet_the_restricted_standard_and_send_shards_of_one_run() {
    for (way, kind, specification) in WAYS {
        let documents = documents(&rendered(way, unchanged));
        let job = of_kind(&documents, kind).pointer(specification).expect("a job");
        let pod = &job["template"]["spec"];
        let container = &pod["containers"][0];
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
        assert!(volumes.iter().all(|volume| volume.get("secret").is_some()), "{volumes:?}");
        assert_eq!(own["readOnlyRootFilesystem"], true);
        let labels = &of_kind(&documents, "Namespace")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");

        assert_eq!(
            (&job["completionMode"], &pod["restartPolicy"]),
            (&"Indexed".into(), &"Never".into())
        );
        let image = concat!("vm4-producer:", env!("CARGO_PKG_VERSION"));
        assert_eq!(container["image"], image);
        // $(NAME) is expanded from what stands above it only.
        let variables = container["env"].as_array().expect("variables");
        let place = |name| variables.iter().position(|variable| variable["name"] == name);
        assert!(place("SHARD_INDEX").expect("an index") < place("SHARD").expect("a shard"));
        assert_eq!(variables[place("SHARD").unwrap()]["value"], "$(SHARD_INDEX)/4");
        assert!(place("RUN_ID").is_some());
        assert!(of_kind(&documents, "ConfigMap")["data"]["RUN_SEED"].is_string());
    }
}

#[test]
fn the_number_of_shards_is_set_in_one_place() {
    for (way, kind, specification) in WAYS {
        let file = rendered(way, |sed| {
            sed.args(["-i", "s/completions: 4/completions: 9/", &format!("{way}.yaml")]);
        });
        let documents = documents(&file);
        let job = of_kind(&documents, kind).pointer(specification).expect("a job");
        assert_eq!((&job["completions"], &job["parallelism"]), (&9.into(), &9.into()));
        let variables = job["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        assert!(variables.iter().any(|variable| variable["value"] == "$(SHARD_INDEX)/9"));
    }
}

#[test]
fn the_pods_may_reach_kafka_and_nothing_else() {
    let documents = documents(&rendered("job", unchanged));
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

#[test]
fn the_job_of_the_cron_job_is_that_of_the_job() {
    let [job, cron] = WAYS.map(|(way, kind, specification)| {
        let documents = documents(&rendered(way, unchanged));
        of_kind(&documents, kind).pointer(specification).expect("a job").clone()
    });
    assert_eq!(job, cron);
}
