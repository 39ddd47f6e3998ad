//! `verify --input`: rows of a database in the forms that databases write, and lines that are no records.

use serde_json::{Map, Value, json};

use crate::common::{Finished, Producer};
use crate::process::generated;
use crate::verify::in_json;

/// A backfill whose rows are told apart by run and seq.
const RUN: [(&str, &str); 4] =
    [("RUN_ID", "rows"), ("BATCH", "40"), ("SLEEP_SEC", "0.354"), ("HOSTNAME", "gpu[1-3]")];

/// A live run.
const LIVE: [(&str, &str); 4] =
    [("RUN_ID", "rows"), ("RUN_SEED", "1"), ("BATCH", "20"), ("SLEEP_SEC", "0")];

/// A record as a table has it: topic, seq, fields.
type Row = (String, String, Map<String, Value>);

fn rows_of(ndjson: &str) -> Vec<Row> {
    let row = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let text = |pointer: &str| json.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let value = json["value"].as_object().cloned().unwrap_or_default();
        (text("/topic"), text("/headers/seq"), value)
    };
    ndjson.lines().map(row).collect()
}

fn rows() -> Vec<Row> {
    rows_of(&generated(&RUN))
}

/// A row as one object, with the columns run, seq and topic.
fn flat((topic, seq, value): &Row) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("id".into(), json!(seq.parse::<u64>().unwrap() + 1000));
    row.insert("run".into(), json!("rows"));
    row.insert("seq".into(), json!(seq.parse::<u64>().unwrap()));
    row.insert("topic".into(), json!(topic));
    row.extend(value.clone());
    row
}

fn ndjson(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{}\n", Value::Object(flat(row)))).collect()
}

/// The cells of these columns, quoted where they must be; NULL is empty.
fn table(
    rows: &[Row],
    columns: &[&str],
    delimiter: &str,
    cell: impl Fn(&str, &Value) -> String,
) -> String {
    let mut text = format!("{}\n", columns.join(delimiter));
    for row in rows {
        let flat = flat(row);
        let cells = columns
            .iter()
            .map(|column| flat.get(*column).map_or(String::new(), |value| cell(column, value)));
        text.push_str(&format!("{}\n", cells.collect::<Vec<_>>().join(delimiter)));
    }
    text
}

fn plain(_: &str, value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(_: &str, value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("\"{text}\""))
}

const ALL: [&str; 16] = [
    "id",
    "run",
    "seq",
    "topic",
    "ts",
    "host",
    "gpu_index",
    "name",
    "utilization",
    "mem_used_mb",
    "power_w",
    "price_per_hour_usd",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "latency_ms",
];

fn verified(input: impl AsRef<[u8]>, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut producer = Producer::new(["verify"]);
    let input = producer.file("rows.txt", input);
    producer.command().arg("--input").arg(input).args(arguments);
    for (name, value) in variables {
        producer = producer.set(name, value);
    }
    producer.finish()
}

fn backfill() -> Vec<(&'static str, &'static str)> {
    [&RUN[..], &[("RUN_SEED", "1"), ("EVENT_START", "2026-01-01T00:00:00Z")]].concat()
}

#[track_caller]
fn is_closed(input: impl AsRef<[u8]>, arguments: &[&str]) -> String {
    let finished = verified(input, arguments, &backfill());
    finished.exits(0);
    assert!(finished.stdout.starts_with("CLOSED: run rows: "), "{}", finished.stdout);
    finished.stdout
}

/// A time as databases print it.
fn with_time(form: impl Fn(jiff::Timestamp) -> Value) -> Vec<Row> {
    let mut rows = rows();
    for (_, _, value) in &mut rows {
        let at: jiff::Timestamp = value["ts"].as_str().unwrap().parse().unwrap();
        value["ts"] = form(at);
    }
    rows
}

#[test]
fn rows_in_every_form_that_a_database_writes_by_default_are_closed() {
    let rows = rows();
    for delimiter in [",", "\t", ";", "|"] {
        let cell = if delimiter == "|" { plain } else { quoted };
        let text = table(&rows, &ALL, delimiter, cell);
        let told = is_closed(&text, &[]);
        assert!(
            told.contains(
                "rows      gpu.metrics.v1: 40 rows, 8 of 9 fields compared; not there: mem_total_mb; \
                 other columns, ignored: id"
            ),
            "{told}"
        );
        assert!(told.contains("in the fields that are there (8 of 9)"), "{told}");
        is_closed(text.replace('\n', "\r\n"), &[]);
        is_closed(format!("\u{feff}{text}"), &[]);
    }
    let lines = ndjson(&rows);
    is_closed(&lines, &[]);
    is_closed(format!("[{}]\n", lines.trim_end().replace('\n', ",")), &[]);
    is_closed(format!("[\n{}\n]\n", lines.trim_end().replace('\n', ",\n")), &[]);
    is_closed(lines.replace('\n', ",\n"), &[]);
    // psql's own form, with a frame.
    let mut framed = table(&rows, &ALL, " | ", plain);
    let header = framed.find('\n').unwrap();
    framed.insert_str(header + 1, "-----+------+-----\n");
    framed.push_str("(80 rows)\n\n");
    is_closed(framed, &[]);
}

#[test]
fn two_tables_one_behind_the_other_are_read_each_with_its_header() {
    let rows = rows();
    let of = |topic: &str| -> Vec<Row> {
        rows.iter().filter(|(own, _, _)| own == topic).cloned().collect()
    };
    let metrics = ["id", "run", "seq", "ts", "host", "power_w"].as_slice();
    let usages = ["run", "seq", "ts", "gpu_index", "model", "latency_ms"].as_slice();
    let text = |delimiter| {
        let first = table(&of("gpu.metrics.v1"), metrics, delimiter, plain);
        first + &table(&of("token.usage.v1"), usages, delimiter, plain)
    };
    for delimiter in [",", "|", "\t"] {
        is_closed(text(delimiter), &[]);
    }
    let told = verified(text(",").replacen("llama", "lama", 1), &[], &backfill());
    assert!(told.exits(74).stdout.contains("token.usage.v1: 1 value /model"), "{}", told.stdout);
}

#[test]
fn a_time_is_compared_in_any_form_and_to_the_precision_that_it_has() {
    let zone = |at: jiff::Timestamp| (at + jiff::SignedDuration::from_hours(1)).to_string();
    let text = |at: jiff::Timestamp| format!("{at:.3}");
    let forms: [&dyn Fn(jiff::Timestamp) -> Value; 9] = [
        &|at| json!(text(at).replace('T', " ").replace('Z', "")),
        &|at| json!(text(at).replace('T', " ").replace('Z', "+00")),
        &|at| json!(format!("{at:.6}").replace('T', " ").replace('Z', "")),
        // PostgreSQL cuts zeros off.
        &|at| json!(at.to_string().replace('T', " ").replace('Z', "+00")),
        &|at| json!(zone(at).replace('Z', "+01:00")),
        &|at| json!(at.as_millisecond()),
        &|at| json!(at.as_microsecond().to_string()),
        &|at| json!(at.as_millisecond() as f64 / 1000.0),
        &|at| json!(text(at).replace('T', " ").replace('Z', " UTC")),
    ];
    for (number, form) in forms.iter().enumerate() {
        let told = is_closed(ndjson(&with_time(form)), &[]);
        assert!(told.contains("re-encoded"), "form {number}: {told}");
        // Without run and seq, time and GPU tell.
        let values = with_time(form);
        let values: String =
            values.iter().map(|(_, _, value)| format!("{}\n", json!(value))).collect();
        is_closed(values, &[]);
    }
    let seconds = |at: jiff::Timestamp| json!(at.as_second());
    let told = is_closed(ndjson(&with_time(seconds)), &[]);
    assert!(told.contains("; times to 1 s"), "{told}");
    let shifted = |at: jiff::Timestamp| json!(at.as_second() + 1);
    let later = verified(ndjson(&with_time(shifted)), &[], &backfill());
    assert!(later.exits(74).stdout.contains("value /ts (value)"), "{}", later.stdout);
    // One second cut in a column that has milliseconds.
    let cut = ndjson(&rows()).replacen(".354Z", ".000Z", 1);
    let told = verified(cut, &[], &backfill());
    assert!(told.exits(74).stdout.contains("1 value /ts (value)"), "{}", told.stdout);
}

#[test]
fn numbers_as_text_other_forms_of_them_and_null_are_re_encoded() {
    let mut rows = rows();
    for (_, _, value) in &mut rows {
        for (name, cell) in value.iter_mut() {
            if let (Some(number), true) = (cell.as_f64(), name != "ts") {
                *cell = json!(format!("{number:.4}"));
            }
        }
    }
    is_closed(ndjson(&rows), &[]);
    is_closed(table(&rows, &ALL, ",", plain), &[]);
    rows[0].2["power_w"] = json!("1,5");
    let told = verified(ndjson(&rows), &[], &backfill());
    assert!(told.exits(74).stdout.contains("1 value /power_w (value): "), "{}", told.stdout);
    rows[0].2["power_w"] = Value::Null;
    let told = verified(ndjson(&rows), &[], &backfill());
    assert!(told.exits(74).stdout.contains("1 value /power_w (removed): "), "{}", told.stdout);
}

#[test]
fn lines_of_values_alone_whose_numbers_all_are_texts_are_rows_of_a_table() {
    let value = |(_, _, value): &Row| {
        let text = |(name, value): (&String, &Value)| match value {
            Value::Number(number) => (name.clone(), json!(number.to_string())),
            other => (name.clone(), other.clone()),
        };
        format!("{}\n", Value::Object(value.iter().map(text).collect()))
    };
    let text: String = rows().iter().map(value).collect();
    let told = is_closed(&text, &[]);
    assert!(told.contains("gpu.metrics.v1: 40 rows, 9 of 9 fields compared"), "{told}");
}

#[test]
fn of_rows_of_one_millisecond_and_gpu_without_some_column_each_counts_as_one_of_their_pairs() {
    let own = [("SLEEP_SEC", "0.0001"), ("RUN_ID", "rows"), ("BATCH", "60"), ("RUN_SEED", "1")];
    let run = [&own[..], &[("EVENT_START", "2026-01-01T00:00:00Z")]].concat();
    let columns: Vec<_> = ALL[4..].iter().copied().filter(|column| *column != "model").collect();
    let mut rows = rows_of(&generated(&run));
    verified(table(&rows, &columns, ",", plain), &["--run", "rows"], &run).exits(0);
    rows.remove(7);
    let finished = verified(table(&rows, &columns, ",", plain), &["--run", "rows"], &run);
    assert!(
        finished.exits(74).stdout.contains("119 records found, 1 missing"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_lost_row_an_altered_one_and_a_copy_are_told_by_run_and_seq() {
    let mut rows = rows();
    rows.remove(7);
    rows[11].2["host"] = json!("elsewhere");
    rows.push(rows[20].clone());
    rows.reverse();
    let account = in_json(&verified(ndjson(&rows), &["--json"], &backfill()));
    let sum = |name: &str| -> u64 {
        let topics = account["topics"].as_array().unwrap();
        topics.iter().map(|topic| topic.pointer(name).unwrap().as_u64().unwrap()).sum()
    };
    let found = ["/missing", "/read/first_altered", "/read/extra_copies", "/read/foreign/records"];
    assert_eq!(found.map(sum), [1, 1, 1, 0], "{account}");
    assert_eq!(account["topics"][0]["changes"][0]["at"], json!("/host"));
    let foreign = ndjson(&rows).replace("\"rows\"", "\"other\"");
    let account = in_json(&verified(foreign, &["--json"], &backfill()));
    assert_eq!(account["topics"][0]["read"]["foreign"]["runs"], json!({"other": 40}), "{account}");
}

#[test]
fn a_live_run_is_closed_by_run_and_seq_whatever_is_done_to_its_bytes() {
    let mut producer = Producer::new(["generate"]);
    for (name, value) in LIVE {
        producer = producer.set(name, value);
    }
    let mut rows = rows_of(&producer.finish().exits(0).stdout);
    for (_, _, value) in &mut rows {
        let at: jiff::Timestamp = value["ts"].as_str().unwrap().parse().unwrap();
        value["ts"] = json!(format!("{at:.6}").replace('T', " ").replace('Z', "+00"));
        value.remove("name");
    }
    let columns = ["run", "seq", "topic", "ts", "host", "utilization", "power_w", "prompt_tokens"];
    for text in [ndjson(&rows), table(&rows, &columns, ",", quoted)] {
        let finished = verified(text, &[], &LIVE);
        finished.exits(0);
    }
}

#[test]
fn a_row_of_a_joined_pair_is_both_of_its_records() {
    let rows = rows();
    let mut joined = String::new();
    for pair in rows.chunks(2) {
        let mut both = flat(&pair[0]);
        both.extend(flat(&pair[1]));
        both.remove("topic");
        joined.push_str(&format!("{}\n", Value::Object(both)));
    }
    is_closed(&joined, &[]);
    let text = joined.replacen("\"latency_ms\":", "\"latency_ms\":1", 1);
    let told = verified(text, &[], &backfill());
    assert!(
        told.exits(74).stdout.contains("token.usage.v1: 1 value /latency_ms"),
        "{}",
        told.stdout
    );
}

#[test]
fn columns_with_other_names_are_named_on_the_command_line_and_the_others_are_ignored() {
    let rename = |text: String| {
        text.replace("\"seq\"", "\"pair\"")
            .replace("\"ts\"", "\"event_time\"")
            .replace("\"prompt_tokens\"", "\"prompt\"")
            .replace("\"host\"", "\"node\"")
    };
    let chosen = "seq=pair,ts=event_time,prompt_tokens=prompt,host=node";
    let told = is_closed(rename(ndjson(&rows())), &["--columns", chosen]);
    assert!(told.contains("token.usage.v1: 40 rows, 2 of 6 fields compared"), "{told}");
    let altered = rename(ndjson(&rows())).replacen("\"prompt\":", "\"prompt\":1", 1);
    verified(altered, &["--columns", chosen], &backfill()).exits(74);
    let columns = ["run", "seq", "topic", "ts", "host"];
    let text = table(&rows(), &columns, ",", plain).replacen("ts,host", "at,node", 1);
    is_closed(&text, &["--columns", "ts=at,host=node"]);
    verified(&text, &["--columns", "ts=when"], &backfill()).exits(65).says(
        "rows.txt: --columns: there is no column \"when\"; the columns are run, seq, topic, at, node",
    );
    verified(&text, &["--columns", "time=at"], &backfill())
        .exits(64)
        .says("--columns: there is no field \"time\"; the fields are completion_tokens, ");
    verified(&text, &["--columns", "=at"], &backfill()).exits(64);
}

#[test]
fn a_column_with_the_whole_value_is_the_value() {
    let mut run = backfill();
    run.extend([("FAULTS", "malformed=0.1,tombstone=0.1,duplicate-key=0.1,missing-field=0.1")]);
    let lines = generated(&run);
    let mut csv = String::from("run,seq,topic,event\n");
    for line in lines.lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        let value = match (&json["value_base64"], line.split_once(",\"value\":")) {
            (Value::String(text), _) => {
                let bytes = data_encoding::BASE64.decode(text.as_bytes()).unwrap();
                format!("\\x{}", data_encoding::HEXLOWER.encode(&bytes))
            }
            (_, Some((_, "null}"))) => String::new(),
            (_, Some((_, value))) => {
                format!("\"{}\"", value[..value.len() - 1].replace('"', "\"\""))
            }
            (_, None) => unreachable!("{line}"),
        };
        let seq = json["headers"]["seq"].as_str().unwrap();
        csv.push_str(&format!("rows,{seq},{},{value}\n", json["topic"].as_str().unwrap()));
    }
    let finished = verified(&csv, &["--columns", "value=event"], &run);
    finished.exits(0);
    verified(
        csv.replacen("\"\"ts\"\":\"\"2", "\"\"ts\"\":\"\"3", 1),
        &["--columns", "value=event"],
        &run,
    )
    .exits(74);
}

#[test]
fn own_fields_of_the_seed_with_names_of_a_records_parts_harm_nothing() {
    let seed = json!([{
        "gpu_index": 0, "name": "RTX", "utilization": 0.7, "mem_used_mb": 9000,
        "mem_total_mb": 24576, "power_w": 280, "price_per_hour_usd": 0.85,
        "value": {"a": 1}, "topic": "rack", "payload": "x", "key": 1, "headers": [], "timestamp": "t",
        "prompt_tokens": 5
    }]);
    let holder = Producer::new(["generate"]);
    let file = holder.file("seed.json", seed.to_string()).display().to_string();
    let mut run = backfill();
    run.push(("GPU_SEED", &file));
    let lines = generated(&run);
    verified(&lines, &[], &run).exits(0);
    let values: String =
        rows_of(&lines).iter().map(|(_, _, v)| format!("{}\n", json!(v))).collect();
    let finished = verified(&values, &["--json"], &run);
    let account = in_json(&finished);
    assert_eq!(account["input"]["unreadable"], json!(0), "{account}");
}

#[test]
fn a_line_that_cannot_be_read_is_counted_and_does_not_end_the_account() {
    let lines = generated(&RUN);
    let mut broken: Vec<&str> = lines.lines().collect();
    broken.insert(3, "{\"cut");
    broken.insert(9, "who knows");
    let finished = verified(broken.join("\n"), &[], &backfill());
    let told = &finished.exits(0).stdout;
    assert!(
        told.contains("bad lines 2 lines cannot be read: 4, 10; it is not a record: EOF"),
        "{told}"
    );
    broken.remove(0);
    let finished = verified(broken.join("\n"), &["--json"], &backfill());
    // Either line may be the one that is missing.
    let account = in_json(finished.exits(69));
    assert_eq!(account["verdict"], json!("undecided"));
    assert_eq!(account["input"]["unreadable"], json!(2));
    assert_eq!(account["input"]["first_unreadable"][0]["line"], json!(3));
    let told = account["could_not_tell"].to_string();
    assert!(
        told.contains("which records the lines are that cannot be read (2): they may be"),
        "{told}"
    );
    let text = table(&rows(), &ALL, ",", quoted).replacen("\n", "\nrows,1\n", 2);
    let told = is_closed(text, &[]);
    assert!(told.contains("2, 4; it has 2 columns; the first line has 16"), "{told}");
}

/// The value of a printed record, byte for byte; `null` where it has none.
fn value_of(line: &str) -> Vec<u8> {
    let json: Value = serde_json::from_str(line).unwrap();
    match (&json["value_base64"], line.split_once(",\"value\":")) {
        (Value::String(text), _) => data_encoding::BASE64.decode(text.as_bytes()).unwrap(),
        (_, Some((_, value))) => value.as_bytes()[..value.len() - 1].to_vec(),
        (_, None) => unreachable!("{line}"),
    }
}

#[test]
fn a_malformed_value_that_kcat_writes_raw_is_the_value_that_was_sent() {
    let mut run = backfill();
    run.extend([("FAULTS", "malformed=0.5")]);
    let mut raw = Vec::new();
    let mut invalid = 0;
    for line in generated(&run).lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        let bytes = value_of(line);
        let headers = &json["headers"];
        let headers: Vec<_> = ["run", "seq", "content-type", "fault"]
            .into_iter()
            .filter_map(|name| Some([json!(name), headers.get(name)?.clone()]))
            .flatten()
            .collect();
        let head = json!({"topic": json["topic"], "partition": 0, "offset": raw.len(),
            "tstype": "create", "ts": json["timestamp"], "headers": headers, "key": json["key"]});
        let head = head.to_string();
        raw.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
        raw.extend_from_slice(b",\"payload\":\"");
        invalid += usize::from(std::str::from_utf8(&bytes).is_err());
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                raw.push(b'\\');
            }
            raw.push(byte);
        }
        raw.extend_from_slice(b"\"}\n");
    }
    assert!(invalid > 0);
    verified(&raw, &[], &run).exits(0);
}

#[test]
fn what_a_sink_writes_that_keeps_the_values_alone_is_read_line_by_line() {
    let lines = generated(&RUN);
    let values: Vec<_> = lines
        .lines()
        .map(|line| line.split_once(",\"value\":").unwrap().1)
        .map(|value| &value[..value.len() - 1])
        .collect();
    let mut file = values.join("\n");
    file.push_str("\nnull\n");
    let finished = verified(&file, &["--json"], &backfill());
    let account = in_json(&finished);
    assert_eq!(account["input"]["unreadable"], json!(0), "{account}");
    assert_eq!(account["topics"][0]["found"], json!(40));
}

#[test]
fn record_timestamps_as_text_or_with_a_fraction_are_compared() {
    let lines = generated(&RUN);
    let with = |form: &dyn Fn(i64) -> Value| -> String {
        let line = |line: &str| {
            let json: Value = serde_json::from_str(line).unwrap();
            let ms = json["timestamp"].as_i64().unwrap();
            let form = format!("\"timestamp\":{}", form(ms));
            format!("{}\n", line.replacen(&format!("\"timestamp\":{ms}"), &form, 1))
        };
        lines.lines().map(line).collect()
    };
    let forms: [&dyn Fn(i64) -> Value; 3] =
        [&|ms| json!(ms.to_string()), &|ms| json!(ms as f64 / 1000.0), &|ms| {
            json!(jiff::Timestamp::from_millisecond(ms).unwrap().to_string())
        }];
    for form in forms {
        verified(with(form), &[], &backfill()).exits(0);
        let later = verified(with(&|ms| form(ms + 5000)), &[], &backfill());
        assert!(later.exits(74).stdout.contains("40 timestamp (value)"), "{}", later.stdout);
    }
    let finished = verified(with(&|_| json!("noon")), &[], &backfill());
    let told = "whether 80 record timestamps are right: they are no times";
    assert!(finished.stdout.contains(told), "{}", finished.stdout);
}

#[test]
fn what_is_packed_is_named_with_the_command_that_unpacks_it() {
    for (bytes, told) in [
        (&b"\x1f\x8b\x08\0"[..], "rows.txt is gzip: pipe it through zcat"),
        (b"\x28\xb5\x2f\xfd", "is zstd: pipe it through zstdcat"),
        (b"\xff\xfe{\0", "is UTF-16: pipe it through iconv -f UTF-16 -t UTF-8"),
        (b"PAR1", "is Parquet: export it as CSV or NDJSON"),
        (b"SQLite format 3\0", "is a SQLite database: export its rows with sqlite3 -header -csv"),
    ] {
        verified(bytes, &[], &backfill()).exits(65).says(told);
    }
    verified("1,2,3\n4,5,6\n", &[], &backfill())
        .exits(65)
        .says("a bare value or a row, or a table whose first line names its columns");
}

#[test]
fn several_reports_are_held_against_one_pipe() {
    let cluster = crate::cluster::Cluster::start();
    let run = |shard: &str| {
        let run = cluster.run().set("RUN_ID", "two").set("RUN_SEED", "4").set("BATCH", "20");
        let run = run.set("EVENT_START", "2026-01-01T00:00:00Z").set("SHARD", shard);
        run.finish().exits(0).report().to_string()
    };
    let mut verify = Producer::new(["verify", "--input", "-"]);
    for (name, shard) in [("0.json", "0/2"), ("1.json", "1/2")] {
        let file = verify.file(name, run(shard));
        verify.command().arg("--report").arg(file);
    }
    let sleep = ("SLEEP_SEC", "0");
    let lines = generated(&[("RUN_ID", "two"), ("RUN_SEED", "4"), ("BATCH", "20"), sleep]);
    // What was read of stdin is gone, whatever it is.
    let lines = std::fs::File::open(verify.file("lines.ndjson", lines)).unwrap();
    verify.command().stdin(lines);
    let finished = verify.finish();
    let told = &finished.exits(0).stdout;
    assert_eq!(told.matches("CLOSED: run two: all 20 records are there").count(), 2, "{told}");
}

#[test]
fn a_line_that_is_longer_than_any_record_is_counted_and_takes_no_more_memory_than_there_is_for_it()
{
    let lines = generated(&RUN);
    let mut all = vec![b'x'; 130 << 20];
    all.push(b'\n');
    all.extend_from_slice(lines.as_bytes());
    let finished = verified(&all, &[], &backfill());
    let told = &finished.exits(0).stdout;
    assert!(
        told.contains("bad lines 1 lines cannot be read: 1; it has more than 64 MiB"),
        "{told}"
    );
    assert!(finished.peak_kib < 200 << 10, "{} KiB", finished.peak_kib);
}

#[test]
fn a_quote_that_nothing_closes_is_a_data_error_and_accuses_nobody() {
    let text = table(&rows(), &ALL, ",", quoted);
    let opened = |text: &str| text.replacen(",0.", ",\"0.", 1);
    // The next quote closes it, so that two rows are one.
    let two = verified(opened(&text), &[], &backfill());
    let told = &two.exits(69).stdout;
    assert!(
        told.starts_with("UNDECIDED: run rows: ") && told.contains("bad lines 2 lines"),
        "{told}"
    );
    let open = opened(&table(&rows(), &ALL, ",", plain));
    let line = open.lines().position(|line| line.contains(",\"0.")).unwrap() + 1;
    let refused = verified(open, &[], &backfill());
    let says = format!("rows.txt line {line}: a quote opens in this row that nothing closes");
    refused.exits(65).says(&says);
    assert!(!refused.stdout.contains("missing"), "{}", refused.stdout);
    // A field of several lines that is closed is one.
    let several = text.replacen("\n", ",note\n", 1);
    let several = several.lines().enumerate().map(|(line, row)| match line {
        0 => format!("{row}\n"),
        _ => format!("{row},\"two\nlines\"\n"),
    });
    is_closed(several.collect::<String>(), &[]);
    // More than a row may have, as of a table of gigabytes.
    let mut long = text.clone();
    long.push('"');
    long.push_str(&"x".repeat(65 << 20));
    verified(long, &[], &backfill()).exits(65).says("is a quote not closed?");
}

#[test]
fn no_value_and_an_empty_one_are_told_apart_and_bytes_that_are_no_text_are_not_lost() {
    let mut run = backfill();
    run.extend([("FAULTS", "tombstone=0.2,malformed=0.6"), ("BATCH", "150")]);
    let (mut values, mut replaced) = (String::new(), 0);
    for line in generated(&run).lines() {
        let bytes = value_of(line);
        // As a converter of strings has it that puts U+FFFD for what is no text.
        let text = String::from_utf8_lossy(&bytes);
        replaced += u64::from(text.contains(char::REPLACEMENT_CHARACTER));
        values.push_str(&format!("{text}\n"));
    }
    assert!(replaced > 0 && values.contains("\nnull\n") && values.contains("\n\n"));
    let account = in_json(verified(&values, &["--json"], &run).exits(69));
    let sum = |pointer: &str| -> u64 {
        let topics = account["topics"].as_array().unwrap();
        topics.iter().map(|topic| topic.pointer(pointer).and_then(Value::as_u64).unwrap()).sum()
    };
    assert_eq!(sum("/missing"), replaced, "{account}");
    assert_eq!((sum("/read/first_altered"), sum("/repeated")), (0, 0), "{account}");
    for topic in account["topics"].as_array().unwrap() {
        for cause in topic["missing_by_cause"].as_array().unwrap() {
            assert_eq!(cause["why"], "unmatched", "{cause}");
        }
    }
}
