//! Whether a record with the name of a run is one that this process sent: the plan makes it again, and
//! every byte of it has to be the same.

use super::examine::{Asked, ts_of};
use super::record::Read;
use super::timetable::Timetable;
use crate::delivery::COPY;
use crate::event::Kind;
use crate::faults::Fault;
use crate::plan::{Buffer, FAULT, Plan, Record};

/// Whose record one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// It is this record of this process: which of the events, and its index, [`COPY`] added for a copy
    /// that the fault `duplicate` makes.
    Own(Kind, u64),
    /// It has the name of the run and a `seq` of this process, and is not its record.
    Other,
    /// It is of another run, of another shard, or does not say.
    Unnamed,
}

/// Tells the records of a process from others.
#[derive(Debug)]
pub struct Authorship<'p> {
    plan: &'p Plan,
    timetable: Timetable,
    buffer: Buffer<'p>,
    is_backfill: bool,
    /// Whether what a record holds depends on when it is due.
    needs_due: bool,
}

impl<'p> Authorship<'p> {
    /// Of the process that carries this plan out.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let start = plan.event_start().unwrap_or(plan.identity.started_at);
        let is_backfill = plan.event_start().is_some();
        Self {
            plan,
            timetable: Timetable::new(plan, start),
            buffer: Buffer::default(),
            is_backfill,
            needs_due: is_backfill || plan.incidents().is_some(),
        }
    }

    /// Whose a record is that was read from the topic of these events.
    pub fn of(&mut self, kinds: &[Kind], read: &Read<'_>) -> Author {
        if read.header("run") != Some(self.plan.identity.run_id.as_bytes()) {
            return Author::Unnamed;
        }
        let text = |name| std::str::from_utf8(read.header(name)?).ok();
        let Some(seq) = text("seq").and_then(|seq| seq.parse().ok()) else { return Author::Other };
        let Some(place) = self.plan.shard().place_of(seq) else { return Author::Unnamed };
        let faults = text(FAULT).unwrap_or_default();
        let is_copy = faults.split(',').any(|word| word == Fault::Duplicate.word());
        let kind =
            kinds.iter().copied().find(|kind| self.is_it((*kind, seq, place), is_copy, read));
        kind.map_or(Author::Other, |kind| {
            Author::Own(kind, if is_copy { place + COPY } else { place })
        })
    }

    fn is_it(
        &mut self,
        (kind, seq, place): (Kind, u64, u64),
        is_copy: bool,
        read: &Read<'_>,
    ) -> bool {
        let Self { plan, timetable, buffer, .. } = self;
        let due_ms = if self.needs_due {
            let Some(due_ms) = timetable.ms(place) else { return false };
            if plan.gpu_at(kind, seq, || due_ms).is_none() {
                return false;
            }
            Some(due_ms)
        } else {
            None
        };
        let declared = plan.faults_at(seq, kind);
        let faults = if is_copy { declared } else { declared.without(Fault::Duplicate) };
        let asked = Asked { seq, kind, faults, due_ms, is_backfill: self.is_backfill };
        if let Some(due_ms) = due_ms.filter(|_| self.is_backfill) {
            return is_same(&asked.expected(plan, due_ms, buffer), read);
        }
        // The clock gave the time. Where the broker puts its own on records, the value has it.
        let own = read.timestamp_ms.filter(|_| !read.has_append_time);
        let times = [own, ts_of(read.value)];
        times.into_iter().flatten().any(|ms| {
            let ms = asked.unshifted(plan, ms);
            is_same(&asked.expected(plan, ms, buffer), read)
        })
    }
}

/// Whether it is this record, to the last byte.
fn is_same(expected: &Record<'_>, read: &Read<'_>) -> bool {
    let headers = read.headers.unwrap_or_default();
    let wanted = expected.headers();
    expected.value == read.value
        && read.key == Some(expected.key.map(str::as_bytes))
        && (read.has_append_time || read.timestamp_ms == Some(expected.timestamp_ms))
        && wanted.len() == headers.len()
        && wanted.iter().zip(headers).all(|(a, b)| a.0 == b.0 && a.1.as_bytes() == b.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties;
    use crate::plan::{Act, Identity};
    use crate::settings::{Inputs, Settings};
    use crate::workload::seed;

    /// Every kind of fault that a record can show.
    const FAULTS: &str = "duplicate=0.2:2s,late=0.1:3s,clock-skew=0.1,tombstone=0.1,malformed=0.1,\
        wrong-type=0.1,drop=0.1";

    fn plan(settings: &[(&str, &str)]) -> Plan {
        let base = [
            ("VM4_PRODUCER_ENV", "/dev/null"),
            ("RUN_SEED", "7"),
            ("RUN_ID", "run"),
            ("BATCH", "200"),
            ("SLEEP_SEC", "0.1"),
        ];
        let environment = base.iter().chain(settings);
        let environment =
            environment.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let inputs = Inputs { environment, ..Inputs::default() };
        let settings = Settings::load(&inputs, properties::check).unwrap();
        let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
        let start = "2026-01-01T00:00:00.0004Z".parse().unwrap();
        Plan::new(&settings, &seed, Identity::new(&settings, start, 0))
    }

    /// Hands every record that is sent to `each`, with its index as the author has it.
    fn each_sent(plan: &Plan, mut each: impl FnMut(&Record<'_>, u64)) {
        let mut buffer = Buffer::default();
        for emission in plan.emissions() {
            let now = || plan.identity.started_at + emission.scheduled;
            let record = plan.render(&emission, now, &mut buffer);
            let place = plan.shard().place_of(emission.seq).unwrap();
            let is_copy = emission.faults.has(Fault::Duplicate);
            if emission.act == Act::Send {
                each(&record, if is_copy { place + COPY } else { place });
            }
        }
    }

    /// A record as it is read back.
    fn with_read<T>(record: &Record<'_>, judge: impl FnOnce(&mut Read<'_>) -> T) -> T {
        let headers = record.headers().iter().map(|(name, value)| (*name, value.as_bytes()));
        let headers: Vec<_> = headers.collect();
        judge(&mut Read {
            topic: 0,
            kind: record.kind,
            is_told: true,
            partition: Some(0),
            offset: 0,
            leader_epoch: None,
            timestamp_ms: Some(record.timestamp_ms),
            has_append_time: false,
            key: Some(record.key.map(str::as_bytes)),
            headers: Some(&headers),
            value: record.value,
            identity: None,
            row: None,
            seen_at_ms: None,
        })
    }

    #[test]
    fn every_record_that_is_sent_is_its_own_and_in_one_topic_of_both_events_the_right_one() {
        let live = [("FAULTS", FAULTS)];
        let backfill =
            [("FAULTS", FAULTS), ("EVENT_START", "2026-03-01T00:00:00Z"), ("PACE", "none")];
        let shard = [("SHARD", "1/3"), ("EVENT_START", "2026-03-01T00:00:00Z")];
        let incidents = [("INCIDENTS", "gpu-lost@+2s/5s:vm4/0,throttle@+8s/5s:*")];
        for settings in [&live[..], &backfill, &shard, &incidents, &[]] {
            let plan = plan(settings);
            let mut authorship = Authorship::new(&plan);
            let mut records = 0;
            each_sent(&plan, |record, index| {
                let author = with_read(record, |read| authorship.of(&Kind::BOTH, read));
                let Author::Own(kind, found) = author else { panic!("{settings:?} {record:?}") };
                // Two records of a pair that have no value are the same.
                assert!(kind == record.kind || record.value.is_none(), "{settings:?} {record:?}");
                assert_eq!(found, index, "{settings:?} {record:?}");
                let author = with_read(record, |read| authorship.of(&[record.kind], read));
                assert_eq!(author, Author::Own(record.kind, index), "{settings:?} {record:?}");
                records += 1;
            });
            assert!(records > 100, "{records}");
        }
    }

    #[test]
    fn a_topic_that_puts_its_own_time_on_records_is_read_by_the_time_in_their_values() {
        let plan = plan(&[]);
        let mut authorship = Authorship::new(&plan);
        each_sent(&plan, |record, index| {
            let author = with_read(record, |read| {
                (read.timestamp_ms, read.has_append_time) = (Some(1), true);
                authorship.of(&Kind::BOTH, read)
            });
            assert_eq!(author, Author::Own(record.kind, index));
        });
    }

    #[test]
    fn a_record_that_only_has_the_name_and_the_seq_is_of_another() {
        for settings in [&[][..], &[("EVENT_START", "2026-03-01T00:00:00Z")]] {
            let plan = plan(settings);
            let mut authorship = Authorship::new(&plan);
            let (mut records, mut twin) = (0, None::<Option<Vec<u8>>>);
            each_sent(&plan, |record, _| {
                let before = twin.replace(record.value.map(<[u8]>::to_vec));
                let html = [("run", &b"run"[..]), ("seq", b"0"), ("content-type", b"text/html")];
                let first = [("run", &b"run"[..]), ("seq", b"first")];
                let another = [("run", &b"another"[..]), ("seq", b"0")];
                with_read(record, |read| {
                    let read = *read;
                    let later = read.timestamp_ms.map(|ms| ms + 1);
                    let mut others = vec![
                        Read { value: Some(b"{}"), ..read },
                        Read { value: None, ..read },
                        Read { key: Some(None), ..read },
                        Read { key: Some(Some(b"vm4/77")), ..read },
                        Read { timestamp_ms: later, ..read },
                        Read { headers: Some(&html), ..read },
                        Read { headers: Some(&first), ..read },
                    ];
                    // The pair's other record, in the topic of both events, is not this one.
                    others.extend(
                        before.as_ref().map(|value| Read { value: value.as_deref(), ..read }),
                    );
                    for other in others {
                        assert_eq!(
                            authorship.of(&[record.kind], &other),
                            Author::Other,
                            "{other:?}"
                        );
                    }
                    for headers in [Some(&another[..]), None] {
                        let unnamed = Read { headers, ..read };
                        assert_eq!(authorship.of(&[record.kind], &unnamed), Author::Unnamed);
                    }
                });
                records += 1;
            });
            assert_eq!(records, 400);
        }
    }
}
