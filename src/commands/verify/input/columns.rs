//! What the columns of a table are: fields of an event, the record's identity, or of no interest.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{Cell, RowAccount};
use crate::event::Kind;
use crate::event::json::{METRIC_NUMBERS, USAGE_FIELDS};
use crate::workload::seed::Seed;

/// What tells which record a row is.
const IDENTITY: [&str; 3] = ["run", "seq", "topic"];

/// What a record has beside its value, as `generate` and `kcat -J` name it.
const ENVELOPE: [&str; 11] = [
    "value",
    "payload",
    "value_base64",
    "key",
    "headers",
    "timestamp",
    "partition",
    "offset",
    "tstype",
    "ts",
    "broker",
];

/// Most columns without a meaning that are named.
const MOST_IGNORED: usize = 8;

/// A field of an event.
#[derive(Debug)]
struct Field {
    name: String,
    /// Whether its value is a number.
    is_number: bool,
    /// Whether each event has it: rows of a seed may differ.
    is_common: bool,
}

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Columns {
    events: [Vec<Field>; 2],
    /// Field and column, where the user chose them.
    chosen: Vec<(String, String)>,
}

/// What a row or a line has: names as the events have them.
pub(super) type Cells<'a> = Vec<(&'a str, Cell<'a>)>;

/// Which events a row has the fields of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Events {
    One(Kind),
    /// A row for each pair.
    Both,
    Unknown,
}

impl Columns {
    /// The columns that can be told, of a run with this seed.
    ///
    /// # Errors
    /// A chosen field is none; the error says which there are.
    pub(super) fn new(seed: &Seed, chosen: &[(String, String)]) -> Result<Self, String> {
        let mut metric: Vec<Field> = Vec::new();
        for field in seed.rows.iter().flat_map(|row| &row.fields) {
            let name: String = serde_json::from_str(&field.key_json).unwrap_or_default();
            if metric.iter().all(|known| known.name != name) {
                let has = |row: &crate::workload::seed::Row| {
                    row.fields.iter().any(|other| other.key_json == field.key_json)
                };
                let is_number = METRIC_NUMBERS.contains(&name.as_str())
                    || field.value_json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
                metric.push(Field { name, is_number, is_common: seed.rows.iter().all(has) });
            }
        }
        let of = |(name, is_number): &(&str, bool)| Field {
            name: (*name).to_owned(),
            is_number: *is_number,
            is_common: true,
        };
        for field in [("ts", false), ("host", false)].iter().map(of) {
            if metric.iter().all(|known| known.name != field.name) {
                metric.push(field);
            }
        }
        let events = [metric, USAGE_FIELDS.iter().map(of).collect()];
        let columns = Self { events, chosen: chosen.to_vec() };
        for (name, _) in chosen {
            if !IDENTITY.contains(&name.as_str()) && !columns.is_field(name) && name != "value" {
                let fields = columns.events.iter().flatten().map(|field| field.name.as_str());
                let known: BTreeSet<_> = fields.chain(IDENTITY).chain(["value"]).collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "--columns: there is no field {name:?}; the fields are {known}"
                ));
            }
        }
        Ok(columns)
    }

    /// Whether the user chose the columns.
    pub(super) fn are_chosen(&self) -> bool {
        !self.chosen.is_empty()
    }

    /// The columns that the user chose.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &str> {
        self.chosen.iter().map(|(_, column)| column.as_str())
    }

    fn is_field(&self, name: &str) -> bool {
        self.events.iter().flatten().any(|field| field.name == name)
    }

    fn has(&self, kind: Kind, name: &str) -> bool {
        self.events[kind as usize].iter().any(|field| field.name == name)
    }

    /// Which field, or part of a record, a column is.
    pub(super) fn target(&self, column: &str) -> Option<&str> {
        let chosen = |name: &str| self.chosen.iter().any(|(field, _)| field == name);
        if self.are_chosen() {
            let find = |is: &dyn Fn(&str) -> bool| self.chosen.iter().find(|(_, c)| is(c));
            let found =
                find(&|c| c == column).or_else(|| find(&|c| c.eq_ignore_ascii_case(column)));
            let identity = IDENTITY.into_iter().find(|name| name.eq_ignore_ascii_case(column));
            let identity = identity.filter(|name| !chosen(name) && !self.is_field(name));
            return found.map(|(field, _)| field.as_str()).or(identity);
        }
        let fields = self.events.iter().flatten().map(|field| field.name.as_str());
        let known = fields.chain(IDENTITY).chain(ENVELOPE);
        let mut alike = None;
        for name in known {
            if name == column {
                return Some(name);
            }
            if alike.is_none() && name.eq_ignore_ascii_case(column) {
                alike = Some(name);
            }
        }
        alike
    }

    /// What is the identity in these cells under that name: an own field of the seed is none, unless it
    /// was chosen.
    pub(super) fn identity<'a>(&self, cells: &[(&str, Cell<'a>)], name: &str) -> Option<Cell<'a>> {
        let is_own = self.is_field(name) && self.chosen.iter().all(|(field, _)| field != name);
        let found = cells.iter().find(|(own, _)| *own == name).map(|(_, cell)| *cell);
        found.filter(|cell| !is_own && *cell != Cell::Null)
    }

    /// Whether cells are a record's parts, and not the fields of its value.
    pub(super) fn are_envelope(&self, cells: &[(&str, Cell<'_>)]) -> bool {
        let has = |names: &[&str]| cells.iter().any(|(name, _)| names.contains(name));
        let is_beside = |name: &str| ENVELOPE.contains(&name) || IDENTITY.contains(&name);
        let own = cells.iter().filter(|(name, _)| self.is_field(name) && !is_beside(name));
        let is_value = has(&["value", "payload", "value_base64"]);
        let has_topic = self.identity(cells, "topic").is_some();
        let is_tombstone = has_topic && has(&["key", "headers", "offset", "timestamp"]);
        (is_value || is_tombstone) && own.count() < 2
    }

    /// Which events the cells are the fields of.
    pub(super) fn events(&self, cells: &[(&str, Cell<'_>)]) -> Events {
        let score = |kind: Kind, with_nulls: bool| {
            let other = Kind::BOTH[1 - kind as usize];
            let mut own = 0;
            for (name, cell) in cells {
                let counts = with_nulls || *cell != Cell::Null;
                own += usize::from(counts && self.has(kind, name) && !self.has(other, name));
            }
            own
        };
        for with_nulls in [false, true] {
            let [metric, token] = Kind::BOTH.map(|kind| score(kind, with_nulls));
            // One field that has the name of the other event's may be a column of the user's own.
            if !with_nulls && metric >= 2 && token >= 2 {
                return Events::Both;
            }
            if metric != token {
                return Events::One(if metric > token { Kind::Metric } else { Kind::Token });
            }
        }
        Events::Unknown
    }

    /// The cells that are fields of an event.
    pub(super) fn of_event<'a>(&self, kind: Kind, cells: &[(&'a str, Cell<'a>)]) -> Cells<'a> {
        cells.iter().filter(|(name, _)| self.has(kind, name)).copied().collect()
    }

    /// The value that the cells would be, so that the record can be told by it.
    pub(super) fn value(&self, kind: Kind, cells: &[(&str, Cell<'_>)], out: &mut Vec<u8>) {
        out.clear();
        out.push(b'{');
        for (name, cell) in cells {
            let field = self.events[kind as usize].iter().find(|field| field.name == *name);
            let is_number = field.is_some_and(|field| field.is_number);
            if out.len() > 1 {
                out.push(b',');
            }
            crate::event::json::push_text(out, name);
            out.push(b':');
            let is_json_number =
                |text: &str| serde_json::from_str::<serde_json::Number>(text).is_ok();
            let own;
            let text = match cell {
                Cell::Null => None,
                Cell::Text(text) => Some(*text),
                Cell::Json(json) if json.starts_with('"') => {
                    own = serde_json::from_str::<String>(json).unwrap_or_default();
                    Some(own.as_str())
                }
                Cell::Json(json) if *name != "ts" => {
                    // SQLite prints all the digits of a double.
                    let is_long = json.len() > 17 && json.contains('.');
                    match json.parse::<f64>().ok().filter(|_| is_long) {
                        Some(double) => out.extend_from_slice(format!("{double:?}").as_bytes()),
                        None => out.extend_from_slice(json.as_bytes()),
                    }
                    continue;
                }
                Cell::Json(json) => Some(*json),
            };
            match text {
                None => out.extend_from_slice(b"null"),
                Some(text) if is_number && is_json_number(text) => {
                    out.extend_from_slice(text.as_bytes());
                }
                Some(text) => match cell.moment().filter(|_| *name == "ts") {
                    Some(moment) => match jiff::Timestamp::from_millisecond(moment.ms()) {
                        Ok(at) => out.extend_from_slice(format!("\"{at:.3}\"").as_bytes()),
                        Err(_) => crate::event::json::push_text(out, text),
                    },
                    None => crate::event::json::push_text(out, text),
                },
            }
        }
        out.push(b'}');
    }
}

/// What the first rows of a table are like, of one event.
#[derive(Debug, Default)]
struct Seen {
    rows: u64,
    names: BTreeMap<String, u64>,
    /// How many have a number in a field that is one, and how many a text.
    numbers: BTreeMap<String, [u64; 2]>,
    /// How many have a time as the events do, and how many another form of it.
    times: [u64; 2],
    /// The finest and the coarsest unit of a time, nanoseconds.
    precision_ns: Option<(i128, i128)>,
}

impl Seen {
    /// The unit to which times are compared, nanoseconds. Where the number of digits varies, zeros at the
    /// end are not written, and each time is exact.
    fn unit_ns(&self) -> Option<i128> {
        const MS: i128 = 1_000_000;
        let (finest, coarsest) = self.precision_ns?;
        Some(if finest < coarsest { finest.min(MS) } else { finest })
    }
}

/// What the table is like, by its first rows.
#[derive(Debug, Default)]
pub(super) struct Shape {
    seen: [Seen; 2],
    rows: [u64; 2],
    ignored: BTreeSet<String>,
}

impl Shape {
    /// Looks at one of the first rows, or at one line without anything beside its value.
    pub(super) fn learn(&mut self, columns: &Columns, cells: &[(&str, Cell<'_>)]) {
        let kinds: &[Kind] = match columns.events(cells) {
            Events::Unknown => &[],
            Events::Both => &Kind::BOTH,
            Events::One(Kind::Metric) => &Kind::BOTH[..1],
            Events::One(Kind::Token) => &Kind::BOTH[1..],
        };
        for kind in kinds {
            self.seen[*kind as usize].rows += 1;
            for (name, cell) in cells {
                let seen = &mut self.seen[*kind as usize];
                *seen.names.entry((*name).to_owned()).or_default() += 1;
                let mut own = columns.events[*kind as usize].iter();
                if own.any(|field| field.name == *name && field.is_number)
                    && let Cell::Json(json) = cell
                {
                    let count = seen.numbers.entry((*name).to_owned()).or_default();
                    count[usize::from(json.starts_with('"'))] += 1;
                }
                let Some(moment) = cell.moment().filter(|_| *name == "ts") else { continue };
                let wire =
                    |text: &str| text.len() == 24 && text.ends_with('Z') && &text[10..11] == "T";
                let is_wire = match cell {
                    Cell::Json(json) => json.starts_with('"') && wire(json.trim_matches('"')),
                    Cell::Text(text) => wire(text),
                    Cell::Null => false,
                };
                seen.times[usize::from(!is_wire)] += 1;
                self.note_time(*kind, moment.precision_ns());
            }
        }
    }

    /// A column without a meaning.
    pub(super) fn ignore(&mut self, column: &str) {
        if self.ignored.len() < MOST_IGNORED {
            self.ignored.insert(column.to_owned());
        }
    }

    /// Counts a row, and whether its time is finer than those before.
    pub(super) fn note(&mut self, kind: Kind, cells: &[(&str, Cell<'_>)]) -> i128 {
        self.rows[kind as usize] += 1;
        let time = cells.iter().find(|(name, _)| *name == "ts").and_then(|(_, cell)| cell.moment());
        if let Some(moment) = time {
            self.note_time(kind, moment.precision_ns());
        }
        self.seen[kind as usize].unit_ns().unwrap_or(1)
    }

    fn note_time(&mut self, kind: Kind, precision_ns: i128) {
        let known = &mut self.seen[kind as usize].precision_ns;
        let (finest, coarsest) = known.unwrap_or((precision_ns, precision_ns));
        *known = Some((finest.min(precision_ns), coarsest.max(precision_ns)));
    }

    /// Whether lines that have nothing beside an event's fields are rows of a table, and not values as
    /// they were sent: none of the first has some field, all have one that is none, their times are
    /// written in another form, or all numbers of some field are texts.
    pub(super) fn is_table(&self, columns: &Columns, kind: Kind) -> bool {
        let seen = &self.seen[kind as usize];
        let mut common = columns.events[kind as usize].iter().filter(|field| field.is_common);
        let is_left_out = common.any(|field| !seen.names.contains_key(&field.name));
        let is_beside =
            |(name, rows): (&String, &u64)| *rows == seen.rows && !columns.has(kind, name);
        let has_other_times = seen.times[0] == 0 && seen.times[1] > 0;
        let has_texts = seen.numbers.values().any(|[numbers, texts]| *numbers == 0 && *texts >= 2);
        let is_other = is_left_out || has_other_times || has_texts;
        seen.rows >= 2 && (is_other || seen.names.iter().any(is_beside))
    }

    /// The rows in the account, metrics first; `None` where there were none.
    pub(super) fn account(&self, columns: &Columns) -> [Option<RowAccount>; 2] {
        Kind::BOTH.map(|kind| {
            let seen = &self.seen[kind as usize];
            let rows = self.rows[kind as usize];
            let fields = columns.events[kind as usize].iter().map(|field| field.name.clone());
            let (compared, not_there) =
                fields.partition(|name| seen.names.contains_key(name.as_str()));
            let ns = seen.unit_ns().filter(|_| seen.names.contains_key("ts"));
            let own = seen
                .names
                .keys()
                .filter(|name| !columns.is_field(name) && !IDENTITY.contains(&name.as_str()));
            let mut ignored: BTreeSet<_> = own.cloned().collect();
            ignored.extend(self.ignored.iter().cloned());
            (rows > 0).then(|| RowAccount {
                rows,
                compared,
                not_there,
                ignored: ignored.into_iter().take(MOST_IGNORED).collect(),
                time_precision_us: ns.map(|ns| u64::try_from(ns / 1_000).unwrap_or_default()),
            })
        })
    }
}
