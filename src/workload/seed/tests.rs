//! Seed files, good and bad.

use super::*;
use proptest::prelude::*;

const ROW: &str = r#"{"gpu_index":0,"name":"X","utilization":0.5,"mem_used_mb":1,"mem_total_mb":2,"power_w":3,"price_per_hour_usd":4}"#;

fn error(text: &str) -> String {
    parse(text.as_bytes()).unwrap_err().to_string()
}

/// A one-row file with `field` set to `value`.
fn with(field: &str, value: &str) -> String {
    let mut row = String::from("[\n  {");
    for (i, (name, _)) in REQUIRED.iter().enumerate() {
        let own: serde_json::Value = serde_json::from_str(ROW).unwrap();
        let own = own[name].to_string();
        let value = if *name == field { value } else { &own };
        let comma = if i > 0 { "," } else { "" };
        row.push_str(&format!("{comma}\n    \"{name}\": {value}"));
    }
    row + "\n  }\n]\n"
}

#[test]
fn the_shipped_seed_is_the_two_gpus_of_the_original_pipeline() {
    let seed = parse(BUILT_IN.as_bytes()).unwrap();
    assert_eq!(seed.warnings, Vec::<String>::new());
    let rows = seed.rows.iter().map(|r| {
        let row = (r.gpu_index, r.name.as_str(), r.utilization_percent);
        (row, (r.mem_used_mb, r.mem_total_mb, r.power_w.to_string()))
    });
    let expected = [
        ((0, "RTX 3090", 70), (9000, 24576, "280".to_owned())),
        ((1, "A100 40GB", 50), (12000, 40960, "210".to_owned())),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn rows_that_share_an_index_are_accepted_and_named() {
    let original = BUILT_IN.replace("\"gpu_index\": 1", "\"gpu_index\": 0");
    assert_eq!(
        parse(original.as_bytes()).unwrap().warnings,
        ["rows 1 (RTX 3090) and 2 (A100 40GB) share gpu_index 0: consumers see them as one GPU"]
    );
}

#[test]
fn a_file_that_is_no_array_of_rows_is_named_by_line_and_row() {
    for (text, expected) in [
        ("", "line 1: the file is empty; expected a JSON array of GPU rows"),
        (" \n", "line 1: the file is empty; expected a JSON array of GPU rows"),
        ("[]", "line 1: the array is empty; expected at least one GPU row"),
        (
            "{}",
            "line 1: starts with '{'; expected a JSON array of GPU rows, \"[\", or the CSV of nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,power.draw --format=csv",
        ),
        ("\u{feff}[]", "line 1: starts with a byte order mark; expected JSON without one"),
        (
            "[\n1]",
            "line 2, row 1: invalid type: integer `1`, expected a GPU row, {...}, at column 1",
        ),
        (
            "[\n{\"gpu_index\": 0,\n",
            "line 3, row 1: EOF while parsing a value at column 0; expected valid JSON",
        ),
        ("[{\"gpu_index\":0,}]", "line 1, row 1: trailing comma at column 17; expected valid JSON"),
    ] {
        assert_eq!(error(text), expected, "{text:?}");
    }
    let truncated = &BUILT_IN[..BUILT_IN.len() - 40];
    let said = error(truncated);
    assert!(said.starts_with("line 17, row 2: EOF"), "{said}");
    let twice = format!("[{ROW}] x");
    assert!(error(&twice).contains("trailing characters"), "{}", error(&twice));
    assert_eq!(parse(b"[\n\xff]").unwrap_err().to_string(), "line 2: not valid UTF-8");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_bad_field_is_named_by_line_row_and_field() {
    for (field, value, expected) in [
        (
            "utilization",
            "1.5",
            "line 5, row 1, field utilization: 1.5 is not valid; expected a number from 0 to 1",
        ),
        (
            "utilization",
            "-0.1",
            "line 5, row 1, field utilization: -0.1 is not valid; expected a number from 0 to 1",
        ),
        (
            "utilization",
            "\"0.5\"",
            "line 5, row 1, field utilization: \"0.5\" is not valid; expected a number from 0 to 1; write 0.5",
        ),
        (
            "utilization",
            "null",
            "line 5, row 1, field utilization: null stands for a value that is still to be written; expected a number from 0 to 1",
        ),
        (
            "price_per_hour_usd",
            "null",
            "line 9, row 1, field price_per_hour_usd: null stands for a value that is still to be written; expected a number, 0 or more",
        ),
        (
            "utilization",
            "63",
            "line 5, row 1, field utilization: 63 is not valid; expected a number from 0 to 1; write 0.63",
        ),
        (
            "utilization",
            "\"37 %\"",
            "line 5, row 1, field utilization: \"37 %\" is not valid; expected a number from 0 to 1; write 0.37",
        ),
        ("utilization", "0,37", "line 5, row 1: 0,37 has a decimal comma; write 0.37"),
        (
            "mem_used_mb",
            "\"14520 MiB\"",
            "line 6, row 1, field mem_used_mb: \"14520 MiB\" is not valid; expected a whole number, 0 or more; write 14520",
        ),
        (
            "power_w",
            "\"54.31 W\"",
            "line 8, row 1, field power_w: \"54.31 W\" is not valid; expected a number, 0 or more; write 54.31",
        ),
        (
            "mem_used_mb",
            "3",
            "line 6, row 1, field mem_used_mb: 3 is more than mem_total_mb, 2; expected 0 to 2",
        ),
        (
            "mem_used_mb",
            "0.5",
            "line 6, row 1, field mem_used_mb: 0.5 is not valid; expected a whole number, 0 or more; write 1",
        ),
        (
            "power_w",
            "-1",
            "line 8, row 1, field power_w: -1 is not valid; expected a number, 0 or more",
        ),
        (
            "power_w",
            "1e999",
            "line 8, row 1, field power_w: 1e999 is not valid; expected a number, 0 or more",
        ),
        (
            "price_per_hour_usd",
            "-1",
            "line 9, row 1, field price_per_hour_usd: -1 is not valid; expected a number, 0 or more",
        ),
        (
            "gpu_index",
            "-1",
            "line 3, row 1, field gpu_index: -1 is not valid; expected a whole number, 0 or more",
        ),
        (
            "gpu_index",
            "4294967296",
            "line 3, row 1, field gpu_index: 4294967296 is not valid; expected a whole number below 4294967296",
        ),
        (
            "name",
            "7",
            "line 4, row 1, field name: 7 is not valid; expected a GPU model name in quotes",
        ),
        (
            "name",
            "\" \"",
            "line 4, row 1, field name: \" \" is not valid; expected a GPU model name in quotes",
        ),
    ] {
        assert_eq!(error(&with(field, value)), expected);
    }
}

const NVIDIA: &str = "\
index, name, utilization.gpu [%], memory.used [MiB], memory.total [MiB], power.draw [W]
0, NVIDIA L4, 37 %, 14520 MiB, 23034 MiB, 54.31 W
1, NVIDIA H100 80GB HBM3, 3 %, 71321 MiB, 81559 MiB, 118.20 W
";

/// The seed of a text, and that it has no prices.
fn without_prices(text: &str) -> Seed {
    let mut seed = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let last = seed.warnings.pop().unwrap();
    assert!(
        last.starts_with("it has no prices, so price_per_hour_usd and all costs are 0"),
        "{last}"
    );
    seed
}

#[test]
fn what_nvidia_smi_prints_is_a_seed_with_and_without_header_and_units() {
    let seed = without_prices(NVIDIA);
    let row = |row: &Row| {
        row.fields
            .iter()
            .map(|f| format!("{}:{}", f.key_json, f.value_json))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(
        row(&seed.rows[0]),
        r#""gpu_index":0,"name":"NVIDIA L4","utilization":0.37,"mem_used_mb":14520,"mem_total_mb":23034,"power_w":54.31,"price_per_hour_usd":0"#
    );
    let without_units = NVIDIA.replace(" %", "").replace(" MiB", "").replace(" W", "");
    let (_, values) = NVIDIA.split_once('\n').unwrap();
    let (_, plain) = without_units.split_once('\n').unwrap();
    for text in [
        &without_units,
        values,
        plain,
        &plain.replace('\n', "\r\n"),
        &format!("\u{feff}\n{NVIDIA}\n\n"),
    ] {
        assert_eq!(without_prices(text).rows, seed.rows, "{text:?}");
    }
    let other = "name, power.limit [W], power.draw [W], memory.total [MiB], uuid, index, memory.used [MiB], utilization.gpu [%]\n\
                 NVIDIA L4, 72.00 W, 54.31 W, 23034 MiB, GPU-1, 0, 14520 MiB, 37 %\n";
    let seed = without_prices(other);
    assert_eq!(seed.rows[0].constants, [("power_cap_w", 72.0)]);
    assert_eq!((seed.rows[0].utilization_percent, seed.rows[0].mem_used_mb), (37, 14_520));
}

#[test]
fn what_nvidia_smi_does_not_know_is_named_by_board_field_value_and_what_to_write() {
    let line = |utilization: &str, used: &str, total: &str, power: &str| {
        format!("3, NVIDIA A100-SXM4-80GB, {utilization}, {used}, {total}, {power}\n")
    };
    for (text, field, said) in [
        (
            line("[N/A]", "1", "2", "3"),
            "utilization",
            "nvidia-smi has \"[N/A]\"; write the mean share of the time in which it works, as in 60 % (a board in MIG mode has no reading)",
        ),
        (
            line("1", "[N/A]", "2", "3"),
            "mem_used_mb",
            "nvidia-smi has \"[N/A]\"; write the memory in use, as in 14520 MiB",
        ),
        (
            line("1", "1", "[Not Supported]", "3"),
            "mem_total_mb",
            "nvidia-smi has \"[Not Supported]\"; write the memory of the board, as in 23034 MiB",
        ),
        (
            line("1", "1", "2", "[Unknown Error]"),
            "power_w",
            "nvidia-smi has \"[Unknown Error]\"; the driver cannot read it: reset the board, or write its mean power, as in 54 W (the board has no sensor)",
        ),
        (
            line("[GPU requires reset]", "1", "2", "3"),
            "utilization",
            "nvidia-smi has \"[GPU requires reset]\"; the driver cannot read it: reset the board, or write the mean share of the time in which it works, as in 60 % (a board in MIG mode has no reading)",
        ),
    ] {
        let expected =
            format!("line 1, row 1, field {field}: GPU 3, NVIDIA A100-SXM4-80GB: {said}");
        assert_eq!(error(&text), expected);
    }
    // A seed to be filled in has null there, and says so.
    let snapshot = Snapshot::read("0, NVIDIA L4, [N/A], 1, 2, [N/A]\n").unwrap().unwrap();
    assert_eq!(snapshot.gaps().count(), 2);
    assert_eq!(
        snapshot.json(&serde_json::Value::Null),
        "[\n  {\"gpu_index\": 0, \"name\": \"NVIDIA L4\", \"utilization\": null, \"mem_used_mb\": 1, \"mem_total_mb\": 2, \"power_w\": null, \"price_per_hour_usd\": null}\n]\n"
    );
}

#[test]
fn what_is_no_table_of_gpus_is_named_by_what_it_is() {
    for (text, expected) in [
        (
            "1, [GPU requires reset], [GPU requires reset], 1, 2, 3",
            "line 1, row 1, field name: nvidia-smi has \"[GPU requires reset]\": write the board's name, as in NVIDIA L4, or leave the line out",
        ),
        (
            "No devices were found\n",
            "line 1: \"No devices were found\": nvidia-smi sees no GPU here: run it on the machine that has them",
        ),
        (
            "Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error",
            "line 1: \"Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error\": a GPU does not answer its driver: reset it, or start the machine again",
        ),
        (
            "0, NVIDIA L4, 37, 1, 2, 3\nUnable to determine the device handle for GPU 0000:41:00.0: Unknown Error",
            "line 2, row 2: \"Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error\": a GPU does not answer its driver: reset it, or start the machine again",
        ),
        (
            "0, NVIDIA L4, 37, 14520, 23034, 54,31",
            "line 1, row 1: 7 values; expected 6 (a number has a decimal point, as in 54.31)",
        ),
        (
            "index, name, memory.used [MiB], memory.total [MiB], power.draw [W]\n",
            "line 1: the header has no utilization.gpu; expected the CSV of nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,power.draw --format=csv",
        ),
        (
            "index, name, utilization.gpu [%], memory.used [MiB], memory.total [MiB], power.draw [W]\n",
            "line 1: a header, and no board below it; expected a line for each GPU",
        ),
        (
            "0, NVIDIA L4, 137, 14520, 23034, 54",
            "line 2, row 1, field utilization: 1.37 is not valid; expected a number from 0 to 1",
        ),
        (
            "<?xml version=\"1.0\" ?>",
            "line 1: it is XML; expected a JSON array of GPU rows, or the CSV of nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,power.draw --format=csv",
        ),
    ] {
        assert_eq!(error(text), expected, "{text:?}");
    }
}

#[test]
fn what_rocm_smi_prints_is_a_seed() {
    let text = r#"{"card1": {"Card series": "AMD Instinct MI300X", "GPU use (%)": "37", "VRAM Total Memory (B)": "206141652992", "VRAM Total Used Memory (B)": "158000000000", "Current Socket Graphics Package Power (W)": "451.0"},
 "system": {"Driver version": "6.7"}}"#;
    let seed = without_prices(text);
    let row = &seed.rows[0];
    assert_eq!(
        (row.gpu_index, row.utilization_percent, row.mem_used_mb, row.mem_total_mb),
        (1, 37, 150_680, 196_592)
    );
    assert_eq!(
        error(&text.replace("\"451.0\"", "\"N/A\"")),
        "line 1, row 1, field power_w: GPU 1, AMD Instinct MI300X: rocm-smi has no value; write its mean power, as in 54 W (the board has no sensor)"
    );
}

#[test]
fn what_is_no_json_is_named_by_row_and_field_too() {
    assert_eq!(
        error(&with("utilization", "NaN")),
        "line 5, row 1, field utilization: expected value, at column 20"
    );
}

#[test]
fn a_missing_field_is_named_by_row() {
    for (field, _) in REQUIRED {
        let mut row: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(ROW).unwrap();
        row.remove(field);
        let text = format!("[\n{ROW},\n{}]", serde_json::Value::from(row));
        let expected =
            format!("line 3, row 2, field {field}: missing; expected every row to have it");
        assert_eq!(error(&text), expected);
    }
}

#[test]
fn a_misspelled_field_is_recognised() {
    for (field, written) in
        [("utilization", "utilisation"), ("gpu_index", "gpu_idx"), ("power_w", "power")]
    {
        let text = format!("[{}]", ROW.replace(&format!("\"{field}\""), &format!("\"{written}\"")));
        let expected = format!(
            "line 1, row 1, field {field}: missing, but the row has {written:?}; expected every \
             row to have it"
        );
        assert_eq!(error(&text), expected);
    }
    // Another field is no misspelling, also where it looks like one.
    let text = format!("[{}]", ROW.replace("\"mem_used_mb\":", "\"memory\":"));
    assert_eq!(
        error(&text),
        "line 1, row 1, field mem_used_mb: missing; expected every row to have it"
    );
}

#[test]
fn fields_that_the_program_adds_and_fields_that_stand_twice_are_refused() {
    let row = |extra: &str| format!("[{}{extra}}}]", &ROW[..ROW.len() - 1]);
    assert_eq!(
        error(&row(",\"host\":\"a\"")),
        "line 1, row 1, field host: the program adds this field; expected it left out"
    );
    let said = error(&row(",\"power_w\":1"));
    assert!(said.starts_with("line 1, row 1, field power_w: the field stands twice"), "{said}");
}

#[test]
fn unknown_fields_pass_through_in_order_and_byte_by_byte() {
    let extra = r#"{"rack":"r\u00e9","gpu_index":0,"big":12345678901234567890123,"name":"X","x":1.50,"utilization":0.5,"mem_used_mb":1,"mem_total_mb":2,"power_w":3.0,"nested":{"b":1,"a":[ ]},"price_per_hour_usd":4e0}"#;
    let seed = parse(format!("[{extra}]").as_bytes()).unwrap();
    let fields = seed.rows[0].fields.iter().map(|f| format!("{}:{}", f.key_json, f.value_json));
    assert_eq!(format!("{{{}}}", fields.collect::<Vec<_>>().join(",")), extra);
}

#[test]
fn utilization_is_rounded_to_whole_hundredths() {
    for (text, json) in
        [("0.705", "0.71"), ("0.7", "0.7"), ("0.70", "0.70"), ("1", "1"), ("0", "0")]
    {
        let seed = parse(with("utilization", text).as_bytes()).unwrap();
        let field = seed.rows[0].fields.iter().find(|f| f.slot == Slot::Utilization);
        assert_eq!(field.unwrap().value_json, json);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
        let _read_or_refused = parse(&bytes);
    }

    #[test]
    fn a_valid_file_with_one_byte_changed_is_read_or_refused_without_a_panic(
        at in 0..BUILT_IN.len(), byte: u8
    ) {
        let mut bytes = BUILT_IN.as_bytes().to_vec();
        bytes[at] = byte;
        let _read_or_refused = parse(&bytes);
    }
}
