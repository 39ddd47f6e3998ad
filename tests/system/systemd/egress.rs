//! Egress: what is not on the list is not reached, the run says so, and one command mends it.

use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

use super::installed::{ENV_FILE, Installed, NAMES, UNIT, cluster, port};
use super::{on_every_release, put_oneshot};
use crate::kcat;
use crate::machine::{Output, Release};

on_every_release! {
    a_broker_that_is_not_on_the_list_is_told_and_one_command_mends_it,
    a_broker_that_is_only_advertised_is_told_too,
    brokers_are_told_also_if_the_bootstrap_address_is_none_of_them,
    a_broker_with_an_ipv6_address_is_reached_once_it_is_on_the_list,
    a_broker_with_a_name_needs_its_name_server_on_the_list,
    an_instance_has_the_list_of_its_profile,
    the_list_is_in_force_from_boot_without_an_order,
}

/// Starts the unit, which must end with 78 and these words.
#[track_caller]
fn is_refused(installed: &Installed, unit: &str, words: &[&str]) {
    let machine = &installed.machine;
    let started = machine.run(&["systemctl", "start", unit]);
    assert_eq!(started.code, 1, "{started:?}");
    assert_eq!(machine.show(unit, "ExecMainStatus"), "78", "{:?}", installed.summary());
    let status = machine.show(unit, "StatusText");
    for word in words {
        assert!(status.contains(word), "{word:?} in {status}");
    }
    eprintln!("{}: {unit} ended with 78 after {:.2?}: {status}", machine.name(), started.elapsed);
    let shown = machine.run(&["systemctl", "status", unit]).stdout;
    assert!(shown.contains("status=78/CONFIG"), "{shown}");
}

/// Starts the unit, which must deliver.
#[track_caller]
fn delivers(installed: &Installed, unit: &str) {
    let before = installed.topics.counts();
    let started = installed.machine.run(&["systemctl", "start", unit]);
    assert_eq!(started.code, 0, "{:?}", installed.summary());
    assert_eq!(installed.topics.counts(), before.map(|count| count + 20));
}

#[track_caller]
fn apply(installed: &Installed, arguments: &[&str]) -> Output {
    let command = [&["vm4-producer", "egress", "--apply"], arguments].concat();
    installed.machine.run(&command).success()
}

fn a_broker_that_is_not_on_the_list_is_told_and_one_command_mends_it(release: Release) {
    let installed = Installed::without_egress(release);
    let (machine, [first, second]) = (&installed.machine, installed.addresses);
    // The filter filters: a unit that can reach nothing waits in vain for this very broker.
    let connect = format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{first}/{}'", installed.port());
    for (filter, code) in [("", 0), ("IPAddressDeny=any\n", 1)] {
        put_oneshot(machine, "caller", &format!("ExecStart={connect}\n{filter}"));
        assert_eq!(machine.run(&["systemctl", "start", "caller"]).code, code, "{filter}");
    }
    // The settings name the broker, and systemd has not been told.
    let settings = format!("KAFKA_BOOTSTRAP={}:{}\n", NAMES[0], installed.port());
    let own = "# a comment of the administrator \\\nBATCH = '20'\n";
    installed.set(&format!("{settings}{own}"));
    let missing = format!("blocks broker {}:{} ({first})", NAMES[0], installed.port());
    let remedy = "run `vm4-producer egress --apply` as root";
    is_refused(&installed, UNIT, &[&missing, "it allows nothing", remedy]);
    assert_eq!(installed.topics.counts(), [0, 0]);

    let before = machine.read(ENV_FILE);
    let applied = apply(&installed, &[]);
    let line = format!("EGRESS_ALLOW={first},{second}\n");
    assert_eq!(applied.stdout, line);
    assert_eq!(machine.read(ENV_FILE), format!("{before}{line}"), "no other line is touched");
    delivers(&installed, UNIT);
    // Again, with nothing to do, and so with nothing to write.
    machine.shell("chattr +i /etc/vm4-producer.env || mount --bind -o ro /etc/vm4-producer.env /etc/vm4-producer.env")
        .success();
    assert_eq!(apply(&installed, &[]).stdout, line);
    assert_eq!(machine.read(ENV_FILE), format!("{before}{line}"));
    machine.shell("chattr -i /etc/vm4-producer.env || umount /etc/vm4-producer.env").success();
    a_reload_in_mid_batch_is_told_for_what_it_is(&installed, release);
}

/// systemd before 257 puts the list that it reads on a batch that is on its way.
fn a_reload_in_mid_batch_is_told_for_what_it_is(installed: &Installed, release: Release) {
    let machine = &installed.machine;
    let settings = machine.read(ENV_FILE);
    let slow = settings.replace("SLEEP_SEC=0\n", "SLEEP_SEC=0.1\nDELIVERY_TIMEOUT_SEC=3\n");
    let slow = slow.replace("BATCH = '20'", "BATCH = '60'");
    machine.put(ENV_FILE, &slow, 0o644);
    let before = installed.topics.counts()[0];
    machine.run(&["systemctl", "start", "--no-block", UNIT]).success();
    machine.wait_until("records arrive", || installed.topics.counts()[0] > before);
    let line = settings.lines().find(|line| line.starts_with("EGRESS_ALLOW=")).expect("a list");
    machine.put(ENV_FILE, slow.replace(line, "EGRESS_ALLOW=192.0.2.1"), 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    machine.wait_until("it ends", || machine.show(UNIT, "ActiveState") != "activating");
    let summary = installed.summary();
    eprintln!("{}: {}", machine.name(), summary["MESSAGE"]);
    if release == Release::Bookworm {
        assert_eq!(summary["VM4_EXIT_CODE"], "74", "{summary:?}");
        let told = "the unit's filter now stops ";
        assert!(summary["MESSAGE"].contains(told), "{summary:?}");
        let why =
            "systemd before 257 puts the list that a daemon-reload reads on a running batch, too";
        assert!(summary["MESSAGE"].contains(why), "{summary:?}");
    } else {
        assert_eq!(summary["VM4_EXIT_CODE"], "0", "{summary:?}");
    }
}

fn a_broker_that_is_only_advertised_is_told_too(release: Release) {
    let installed = Installed::without_egress(release);
    let (machine, [first, second]) = (&installed.machine, installed.addresses);
    installed.set(&format!("KAFKA_BOOTSTRAP={first}:{}\n", installed.port()));
    let port = port(&cluster().second);
    let missing = format!("allow list blocks advertised broker {}:{port} ({second})", NAMES[1]);
    is_refused(&installed, UNIT, &[&missing, &format!("it allows {first}")]);
    assert_eq!(installed.topics.counts(), [0, 0]);
    let doctor = machine.run(&["vm4-producer", "doctor"]);
    assert_eq!(doctor.code, 78, "{}", doctor.stdout);
    assert!(
        doctor.stdout.contains(&format!("FAIL  unit's egress: the {missing}")),
        "{}",
        doctor.stdout
    );

    // Without --apply the line is shown, and nothing is changed.
    let before = machine.read(ENV_FILE);
    let shown = machine.run(&["vm4-producer", "egress"]).success();
    assert_eq!(shown.stdout, format!("EGRESS_ALLOW={second}\n"));
    assert!(shown.stderr.contains(&format!("{second}: advertised broker")), "{}", shown.stderr);
    assert_eq!(machine.read(ENV_FILE), before);
    apply(&installed, &[]);
    delivers(&installed, UNIT);
    let partitions: Vec<_> = kcat::read_all(&installed.topics.bootstrap, &installed.topics.metric)
        .iter()
        .map(|r| r.partition)
        .collect();
    assert_eq!(partitions.len(), 20);
    let doctor = machine.run(&["vm4-producer", "doctor"]).success();
    let covered =
        format!("ok    unit's egress: {first},{second}; covers 1 bootstrap and 2 advertised");
    assert!(doctor.stdout.contains(&covered), "{}", doctor.stdout);
}

// A load balancer, say: the client forgets it once it has learned of the brokers.
fn brokers_are_told_also_if_the_bootstrap_address_is_none_of_them(release: Release) {
    let installed = Installed::without_egress(release);
    let [first, second] = installed.addresses;
    let other = installed.machine.add_host_address().v4;
    installed.set(&format!("KAFKA_BOOTSTRAP={other}:{}\n", installed.port()));
    let missing = format!("blocks advertised broker {}:{} (", NAMES[0], installed.port());
    let listed = format!("it allows {other}");
    is_refused(&installed, UNIT, &[&missing, &first.to_string(), &listed]);
    assert_eq!(apply(&installed, &[]).stdout, format!("EGRESS_ALLOW={first},{second}\n"));
    delivers(&installed, UNIT);
}

fn a_broker_with_an_ipv6_address_is_reached_once_it_is_on_the_list(release: Release) {
    let installed = Installed::without_egress(release);
    let machine = &installed.machine;
    let second = machine.add_host_address();
    let first = IpAddr::V6(machine.host_address_v6());
    installed.name([first, second.v6.into()]);
    // Only the second broker is missing: the first stands in the settings by its address.
    installed.set(&format!("KAFKA_BOOTSTRAP=[{first}]:{}\n", installed.port()));
    is_refused(&installed, UNIT, &[&second.v6.to_string(), "advertised broker"]);
    assert_eq!(apply(&installed, &[]).stdout, format!("EGRESS_ALLOW={}\n", second.v6));
    delivers(&installed, UNIT);
}

/// A name server on the host, which a machine asks over the network.
struct NameServer(Child);

impl NameServer {
    /// Serves these names at this address of the host.
    fn start(address: IpAddr, names: &[(&str, IpAddr)]) -> Self {
        crate::tools::require("dnsmasq");
        let mut dnsmasq = Command::new("dnsmasq");
        dnsmasq.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
        ]);
        dnsmasq.args(["--bind-interfaces", "--user=root", "--pid-file="]);
        dnsmasq.arg(format!("--listen-address={address}"));
        dnsmasq.arg("--except-interface=lo");
        dnsmasq.args(names.iter().map(|(name, address)| format!("--host-record={name},{address}")));
        let child = dnsmasq.stdin(Stdio::null()).spawn().expect("dnsmasq can be started");
        Self(child)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.0.kill().expect("an own child can be killed");
        self.0.wait().expect("an own child can be waited for");
    }
}

fn a_broker_with_a_name_needs_its_name_server_on_the_list(release: Release) {
    let installed = Installed::without_egress(release);
    let (machine, [first, second]) = (&installed.machine, installed.addresses);
    let server: IpAddr = machine.add_host_address().v4.into();
    let names = [(NAMES[0], first), (NAMES[1], second)];
    let _server = NameServer::start(server, &names);
    machine.put("/etc/hosts", "127.0.0.1 localhost\n", 0o644);
    machine.put("/etc/resolv.conf", format!("nameserver {server}\n"), 0o644);
    machine.wait_until("the name server answers", || {
        machine.run(&["getent", "hosts", NAMES[0]]).stdout.contains(&first.to_string())
    });
    installed.set(&format!("KAFKA_BOOTSTRAP={}:{}\n", NAMES[0], installed.port()));
    let cut_off = format!("blocks the name servers ({server})");
    is_refused(&installed, UNIT, &["cannot be resolved", &cut_off]);
    let line = format!("EGRESS_ALLOW={first},{server},{second}\n");
    assert_eq!(apply(&installed, &[]).stdout, line);
    delivers(&installed, UNIT);
}

fn an_instance_has_the_list_of_its_profile(release: Release) {
    let installed = Installed::new(release);
    let (machine, [first, second]) = (&installed.machine, installed.addresses);
    delivers(&installed, UNIT);
    let settings = format!("KAFKA_BOOTSTRAP={}:{}\nEGRESS_ALLOW=\n", NAMES[0], installed.port());
    machine.put("/etc/vm4-producer/site-a.env", &settings, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
    let instance = "vm4-producer@site-a.service";
    let remedy = "run `vm4-producer egress --apply --profile site-a`";
    is_refused(&installed, instance, &[&first.to_string(), remedy]);
    let main = machine.read(ENV_FILE);
    let line = format!("EGRESS_ALLOW={first},{second}\n");
    assert_eq!(apply(&installed, &["--profile", "site-a"]).stdout, line);
    let changed = settings.replace("EGRESS_ALLOW=\n", &line);
    assert_eq!(machine.read("/etc/vm4-producer/site-a.env"), changed);
    assert_eq!(machine.read(ENV_FILE), main, "the main file is another unit's");
    delivers(&installed, instance);
    // Each has its own.
    let list = |unit: &str| machine.show(unit, "IPAddressAllow");
    assert_ne!(list(instance), "");
    machine.put(
        "/etc/vm4-producer/site-b.env",
        "KAFKA_BOOTSTRAP=192.0.2.1\nEGRESS_ALLOW=\n",
        0o644,
    );
    machine.run(&["systemctl", "daemon-reload"]).success();
    assert_eq!(list("vm4-producer@site-b.service"), "192.0.2.1/32");
}

fn the_list_is_in_force_from_boot_without_an_order(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let generated = "/run/systemd/generator/vm4-producer.service.d/50-egress.conf";
    let text = machine.read(generated);
    let generator = "/usr/lib/systemd/system-generators/vm4-producer-generator";
    let arguments = "/run/systemd/generator /run/early /run/late";
    // By itself, and without a socket to ask anybody with.
    let lines = format!("ExecStart={generator} {arguments}\nRestrictAddressFamilies=none\n");
    put_oneshot(machine, "alone", &lines);
    machine.run(&["rm", generated]).success();
    let ran = machine.run(&["systemctl", "start", "alone"]).success();
    eprintln!(
        "{}: the generator took {:.1?}, systemctl start included",
        machine.name(),
        ran.elapsed
    );
    assert_eq!(machine.read(generated), text);
    // An env file that cannot be read costs the unit its list, and the boot nothing.
    machine.put(ENV_FILE, "KAFKA_BOOTSTRAP 10.0.0.1\n", 0o644);
    let ran = machine.run(&[generator, "/run/other", "/run/early", "/run/late"]).success();
    let problem = "vm4-producer.service can reach nothing: /etc/vm4-producer.env: line 1";
    assert!(ran.stderr.contains(problem), "{}", ran.stderr);
}
