//! Timers and instances of the installed package.

use std::collections::BTreeSet;

use super::installed::{Installed, UNIT};
use super::on_every_release;
use crate::kcat;
use crate::machine::Release;

on_every_release! {
    the_timer_starts_batch_after_batch_without_overlap,
    two_instances_run_side_by_side_with_their_own_settings,
}

fn the_timer_starts_batch_after_batch_without_overlap(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    // Longer than the interval, so that it would overlap if it could.
    let settings = installed.topics.settings();
    let [first, second] = installed.addresses;
    let lines = format!(
        "SLEEP_SEC=0.1\nKAFKA_BOOTSTRAP={first}:{}\nEGRESS_ALLOW={second}\n",
        installed.port()
    );
    machine.put(super::installed::ENV_FILE, format!("{settings}{lines}"), 0o644);
    let timer = "vm4-producer.timer";
    assert_eq!(machine.run(&["systemctl", "is-enabled", timer]).stdout, "disabled\n");
    assert!(machine.show(timer, "TimersCalendar").contains("OnCalendar=*-*-* *:*:00"));
    installed.drop_in(timer, "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\n");
    machine.run(&["systemctl", "enable", "--now", timer]).success();
    let doctor = machine.run(&["vm4-producer", "doctor"]).success().stdout;
    // While a batch runs, systemd knows of no next one.
    let tells = ["next batch ", "a batch is running"].map(|when| {
        doctor.contains(&format!("ok    timer vm4-producer.timer: active, enabled; {when}"))
    });
    assert!(tells.contains(&true), "{doctor}");
    machine.wait_until("two batches are over", || installed.summaries().len() >= 2);
    machine.run(&["systemctl", "disable", "--now", timer]).success();
    machine.wait_until("no batch runs", || machine.show(UNIT, "ActiveState") == "inactive");

    let times = |summary: &std::collections::BTreeMap<String, String>| {
        let end: f64 = summary["__MONOTONIC_TIMESTAMP"].parse::<f64>().unwrap() / 1e6;
        (end - summary["VM4_ELAPSED_SEC"].parse::<f64>().unwrap(), end)
    };
    let summaries = installed.summaries();
    assert!(summaries.iter().all(|summary| summary["VM4_OUTCOME"] == "delivered"), "{summaries:?}");
    for pair in summaries.windows(2) {
        let ((_, end), (start, _)) = (times(&pair[0]), times(&pair[1]));
        assert!(start >= end, "a batch started at {start} s, before the last one ended at {end} s");
        eprintln!("{}: the next batch began {:.3} s after the last", machine.name(), start - end);
    }
    let sent = i64::try_from(20 * summaries.len()).unwrap();
    assert_eq!(installed.topics.counts(), [sent, sent]);
}

fn two_instances_run_side_by_side_with_their_own_settings(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    for name in ["left", "right"] {
        let settings = format!("HOSTNAME={name}\nBATCH=100000\nSLEEP_SEC=0.02\n");
        machine.put(&format!("/etc/vm4-producer/{name}.env"), settings, 0o644);
    }
    machine.run(&["systemctl", "daemon-reload"]).success();
    let units = ["vm4-producer@left.service", "vm4-producer@right.service"];
    for unit in units {
        machine.run(&["systemctl", "start", "--no-block", unit]).success();
    }
    let hosts = || -> BTreeSet<String> {
        let keys = kcat::read_all(&installed.topics.bootstrap, &installed.topics.metric)
            .into_iter()
            .filter_map(|record| record.key);
        keys.filter_map(|key| Some(key.split_once('/')?.0.to_owned())).collect()
    };
    let both = BTreeSet::from(["left".to_owned(), "right".to_owned()]);
    machine.wait_until("both have sent", || hosts() == both);
    for unit in units {
        assert_eq!(machine.show(unit, "ActiveState"), "activating", "{unit}");
    }
    machine.run(&["systemctl", "stop", units[0], units[1]]).success();
    let summaries = installed.summaries();
    assert_eq!(summaries.len(), 2);
    let acknowledged = summaries.iter().map(|s| s["VM4_ACKNOWLEDGED"].parse::<i64>().unwrap());
    assert_eq!(acknowledged.sum::<i64>(), installed.topics.counts().iter().sum::<i64>());
    for unit in units {
        assert_eq!(machine.show(unit, "Result"), "success", "{unit}");
    }
}
