//! The crates in the program, for the files that say what is in it.

#![allow(dead_code, reason = "each example takes what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// One file for every architecture that the package is built for.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// What cargo knows of a crate in the program.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    pub(crate) authors: Vec<String>,
    pub(crate) directory: PathBuf,
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .arg("--locked")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The crates whose code is in the program: what is run at build time, or by tests alone, is not.
pub(crate) fn linked() -> Vec<Crate> {
    let mut linked = BTreeSet::new();
    let mut known = BTreeMap::new();
    for target in TARGETS {
        let edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
        for line in cargo(&[&["tree", "--target", target], &edges[..]].concat()).lines() {
            let mut words = line.split(' ');
            let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
            linked.insert((name.to_owned(), version.trim_start_matches('v').to_owned()));
        }
        let metadata = cargo(&["metadata", "--format-version", "1", "--filter-platform", target]);
        let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
        for package in metadata["packages"].as_array().expect("packages") {
            let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
            known.insert((text("name"), text("version")), package.clone());
        }
    }
    linked.remove(&("vm4-producer".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    linked.into_iter().map(|key| Crate::new(&known[&key])).collect()
}

impl Crate {
    fn new(package: &Value) -> Self {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let authors = package["authors"].as_array().into_iter().flatten();
        let manifest = PathBuf::from(text("manifest_path"));
        Self {
            name: text("name"),
            version: text("version"),
            licence: text("license"),
            authors: authors.filter_map(Value::as_str).map(str::to_owned).collect(),
            directory: manifest.parent().expect("a directory").to_owned(),
        }
    }
}
