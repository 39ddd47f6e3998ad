//! What `nvidia-smi` and `rocm-smi` print of the GPUs of a machine, made the rows of a seed file.
//!
//! Neither knows the price of an hour.

use serde_json::{Map, Value};

use super::{SeedError, line_at};

/// The command whose CSV is a seed, as the documents have it.
pub const NVIDIA_SMI: &str = "nvidia-smi \
    --query-gpu=index,name,utilization.gpu,memory.used,memory.total,power.draw --format=csv";

/// The command whose JSON is a seed.
pub const ROCM_SMI: &str =
    "rocm-smi --showproductname --showuse --showmeminfo vram --showpower --json";

/// A field of a row that is read from a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Index,
    Name,
    Utilization,
    MemUsed,
    MemTotal,
    Power,
    /// The limit of the board's power, where the query has it.
    PowerLimit,
}

use Column::{Index, MemTotal, MemUsed, Name, Power, PowerLimit, Utilization};

/// The columns of the query in the documents.
const QUERY: [Column; 6] = [Index, Name, Utilization, MemUsed, MemTotal, Power];

impl Column {
    /// Its name in `nvidia-smi --help-query-gpu`, without a unit.
    fn of_header(word: &str) -> Option<Self> {
        let word = word.split('[').next().unwrap_or_default().trim();
        Some(match word.to_ascii_lowercase().as_str() {
            "index" => Index,
            "name" | "gpu_name" => Name,
            "utilization.gpu" => Utilization,
            "memory.used" => MemUsed,
            "memory.total" => MemTotal,
            "power.draw" | "power.draw.average" | "power.draw.instant" => Power,
            "power.limit" | "enforced.power.limit" => PowerLimit,
            _ => return None,
        })
    }

    /// Its name in the query of the documents.
    fn queried(self) -> &'static str {
        match self {
            Index => "index",
            Name => "name",
            Utilization => "utilization.gpu",
            MemUsed => "memory.used",
            MemTotal => "memory.total",
            Power => "power.draw",
            PowerLimit => "power.limit",
        }
    }

    /// The field of a row.
    fn field(self) -> &'static str {
        match self {
            Index => "gpu_index",
            Name => "name",
            Utilization => "utilization",
            MemUsed => "mem_used_mb",
            MemTotal => "mem_total_mb",
            Power => "power_w",
            PowerLimit => "power_cap_w",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Index | Name => "",
            Utilization => "%",
            MemUsed | MemTotal => "MiB",
            Power | PowerLimit => "W",
        }
    }

    /// What to write where the tool has no number.
    fn instead(self) -> &'static str {
        match self {
            Index => "write the index of the board, as in 0",
            Name => "write the board's name, as in NVIDIA L4",
            Utilization => {
                "write the mean share of the time in which it works, as in 60 % (a board in MIG mode \
                 has no reading)"
            }
            MemUsed => "write the memory in use, as in 14520 MiB",
            MemTotal => "write the memory of the board, as in 23034 MiB",
            Power => "write its mean power, as in 54 W (the board has no sensor)",
            PowerLimit => "leave the column out",
        }
    }
}

/// A GPU as a tool shows it.
#[derive(Debug, Clone, PartialEq)]
struct Board {
    /// Line of the text, from 1.
    line: usize,
    fields: Vec<(Column, Value)>,
    /// The fields that the tool does not know, and what to do about each.
    unknown: Vec<(Column, String)>,
}

impl Board {
    fn value(&self, column: Column) -> Option<&Value> {
        self.fields.iter().find(|(of, _)| *of == column).map(|(_, value)| value)
    }

    /// As it is called in a text: `GPU 0, NVIDIA L4`.
    fn called(&self) -> String {
        let text = |column| match self.value(column) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "?".to_owned(),
        };
        format!("GPU {}, {}", text(Index), text(Name))
    }
}

/// The GPUs of a machine, as a tool shows them.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    boards: Vec<Board>,
}

impl Snapshot {
    /// Reads what a tool printed; `None` if it is nothing of the kind.
    ///
    /// # Errors
    /// [`SeedError`], where it is, and no row can be made of it.
    pub fn read(text: &str) -> Option<Result<Self, SeedError>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with('{') {
            return rocm_smi(text);
        }
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (first, line) = lines.next()?;
        if let Some(problem) = sentence(line) {
            return Some(Err(SeedError { line: first + 1, row: None, field: None, problem }));
        }
        let words = line.split(',').map(str::trim);
        let header: Vec<_> = words.clone().map(Column::of_header).collect();
        let has_header = header.iter().any(Option::is_some);
        // A line of values begins with the index of a board.
        if !has_header
            && (words.count() < 3 || !line.trim_start().starts_with(|c: char| c.is_ascii_digit()))
        {
            return None;
        }
        let columns = if has_header { header } else { QUERY.map(Some).to_vec() };
        if let Some(missing) = QUERY.iter().find(|column| !columns.contains(&Some(**column))) {
            let problem = format!(
                "the header has no {}; expected the CSV of {NVIDIA_SMI}",
                missing.queried()
            );
            return Some(Err(SeedError { line: first + 1, row: None, field: None, problem }));
        }
        let first_row = (!has_header).then_some((first, line));
        let rows = first_row.into_iter().chain(lines).enumerate();
        let boards = rows.map(|(row, (at, line))| board(line, &columns, at + 1, row + 1));
        Some(boards.collect::<Result<Vec<_>, _>>().and_then(|boards| match boards.is_empty() {
            true => Err(SeedError {
                line: first + 1,
                row: None,
                field: None,
                problem: "a header, and no board below it; expected a line for each GPU".into(),
            }),
            false => Ok(Self { boards }),
        }))
    }

    /// What the tool does not know, a line each: board, field, value, and what to write instead.
    pub fn gaps(&self) -> impl Iterator<Item = SeedError> {
        let rows = self.boards.iter().enumerate();
        rows.flat_map(|(i, board)| {
            board.unknown.iter().map(move |(column, text)| SeedError {
                line: board.line,
                row: Some(i + 1),
                field: Some(column.field().to_owned()),
                problem: format!("{}: {text}", board.called()),
            })
        })
    }

    /// The rows as a seed file; what is not known is null.
    #[must_use]
    pub fn json(&self, price_per_hour_usd: &Value) -> String {
        let rows = self.boards.iter().map(|board| {
            let columns = QUERY.iter().chain(board.value(PowerLimit).map(|_| &PowerLimit));
            let fields = columns.map(|column| {
                let value = board.value(*column).unwrap_or(&Value::Null);
                format!("\"{}\": {value}", column.field())
            });
            let fields: Vec<_> = fields.collect();
            format!("  {{{}, \"price_per_hour_usd\": {price_per_hour_usd}}}", fields.join(", "))
        });
        let rows: Vec<_> = rows.collect();
        format!("[\n{}\n]\n", rows.join(",\n"))
    }
}

/// What a tool says instead of values, in a sentence.
fn sentence(line: &str) -> Option<String> {
    let line = line.trim();
    let lower = line.to_ascii_lowercase();
    let remedy = [
        (
            "no devices were found",
            "nvidia-smi sees no GPU here: run it on the machine that has them",
        ),
        (
            "unable to determine the device handle",
            "a GPU does not answer its driver: reset it, or start the machine again",
        ),
        ("nvidia-smi has failed", "the driver does not answer: load or install it"),
        (
            "failed to initialize nvml",
            "the driver does not answer: load it, or give the container its GPUs",
        ),
        (
            "field \"",
            "this nvidia-smi does not know the field: leave it out, and write its values yourself",
        ),
        ("command not found", "install the tool, or run it where the GPUs are"),
    ];
    let found = remedy.iter().find(|(said, _)| lower.contains(said));
    let cut: String = line.chars().take(120).collect();
    if let Some((_, remedy)) = found {
        return Some(format!("{cut:?}: {remedy}"));
    }
    let other = [
        ("<?xml", "it is XML"),
        ("#entity", "it is a table of dcgmi dmon"),
        ("+----", "it is the table of nvidia-smi"),
    ];
    let (_, what) = other.iter().find(|(start, _)| lower.starts_with(start))?;
    Some(format!("{what}; expected a JSON array of GPU rows, or the CSV of {NVIDIA_SMI}"))
}

/// A line of the CSV. nvidia-smi quotes nothing, and no name of a board has a comma.
fn board(
    line: &str,
    columns: &[Option<Column>],
    at: usize,
    row: usize,
) -> Result<Board, SeedError> {
    let error = |field: Option<Column>, problem: String| SeedError {
        line: at,
        row: Some(row),
        field: field.map(|column| column.field().to_owned()),
        problem,
    };
    let words: Vec<_> = line.split(',').map(str::trim).collect();
    if words.len() != columns.len() {
        let problem = sentence(line).unwrap_or_else(|| {
            let has_comma =
                line.contains(|c: char| c.is_ascii_digit()) && words.len() > columns.len();
            let comma = if has_comma { " (a number has a decimal point, as in 54.31)" } else { "" };
            format!("{} values; expected {}{comma}", words.len(), columns.len())
        });
        return Err(error(None, problem));
    }
    let mut board = Board { line: at, fields: Vec::new(), unknown: Vec::new() };
    for (column, word) in columns.iter().zip(words) {
        let Some(column) = *column else { continue };
        match value(column, word) {
            Some(value) => board.fields.push((column, value)),
            None if matches!(column, Index | Name) => {
                let problem =
                    format!("nvidia-smi has {word:?}: {}, or leave the line out", column.instead());
                return Err(error(Some(column), problem));
            }
            None if column == PowerLimit => {}
            None => {
                let lower = word.to_ascii_lowercase();
                let is_stuck = lower.contains("reset") || lower.contains("error");
                let reset =
                    if is_stuck { "the driver cannot read it: reset the board, or " } else { "" };
                let text = format!("nvidia-smi has {word:?}; {reset}{}", column.instead());
                board.unknown.push((column, text));
            }
        }
    }
    Ok(board)
}

/// A value as JSON; `None` where a tool has no number.
fn value(column: Column, word: &str) -> Option<Value> {
    if column == Name {
        return (!word.is_empty() && !word.starts_with('[')).then(|| word.into());
    }
    let number = word.strip_suffix(column.unit()).unwrap_or(word).trim_end();
    if number.contains(|c: char| !c.is_ascii_digit() && c != '.') {
        return None;
    }
    let whole = number.parse::<u64>().ok().map(Value::from);
    match column {
        Index | MemUsed | MemTotal | Name => whole,
        Utilization => number.parse::<f64>().ok().map(|percent| (percent / 100.0).into()),
        Power | PowerLimit => number.parse::<f64>().ok().map(Value::from),
    }
}

/// The JSON of rocm-smi: an object with a `cardN` for each board, all of whose values are text.
fn rocm_smi(text: &str) -> Option<Result<Snapshot, SeedError>> {
    let cards: Map<String, Value> = serde_json::from_str(text).ok()?;
    let index = |name: &str| name.strip_prefix("card")?.parse::<u64>().ok();
    let mut boards: Vec<Board> = Vec::new();
    for (name, card) in &cards {
        let (Some(index), Some(card)) = (index(name), card.as_object()) else { continue };
        // The names of the fields differ between releases, in capitals and words.
        let find = |names: &[&str]| {
            let is_one = |key: &str| names.iter().any(|name| key.eq_ignore_ascii_case(name));
            let found = card.iter().find(|(key, _)| is_one(key));
            found.and_then(|(_, value)| value.as_str()).map(str::trim)
        };
        let mib = |names: &[&str]| {
            let bytes = find(names).and_then(|text| text.parse::<u64>().ok());
            bytes.map(|bytes| Value::from(bytes >> 20))
        };
        let read = [
            (
                Name,
                find(&["Card Series", "Card model", "Device Name"]).and_then(|t| value(Name, t)),
            ),
            (Utilization, find(&["GPU use (%)"]).and_then(|t| value(Utilization, t))),
            (MemUsed, mib(&["VRAM Total Used Memory (B)"])),
            (MemTotal, mib(&["VRAM Total Memory (B)"])),
            (
                Power,
                find(&[
                    "Average Graphics Package Power (W)",
                    "Current Socket Graphics Package Power (W)",
                ])
                .and_then(|t| value(Power, t)),
            ),
        ];
        let line =
            text.find(&format!("\"{name}\"")).map_or(1, |at| line_at(&text.as_bytes()[..at]));
        let mut board = Board { line, fields: vec![(Index, index.into())], unknown: Vec::new() };
        for (column, value) in read {
            match value {
                Some(value) => board.fields.push((column, value)),
                None => {
                    let text = format!("rocm-smi has no value; {}", column.instead());
                    board.unknown.push((column, text));
                }
            }
        }
        boards.push(board);
    }
    boards.sort_by_key(|board| board.value(Index).and_then(Value::as_u64));
    (!boards.is_empty()).then_some(Ok(Snapshot { boards }))
}
