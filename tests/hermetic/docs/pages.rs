//! README and `docs` as one text: their links, and what they name.

use super::{document_is_generated, read, root};
use crate::common::Producer;
use std::fs;

/// The README and the pages of `docs`, by path and text.
fn pages() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join("docs")).expect("pages");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let pages = names.map(|name| format!("docs/{}", name.to_string_lossy()));
    let mut paths: Vec<_> = pages.filter(|path| path.ends_with(".md")).collect();
    paths.push("README.md".to_owned());
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The anchors of a page, as GitHub and most others make them of its headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || *c == ' ' || *c == '-';
    let anchor = |line: &str| {
        let words: String = line.trim_start_matches('#').trim().chars().filter(kept).collect();
        words.to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_of_it() {
    let mut links = 0;
    for (path, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let directory = root().join(&path).parent().expect("a directory").to_owned();
            let target = if file.is_empty() { root().join(&path) } else { directory.join(file) };
            assert!(target.exists(), "{path}: {link}");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).expect("a page"));
                assert!(there.iter().any(|found| found == anchor), "{path}: {link}: {there:?}");
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links} links");
}

#[test]
fn every_figure_is_shown_in_a_page() {
    let pages = pages();
    for entry in fs::read_dir(root().join("docs/figures")).expect("figures") {
        let name = entry.expect("an entry").file_name();
        let link = format!("](figures/{})", name.to_string_lossy());
        assert!(pages.iter().any(|(_, text)| text.contains(&link)), "{name:?} is not shown");
    }
}

#[test]
fn every_figure_is_dark_where_the_page_is() {
    for entry in fs::read_dir(root().join("docs/figures")).expect("figures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let figure = read(&path);
            assert!(figure.contains("@media (prefers-color-scheme: dark)"), "{}", path.display());
        }
    }
}

#[test]
fn the_figure_of_the_flow_has_commands_and_flags_that_exist() {
    let figure = read("docs/figures/flow.svg");
    let bold = figure.split(r#"font-weight="bold">"#).skip(1);
    let commands: Vec<Vec<&str>> = bold
        .filter_map(|rest| rest.split_once('<'))
        .map(|(text, _)| text.split(' ').collect())
        .filter(|words: &Vec<&str>| ["doctor", "verify", "expect"].contains(&words[0]))
        .collect();
    assert_eq!(commands.len(), 6, "{commands:?}");
    for command in commands {
        let help = Producer::new([command[0], "--help"]).finish().stdout;
        for flag in &command[1..] {
            assert!(help.contains(&format!("{flag} ")), "{command:?} in {help}");
        }
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = read("README.md");
    for (path, _) in pages().iter().filter(|(path, _)| path != "README.md") {
        assert!(readme.contains(&format!("| [{path}]({path}) | ")), "{path}");
    }
}

#[test]
fn the_targets_that_the_documents_name_exist() {
    let makefile = read("Makefile");
    let mut targets = 0;
    for (path, text) in pages() {
        // In a sentence, or as a line of an example.
        let lines = text.lines().filter_map(|line| line.strip_prefix("make "));
        for words in text.split("`make ").skip(1).chain(lines) {
            let target = words.split(|c: char| !c.is_ascii_lowercase() && c != '-').next();
            let target = target.unwrap_or_default();

            if !target.is_empty() {
                assert!(makefile.contains(&format!("\n{target}: ")), "{path}: make {target}");
                targets += 1;
            }
        }
    }
    assert!(targets > 15, "{targets} targets");
}

#[test]
fn the_readme_is_shorter_than_its_reference() {
    // It has tasks; what has to be complete is in the pages.
    let readme = read("README.md");
    assert!(readme.lines().count() <= 300, "{} lines", readme.lines().count());
    let first_screen: String = readme.lines().take(24).collect();
    for topic in ["gpu_index", "prompt_tokens"] {
        assert!(first_screen.contains(topic), "no {topic} on the first screen");
    }
}

#[test]
fn the_readme_says_which_rust_builds_it() {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.expect("a version").trim_matches('"');
    assert!(read("README.md").contains(&format!("Rust {version} or later")), "{version}");
}

#[test]
fn the_figures_of_the_recipe_for_deduplication_are_those_of_the_program() {
    let arguments = "expect --window 15m --by model --format csv --run-seed 1 --event-start \
                     2026-01-05T12:00:00Z --batch 1800 --faults duplicate=0.05";
    let printed = Producer::new(arguments.split(' ')).finish().stdout;
    let mut rows = printed.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a head");
    let shown =
        ["model", "view", "usage_records", "prompt_tokens", "completion_tokens", "cost_micro_usd"];
    let columns = shown.map(|name| head.iter().position(|column| *column == name).expect(name));
    let mut table =
        format!("| {} |\n|---|---|---|---|---|---|\n", shown.map(|c| format!("`{c}`")).join(" | "));
    for row in rows.filter(|row| row[0] != "late_dropped") {
        table.push_str(&format!("| {} |\n", columns.map(|column| row[column]).join(" | ")));
    }
    document_is_generated("README.md", "deduplication", &table);
}

#[test]
fn the_account_of_the_readme_is_that_of_a_record_that_is_lost_and_one_that_is_there_twice() {
    const RUN: &str =
        "--run-seed 1 --event-start 2026-01-05T12:00:00Z --batch 1000 --run-id ci --sleep-sec 0.5";
    let sent = Producer::new(["generate"].into_iter().chain(RUN.split(' '))).finish().stdout;
    let mut lines: Vec<_> = sent.lines().collect();
    lines.remove(822);
    lines.push(lines[17]);
    let mut verify = Producer::new(["verify"]);
    let input = verify.file("rows.ndjson", lines.join("\n") + "\n");
    let run = RUN.replace("--run-id", "--run");
    verify.command.args(run.split(' ')).arg("--input").arg(input);
    let account = verify.finish().exits(74).stdout.clone();
    // Headline, what is missing, and what is there twice.
    let is_shown =
        |line: &&str| ["NOT CLOSED", "missing", "copies"].iter().any(|w| line.starts_with(w));
    let shown: Vec<_> = account.lines().filter(is_shown).collect();
    assert!(shown.len() >= 3, "{account}");
    document_is_generated("README.md", "not closed", &format!("```\n{}\n```\n", shown.join("\n")));
}

#[test]
fn every_command_is_in_the_table_of_the_readme() {
    let help = Producer::new(["--help"]).finish().stdout;
    let (_, commands) = help.split_once("\nCommands:\n").expect("a list");
    let commands: Vec<_> = commands
        .lines()
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    let readme = read("README.md");
    let rows: String = readme.lines().filter(|line| line.starts_with("| `")).collect();
    for name in commands {
        let named = [format!("`{name}`"), format!("`{name} ")];
        assert!(named.iter().any(|name| rows.contains(name)), "{name}");
    }
}
