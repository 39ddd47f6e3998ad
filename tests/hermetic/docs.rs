//! Prose against code: what the README, the man page and the module map say is what the code does.

mod arrows;
mod package;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::common::Producer;
use vm4_producer::exit::DOCUMENTED;
use vm4_producer::settings::DEFINITIONS;
use vm4_producer::workload::{Hardware, Name, hardware_of, known_gpus, seed, trace_quantiles};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{:?}: {e}", path.as_ref()))
}

/// A file of the checkout is `expected`, word for word. `UPDATE_DOCS=1` writes it.
fn is_generated(path: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return fs::write(root().join(path), expected).expect("a file that can be written");
    }
    let present = read(path);
    let differs = present.lines().zip(expected.lines()).find(|(present, new)| present != new);
    assert!(
        present == expected,
        "{path} has {} lines, expected {}; the first that differs: {differs:?}; UPDATE_DOCS=1 writes it anew",
        present.lines().count(),
        expected.lines().count()
    );
}

/// What stands in a file between two marks is `expected`. `UPDATE_DOCS=1` writes it.
fn part_is_generated(path: &str, (start, end): (&str, &str), expected: &str) {
    // Several tests write parts of one file.
    static WRITING: Mutex<()> = Mutex::new(());
    let _guard = WRITING.lock();
    let whole = read(path);
    let (before, rest) = whole.split_once(start).unwrap_or_else(|| panic!("no {start} in {path}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {path}"));
    is_generated(path, &format!("{before}{start}{expected}{end}{after}"));
}

/// The part of a document between `<!-- name: generated -->` and `<!-- end -->` is `expected`.
fn document_is_generated(path: &str, name: &str, expected: &str) {
    let start = format!("<!-- {name}: generated -->\n");
    part_is_generated(path, (&start, "<!-- end -->"), expected);
}

#[test]
fn the_settings_of_the_documents_are_those_of_the_program() {
    let mut table = String::from("| setting | default | meaning |\n|---|---|---|\n");
    for definition in DEFINITIONS {
        let default = definition.default.map_or(String::new(), |d| format!("`{d}`"));
        table.push_str(&format!("| `{}` | {default} | {} |\n", definition.name, definition.help));
    }
    document_is_generated("docs/settings.md", "settings", &table);
}

#[test]
fn the_exit_codes_of_the_documents_are_those_of_the_program() {
    let mut table = String::from("| exit | name | when |\n|---|---|---|\n");
    for (exit, when) in DOCUMENTED {
        table.push_str(&format!("| {} | {} | {when} |\n", exit.code(), exit.name()));
    }
    document_is_generated("docs/settings.md", "exit codes", &table);
}

#[test]
fn the_fields_of_the_seed_file_are_those_that_the_program_requires() {
    let mut table = String::from("| field | what it is |\n|---|---|\n");
    for (field, what) in seed::REQUIRED {
        table.push_str(&format!("| `{field}` | {what} |\n"));
    }
    document_is_generated("docs/events.md", "seed file", &table);
}

#[test]
fn the_events_of_the_readme_are_what_the_program_generates() {
    let arguments = "generate --values --batch 1 --run-seed 1 --event-start 2026-01-05T09:00:00Z";
    let printed = Producer::new(arguments.split(' ')).finish().stdout;
    document_is_generated("README.md", "events", &format!("```json\n{printed}```\n"));
}

/// The demo, called as the recipes call it.
fn demo_in_path() -> Producer {
    let directory = crate::common::program().parent().expect("a directory").to_owned();
    Producer::new(["demo"]).set("PATH", directory)
}

#[test]
fn the_demo_of_the_readme_is_what_the_demo_prints() {
    let printed = demo_in_path().finish().stdout;
    document_is_generated("README.md", "demo", &format!("```\n{printed}```\n"));
}

/// The constants of a GPU with a model on it, as the program has them.
fn hardware(gpu: &str, model: &str) -> Hardware {
    let memory = if gpu.contains("80GB") { 81_920 } else { 40_960 };
    let row = format!(
        r#"[{{"gpu_index":0,"name":"{gpu}","utilization":0.5,"mem_used_mb":{memory},"mem_total_mb":{memory},
             "power_w":0,"price_per_hour_usd":1,"model":"{model}"}}]"#
    );
    let seed = seed::parse(row.as_bytes()).expect("a row");
    hardware_of(&seed.rows[0], Name::Chat)
}

#[test]
fn the_gpus_of_the_model_s_page_are_those_of_the_program() {
    let mut table = String::from(
        "| GPU | limit, idle, idle with a model, W | decode power, share of the limit | \
         8B at 16 bit: TTFT, TPOT, ms | 8B at 4 bit: TTFT, TPOT, ms |\n|---|---|---|---|---|\n",
    );
    for gpu in known_gpus() {
        let times = |model| {
            let h = hardware(gpu, model);
            let (base, token) = (h.ttft_base_ms, h.ttft_per_token_ms);
            let (tpot, batch) = (h.tpot_base_ms, h.tpot_per_batch_ms);
            format!("{base:.3} + {token:.3} p, {tpot:.2} + {batch:.3} B")
        };
        let h = hardware(gpu, "8b");
        table.push_str(&format!(
            "| {gpu} | {}, {}, {} | {} + {} log2 B | {} | {} |\n",
            h.power_cap_w,
            h.power_idle_w,
            h.power_loaded_idle_w,
            h.decode_power_share,
            h.decode_power_share_per_doubling,
            times("8b"),
            times("8b-q4"),
        ));
    }
    document_is_generated("docs/workload.md", "gpus", &table);
}

#[test]
fn the_quantiles_of_the_model_s_page_are_those_of_the_program() {
    let mut table = String::from("| workload | side | 10 % | 50 % | 90 % | 99 % | max |\n");
    table.push_str("|---|---|---|---|---|---|---|\n");
    for name in [Name::Chat, Name::Code, Name::Reason, Name::Long, Name::Agent] {
        let quantiles = trace_quantiles(name).expect("a trace");
        let at = |p: f64| quantiles.iter().find(|q| (q.0 - p).abs() < 1e-9).expect("a quantile");
        let of = [0.1, 0.5, 0.9, 0.99, 1.0].map(at);
        let prompts = of.map(|q| format!("{:.0}", q.1)).join(" | ");
        let completions = of.map(|q| format!("{:.0}", q.2)).join(" | ");
        table.push_str(&format!("| {} | prompt | {prompts} |\n", name.word()));
        table.push_str(&format!("| {} | completion | {completions} |\n", name.word()));
    }
    document_is_generated("docs/workload.md", "quantiles", &table);
}

#[test]
fn every_constant_that_a_row_may_set_is_in_the_model_s_page() {
    let page = read("docs/workload.md");
    // The fields of the struct, as its own output names them.
    for field in format!("{:?}", hardware("L4", "8b")).split(&['{', ','][..]).skip(1) {
        let name = field.split(':').next().unwrap_or_default().trim();
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_page_on_the_report_names_the_message_id_of_the_summary() {
    let id = vm4_producer::host::log::SUMMARY_MESSAGE_ID;
    assert!(read("docs/report.md").contains(&format!("journalctl MESSAGE_ID={id}")));
}

/// What an example of the checkout prints.
fn printed(example: &str) -> String {
    let mut program = Command::new(env!("CARGO"));
    program.args(["run", "--quiet", "--locked", "--example", example]).current_dir(root());
    let printed = program.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(printed.status.success(), "{}", printed.status);
    String::from_utf8(printed.stdout).expect("UTF-8")
}

#[test]
fn the_copyright_file_is_what_its_program_prints() {
    is_generated("packaging/debian/copyright", &printed("copyright"));
}

#[test]
fn the_bill_of_materials_is_what_its_program_prints() {
    let sbom = printed("sbom");
    // The C libraries too: most of what is published of weaknesses concerns them.
    for library in ["librdkafka", "curl", "zstd"] {
        assert!(sbom.contains(&format!("\"name\": \"{library}\"")), "{library}");
    }
    is_generated("packaging/sbom.cdx.json", &sbom);
}

/// Every Rust file below `src`.
fn sources() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    found
}

/// The room of a file: its first path component below `src`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).expect("below src");
    let first = below.components().next().expect("a component").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Lines of a file before its tests.
fn program_lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a file");
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).map(str::to_owned).collect()
}

#[test]
fn the_workload_knows_neither_clock_nor_files_nor_environment() {
    for path in sources().iter().filter(|p| room(p) == "workload" && !p.ends_with("tests.rs")) {
        for line in program_lines(path) {
            for word in
                ["std::fs", "std::env", "std::io", "Timestamp::now", "Instant", "SystemTime"]
            {
                assert!(!line.contains(word), "{word} in {}", path.display());
            }
        }
    }
}

/// The lines of a unit that systemd reads, from its first section on.
fn unit_lines(name: &str) -> Vec<String> {
    let text = read(Path::new("systemd").join(name));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_template_unit_is_the_plain_one_with_a_profile() {
    for kind in ["service", "timer"] {
        let plain = unit_lines(&format!("vm4-producer.{kind}"));
        let mut template = unit_lines(&format!("vm4-producer@.{kind}"));
        template.retain(|line| line != "Environment=PROFILE=%i");
        let own = " -/etc/vm4-producer/%i.env -/etc/vm4-producer/%i -/etc/vm4-producer/shared";
        let described =
            |line: &String| line.replace(", profile %i", "").replace(own, " -/etc/vm4-producer");
        assert_eq!(template.iter().map(described).collect::<Vec<_>>(), plain, "{kind}");
    }
    assert!(unit_lines("vm4-producer@.service").contains(&"Environment=PROFILE=%i".to_owned()));
}

#[test]
fn only_the_timers_can_be_enabled() {
    let installable = |name: &str| unit_lines(name).contains(&"[Install]".to_owned());
    for name in ["vm4-producer.timer", "vm4-producer@.timer"] {
        assert!(installable(name), "{name}");
    }
    for name in ["vm4-producer.service", "vm4-producer@.service"] {
        assert!(!installable(name), "{name}");
    }
}
