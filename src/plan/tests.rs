//! What faults do to the stream of records.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::faults::Hold;
use crate::kafka::properties;
use crate::settings::Inputs;
use crate::workload::seed;

/// Every kind at 5 %, with times that fit a run of 1000 pairs.
const ALL: &str = "duplicate=0.05:2s,late=0.05:3s,out-of-order=0.05:9,clock-skew=0.05,drop=0.05,\
    tombstone=0.05,malformed=0.05,missing-field=0.05,null-field=0.05,wrong-type=0.05,\
    extra-field=0.05,renamed-field=0.05,duplicate-key=0.05,sentinel=0.05,failed-request=0.05,\
    oversize=0.05:2000";

/// A record as it was sent.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    emission: Emission,
    key: String,
    timestamp_ms: i64,
    value: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
}

fn plan(settings: &[(&str, &str)]) -> Plan {
    let base = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("RUN_SEED", "7"),
        ("RUN_ID", "run"),
        ("BATCH", "1000"),
        ("SLEEP_SEC", "0.1"),
    ];
    let environment = base.iter().chain(settings);
    let environment = environment.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let settings =
        Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap();
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let start = "2026-01-01T00:00:00.0004Z".parse().unwrap();
    Plan::new(&settings, &seed, Identity::new(&settings, start, 0))
}

/// Renders everything, the clock being `lateness` behind the schedule; what is sent.
fn sent(plan: &Plan, lateness: impl Fn(&Emission) -> Duration) -> Vec<Sent> {
    let mut buffer = Buffer::default();
    let start = plan.identity.started_at;
    let mut sent = Vec::new();
    for emission in plan.emissions() {
        // A full queue has a record rendered again.
        for _ in 0..2 {
            let now = || start + emission.scheduled + lateness(&emission);
            let record = plan.render(&emission, now, &mut buffer);
            let owned = |(name, value): &Header<'_>| ((*name).to_owned(), (*value).to_owned());
            let record = Sent {
                emission,
                key: record.key.unwrap().to_owned(),
                timestamp_ms: record.timestamp_ms,
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers().iter().map(owned).collect(),
            };
            if emission.act == Act::Send && sent.last() != Some(&record) {
                sent.push(record);
            }
        }
    }
    sent
}

fn on_time(_: &Emission) -> Duration {
    Duration::ZERO
}

/// The clean record of each.
fn by_record(sent: Vec<Sent>) -> BTreeMap<(u64, Kind), Sent> {
    sent.into_iter().map(|sent| ((sent.emission.seq, sent.emission.kind), sent)).collect()
}

/// A run live and one with event times: the arrivals and whether the clock is read.
const MODES: [&[(&str, &str)]; 3] = [
    &[],
    &[("ARRIVALS", "poisson")],
    &[("EVENT_START", "2026-01-01T00:00:00Z"), ("ARRIVALS", "workload")],
];

fn with(mode: &[(&'static str, &'static str)], more: &[(&'static str, &'static str)]) -> Plan {
    plan(&[mode, more].concat())
}

#[test]
fn a_record_that_no_fault_touches_is_that_of_a_clean_run_to_the_byte() {
    for mode in MODES {
        let clean = by_record(sent(&with(mode, &[]), on_time));
        let plan = with(mode, &[("FAULTS", ALL)]);
        let faulty = sent(&plan, on_time);
        let untouched: Vec<_> = faulty.iter().filter(|s| s.emission.faults.is_empty()).collect();
        assert!((900..1200).contains(&untouched.len()), "{}", untouched.len());
        for sent in untouched {
            let clean = &clean[&(sent.emission.seq, sent.emission.kind)];
            let (Sent { key, value, headers, .. }, at) = (sent, sent.timestamp_ms);
            assert_eq!((key, at), (&clean.key, clean.timestamp_ms));
            assert_eq!((value, headers), (&clean.value, &clean.headers));
        }
        // Late ones are the same record too, at another time.
        for sent in faulty.iter().filter(|s| s.emission.faults == Fault::Late.into()) {
            let clean = &clean[&(sent.emission.seq, sent.emission.kind)];
            assert_eq!((sent.timestamp_ms, &sent.value), (clean.timestamp_ms, &clean.value));
            assert_eq!(sent.headers[3], ("fault".to_owned(), "late".to_owned()));
            assert_eq!(sent.emission.scheduled - sent.emission.due, Duration::from_secs(3));
        }
    }
}

#[test]
fn what_is_sent_is_what_is_declared_and_can_be_made_again() {
    for mode in MODES {
        let plan = with(mode, &[("FAULTS", ALL)]);
        let sent = sent(&plan, |emission| Duration::from_millis(emission.seq % 3));
        let mut copies: BTreeMap<(u64, Kind), u64> = BTreeMap::new();
        let mut buffer = Buffer::default();
        for Sent { emission, key, timestamp_ms, value, headers } in &sent {
            let (seq, kind) = (emission.seq, emission.kind);
            let declared = plan.declared(seq, kind);
            let faults = headers.get(3).map(|(_, faults)| faults.clone()).unwrap_or_default();
            assert_eq!(faults, emission.faults.to_string());
            let is_copy = emission.faults.has(Fault::Duplicate);
            let expected =
                if is_copy { declared.faults } else { declared.faults.without(Fault::Duplicate) };
            assert_eq!(emission.faults, expected);
            *copies.entry((seq, kind)).or_default() += 1;
            let at = plan.event_time(seq, kind, *timestamp_ms).unwrap();
            let again = plan.expected((seq, kind), at, emission.faults, &mut buffer);
            assert_eq!((again.key, again.timestamp_ms), (Some(key.as_str()), *timestamp_ms));
            assert_eq!(again.value, value.as_deref());
        }
        for seq in 0..1000 {
            for kind in Kind::BOTH {
                let faults = plan.declared(seq, kind).faults;
                let expected = match (faults.has(Fault::Drop), faults.has(Fault::Duplicate)) {
                    (true, _) => 0,
                    (_, true) => 2,
                    _ => 1,
                };
                assert_eq!(copies.remove(&(seq, kind)).unwrap_or(0), expected, "{seq} {kind:?}");
            }
        }
        let places =
            |kind| sent.iter().filter(move |s| s.emission.kind == kind).map(|s| s.emission.place);
        assert!(
            Kind::BOTH
                .map(places)
                .into_iter()
                .all(|places| places.enumerate().all(|(i, p)| i as u64 == p))
        );
        assert!(sent.is_sorted_by_key(|s| s.emission.scheduled), "each at its time");
    }
}

#[test]
fn a_copy_has_the_bytes_of_its_original_and_comes_within_its_time() {
    let sent = sent(&plan(&[("FAULTS", "duplicate=0.2:2s,late=0.2:1s,malformed=0.2")]), on_time);
    let mut originals = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for Sent { emission, value, timestamp_ms, .. } in sent {
        let record = (value, timestamp_ms);
        let id = (emission.seq, emission.kind);
        if emission.faults.has(Fault::Duplicate) {
            let (original, at): (_, Duration) =
                originals.remove(&id).expect("the original is first");
            assert_eq!(record, original);
            longest = longest.max(emission.scheduled - at);
        } else {
            originals.insert(id, (record, emission.scheduled));
        }
    }
    assert!((1_900..=2_000).contains(&longest.as_millis()), "{longest:?}");
}

#[test]
fn a_record_out_of_order_lets_as_many_pairs_pass_as_are_declared() {
    for sleep in ["0", "0.1"] {
        let plan = plan(&[("FAULTS", "out-of-order=0.1:9"), ("SLEEP_SEC", sleep)]);
        let sent = sent(&plan, on_time);
        let mut held = 0;
        for (i, Sent { emission, .. }) in sent.iter().enumerate() {
            if !emission.faults.has(Fault::OutOfOrder) {
                continue;
            }
            let Some(Hold::Pairs(pairs)) = plan.declared(emission.seq, emission.kind).hold else {
                panic!("{emission:?}");
            };
            held += 1;
            let in_order = sent[..i].iter().filter(|s| !s.emission.faults.has(Fault::OutOfOrder));
            let latest = in_order.map(|s| s.emission.seq).max();
            assert!(latest >= Some((emission.seq + pairs - 1).min(990)), "{latest:?} {emission:?}");
            assert!(latest <= Some(emission.seq + pairs), "{latest:?} {emission:?}");
        }
        assert!((150..250).contains(&held), "{held}");
    }
}

#[test]
fn a_shifted_clock_moves_both_records_of_a_pair_and_nothing_else() {
    for (shift, ms) in [("5m", 300_000), ("-30s", -30_000)] {
        let faults = format!("clock-skew=0.1:{shift}");
        let clean = by_record(sent(&plan(&[]), on_time));
        let skewed = sent(&plan(&[("FAULTS", &faults)]), on_time);
        let mut pairs: BTreeMap<u64, u64> = BTreeMap::new();
        for sent in skewed {
            let clean = &clean[&(sent.emission.seq, sent.emission.kind)];
            let by = if sent.emission.faults.is_empty() { 0 } else { ms };
            assert_eq!(sent.timestamp_ms, clean.timestamp_ms + by);
            let at = Timestamp::from_millisecond(sent.timestamp_ms).unwrap();
            let ts = format!("\"ts\":\"{at:.3}\"");
            let value = String::from_utf8(sent.value.unwrap()).unwrap();
            assert!(value.contains(&ts), "{value} {ts}");
            if by != 0 {
                *pairs.entry(sent.emission.seq).or_default() += 1;
            }
        }
        assert!((60..140).contains(&pairs.len()) && pairs.values().all(|records| *records == 2));
    }
}

#[test]
fn shards_send_together_what_one_process_sends() {
    let ordered = |sent: Vec<Sent>| {
        let content = sent.into_iter().map(|s| {
            let Emission { seq, kind, .. } = s.emission;
            (seq, kind, s.headers, s.timestamp_ms, s.value)
        });
        let mut content: Vec<_> = content.collect();
        content.sort();
        content
    };
    let mode = [("EVENT_START", "2026-01-01T00:00:00Z"), ("FAULTS", ALL)];
    let whole = ordered(sent(&plan(&mode), on_time));
    for count in [2, 3, 7] {
        let shards = (0..count).flat_map(|index| {
            let shard = format!("{index}/{count}");
            sent(&plan(&[&mode[..], &[("SHARD", &shard)]].concat()), on_time)
        });
        assert_eq!(ordered(shards.collect()), whole);
    }
}

#[test]
fn an_incident_that_no_pair_is_in_is_named_with_the_reason() {
    let idle = |incidents: &str, more: &[(&str, &str)]| {
        let settings = [&[("INCIDENTS", incidents), ("HOSTNAME", "gpu[01-02]")], more].concat();
        plan(&settings).idle_incidents()
    };
    let reaches: [&str; 0] = [];
    assert_eq!(idle("throttle@+5s/5s,surge@+0s/1h", &[]), reaches);
    assert_eq!(
        idle("throttle@+5m/5m,throttle@+5s/5s", &[]),
        ["incident throttle@+5m/5m reaches no pair: the last one is at +99.9 s"]
    );
    assert_eq!(
        idle("throttle@2025-01-01T00:00:00Z/1h", &[("EVENT_START", "2026-01-01T00:00:00Z")]),
        ["incident throttle@2025-01-01T00:00:00Z/1h reaches no pair: the first event is at \
          2026-01-01T00:00:00.000Z"]
    );
    // Two pairs, and four GPUs.
    let few = idle("gpu-lost@+0s/1s:gpu01/0,gpu-lost@+0s/1s:gpu02/0", &[("BATCH", "1")]);
    assert!(!few.is_empty(), "{few:?}");
    let text = "reaches no pair: its GPUs have none in that time";
    assert!(few.iter().all(|idle| idle.ends_with(text)), "{few:?}");
    // An end that nobody has looked for is not the end.
    let endless = [("BATCH", "1000000000"), ("SLEEP_SEC", "0.000001")];
    assert_eq!(idle("throttle@+1h/5m", &endless), reaches);
}
