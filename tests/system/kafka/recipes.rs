//! The recipes of README and pages, as they stand there, against a broker with Kafka's own retention.

use std::path::Path;
use std::process::Command;

use crate::broker::{Broker, Options};
use crate::common::{blocks, program};
use crate::tools;

const README: &str = include_str!("../../../README.md");
const TESTING: &str = include_str!("../../../docs/testing-a-pipeline.md");

/// The broker of the documents.
const BROKER: &str = "kafka-1:9092";

/// Every recipe that sends events of another time than now, and one that sends them now.
const RECIPES: [(&str, &str); 8] = [
    (README, "A day of backfill"),
    (README, "Prove that a pipeline loses nothing"),
    (README, "Test an alert"),
    (README, "Test de-duplication"),
    (README, "Test how a pipeline takes bad records"),
    (TESTING, "What a dashboard must show"),
    (include_str!("../../../docs/incidents.md"), "Incidents"),
    (include_str!("../../../docs/consuming.md"), "The last window"),
];

fn run(shell: &str, directory: &Path, script: &str) -> String {
    let programs = program().parent().expect("a directory").display().to_string();
    let mut shell = Command::new(shell);
    shell.args(["-e", "-c", script]).current_dir(directory).env_clear();
    shell.env("PATH", format!("{programs}:/usr/bin:/bin")).env("LC_ALL", "de_DE.UTF-8");
    let output = tools::success(shell.env("VM4_PRODUCER_ENV", "/dev/null"));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_recipe_runs_on_a_broker_with_its_defaults_and_all_accounts_close_in_one_topic() {
    let properties = [("log.retention.ms", "604800000"), ("auto.create.topics.enable", "true")];
    let broker = Broker::start_with(&Options { properties: &properties, ..Options::default() });
    let directory = tempfile::tempdir().expect("a directory");
    let mut reports = Vec::new();
    for (page, heading) in RECIPES {
        for (shell, recipe) in
            ["dash", "bash"].into_iter().zip(blocks(page, heading, "sh").repeat(2))
        {
            let report = format!("{}.json", reports.len());
            let recipe = recipe.replace(BROKER, &broker.bootstrap());
            // A flag of the recipe beats it.
            run(shell, directory.path(), &format!("export REPORT_FILE={report}\n{recipe}"));
            let own = if recipe.contains("--report-file") { "report.json" } else { &report };
            let kept = directory.path().join(format!("kept-{report}"));
            std::fs::copy(directory.path().join(own), &kept).expect("a report");
            reports.push(kept);
        }
    }
    assert_eq!(reports.len(), 2 * RECIPES.len(), "a page has no recipe, or several");
    // Each by itself, though all are in the same two topics.
    for report in reports {
        let verify =
            format!("vm4-producer verify -b {} --report {}", broker.bootstrap(), report.display());
        let account = run("dash", directory.path(), &verify);
        assert!(account.starts_with("CLOSED: "), "{}: {account}", report.display());
    }
}
