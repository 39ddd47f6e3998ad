//! A line a finding.

use super::Look;
use crate::audit::{
    Amounts, CopyAccount, InputAccount, MissingAccount, OrderAccount, TopicAccount,
};

/// Most findings of one sort that are shown for a topic.
const MOST: usize = 8;

/// Most ranges of seq that are shown.
const MOST_RANGES: usize = 6;

pub(super) fn line(text: &mut String, what: &str, words: &str) {
    text.push_str(&format!("{what:<9} {words}\n"));
}

pub(super) fn findings(topic: &TopicAccount, look: &dyn Look, text: &mut String) {
    let name = &topic.topic;
    missing(topic, look, text);
    for change in topic.changes.iter().take(MOST) {
        let (part, at, kind) = (change.part, &change.at, change.change);
        let at = if at.is_empty() { String::new() } else { format!(" {at}") };
        let (expected, found) = (&change.expected, &change.found);
        let n = change.records;
        line(text, "changed", &format!("{name}: {n} {part}{at} ({kind}): {expected} -> {found}"));
        line(text, "  read", &look.read(topic, &change.example));
        if let Some(seq) = change.example.seq {
            line(text, "  sent", &look.sent(topic, seq, change.example.ts_ms));
        }
    }
    if topic.changes.len() > MOST {
        line(text, "changed", &format!("{name}: {} more kinds", topic.changes.len() - MOST));
    }
    for copies in &topic.copies {
        line(text, "copies", &format!("{name}: {}", copies_in_words(copies)));
    }
    if topic.remaining_copies > 0 {
        let n = topic.remaining_copies;
        let pairs = pairs(&topic.remaining_ranges, topic.remaining_more);
        line(
            text,
            "copies",
            &format!("{name}: {n} of these are still beside their records: {pairs}"),
        );
    }
    for (n, example, what) in [
        (topic.read.misplaced, &topic.first_misplaced, "of the other topic's events"),
        (topic.read.unmatched, &topic.first_unmatched, "events that nothing tells apart"),
    ] {
        if let Some(example) = example {
            line(text, "records", &format!("{name}: {n} {what}"));
            line(text, "  read", &look.read(topic, example));
        }
    }
    if let Some(example) = &topic.first_unexpected {
        let n = topic.read.unexpected;
        let seq = example.seq.map_or("no seq".to_owned(), |seq| format!("pair {seq}"));
        line(text, "odd", &format!("{name}: {n} of this run that it does not have; first: {seq}"));
        line(text, "  read", &look.read(topic, example));
    }
    let foreign = &topic.read.foreign;
    if foreign.records > 0 {
        let runs = foreign.runs.iter().map(|(run, n)| format!("{n} of run {run}"));
        let others = [
            (foreign.other_shards, "of other shards"),
            (foreign.without_headers, "without the headers of a run"),
        ];
        let others = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        let all: Vec<_> = runs.chain(others).collect();
        line(text, "foreign", &format!("{name}: {}", all.join(", ")));
    }
    for log in topic.partitions.iter().filter(|log| log.gaps > 0) {
        let (partition, gaps) = (log.partition, log.gaps);
        let name = topic.topics.get(usize::from(log.topic)).unwrap_or(name);
        let what = "offsets without a record (counted, not judged)";
        line(text, "gaps", &format!("{name} [{partition}]: {gaps} {what}"));
    }
}

fn missing(topic: &TopicAccount, look: &dyn Look, text: &mut String) {
    let name = &topic.topic;
    for missing in &topic.missing_by_cause {
        let MissingAccount { why, of_copies, records, ranges, more, evidence } = missing;
        let what = if *of_copies { "of the copies that a fault makes, " } else { "" };
        let (words, pairs) = (why.words_in(topic.origin), pairs(ranges, *more));
        line(text, "missing", &format!("{name}: {records} {what}{words}: {pairs}; {evidence}"));
        if let Some([first, _]) = ranges.first() {
            line(text, "  sent", &look.sent(topic, *first, None));
        }
    }
    if !topic.missing_by_fault.is_empty() {
        let rows = topic.missing_by_fault.iter();
        let rows: Vec<_> =
            rows.map(|row| format!("{} {} (of {})", row.records, row.fault, row.of)).collect();
        line(text, "  of them", &format!("{name}: {}", rows.join(", ")));
    }
}

/// What is to be said of a file or pipe.
pub(super) fn input(input: &InputAccount, topics: &[TopicAccount], text: &mut String) {
    for (rows, topic) in input.rows.iter().zip(topics) {
        let Some(rows) = rows else { continue };
        let all = rows.compared.len() + rows.not_there.len();
        let mut words = format!(
            "{}: {} rows, {} of {all} fields compared",
            topic.topic,
            rows.rows,
            rows.compared.len()
        );
        if !rows.not_there.is_empty() {
            words.push_str(&format!("; not there: {}", rows.not_there.join(", ")));
        }
        if let Some(us) = rows.time_precision_us.filter(|us| *us > 1_000) {
            words.push_str(&format!("; times to {}", seconds(us / 1_000)));
        }
        if !rows.ignored.is_empty() {
            words.push_str(&format!("; other columns, ignored: {}", rows.ignored.join(", ")));
        }
        line(text, "rows", &words);
    }
    if input.unreadable > 0 {
        let shown = input.first_unreadable.iter().map(|bad| bad.line.to_string());
        let more = input.unreadable - input.first_unreadable.len() as u64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = shown.collect::<Vec<_>>().join(", ");
        let problem = input.first_unreadable.first().map_or("", |bad| bad.problem.as_str());
        let words = format!("{} lines cannot be read: {shown}{more}; {problem}", input.unreadable);
        line(text, "bad lines", &words);
    }
}

fn pairs(ranges: &[[u64; 2]], more: u64) -> String {
    let shown: Vec<_> = ranges.iter().take(MOST_RANGES).map(range).collect();
    let more = more + ranges.len().saturating_sub(MOST_RANGES) as u64;
    let more = if more > 0 { format!(" and {more} more ranges") } else { String::new() };
    format!("pairs {}{more}", shown.join(", "))
}

fn range([first, last]: &[u64; 2]) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn copies_in_words(copies: &CopyAccount) -> String {
    let CopyAccount { origin, records, same_partition, distance_records, distance_unknown } =
        copies;
    let mut text = format!("{records} {}", origin.words());
    if let Some(Amounts { p50, p99, max, .. }) = distance_records {
        text.push_str(&format!("; {p50} records behind the first, p99 {p99}, max {max}"));
    }
    if *same_partition < *records {
        text.push_str(&format!("; {} in another partition", records - same_partition));
    }
    if *distance_unknown > 0 {
        text.push_str(&format!("; {distance_unknown} farther than is remembered"));
    }
    text
}

pub(super) fn order(name: &str, order: &OrderAccount, text: &mut String) {
    let OrderAccount { out_of_place, out_of_place_in_key, .. } = order;
    if let Some(Amounts { p99, max, max_seq, .. }) = order.displacement_records {
        let words = format!(
            "{name}: {out_of_place} out of place, {out_of_place_in_key} within their key; p99 {p99} \
             and at most {max} records late (pair {max_seq})"
        );
        line(text, "order", &words);
    }
    if let Some(Amounts { max, max_seq, .. }) = order.lateness_ms {
        let dropped = order.dropped_by_allowed_lateness.iter();
        let dropped: Vec<_> = dropped
            .map(|d| format!("{} would have dropped {}", seconds(d.allowed_ms), d.records))
            .collect();
        let needed = seconds(max);
        let words = format!(
            "{name}: an allowed lateness of {needed} would have lost nothing (pair {max_seq}); {}",
            dropped.join(", ")
        );
        line(text, "lateness", &words);
    }
}

/// Milliseconds in seconds.
pub(super) fn seconds(ms: u64) -> String {
    let fraction = format!(".{:03}", ms % 1_000);
    format!("{}{} s", ms / 1_000, fraction.trim_end_matches('0').trim_end_matches('.'))
}
