//! Records from a file or a pipe: as `generate` or `kcat -J` writes them, bare values, or the rows of a
//! database.
//!
//! The first lines are looked at before any is read, because they tell which fields a table has, and to
//! which precision its times go. A line that cannot be read is counted, with its number, and does not
//! end the account: it is held against the records as the bytes that it is.

mod columns;
mod envelope;
mod source;

use std::borrow::Cow;
use std::path::Path;

use csv::ByteRecord;

use super::{Problem, Reading};
use crate::audit::{Audit, BadLine, Cell, Fields, InputAccount, Log, Origin, Read, Row};
use crate::event::Kind;
use crate::exit::Exit;
use crate::workload::seed::Seed;
use columns::{Cells, Columns, Events, Shape};
use envelope::{Envelope, mapped};
use source::{Next, Source};

/// Lines that are looked at before they are read, and most bytes of them.
const FIRST_LINES: usize = 1_000;
const FIRST_BYTES: usize = 4 << 20;

/// Most lines that cannot be read which are named.
const MOST_BAD: usize = 8;

/// Most columns whose names are kept.
const MOST_NAMED: usize = 1_000;

/// Where a delimiter may be told by the names in the first line.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Records in lines.
pub(super) struct Lines {
    source: Source,
    columns: Columns,
}

/// What is done with the lines.
struct Reader<'l, 'a, 'p> {
    audit: &'a mut Audit<'p>,
    topics: &'l [String; 2],
    columns: &'l Columns,
    run: String,
    name: String,
    unit: &'static str,
    shape: Shape,
    account: InputAccount,
    /// Lines that are a record of either topic, or of another one.
    readable: u64,
    others: u64,
    /// The columns of the tables, as they name them.
    named: Vec<String>,
    value: Vec<u8>,
}

impl Lines {
    /// Opens a file, or stdin for `-`, which is read `again` for another report.
    pub(super) fn open(
        path: &Path,
        again: bool,
        seed: &Seed,
        chosen: &[(String, String)],
    ) -> Result<Self, Problem> {
        let columns = Columns::new(seed, chosen).map_err(|problem| (problem, Exit::Usage))?;
        Ok(Self { source: Source::open(path, again)?, columns })
    }

    /// Reads the lines into the audit.
    pub(super) fn read(
        mut self,
        audit: &mut Audit<'_>,
        run: &str,
        topics: &[String; 2],
    ) -> Result<Reading, Problem> {
        let first = self.source.first_line()?;
        let mut reader = Reader {
            audit,
            topics,
            columns: &self.columns,
            run: run.to_owned(),
            name: self.source.name.clone(),
            unit: self.source.unit(),
            shape: Shape::default(),
            account: InputAccount::default(),
            readable: 0,
            others: 0,
            named: Vec::new(),
            value: Vec::new(),
        };
        match delimiter(&first, &self.columns) {
            Some(delimiter) => reader.table(self.source, delimiter)?,
            None => reader.lines(self.source)?,
        }
        let Reader { name, unit, shape, mut account, readable, others, .. } = reader;
        if let (0, Some(bad)) = (readable, account.first_unreadable.first()) {
            let hint = if first.starts_with('{') { "" } else { HINT };
            let text = format!("{name} {unit} {}: {}{hint}", bad.line, bad.problem);
            return Err((text, Exit::DataErr));
        }
        if others > 0 {
            tracing::warn!("{others} {unit}s of {name} are of other topics");
        }
        account.rows = shape.account(&self.columns);
        let logs =
            topics.clone().map(|topic| Log { topic, origin: Origin::Export, ..Log::default() });
        Ok(Reading { logs, cluster_id: None, unread: None, unknown: None, input: Some(account) })
    }
}

const HINT: &str = ", or a table whose first line names its columns";

/// The delimiter of a table, if a line is its header: it has the name of a column that is known.
fn delimiter(first: &str, columns: &Columns) -> Option<u8> {
    if first.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let known = |delimiter: u8| {
        let names = first.split(char::from(delimiter));
        let names = names.map(|name| name.trim().trim_matches('"'));
        names.filter(|name| columns.target(name).is_some()).count()
    };
    let best = DELIMITERS.into_iter().rev().max_by_key(|delimiter| known(*delimiter))?;
    (known(best) > 0).then_some(best)
}

impl<'l> Reader<'l, '_, '_> {
    fn lines(&mut self, mut source: Source) -> Result<(), Problem> {
        let (mut number, mut line) = (0, Vec::new());
        let (mut first, mut bytes) = (Vec::new(), 0);
        let mut is_first = true;
        loop {
            let next = source.next(&mut line)?;
            if next != Next::End {
                number += 1;
            }
            if next == Next::TooLong {
                self.bad(number, "it has more than 64 MiB");
                continue;
            }
            if is_first {
                if next == Next::Line {
                    bytes += line.len();
                    first.push((number, std::mem::take(&mut line)));
                    if first.len() < FIRST_LINES && bytes < FIRST_BYTES {
                        continue;
                    }
                }
                for (_, line) in &first {
                    self.learn(line);
                }
                for (number, line) in std::mem::take(&mut first) {
                    self.line(&line, number);
                }
                is_first = false;
            } else if next == Next::Line {
                self.line(&line, number);
            }
            if next == Next::End {
                return Ok(());
            }
        }
    }

    /// Looks at a line that has no more than the fields of an event.
    fn learn(&mut self, line: &[u8]) {
        let Ok(Fields(fields)) = serde_json::from_slice::<Fields<'_>>(line.trim_ascii()) else {
            return;
        };
        let cells = self.cells(&fields);
        if !self.columns.are_envelope(&cells) {
            self.shape.learn(self.columns, &cells);
        }
    }

    fn cells<'f>(&self, fields: &'f [(Cow<'_, str>, &serde_json::value::RawValue)]) -> Cells<'f>
    where
        Self: 'f,
    {
        let mut cells = Cells::with_capacity(fields.len());
        for (name, raw) in fields {
            let cell = match raw.get() {
                "null" => Cell::Null,
                json => Cell::Json(json),
            };
            match self.columns.target(name) {
                Some(target) => cells.push((target, cell)),
                None if self.columns.are_chosen() => {}
                None => cells.push((name, cell)),
            }
        }
        cells
    }

    fn line(&mut self, line: &[u8], number: i64) {
        let text = line.trim_ascii();
        let error = match serde_json::from_slice::<Fields<'_>>(text) {
            Ok(Fields(fields)) => return self.object(&fields, Some(text), number, false),
            Err(error) => error,
        };
        if text == b"null" {
            // A tombstone, as a stage writes it that keeps the values alone.
            return self.bare(None, number, String::new);
        }
        if text.is_empty() {
            // An empty value, or the end of a file.
            let read = read_of(Kind::Metric, number, Some(b""));
            if let Some(kind) = self.audit.kind_of(&read) {
                self.audit.read(&Read { kind, ..read });
            }
            return;
        }
        // Some write a comma behind each object.
        let inner = text.strip_suffix(b",").unwrap_or(text);
        if inner.len() < text.len()
            && let Ok(Fields(fields)) = serde_json::from_slice::<Fields<'_>>(inner)
        {
            return self.object(&fields, Some(inner), number, false);
        }
        // kcat writes the bytes of a value as they are, also those that are no UTF-8.
        if let Cow::Owned(mapped) = mapped(text)
            && let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(&mapped)
            && self.columns.are_envelope(&self.cells(&fields))
        {
            return self.object(&fields, None, number, true);
        }
        let what =
            "expected a JSON object, as generate or kcat -J writes it, a bare value or a row";
        self.bare(Some(text), number, || format!("it is not a record: {error}; {what}"));
    }

    /// An object: a record with what is beside its value, a row, or a value alone, which has that `text`.
    fn object(
        &mut self,
        fields: &[(Cow<'_, str>, &serde_json::value::RawValue)],
        text: Option<&[u8]>,
        number: i64,
        is_mapped: bool,
    ) {
        let columns = self.columns;
        let cells = self.cells(fields);
        if columns.are_envelope(&cells) {
            return self.envelope(&cells, number, is_mapped);
        }
        let has = |name| columns.identity(&cells, name).is_some();
        let is_row = columns.are_chosen() || has("run") && has("seq") || has("topic");
        if is_row {
            return self.row(&cells, number);
        }
        let is_table = match columns.events(&cells) {
            Events::One(kind) => self.shape.is_table(columns, kind),
            Events::Both => Kind::BOTH.iter().any(|kind| self.shape.is_table(columns, *kind)),
            Events::Unknown => false,
        };
        if is_table {
            return self.row(&cells, number);
        }
        let what = || "it is no event: neither metric nor token usage".to_owned();
        self.bare(text, number, what);
    }

    /// A value without anything beside it.
    fn bare(&mut self, value: Option<&[u8]>, number: i64, problem: impl FnOnce() -> String) {
        let read = read_of(Kind::Metric, number, value);
        match self.audit.kind_of(&read) {
            Some(kind) => {
                self.readable += 1;
                self.audit.read(&Read { kind, ..read });
            }
            None if value.is_none() => {
                self.readable += 1;
                self.audit.read(&read);
            }
            None => self.bad(number, &problem()),
        }
    }

    /// A record with what is beside its value.
    fn envelope(&mut self, cells: &[(&str, Cell<'_>)], number: i64, is_mapped: bool) {
        let envelope = match Envelope::of(cells, is_mapped) {
            Ok(envelope) => envelope,
            Err(problem) => return self.bad(number, &problem),
        };
        self.account.untold_times += u64::from(envelope.has_untold_time);
        let Ok(topic) = self.topic(envelope.topic.as_deref()) else { return self.others += 1 };
        let headers: Option<Vec<_>> = envelope.headers.as_ref().map(|headers| {
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
        });
        let key = envelope.key.as_ref().map(|key| key.as_deref());
        let identity = self.identity(cells);
        let read = Read {
            is_told: topic.is_some(),
            partition: envelope.partition,
            offset: envelope.offset.unwrap_or(number),
            timestamp_ms: envelope.timestamp_ms,
            has_append_time: envelope.has_append_time,
            key,
            headers: headers.as_deref(),
            identity: identity.as_ref().map(|(run, seq)| (run.as_bytes(), *seq)),
            ..read_of(topic.unwrap_or(Kind::Metric), number, envelope.value.as_deref())
        };
        let kind = match (topic, envelope.topic.is_some()) {
            (Some(kind), _) => Some(kind),
            (None, is_told) => self.audit.kind_of(&read).or(is_told.then_some(Kind::Metric)),
        };
        match kind {
            Some(kind) => {
                self.readable += 1;
                self.audit.read(&Read { kind, ..read });
            }
            None => self.bad(number, "it is no event: neither metric nor token usage"),
        }
    }

    /// The event of a topic: none where both events are in it, or it is not told.
    fn topic(&self, topic: Option<&str>) -> Result<Option<Kind>, ()> {
        let Some(topic) = topic else { return Ok(None) };
        let at = self.topics.iter().position(|own| own == topic).ok_or(())?;
        Ok((self.topics[0] != self.topics[1]).then_some(Kind::BOTH[at]))
    }

    /// Run and pair, where both have a column, or the run is another one.
    fn identity(&self, cells: &[(&str, Cell<'_>)]) -> Option<(String, Option<u64>)> {
        let text =
            |name| self.columns.identity(cells, name).and_then(|cell| envelope::text(&cell, false));
        let run = text("run").and_then(|run| String::from_utf8(run).ok())?;
        let seq = text("seq");
        let is_told = seq.is_some() || run != self.run;
        let seq = seq.and_then(|seq| String::from_utf8(seq).ok());
        // pandas makes 12.0 of a 12 in a column with nulls.
        let seq = seq.and_then(|seq| seq.trim().trim_end_matches(".0").parse().ok());
        is_told.then_some((run, seq))
    }

    /// A row whose columns are fields of an event, or of both.
    fn row(&mut self, cells: &[(&str, Cell<'_>)], number: i64) {
        let columns = self.columns;
        let topic = columns.identity(cells, "topic").and_then(|cell| envelope::text(&cell, false));
        let topic = topic.map(|topic| String::from_utf8_lossy(&topic).into_owned());
        let Ok(topic) = self.topic(topic.as_deref()) else { return self.others += 1 };
        let kinds: &[Kind] = match (topic, columns.events(cells)) {
            (Some(kind), _) | (None, Events::One(kind)) => &Kind::BOTH[kind as usize..][..1],
            (None, Events::Both) => &Kind::BOTH,
            (None, Events::Unknown) => {
                let what = "nothing tells which event the row is; a column topic would";
                return self.bad(number, what);
            }
        };
        let identity = self.identity(cells);
        for kind in kinds {
            let own = columns.of_event(*kind, cells);
            let precision_ns = self.shape.note(*kind, &own);
            self.value.clear();
            if identity.is_none() {
                columns.value(*kind, &own, &mut self.value);
            }
            self.readable += 1;
            self.audit.read(&Read {
                is_told: topic.is_some(),
                identity: identity.as_ref().map(|(run, seq)| (run.as_bytes(), *seq)),
                row: Some(Row { cells: &own, precision_ns }),
                ..read_of(*kind, number, Some(&self.value))
            });
        }
    }

    fn bad(&mut self, line: i64, problem: &str) {
        self.bad_lines(line, problem, 1);
    }

    /// Counts so many lines, the first of which is named.
    fn bad_lines(&mut self, line: i64, problem: &str, lines: u64) {
        self.account.unreadable += lines;
        for _ in 0..lines {
            self.audit.unreadable();
        }
        if self.account.first_unreadable.len() < MOST_BAD {
            let problem = problem.to_owned();
            self.account.first_unreadable.push(BadLine { line, problem });
        }
    }

    /// The rows of a table with a header.
    fn table(&mut self, source: Source, delimiter: u8) -> Result<(), Problem> {
        let (name, mut table, bytes_read) = source.table(delimiter);
        let failed = |error: &csv::Error| match error.kind() {
            csv::ErrorKind::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
                (format!("cannot read {name}: {error}"), Exit::Unavailable)
            }
            _ => (format!("{name}: {error}"), Exit::DataErr),
        };
        let header = table.byte_headers().map_err(|error| failed(&error))?.clone();
        let header = self.header(&header);
        let (mut first, mut bytes, mut record) = (Vec::new(), 0, ByteRecord::new());
        let (mut is_first, mut targets) = (true, header.clone());
        let mut last = ByteRecord::new();
        loop {
            bytes_read.since_row.set(0);
            std::mem::swap(&mut last, &mut record);
            let is_there = table.read_byte_record(&mut record).map_err(|error| failed(&error))?;
            if is_first {
                if is_there {
                    bytes += record.as_slice().len();
                    first.push(record.clone());
                    if first.len() < FIRST_LINES && bytes < FIRST_BYTES {
                        continue;
                    }
                }
                for record in &first {
                    if self.is_header(record) {
                        targets = self.header(record);
                    } else {
                        self.learn_record(record, &targets, delimiter);
                    }
                }
                targets.clone_from(&header);
                for record in std::mem::take(&mut first) {
                    self.record(&record, &mut targets, delimiter);
                }
                is_first = false;
            } else if is_there {
                self.record(&record, &mut targets, delimiter);
            }
            if !is_there {
                break;
            }
        }
        // Whatever follows such a quote is in its row, and would seem to be missing.
        if bytes_read.has_odd_quotes.get() && last.as_slice().contains(&b'\n') {
            let line = last.position().map_or(0, csv::Position::line);
            let text = format!(
                "{name} line {line}: a quote opens in this row that nothing closes, and all lines behind \
                 it are one row"
            );
            return Err((text, Exit::DataErr));
        }
        self.has_columns(&name)
    }

    /// Whether the columns that the command line names were there.
    fn has_columns(&self, name: &str) -> Result<(), Problem> {
        let columns = self.columns;
        let has = |wanted: &&str| self.named.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        match columns.wanted().find(|wanted| !has(wanted)) {
            None => Ok(()),
            Some(wanted) => {
                let names = self.named.join(", ");
                let text = "--columns: there is no column";
                let text = format!("{name}: {text} {wanted:?}; the columns are {names}");
                Err((text, Exit::DataErr))
            }
        }
    }

    /// Whether a row is the header of another table behind the first one.
    fn is_header(&self, record: &ByteRecord) -> bool {
        let names = record.iter().filter_map(|name| std::str::from_utf8(name).ok());
        let known = names.filter(|name| self.columns.target(name).is_some()).count();
        known >= 2 && 2 * known >= record.len()
    }

    /// What the columns of a header are.
    fn header(&mut self, header: &ByteRecord) -> Vec<Option<&'l str>> {
        let mut targets = Vec::with_capacity(header.len());
        for name in header {
            let name = String::from_utf8_lossy(name).into_owned();
            let target = self.columns.target(&name);
            if target.is_none() {
                self.shape.ignore(&name);
            }
            if self.named.len() < MOST_NAMED && !self.named.contains(&name) {
                self.named.push(name);
            }
            targets.push(target);
        }
        targets
    }

    fn learn_record(&mut self, record: &ByteRecord, targets: &[Option<&str>], delimiter: u8) {
        let texts = texts(record, delimiter);
        let cells = cells_of(&texts, targets);
        if record.len() == targets.len() && !self.columns.are_envelope(&cells) {
            self.shape.learn(self.columns, &cells);
        }
    }

    fn record(&mut self, record: &ByteRecord, targets: &mut Vec<Option<&'l str>>, delimiter: u8) {
        if self.is_header(record) {
            *targets = self.header(record);
            return;
        }
        let number = record.position().map_or(0, csv::Position::line);
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        if record.len() != targets.len() {
            if is_frame(record) {
                return;
            }
            let (found, wanted) = (record.len(), targets.len());
            let problem = format!("it has {found} columns; the first line has {wanted}");
            // A quote that was never meant makes one row of several lines, and each may be a record.
            let lines = record.as_slice().iter().filter(|byte| **byte == b'\n').count();
            return self.bad_lines(number, &problem, lines as u64 + 1);
        }
        let texts = texts(record, delimiter);
        let cells = cells_of(&texts, targets);
        if self.columns.are_envelope(&cells) {
            self.envelope(&cells, number, true);
        } else {
            self.row(&cells, number);
        }
    }
}

/// A record of which nothing but its value is known.
fn read_of(kind: Kind, number: i64, value: Option<&[u8]>) -> Read<'_> {
    Read {
        topic: 0,
        kind,
        is_told: false,
        partition: None,
        offset: number,
        leader_epoch: None,
        timestamp_ms: None,
        has_append_time: false,
        key: None,
        headers: None,
        value,
        identity: None,
        row: None,
        seen_at_ms: None,
    }
}

/// What psql prints around a table: the line below the header, and the number of rows.
fn is_frame(record: &ByteRecord) -> bool {
    let Some(text) = record.get(0).filter(|_| record.len() == 1) else { return false };
    let text = text.trim_ascii();
    let is_count =
        text.starts_with(b"(") && (text.ends_with(b" rows)") || text.ends_with(b" row)"));
    is_count || !text.is_empty() && text.iter().all(|b| matches!(b, b'-' | b'+'))
}

/// The cells as text; `None` is NULL.
fn texts(record: &ByteRecord, delimiter: u8) -> Vec<Option<Cow<'_, str>>> {
    let text = |field: &'_ [u8]| -> bool { field.is_empty() || field == b"\\N" };
    let texts = record.iter().map(|field| {
        if text(field) {
            return None;
        }
        let field_text = mapped(field);
        Some(if delimiter == b'\t' && field.contains(&b'\\') {
            Cow::Owned(unescaped(&field_text))
        } else {
            field_text
        })
    });
    texts.collect()
}

fn cells_of<'t>(texts: &'t [Option<Cow<'_, str>>], targets: &[Option<&'t str>]) -> Cells<'t> {
    let cells = texts.iter().zip(targets).filter_map(|(text, target)| {
        Some(((*target)?, text.as_deref().map_or(Cell::Null, Cell::Text)))
    });
    cells.collect()
}

/// What a backslash stands for in the TSV of PostgreSQL and ClickHouse.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some('0')) => plain.push('\0'),
            ('\\', Some(c @ ('\\' | '\'' | '"'))) => plain.push(c),
            ('\\', Some(c)) => plain.extend(['\\', c]),
            (c, _) => plain.push(c),
        }
    }
    plain
}
