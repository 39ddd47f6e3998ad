//! What the package holds beside the program says what the code does: env file, journal catalog,
//! Debian changelog.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Command;

use serde_json::Value;
use vm4_producer::exit::DOCUMENTED;
use vm4_producer::host::log::{SUMMARY_FIELDS, SUMMARY_MESSAGE_ID};
use vm4_producer::kafka::properties;
use vm4_producer::report;
use vm4_producer::settings::{DEFINITIONS, ENV_FILE_VARIABLE, Inputs, Settings};

use super::{is_generated, part_is_generated, read, root};

/// What an administrator edits.
const ENV_FILE: &str = "packaging/vm4-producer.env";
/// Every setting, to copy lines from.
const EXAMPLE: &str = "packaging/examples/vm4-producer.env";
const CATALOG: &str = "packaging/vm4-producer.catalog";

const EXAMPLE_HEAD: &str = "\
# Every setting of vm4-producer, commented out, with its default: copy a line to /etc/vm4-producer.env and
# take its \"#\" away to set one. `vm4-producer doctor` shows which are in force, and why.
#
# The syntax is that of EnvironmentFile= in systemd.exec(5). A flag and the process environment beat the
# file; a profile, /etc/vm4-producer/NAME.env, beats it too. An unknown key is an error.
#
# After a change of KAFKA_BOOTSTRAP or EGRESS_ALLOW: systemctl daemon-reload; for brokers that have names,
# vm4-producer egress --apply. Before Debian 13 a reload also changes what a running batch can reach.
";

const EXAMPLE_TAIL: &str = "
# Every property of librdkafka is a setting too, RDKAFKA_ in front, capitals, dots as underscores:
#
#   RDKAFKA_SECURITY_PROTOCOL=SASL_SSL
#   RDKAFKA_SASL_MECHANISM=SCRAM-SHA-512
#   RDKAFKA_SASL_USERNAME=vm4
#   RDKAFKA_SSL_CA_LOCATION=/etc/vm4-producer/shared/ca.pem
#
# No secret belongs in that file, which everybody may read. Put the password into
# /etc/credstore/vm4-producer.sasl.password (root, mode 0600), and the unit passes it on as a
# credential; likewise ssl.key.pem, ssl.key.password, ssl.keystore.password and
# sasl.oauthbearer.client.secret. For a profile the name starts with vm4-producer@NAME instead.
# docs/systemd.md in /usr/share/doc/vm4-producer has encrypted credentials.
";

/// Text in comment lines of at most 100 columns.
fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("a line");
        if last.len() + 1 + word.len() <= 100 {
            *last = format!("{last} {word}");
        } else {
            lines.push(format!("# {word}"));
        }
    }
    lines.join("\n")
}

#[test]
fn the_example_of_the_package_has_every_setting_with_its_default() {
    let settings = DEFINITIONS.iter().map(|definition| {
        let default = definition.default.unwrap_or_default();
        format!("\n{}\n#{}={default}\n", comment(definition.help), definition.name)
    });
    let settings: String = settings.collect();
    is_generated(EXAMPLE, &format!("{EXAMPLE_HEAD}{settings}{EXAMPLE_TAIL}"));
}

/// Name and value of every setting that this env file leads to.
fn loaded(env_file: &str) -> Vec<(String, String)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("vm4-producer.env");
    std::fs::write(&path, env_file).expect("a file");
    let environment = vec![(OsString::from(ENV_FILE_VARIABLE), path.into_os_string())];
    let settings = Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check);
    let settings = settings.unwrap_or_else(|error| panic!("{error}"));
    settings.listing().map(|setting| (setting.name, setting.value.to_owned())).collect()
}

#[test]
fn the_env_file_of_the_package_sets_nothing_and_names_no_setting_that_a_release_could_change() {
    for file in [ENV_FILE, EXAMPLE] {
        assert_eq!(loaded(&read(file)), loaded(""), "{file}");
    }
    // Everybody edits it, so a release that changes it asks everybody. The list is in the example.
    let file = read(ENV_FILE);
    assert!(file.lines().count() <= 12, "{file}");
    assert!(file.contains("/usr/share/doc/vm4-producer/examples/vm4-producer.env"), "{file}");
    let lines = file.lines().filter(|line| line.starts_with('#') && line.contains('='));
    let named: Vec<_> = DEFINITIONS
        .iter()
        .filter(|definition| {
            lines.clone().any(|line| line.contains(&format!("{}=", definition.name)))
        })
        .map(|definition| definition.name)
        .collect();
    assert_eq!(named, ["KAFKA_BOOTSTRAP"]);
}

#[test]
fn uncommenting_every_line_of_the_example_gives_exactly_the_defaults() {
    let file = read(EXAMPLE);
    let uncommented = file.lines().filter_map(|line| {
        let line = line.strip_prefix('#')?;
        line.starts_with(|c: char| c.is_ascii_uppercase()).then_some(line)
    });
    let uncommented: Vec<_> = uncommented.collect();
    assert_eq!(uncommented.len(), DEFINITIONS.len());
    assert_eq!(loaded(&uncommented.join("\n")), loaded(""));
}

#[test]
fn the_credentials_that_the_example_names_are_those_that_the_units_load() {
    let unit = read("systemd/vm4-producer.service");
    let loaded: Vec<_> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("LoadCredential=")?.split(':').next())
        .collect();
    assert!(!loaded.is_empty());
    for property in loaded {
        assert!(EXAMPLE_TAIL.contains(property), "{property}");
    }
}

#[test]
fn the_catalog_has_one_entry_and_it_is_the_summary_s() {
    let catalog = read(CATALOG);
    let entries: Vec<_> = catalog.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
    assert_eq!(entries, [SUMMARY_MESSAGE_ID]);
}

#[test]
fn the_catalog_asks_for_no_field_that_systemd_would_leave_as_it_is() {
    // It replaces @NAME@ where the name has capital letters and underscores alone.
    assert!(!read(CATALOG).replace("@FIELD@", "").contains('@'));
}

#[test]
fn the_fields_of_the_catalog_are_those_of_the_summary() {
    let fields: BTreeSet<_> =
        SUMMARY_FIELDS.iter().map(|field| format!("VM4_{}", field.to_ascii_uppercase())).collect();
    let catalog = read(CATALOG);
    let words = catalog.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<_> =
        words.filter(|word| word.starts_with("VM4_")).map(str::to_owned).collect();
    assert_eq!(named, fields);
}

#[test]
fn the_outcomes_of_the_catalog_are_those_of_the_report() {
    let schema: Value = serde_json::from_str(report::SCHEMA).expect("JSON");
    let outcomes = schema["properties"]["outcome"]["enum"].as_array().expect("an enumeration");
    let outcomes = outcomes.iter().filter_map(Value::as_str);
    // A summary is of a run that is over.
    let outcomes: Vec<_> = outcomes.filter(|outcome| *outcome != report::RUNNING).collect();
    let (last, others) = outcomes.split_last().expect("outcomes");
    let expected = format!("VM4_OUTCOME how it went: {} or {last} ", others.join(", "));
    let catalog = read(CATALOG).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(catalog.contains(&expected), "{expected}");
}

#[test]
fn the_exit_codes_of_the_catalog_are_those_of_the_program() {
    let lines = DOCUMENTED.iter().map(|(exit, when)| {
        let code = format!("{:>4} {:<12}", exit.code(), exit.name());
        let mut lines = vec![code];
        for word in when.split(' ') {
            let last = lines.last_mut().expect("a line");
            if last.len() + 1 + word.len() <= 80 {
                *last = format!("{last} {word}");
            } else {
                lines.push(format!("{:17} {word}", ""));
            }
        }
        lines.join("\n") + "\n"
    });
    let marks = ("# exit codes: generated\n", "# end\n");
    part_is_generated(CATALOG, marks, &lines.collect::<String>());
}

#[test]
fn the_debian_changelog_is_of_this_version() {
    let changelog = read("packaging/debian/changelog");
    let head = format!("vm4-producer ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&head), "expected {head:?} in front of {changelog}");
}

#[test]
fn the_man_page_has_the_date_and_the_version_of_the_debian_changelog() {
    let changelog = read("packaging/debian/changelog");
    let stamp =
        changelog.split_once(">  ").and_then(|(_, rest)| rest.split_once(" +")).expect("a stamp").0;
    let printed = Command::new(crate::common::program()).arg("man").output().expect("a man page");
    let page = String::from_utf8(printed.stdout).expect("UTF-8");
    let title = page.lines().find(|line| line.starts_with(".TH ")).expect("a title");
    let fields: Vec<_> = title.split(' ').collect();
    let day = jiff::civil::Date::strptime("%Y-%m-%d", fields[3]).expect("a date");
    assert_eq!(day.strftime("%a, %d %b %Y").to_string(), stamp[..16], "{title}");
    let version = format!("\"vm4-producer {}\"", env!("CARGO_PKG_VERSION"));
    assert!(title.starts_with(".TH VM4-PRODUCER 1 ") && title.contains(&version), "{title}");
    let heading = format!("\n## {} - {}\n", env!("CARGO_PKG_VERSION"), fields[3]);
    assert!(read("CHANGELOG.md").contains(&heading), "CHANGELOG.md has no {heading}");
}

/// The files of a directory of the checkout.
fn files(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(directory)).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_example_unit_is_told_of_in_the_documents() {
    let page = read("docs/systemd.md");
    for name in files("packaging/examples") {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_preset_disables_whatever_of_the_package_could_be_enabled() {
    let preset = read("packaging/vm4-producer.preset");
    let disabled: Vec<_> =
        preset.lines().filter_map(|line| line.strip_prefix("disable ")).collect();
    let mut installable = files("systemd");
    installable.retain(|name| read(format!("systemd/{name}")).contains("\n[Install]\n"));
    installable.sort();
    assert_eq!(disabled, installable);
}

#[test]
fn every_lintian_override_has_its_reason_above_it() {
    let overrides = read("packaging/debian/lintian-overrides");
    let lines: Vec<_> = overrides.lines().collect();
    assert!(!lines[0].starts_with("vm4-producer"), "{}", lines[0]);
    for pair in lines.windows(2).filter(|pair| pair[1].starts_with("vm4-producer")) {
        assert!(pair[0].starts_with("# "), "no reason above {:?}", pair[1]);
    }
}

#[test]
fn the_units_that_the_readme_installs_are_in_the_package() {
    let readme = read("README.md");
    let (_, install) = readme.split_once("## Install\n").expect("a section on installing");
    let (install, _) = install.split_once("\n## ").expect("a section behind it");
    let words = install.split(|c: char| c.is_whitespace() || "`;,".contains(c));
    let units: BTreeSet<_> = words
        .filter(|word| word.starts_with("vm4-producer"))
        .filter(|word| word.ends_with(".service") || word.ends_with(".timer"))
        .map(|word| word.replace("@NAME", "@"))
        .collect();
    assert!(units.len() >= 3, "{units:?}");
    for unit in units {
        assert!(root().join("systemd").join(&unit).is_file(), "{unit}");
    }
}
