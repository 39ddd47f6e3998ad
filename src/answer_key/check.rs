//! An answer key, line by line, against what the plan makes.
//!
//! The plan is carried out again, without sending, and writes a key whose lines are held against those
//! that are read. So whatever a key says is checked by the code that writes it.
//!
//! A run with `EVENT_START` makes every byte of its key again. In a live run the clock gave the times:
//! a record is made again at the time that its line has, and what follows from the times of all
//! records (costs, tokens and means) is not compared.

use std::collections::VecDeque;
use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::AnswerKey;
use crate::audit::{KeyDifference, KeyFieldDifference, KeyLines};
use crate::faults::Fault;
use crate::plan::{Act, Buffer, Emission, Plan, When};
use crate::settings::Settings;
use crate::workload::seed::Seed;

/// How far behind its place a line is looked for.
const LOOK_AHEAD: usize = 256;

/// How many differences are named.
pub const NAMED: usize = 10;

/// How many fields of a line are named, and how many characters of what stands there.
const NAMED_FIELDS: usize = 5;
const SHOWN: usize = 200;

/// How far a key says that its run came. What fits best tells where it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pairs of which a record had its turn.
    pub pairs: u64,
    /// Records of each topic that were planned until then.
    pub planned: [u64; 2],
    /// Records of each topic that were sent.
    pub sent: [u64; 2],
}

impl Progress {
    fn see(&mut self, emission: &Emission) {
        let kind = emission.kind as usize;
        if !emission.comes_apart() {
            self.pairs += u64::from(emission.begins_pair());
            self.planned[kind] += 1;
        }
        self.sent[kind] += u64::from(emission.act == Act::Send);
    }

    /// How many of the three are those of `other`.
    fn agreement(&self, other: &Self) -> u32 {
        u32::from(self.pairs == other.pairs)
            + u32::from(self.planned == other.planned)
            + u32::from(self.sent == other.sent)
    }

    /// Whether none of the three can be reached any more.
    fn is_beyond(&self, other: &Self) -> bool {
        let any = |own: [u64; 2], other: [u64; 2]| own.iter().zip(other).any(|(own, o)| *own > o);
        self.pairs > other.pairs && any(self.planned, other.planned) && any(self.sent, other.sent)
    }

    /// How many emissions of the plan lead to what is the most like this.
    fn emissions(&self, plan: &Plan) -> usize {
        let (mut now, mut best, mut count) = (Self::default(), (0, 0), 0);
        for emission in plan.emissions() {
            if now == *self {
                return count;
            }
            if now.is_beyond(self) {
                return best.1;
            }
            if now.agreement(self) > best.0 {
                best = (now.agreement(self), count);
            }
            now.see(&emission);
            count += 1;
        }
        // A run that came to its end is likelier than one that was stopped.
        if now.agreement(self) >= best.0 { count } else { best.1 }
    }
}

/// Holds the lines of a key against those that the plan makes of a run that came so far. `started_at`
/// says whether the start of the run is known, and compared.
///
/// # Errors
/// A line cannot be read.
pub fn compare(
    plan: &Plan,
    settings: &Settings,
    seed: &Seed,
    (progress, started_at): (Progress, bool),
    lines: impl Iterator<Item = io::Result<(u64, Vec<u8>)>>,
) -> io::Result<KeyLines> {
    let is_live = plan.event_start().is_none();
    let emissions = progress.emissions(plan);
    let comparer = Comparer {
        lines,
        ahead: VecDeque::new(),
        last: 0,
        is_live,
        compares_start: started_at,
        shift_ms: None,
        found: KeyLines { is_live, ..KeyLines::default() },
    };
    let mut key = AnswerKey::begin(plan, settings, seed, comparer)?;
    let mut buffer = Buffer::default();
    for emission in plan.emissions().take(emissions) {
        if is_live {
            let moment_ms = plan.moment(emission.due);
            let by_schedule = || Timestamp::from_millisecond(moment_ms).unwrap_or_default();
            let at = key.out.time_of(plan, &emission)?.unwrap_or_else(by_schedule);
            let place = (emission.seq, emission.kind);
            let when = When { at, moment_ms };
            let record = plan.expected(place, when, emission.faults, &mut buffer);
            key.see(&emission, &record)?;
        } else {
            let record = plan.render(&emission, || Timestamp::UNIX_EPOCH, &mut buffer);
            key.see(&emission, &record)?;
        }
    }
    key.finish()?.finish()
}

/// Compares each line that is written into it with the next one of a key.
struct Comparer<I> {
    lines: I,
    /// Lines that were read ahead, with their numbers.
    ahead: VecDeque<(u64, Value)>,
    /// The number of the last line that was read.
    last: u64,
    is_live: bool,
    compares_start: bool,
    /// How far the incidents of a live run are from its schedule.
    shift_ms: Option<i64>,
    found: KeyLines,
}

impl<I: Iterator<Item = io::Result<(u64, Vec<u8>)>>> Comparer<I> {
    /// Reads ahead until so many lines wait, as far as there are.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        while self.ahead.len() < count
            && let Some(line) = self.lines.next()
        {
            let (number, bytes) = line?;
            self.last = number;
            self.ahead.push_back((number, serde_json::from_slice(&bytes).unwrap_or_default()));
        }
        Ok(())
    }

    /// The time of an emission's pair by the line of its record, if it has one now.
    fn time_of(&mut self, plan: &Plan, emission: &Emission) -> io::Result<Option<Timestamp>> {
        if emission.faults.is_empty() || emission.act == Act::Hold {
            return Ok(None);
        }
        let is_copy = emission.faults.has(Fault::Duplicate);
        let is_its = |line: &Value| {
            line["event"] == emission.kind.schema_name()
                && line["seq"] == emission.seq
                && line["copy"] == is_copy
        };
        for at in 0..=LOOK_AHEAD {
            self.fill(at + 1)?;
            match self.ahead.get(at) {
                Some((_, line)) if is_its(line) => {
                    let ms = line["timestamp"].as_i64();
                    return Ok(ms.and_then(|ms| plan.event_time(emission.seq, emission.kind, ms)));
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// Takes the next line that the plan makes.
    fn take(&mut self, plans: &Value) -> io::Result<()> {
        let own = name(plans);
        let mut at = 0;
        loop {
            self.fill(at + 1)?;
            match self.ahead.get(at) {
                Some((_, line)) if name(line) == own => break,
                Some(_) if at < LOOK_AHEAD => at += 1,
                _ => {
                    let line = self.ahead.front().map_or(self.last + 1, |(number, _)| *number);
                    self.differs(line, None, Some(plans), Vec::new());
                    return Ok(());
                }
            }
        }
        for _ in 0..at {
            self.extra();
        }
        if let Some((number, line)) = self.ahead.pop_front() {
            self.found.compared += 1;
            let mut fields = Vec::new();
            self.fields("", plans, &line, &mut fields);
            if !fields.is_empty() {
                self.differs(number, Some(&line), Some(plans), fields);
            }
        }
        Ok(())
    }

    /// Notes that the plan does not make the next line.
    fn extra(&mut self) {
        if let Some((number, line)) = self.ahead.pop_front() {
            self.differs(number, Some(&line), None, Vec::new());
        }
    }

    fn differs(
        &mut self,
        line: u64,
        found: Option<&Value>,
        plan: Option<&Value>,
        fields: Vec<KeyFieldDifference>,
    ) {
        self.found.wrong += 1;
        if self.found.first.len() < NAMED {
            let [found, plan] = [found, plan].map(|line| line.map(shown));
            self.found.first.push(KeyDifference { line, found, plan, fields });
        }
    }

    /// The fields in which a line, or a part of it at this pointer, is not the plan's.
    fn fields(&mut self, at: &str, plan: &Value, found: &Value, out: &mut Vec<KeyFieldDifference>) {
        if let (Value::Object(plans), Value::Object(founds)) = (plan, found) {
            let of_found = founds.keys().filter(|name| !plans.contains_key(*name));
            for name in plans.keys().chain(of_found) {
                let part = format!("{at}/{name}");
                if !self.is_left_out(&part, plans, founds) {
                    let [plan, found] =
                        [plans, founds].map(|all| all.get(name).unwrap_or(&Value::Null));
                    self.fields(&part, plan, found, out);
                }
            }
        } else if !is_same(plan, found) && out.len() < NAMED_FIELDS {
            let [plan, found] = [plan, found].map(shown);
            out.push(KeyFieldDifference { field: at.to_owned(), found, plan });
        }
    }

    /// Whether a field of a line is not compared: it is said of another program or by another clock.
    fn is_left_out(
        &mut self,
        at: &str,
        plan: &Map<String, Value>,
        found: &Map<String, Value>,
    ) -> bool {
        match (at, plan.get("type").and_then(Value::as_str)) {
            // The settings are compared by what they mean.
            ("/version" | "/settings", Some("run")) => true,
            ("/started_at", Some("run")) => !self.compares_start,
            ("/timestamp" | "/usage", Some("record")) => self.is_live && plan["sent"] == false,
            ("/prompt_tokens" | "/completion_tokens" | "/cost_micro_usd", Some("total")) => {
                self.is_live
            }
            ("/from" | "/to", Some("incident")) => self.is_live && self.is_shifted(at, plan, found),
            _ => {
                const COUNTS: [&str; 3] = ["/metrics", "/usages", "/all_usages"];
                let stretch = ["/before", "/during", "/after"]
                    .into_iter()
                    .find_map(|stretch| at.strip_prefix(stretch));
                let is_mean = |rest: &str| !rest.is_empty() && !COUNTS.contains(&rest);
                self.is_live && stretch.is_some_and(is_mean)
            }
        }
    }

    /// Whether the clock of the run explains the time of an incident: it is as far from the schedule as
    /// the others are.
    fn is_shifted(
        &mut self,
        at: &str,
        plan: &Map<String, Value>,
        found: &Map<String, Value>,
    ) -> bool {
        let ms = |line: &Map<String, Value>| {
            let at = line.get(&at[1..])?.as_str()?.parse::<Timestamp>().ok()?;
            Some(at.as_millisecond())
        };
        let (Some(plan), Some(found)) = (ms(plan), ms(found)) else { return false };
        *self.shift_ms.get_or_insert(found - plan) == found - plan
    }

    fn finish(mut self) -> io::Result<KeyLines> {
        loop {
            self.fill(1)?;
            if self.ahead.is_empty() {
                return Ok(self.found);
            }
            self.extra();
        }
    }
}

impl<I: Iterator<Item = io::Result<(u64, Vec<u8>)>>> Write for Comparer<I> {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(&serde_json::from_slice(line)?)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tells a line from the others of a key.
fn name(line: &Value) -> Vec<&Value> {
    ["type", "event", "seq", "copy", "key", "incident", "name"]
        .into_iter()
        // The key of a record is one of the things that may be wrong, and so is the name of a GPU.
        .filter(|field| match line["type"].as_str() {
            Some("record") => ["type", "event", "seq", "copy"].contains(field),
            Some("gpu") => ["type", "key"].contains(field),
            _ => true,
        })
        .map(|field| &line[field])
        .collect()
}

fn is_same(plan: &Value, found: &Value) -> bool {
    let is_fraction = |value: &Value| value.is_f64();
    let as_numbers = || plan.as_f64().is_some() && plan.as_f64() == found.as_f64();
    plan == found || (is_fraction(plan) || is_fraction(found)) && as_numbers()
}

/// A value or a line as it is named: short.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
