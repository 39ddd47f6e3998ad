//! Databases between a run and `verify`: PostgreSQL, ClickHouse (chDB), DuckDB and SQLite, with the
//! recipes of `docs/testing-a-pipeline.md` as they stand there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Producer, program};
use crate::{cache, tools};

const PAGE: &str = include_str!("../../../docs/testing-a-pipeline.md");

/// The packages of the Python registry that have DuckDB and ClickHouse in them.
const PACKAGES: [&str; 2] = ["duckdb==2.0.1", "chdb==4.4.0"];

/// The longest that an installation on a slow line may take.
const INSTALLATION_LIMIT: Duration = Duration::from_secs(900);

/// The longest that a recipe may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What the recipes make.
const RUN: [(&str, &str); 4] = [
    ("RUN_ID", "shop-1"),
    ("RUN_SEED", "7"),
    ("BATCH", "200"),
    ("EVENT_START", "2026-01-05T09:00:00Z"),
];

/// Every kind of fault that is in a value.
const FAULTS: &str = "duplicate=0.05:2s,late=0.05:3s,out-of-order=0.05:9,clock-skew=0.05:-30s,drop=0.05,\
    tombstone=0.05,malformed=0.1,missing-field=0.05,null-field=0.05,wrong-type=0.05,extra-field=0.05,\
    renamed-field=0.05,duplicate-key=0.05,sentinel=0.05,failed-request=0.05,oversize=0.02:2000";

/// `duckdb` and `clickhouse local`, as far as the recipes use them.
const DUCKDB: &str = "import sys, duckdb\nduckdb.connect().execute(sys.stdin.read())\n";
const CLICKHOUSE: &str = "import sys\nfrom chdb import session\n\
    local = session.Session(sys.argv[sys.argv.index('--path') + 1])\n\
    for query in sys.stdin.read().split(';'):\n    if query.strip():\n        local.query(query)\n";

/// A directory with the commands of the recipes and the lines that they load.
struct Shop {
    directory: TempDir,
    path: String,
    /// PostgreSQL's programs, where its server runs here.
    server: Option<PathBuf>,
}

impl Shop {
    fn new(lines: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let environment = cache::made_once(&cache::name("engines", &PACKAGES.join(" ")), |made| {
            let mut venv = tools::bounded(INSTALLATION_LIMIT, "python3");
            tools::success(venv.args(["-m", "venv"]).arg(made));
            let mut pip = Command::new(made.join("bin/python"));
            tools::success(pip.args(["-m", "pip", "install", "-q"]).args(PACKAGES));
        });
        let commands = directory.path().join("bin");
        fs::create_dir(&commands).expect("a directory");
        let python = environment.join("bin/python");
        for (name, text) in [("duckdb", DUCKDB), ("clickhouse", CLICKHOUSE)] {
            let file = commands.join(name);
            fs::write(&file, format!("#!{}\n{text}", python.display())).expect("a script");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        std::os::unix::fs::symlink(program(), commands.join("vm4-producer")).expect("a link");
        fs::write(directory.path().join("records.ndjson"), lines).expect("the lines");
        let path = format!("{}:{}", commands.display(), tools::PATH);
        Self { directory, path, server: None }
    }

    /// The same with a PostgreSQL of its own, which listens in the directory alone.
    fn with_postgres(lines: &str) -> Self {
        let mut shop = Self::new(lines);
        let versions = fs::read_dir("/usr/lib/postgresql").expect("the package postgresql");
        let version = versions.flatten().map(|version| version.path()).max().expect("a version");
        let programs = version.join("bin");
        let id = tools::success(Command::new("id").args(["-u", "postgres"]));
        let id = String::from_utf8_lossy(&id.stdout).trim().parse().expect("a number");
        let data = shop.directory.path().join("postgres");
        fs::create_dir(&data).expect("a directory");
        chown(&data, Some(id), None).expect("the server's own directory");
        // The server goes through it as another user.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(shop.directory.path(), open).expect("its mode");
        let by_server = |name: &str| {
            let mut command = tools::bounded(LIMIT, "runuser");
            command.args(["-u", "postgres", "--"]).arg(programs.join(name)).current_dir(&data);
            command.env("LC_ALL", "C.UTF-8").arg("-D").arg(data.join("data"));
            command
        };
        tools::success(by_server("initdb").args(["-A", "trust"]));
        let options = format!("-c listen_addresses= -c fsync=off -k {}", data.display());
        let mut start = by_server("pg_ctl");
        start.args(["-o", &options, "-w", "-l"]).arg(data.join("log")).arg("start");
        start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        assert!(start.status().expect("pg_ctl").success(), "PostgreSQL starts");
        shop.server = Some(programs);
        shop
    }

    /// Runs a script as a user's shell would.
    fn shell(&self, script: &str) -> Output {
        let mut bash = tools::bounded(LIMIT, "bash");
        bash.args(["-euo", "pipefail", "-c", script]).current_dir(self.directory.path());
        bash.env_clear().env("PATH", &self.path).env("VM4_PRODUCER_ENV", "/dev/null");
        bash.env("HOME", self.directory.path()).env("LC_ALL", "C.UTF-8");
        bash.env("PGHOST", self.directory.path().join("postgres")).env("PGUSER", "postgres");
        bash.output().expect("a shell")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let Some(programs) = &self.server else { return };
        let data = self.directory.path().join("postgres");
        let mut stop = Command::new("runuser");
        stop.args(["-u", "postgres", "--"]).arg(programs.join("pg_ctl")).current_dir(&data);
        stop.arg("-D").arg(data.join("data")).args(["-m", "immediate", "stop"]);
        let _stopped = stop.output();
    }
}

/// The lines of the recipes' run.
fn lines(variables: &[(&str, &str)]) -> String {
    let run = RUN.iter().chain(variables);
    let producer = run.fold(Producer::new(["generate"]), |run, (name, value)| run.set(name, value));
    let finished = producer.finish();
    finished.exits(0);
    finished.stdout
}

/// The recipe of the page that is marked with this name.
fn recipe(name: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("<!-- {name}: tested -->\n```sh\n")).expect("a mark");
    rest.split_once("\n```").expect("an end").0
}

#[track_caller]
fn told(output: &Output, code: i32) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    stdout
}

/// A run is closed behind the recipe, and one row that the database does not have is named.
fn recipe_holds(name: &str, shop: impl Fn(&str) -> Shop) {
    let lines = lines(&[]);
    let closed = told(&shop(&lines).shell(recipe(name)), 0);
    let all = "CLOSED: run shop-1: all 400 records are there, each once and as sent, in the fields";
    assert!(closed.starts_with(all), "{closed}");
    let lost: Vec<_> =
        lines.lines().enumerate().filter(|(n, _)| *n != 301).map(|(_, line)| line).collect();
    let found = told(&shop(&(lost.join("\n") + "\n")).shell(recipe(name)), 74);
    assert!(found.starts_with("NOT CLOSED: run shop-1: 399 records found, 1 missing"), "{found}");
    assert!(found.contains("missing   token.usage.v1: 1 "), "{found}");
    assert!(found.contains(": pairs 150; "), "{found}");
}

/// A run with every fault whose values are kept as they came, beside run, seq and topic, is closed, in any
/// order of its rows; and one that is lost is named.
fn faults_hold(export: &str, shop: impl Fn(&str) -> Shop) {
    let faults = [("FAULTS", FAULTS)];
    let lines = lines(&faults);
    let verify = format!(
        "{export}\nvm4-producer verify --run shop-1 --run-seed 7 --batch 200 --faults {FAULTS} \
         --event-start 2026-01-05T09:00:00Z --input events"
    );
    let closed = told(&shop(&lines).shell(&verify), 0);
    assert!(closed.starts_with("CLOSED: run shop-1: all "), "{closed}");
    let is_copied = |line: &str| line.contains("\"fault\":\"duplicate");
    let is_plain = |line: &&str| !line.contains("\"fault\"") && !is_copied(line);
    let lost = lines.lines().filter(is_plain).nth(20).expect("a line");
    let rest: String =
        lines.lines().filter(|line| *line != lost).map(|line| format!("{line}\n")).collect();
    let seq: Value = serde_json::from_str(lost).expect("JSON");
    let seq = seq["headers"]["seq"].as_str().expect("a header");
    let found = told(&shop(&rest).shell(&verify), 74);
    assert!(found.contains(" records found, 1 missing"), "{found}");
    assert!(found.contains(&format!(": pairs {seq}; ")), "{found}");
}

#[test]
fn rows_of_postgresql_are_closed_and_a_lost_one_is_named() {
    recipe_holds("postgres", Shop::with_postgres);
}

#[test]
fn rows_of_clickhouse_are_closed_and_a_lost_one_is_named() {
    recipe_holds("clickhouse", Shop::new);
}

#[test]
fn rows_of_duckdb_are_closed_and_a_lost_one_is_named() {
    recipe_holds("duckdb", Shop::new);
}

#[test]
fn rows_of_sqlite_are_closed_and_a_lost_one_is_named() {
    recipe_holds("sqlite", Shop::new);
}

#[test]
fn values_with_every_fault_come_through_postgresql() {
    let export = "psql -q <<'SQL'\nCREATE TABLE line (json json);\n\
        \\copy line FROM 'records.ndjson' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')\n\
        CREATE TABLE event AS SELECT json#>>'{headers,run}' AS run, (json#>>'{headers,seq}')::bigint AS seq,\n\
        json->>'topic' AS topic, nullif((json->'value')::text, 'null') AS value,\n\
        json->>'value_base64' AS value_base64 FROM line;\nSQL\n\
        psql --csv -c 'SELECT * FROM event ORDER BY random()' > events";
    faults_hold(export, Shop::with_postgres);
}

#[test]
fn values_with_every_fault_come_through_sqlite() {
    let export = "sqlite3 shop.db <<'SQL'\nCREATE TABLE line (json TEXT);\n.mode ascii\n\
        .separator \"\\001\" \"\\n\"\n.import records.ndjson line\n\
        CREATE TABLE event AS SELECT json->>'$.headers.run' AS run, json->>'$.headers.seq' AS seq,\n\
        json->>'$.topic' AS topic, nullif(json->'$.value', 'null') AS value,\n\
        json->>'$.value_base64' AS value_base64 FROM line;\nSQL\n\
        sqlite3 -header -csv shop.db 'SELECT * FROM event ORDER BY random()' > events";
    faults_hold(export, Shop::new);
}

#[test]
fn values_with_every_fault_come_through_duckdb() {
    let export = "duckdb <<'SQL'\n\
        CREATE TABLE line AS SELECT json FROM read_json_objects('records.ndjson', format = 'newline_delimited');\n\
        COPY (SELECT json->>'$.headers.run' AS run, json->>'$.headers.seq' AS seq, json->>'$.topic' AS topic,\n\
        nullif(json->'$.value', 'null')::VARCHAR AS value, json->>'$.value_base64' AS value_base64\n\
        FROM line ORDER BY random()) TO 'events' (FORMAT csv);\nSQL";
    faults_hold(export, Shop::new);
}

#[test]
fn values_with_every_fault_come_through_clickhouse() {
    let export = "clickhouse local --path shop.clickhouse <<'SQL'\n\
        SELECT JSONExtractString(line, 'headers', 'run') AS run, JSONExtractString(line, 'headers', 'seq') AS seq,\n\
        JSONExtractString(line, 'topic') AS topic, nullIf(nullIf(JSONExtractRaw(line, 'value'), 'null'), '') AS value,\n\
        nullIf(JSONExtractString(line, 'value_base64'), '') AS value_base64\n\
        FROM file('records.ndjson', LineAsString) ORDER BY rand() INTO OUTFILE 'events' FORMAT TSVWithNames;\nSQL";
    faults_hold(export, Shop::new);
}
