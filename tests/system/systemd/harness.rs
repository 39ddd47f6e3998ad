//! Whether the machines of the system tests are what the tests take them for.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::machine::{Machine, Output, Release};
use crate::on_every_release;
use crate::put_oneshot;
use crate::tools::{comes_true, success};
use crate::trace::Trace;

on_every_release! {
    it_runs_the_systemd_of_its_release,
    a_oneshot_unit_runs_as_its_static_user,
    the_address_filter_decides_which_hosts_a_unit_reaches,
    what_a_unit_prints_is_in_the_journal,
    a_timer_starts_its_service,
    a_local_package_is_installed_without_a_network,
    a_command_is_killed_at_its_limit,
    machines_run_side_by_side,
    nothing_is_left_of_a_dropped_machine,
    nothing_is_left_when_the_test_is_killed,
}

fn it_runs_the_systemd_of_its_release(release: Release) {
    let machine = Machine::boot(release);
    let expected = if release == Release::Bookworm { "systemd 252 " } else { "systemd 257 " };
    let version = machine.run(&["systemctl", "--version"]).success();
    assert!(version.stdout.starts_with(expected), "{}", version.stdout);
    eprintln!("{}: a command took {:.1?}", machine.name(), version.elapsed);
    let failed = machine.run(&["systemctl", "list-units", "--failed", "--plain", "--no-legend"]);
    assert_eq!(failed.stdout, "", "every unit of a fresh machine is started");
}

fn a_oneshot_unit_runs_as_its_static_user(release: Release) {
    let machine = Machine::boot(release);
    machine.put("/usr/lib/sysusers.d/producer.conf", "u producer 10001 \"Producer\"\n", 0o644);
    machine.run(&["systemd-sysusers"]).success();
    let lines = "DynamicUser=yes\nUser=producer\nStateDirectory=producer\n\
                 ExecStart=sh -c 'echo $(id -u):$(id -g) >/var/lib/producer/id'\n";
    put_oneshot(&machine, "producer", lines);
    machine.run(&["systemctl", "start", "producer"]).success();
    assert_eq!(machine.read("/var/lib/private/producer/id"), "10001:10001\n");
    assert_eq!(machine.show("producer", "Result"), "success");
}

fn the_address_filter_decides_which_hosts_a_unit_reaches(release: Release) {
    let machine = Machine::boot(release);
    let other = machine.add_host_address();
    let v4 = (IpAddr::V4(machine.host_address_v4()), IpAddr::V4(other.v4));
    let v6 = (IpAddr::V6(machine.host_address_v6()), IpAddr::V6(other.v6));
    for (first, second) in [v4, v6] {
        let allow_first = format!("IPAddressDeny=any\nIPAddressAllow={first}\n");
        assert!(connects(&machine, first, ""), "{first} is reached without a filter");
        assert!(connects(&machine, second, ""), "{second} is reached without a filter");
        assert!(!connects(&machine, first, "IPAddressDeny=any\n"), "{first} is denied");
        assert!(connects(&machine, first, &allow_first), "{first} is allowed");
        assert!(!connects(&machine, second, &allow_first), "{second} is not allowed");
    }
}

fn what_a_unit_prints_is_in_the_journal(release: Release) {
    let machine = Machine::boot(release);
    put_oneshot(&machine, "speaker", "ExecStart=echo sent 30 events\n");
    machine.run(&["systemctl", "start", "speaker"]).success();
    let entries = machine.journal(&["-u", "speaker", "-t", "echo"]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["MESSAGE"], "sent 30 events");
    assert_eq!(entries[0]["_SYSTEMD_UNIT"], "speaker.service");
}

fn a_timer_starts_its_service(release: Release) {
    let machine = Machine::boot(release);
    put_oneshot(&machine, "ticked", "ExecStart=touch /run/ticked\n");
    let timer = "[Timer]\nOnActiveSec=500ms\nAccuracySec=50ms\n";
    machine.put("/etc/systemd/system/ticked.timer", timer, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    assert_ne!(machine.run(&["test", "-e", "/run/ticked"]).code, 0);
    machine.run(&["systemctl", "start", "ticked.timer"]).success();
    machine.wait_until("the timer has fired", || {
        machine.run(&["test", "-e", "/run/ticked"]).code == 0
    });
}

fn a_local_package_is_installed_without_a_network(release: Release) {
    let machine = Machine::boot(release);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let installed = machine.install(&package(directory.path())).success();
    assert_eq!(machine.read("/etc/greeting"), "hello\n");
    eprintln!("{}: an installation took {:.1?}", machine.name(), installed.elapsed);
}

fn a_command_is_killed_at_its_limit(release: Release) {
    let machine = Machine::boot(release);
    let output: Output = machine.run_within(Duration::from_millis(300), &["sleep", "1000"]);
    assert_eq!(output.code, 124);
    assert_eq!(machine.shell("grep -l sleep /proc/[0-9]*/comm").stdout, "");
}

fn machines_run_side_by_side(release: Release) {
    let (left, right) = (Machine::boot(release), Machine::boot(release));
    assert_ne!(left.host_address_v4(), right.host_address_v4());
    put_oneshot(&left, "mine", "ExecStart=touch /var/mine\n");
    left.run(&["systemctl", "start", "mine"]).success();
    assert_eq!(left.run(&["test", "-e", "/var/mine"]).code, 0);
    assert_ne!(right.run(&["test", "-e", "/var/mine"]).code, 0);
    drop(left);
    right.run(&["systemctl", "is-system-running"]).success();
}

fn nothing_is_left_of_a_dropped_machine(release: Release) {
    let machine = Machine::boot(release);
    put_oneshot(&machine, "stubborn", "Type=exec\nKillSignal=SIGCONT\nExecStart=sleep 1000\n");
    machine.run(&["systemctl", "start", "stubborn"]).success();
    let trace = Trace::of(&machine);
    assert!(trace.what_is_left().iter().any(|left| left.contains("link")), "it is found");
    drop(machine);
    assert_eq!(trace.what_is_left(), Vec::<String>::new());
}

fn nothing_is_left_when_the_test_is_killed(release: Release) {
    let test = format!("harness::boots_a_{}_machine_and_waits_to_be_killed", release.codename());
    let mut child = Command::new(std::env::current_exe().expect("a test knows its program"))
        .args(["--ignored", "--exact", "--nocapture", &test])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start itself");
    let stdout = BufReader::new(child.stdout.take().expect("its standard output is a pipe"));
    let line = stdout
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("MACHINE ").map(|(_, machine)| machine.to_owned()));
    let line = line.expect("the child boots a machine");
    let fields: Vec<&str> = line.split(' ').collect();
    let trace = Trace::new(fields[0], fields[1], Path::new(fields[2]));
    assert!(trace.what_is_left().iter().any(|left| left.contains("link")), "it is found");
    let start = Instant::now();
    child.kill().expect("an own child can be killed");
    child.wait().expect("an own child can be waited for");
    comes_true(Duration::from_secs(10), || trace.what_is_left().is_empty());
    assert_eq!(trace.what_is_left(), Vec::<String>::new());
    eprintln!("{}: gone {:.1?} after the test was killed", fields[0], start.elapsed());
}

#[test]
#[ignore = "a test that another one kills"]
fn boots_a_bookworm_machine_and_waits_to_be_killed() {
    boot_and_wait(Release::Bookworm);
}

#[test]
#[ignore = "a test that another one kills"]
fn boots_a_trixie_machine_and_waits_to_be_killed() {
    boot_and_wait(Release::Trixie);
}

fn boot_and_wait(release: Release) {
    let machine = Machine::boot(release);
    println!("MACHINE {} {} {}", machine.name(), machine.link(), machine.cgroup().display());
    // Ends by itself when it is run by hand.
    std::thread::sleep(Duration::from_secs(60));
}

/// Whether a unit with these filter lines connects to a listener on this address of the host.
fn connects(machine: &Machine, address: IpAddr, filter: &str) -> bool {
    let listener = TcpListener::bind((address, 0)).expect("the host has the address");
    let port = listener.local_addr().expect("a listener has an address").port();
    let line = format!("ExecStart=timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/{port}'\n{filter}");
    put_oneshot(machine, "caller", &line);
    machine.run(&["systemctl", "start", "caller"]).code == 0
}

/// Builds a package that depends on what a Rust program with TLS depends on.
fn package(directory: &Path) -> PathBuf {
    let tree = directory.join("tree");
    fs::create_dir_all(tree.join("DEBIAN")).expect("a directory can be made");
    fs::create_dir_all(tree.join("etc")).expect("a directory can be made");
    let control = "Package: greeting\nVersion: 1.0\nArchitecture: all\n\
                   Maintainer: A <a@b.invalid>\nDescription: a greeting\n\
                   Depends: libc6, libgcc-s1, libssl3, zlib1g, ca-certificates, systemd\n";
    fs::write(tree.join("DEBIAN/control"), control).expect("a file can be written");
    fs::write(tree.join("DEBIAN/conffiles"), "/etc/greeting\n").expect("a file can be written");
    fs::write(tree.join("etc/greeting"), "hello\n").expect("a file can be written");
    let deb = directory.join("greeting_1.0_all.deb");
    success(Command::new("dpkg-deb").args(["--root-owner-group", "-b"]).args([&tree, &deb]));
    deb
}
