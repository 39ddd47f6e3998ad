//! Prints `packaging/sbom.cdx.json`: what is in the program, in the format of CycloneDX 1.5, so that a
//! scanner can tell whether a published weakness concerns it. It is made from what cargo links for the
//! architectures of the package, and has no time stamp, so that the same `Cargo.lock` gives the same file.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it is run by hand and by one test, and prints what is asked for"
)]

mod linked;

use serde_json::{Value, json};

use linked::Crate;

/// The C libraries that a crate brings along have their version behind the "+" of the crate's.
const BUNDLED: [(&str, &str, &str); 3] = [
    ("rdkafka-sys", "librdkafka", "pkg:github/confluentinc/librdkafka@v"),
    ("curl-sys", "curl", "pkg:github/curl/curl@curl-"),
    ("zstd-sys", "zstd", "pkg:github/facebook/zstd@v"),
];

fn component(found: &Crate) -> Value {
    let purl = format!("pkg:cargo/{}@{}", found.name, found.version.replace('+', "%2B"));
    json!({
        "type": "library",
        "bom-ref": purl,
        "name": found.name,
        "version": found.version,
        "licenses": [{ "expression": found.licence.replace('/', " OR ") }],
        "purl": purl,
    })
}

fn bundled(found: &Crate) -> Option<Value> {
    let (_, name, purl) = BUNDLED.iter().find(|bundled| bundled.0 == found.name)?;
    let (_, behind) = found.version.split_once('+').expect("the version of the library");
    let version = behind.trim_start_matches(name).trim_start_matches(['-', '.']);
    // A git tag of curl has underscores.
    let tag = if *name == "curl" { version.replace('.', "_") } else { version.to_owned() };
    let purl = format!("{purl}{tag}");
    Some(json!({
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
    }))
}

fn main() {
    let crates = linked::linked();
    let components: Vec<_> = crates
        .iter()
        .flat_map(|found| [Some(component(found)), bundled(found)])
        .flatten()
        .collect();
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let sbom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": format!("pkg:cargo/{name}@{version}"),
                "name": name,
                "version": version,
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
            },
        },
        "components": components,
    });
    println!("{}", serde_json::to_string_pretty(&sbom).expect("JSON"));
}
