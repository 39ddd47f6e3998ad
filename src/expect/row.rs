//! A line of the output, as NDJSON and as CSV.

use std::io::{self, Write};

use jiff::Timestamp;

use super::decimal::Millionths;
use super::figures::{Figures, View};
use super::groups::Group;
use crate::event::json::push_text;

/// What one view of a window comes to for one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'p> {
    /// Which records count.
    pub view: View,
    /// From when, ms since 1970.
    pub start_ms: i64,
    /// Until when, ms since 1970; the end is not part of it.
    pub end_ms: i64,
    /// Whose records.
    pub group: Group<'p>,
    /// What they come to.
    pub figures: Figures,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values (RFC 4180, but with plain line ends) below a header.
    Csv,
}

/// What a column has.
enum Cell<'a> {
    Nothing,
    Text(&'a str),
    Time(i64),
    Whole(u64),
    Decimal(Millionths),
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

impl From<Option<Millionths>> for Cell<'_> {
    fn from(number: Option<Millionths>) -> Self {
        number.map_or(Self::Nothing, Self::Decimal)
    }
}

/// Names of the columns.
const COLUMNS: [&str; 21] = [
    "view",
    "window_start",
    "window_end",
    "host",
    "gpu",
    "model",
    "metric_records",
    "metric_unreadable",
    "usage_records",
    "usage_unreadable",
    "pairs",
    "prompt_tokens",
    "completion_tokens",
    "latency_ms_max",
    "utilization_count",
    "utilization_sum",
    "utilization_mean",
    "power_w_count",
    "power_w_sum",
    "power_w_mean",
    "cost_micro_usd",
];

impl Row<'_> {
    fn cells(&self) -> [Cell<'_>; 21] {
        let Self { view, start_ms, end_ms, group, figures } = self;
        let Figures { utilization, power_w, .. } = figures;
        [
            Cell::Text(view.word()),
            Cell::Time(*start_ms),
            Cell::Time(*end_ms),
            group.host.into(),
            group.gpu.into(),
            group.model.into(),
            Cell::Whole(figures.records[0]),
            Cell::Whole(figures.unreadable[0]),
            Cell::Whole(figures.records[1]),
            Cell::Whole(figures.unreadable[1]),
            Cell::Whole(figures.pairs),
            Cell::Whole(figures.prompt_tokens),
            Cell::Whole(figures.completion_tokens),
            figures.latency_ms_max.map_or(Cell::Nothing, |ms| Cell::Whole(ms.into())),
            Cell::Whole(utilization.count),
            Cell::Decimal(utilization.sum),
            utilization.mean().into(),
            Cell::Whole(power_w.count),
            Cell::Decimal(power_w.sum),
            power_w.mean().into(),
            Cell::Whole(figures.cost_micro_usd),
        ]
    }

    /// Writes the row as a line.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, format: Format, out: &mut impl Write) -> io::Result<()> {
        let mut line = Vec::with_capacity(512);
        for (i, (cell, column)) in self.cells().iter().zip(COLUMNS).enumerate() {
            match format {
                Format::Ndjson => {
                    line.extend_from_slice(if i == 0 { b"{" } else { b"," });
                    push_text(&mut line, column);
                    line.push(b':');
                }
                Format::Csv if i > 0 => line.push(b','),
                Format::Csv => {}
            }
            cell.push(format, &mut line)?;
        }
        line.extend_from_slice(if format == Format::Ndjson { b"}\n" } else { b"\n" });
        out.write_all(&line)
    }
}

impl Format {
    /// Writes what stands above the rows.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_head(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Ndjson => Ok(()),
            Self::Csv => writeln!(out, "{}", COLUMNS.join(",")),
        }
    }
}

impl Cell<'_> {
    fn push(&self, format: Format, line: &mut Vec<u8>) -> io::Result<()> {
        match (self, format) {
            (Self::Nothing, Format::Ndjson) => line.extend_from_slice(b"null"),
            (Self::Nothing, Format::Csv) => {}
            (Self::Text(text), Format::Ndjson) => push_text(line, text),
            (Self::Text(text), Format::Csv) => push_quoted(text, line),
            (Self::Time(ms), Format::Ndjson) => write!(line, "\"{}\"", time(*ms))?,
            (Self::Time(ms), Format::Csv) => write!(line, "{}", time(*ms))?,
            (Self::Whole(number), _) => write!(line, "{number}")?,
            (Self::Decimal(number), _) => write!(line, "{number}")?,
        }
        Ok(())
    }
}

/// RFC 3339 in UTC with milliseconds, as `ts` in the events.
fn time(ms: i64) -> String {
    // A window may end after the last time there is.
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}

/// A text that may have any character, in quotes where CSV needs them.
fn push_quoted(text: &str, line: &mut Vec<u8>) {
    if text.contains([',', '"', '\n', '\r']) {
        line.extend_from_slice(format!("\"{}\"", text.replace('"', "\"\"")).as_bytes());
    } else {
        line.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let group = Group { host: None, gpu: Some("vm4/0"), model: Some("a \"b\", c") };
        let mut figures = Figures { pairs: 2, ..Figures::default() };
        figures.power_w.count = 2;
        figures.power_w.sum = Millionths::parse("280.3").unwrap();
        let row = Row { view: View::All, start_ms: 0, end_ms: 60_000, group, figures };
        let mut out = Vec::new();
        format.write_head(&mut out).unwrap();
        row.write(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_formats_have_the_same_columns() {
        let json = written(Format::Ndjson);
        assert!(json.ends_with("}\n"), "{json}");
        assert!(
            json.starts_with(
                "{\"view\":\"all\",\"window_start\":\"1970-01-01T00:00:00.000Z\",\
                 \"window_end\":\"1970-01-01T00:01:00.000Z\",\"host\":null,\"gpu\":\"vm4/0\",\
                 \"model\":\"a \\\"b\\\", c\",\"metric_records\":0,"
            ),
            "{json}"
        );
        assert!(
            json.contains(
                "\"utilization_count\":0,\"utilization_sum\":0.0,\"utilization_mean\":null,\
                 \"power_w_count\":2,\"power_w_sum\":280.3,\"power_w_mean\":140.15,"
            ),
            "{json}"
        );
        let csv = written(Format::Csv);
        let (head, row) = csv.split_once('\n').unwrap();
        assert_eq!(head, COLUMNS.join(","));
        assert_eq!(
            row,
            "all,1970-01-01T00:00:00.000Z,1970-01-01T00:01:00.000Z,,vm4/0,\"a \"\"b\"\", c\",\
             0,0,0,0,2,0,0,,0,0.0,,2,280.3,140.15,0\n"
        );
    }
}
