//! Which incidents are in force where several overlap, and who takes over.

#![allow(clippy::float_cmp, reason = "the numbers are equal where they are the same")]

use super::*;
use crate::workload::Name;
use crate::workload::tests::{built_in, hosts, monday};

/// The incidents of a run on two hosts with the two GPUs of the built-in seed, `gpu01/0` to
/// `gpu02/1`; each is kind, parameter, from and to in seconds, host and index.
fn incidents(of: &[(IncidentKind, f64, i64, i64, &str, &str)]) -> Incidents {
    let incident = |(kind, parameter, from, to, host, index): &(_, _, i64, i64, &str, &str)| {
        let seconds = |n: i64| Duration::from_secs(n.unsigned_abs());
        let gpus = GpuPattern { host: (*host).into(), index: (*index).into() };
        let (start, length) = (Start::After(seconds(*from)), seconds(to - from));
        Incident { kind: *kind, parameter: *parameter, start, length, gpus, text: String::new() }
    };
    let all: Vec<_> = of.iter().map(incident).collect();
    let shares = TrafficShare::new(Name::Chat, (2, 2), 1, "run");
    Incidents::new(&all, monday(), (&hosts(2), &built_in().rows), &shares, (1, "run"))
}

fn at(second: i64) -> i64 {
    monday().as_millisecond() + second * 1000
}

use IncidentKind::{
    EccRestart, ExporterSilent, GpuLost, NoisyNeighbour, StuckGauge, Surge, Throttle,
};

#[test]
fn an_interval_has_its_first_millisecond_and_not_the_one_behind_it() {
    let all = incidents(&[(Throttle, 0.5, 10, 20, "gpu01", "0")]);
    let share = |ms| all.strain((0, 0), ms).power_share;
    assert_eq!([at(10) - 1, at(10), at(20) - 1, at(20)].map(share), [1.0, 0.5, 0.5, 1.0]);
    assert_eq!(all.strain((0, 1), at(15)), Strain::NONE);
    assert_eq!(all.strain((1, 0), at(15)), Strain::NONE);
}

#[test]
fn of_throttles_the_lowest_counts_neighbours_add_up_and_surges_multiply() {
    let all = incidents(&[
        (Throttle, 0.5, 0, 10, "*", "0"),
        (Throttle, 0.7, 5, 20, "*", "*"),
        (NoisyNeighbour, 0.5, 0, 10, "*", "*"),
        (NoisyNeighbour, 0.4, 0, 10, "*", "*"),
        (Surge, 3.0, 0, 10, "*", "*"),
        (Surge, 2.0, 0, 10, "*", "*"),
    ]);
    let expected = Strain { power_share: 0.5, neighbour: 0.7, in_flight: 6.0 };
    assert_eq!(all.strain((0, 0), at(6)), expected);
    assert_eq!(all.strain((0, 0), at(12)), Strain { power_share: 0.7, ..Strain::NONE });
}

#[test]
fn the_requests_of_a_lost_gpu_go_to_its_host_s_others_and_those_of_a_lost_host_to_other_hosts() {
    let all = incidents(&[
        (GpuLost, 0.0, 0, 10, "gpu01", "0"),
        (GpuLost, 0.0, 20, 30, "gpu01", "*"),
        (GpuLost, 0.0, 40, 50, "*", "*"),
    ]);
    for seq in 0..200 {
        let both = |gpu| Route { served: gpu, measured: gpu };
        assert_eq!(all.route(seq, (0, 0), at(5)), both(Some((0, 1))));
        assert_eq!(all.route(seq, (0, 1), at(5)), both(Some((0, 1))));
        assert_eq!(all.route(seq, (0, 0), at(15)), both(Some((0, 0))));
        let elsewhere = all.route(seq, (0, 1), at(25));
        assert!(elsewhere.served.is_some_and(|(host, _)| host == 1), "{elsewhere:?}");
        assert_eq!(all.route(seq, (1, 1), at(45)), both(None));
    }
    assert!(all.leave_out(true) && all.leave_out(false));
    let one = incidents(&[(GpuLost, 0.0, 0, 10, "gpu01", "*")]);
    assert!(!one.leave_out(true) && !one.leave_out(false));
    let silent = incidents(&[(ExporterSilent, 0.0, 0, 10, "gpu01", "*")]);
    assert!(silent.leave_out(true) && !silent.leave_out(false));
}

#[test]
fn those_who_take_over_have_as_many_more_requests() {
    let all =
        incidents(&[(GpuLost, 0.0, 0, 10, "gpu01", "0"), (GpuLost, 0.0, 20, 30, "gpu01", "*")]);
    let (hosts, rows) = (&all.host_shares, &all.row_shares);
    assert_eq!(all.relief(0, at(15)), 1.0);
    assert!((all.relief(0, at(5)) - 1.0 / rows[1]).abs() < 1e-9);
    assert_eq!(all.relief(1, at(5)), 1.0);
    assert!((all.relief(1, at(25)) - 1.0 / hosts[1]).abs() < 1e-9);
}

#[test]
fn an_exporter_shows_a_gpu_that_restarts_while_another_serves() {
    let all = incidents(&[
        (EccRestart, 0.0, 0, 90, "gpu01", "0"),
        (ExporterSilent, 0.0, 60, 70, "gpu01", "*"),
        (StuckGauge, 0.0, 80, 100, "gpu01", "0"),
    ]);
    let route = all.route(7, (0, 0), at(5));
    assert_eq!(route, Route { served: Some((0, 1)), measured: Some((0, 0)) });
    assert_eq!(all.route(7, (0, 0), at(65)), Route { measured: None, ..route });
    let gauge = |second| all.gauge((0, 0), at(second), true);
    assert_eq!(gauge(59), Gauge::Restarting(0.0));
    assert_eq!(gauge(75), Gauge::Restarting(0.5), "a third of the time is for the model");
    assert_eq!(gauge(85), Gauge::Stuck(2), "a stuck gauge shows what it showed first");
    assert_eq!(all.gauge((0, 0), at(75), false), Gauge::Restarting(0.5));
    assert_eq!(gauge(100), Gauge::Live);
}
