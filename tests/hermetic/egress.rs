//! The egress allow list: what a run does about it, and what `egress` prints and writes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cluster::Cluster;
use crate::common::{Finished, Producer, nobody};

/// A run of two pairs under this allow list.
fn run_under(list: &str, bootstrap: &str) -> Finished {
    let run = Producer::run(bootstrap).set("VM4_EGRESS_IN_FORCE", list);
    run.set("BATCH", "2").set("SLEEP_SEC", "0").finish()
}

#[test]
fn a_run_that_may_not_reach_its_broker_says_which_address_and_what_to_do() {
    let cluster = Cluster::start();
    let finished = run_under("10.0.0.1", &cluster.bootstrap());
    finished.exits(78).says(&format!(
        "nothing was sent: the unit's egress allow list blocks broker {} (127.0.0.1); it allows \
         10.0.0.1; run `vm4-producer egress --apply` as root, or add to EGRESS_ALLOW what is \
         missing and run `systemctl daemon-reload`; exit 78 (CONFIG)",
        cluster.bootstrap()
    ));
    assert_eq!(finished.report.as_ref().unwrap()["outcome"], "misconfigured");
    assert_eq!(finished.report.as_ref().unwrap()["topics"][0]["generated"], 0);
    // Named, but without an entry: everything is blocked.
    run_under("", &cluster.bootstrap()).exits(78).says("(127.0.0.1); it allows nothing; run");
}

#[test]
fn a_run_whose_brokers_are_on_the_list_delivers() {
    let cluster = Cluster::start();
    run_under("10.0.0.1,127.0.0.0/8", &cluster.bootstrap()).exits(0);
    let by_name = cluster.bootstrap().replace("127.0.0.1", "localhost");
    run_under("127.0.0.1,::1", &by_name).exits(0);

    // Of a name with addresses of both families, only those that the client may use count.
    run_under("127.0.0.1", &by_name).exits(78).says("(::1); it allows 127.0.0.1");
    let only_v4 = Producer::run(&by_name).set("VM4_EGRESS_IN_FORCE", "127.0.0.1");
    let only_v4 = only_v4.set("RDKAFKA_BROKER_ADDRESS_FAMILY", "v4").set("SLEEP_SEC", "0");
    only_v4.set("BATCH", "2").finish().exits(0);
}

#[test]
fn a_token_endpoint_that_the_list_blocks_is_named_before_anything_is_asked() {
    let cluster = Cluster::start();
    let endpoint = "https://10.7.7.7:8443/token";
    let run = Producer::run(&cluster.bootstrap()).set("VM4_EGRESS_IN_FORCE", "127.0.0.1");
    let run = run.set("RDKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", endpoint);
    let finished = run.set("RDKAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT").finish();
    finished.exits(78).says("blocks token endpoint 10.7.7.7:8443 (10.7.7.7); it allows 127.0.0.1;");
}

/// `egress` against a cluster, with an env file of this content.
fn egress(arguments: &[&str], bootstrap: &str, env_file: &str) -> (Producer, std::path::PathBuf) {
    let producer = Producer::new([&["egress"], arguments].concat());
    let path = producer.file("producer.env", env_file);
    (producer.set("KAFKA_BOOTSTRAP", bootstrap).set("VM4_PRODUCER_ENV", &path), path)
}

#[test]
fn a_list_that_is_there_is_not_written_again() {
    let cluster = Cluster::start();
    for before in ["BATCH=7\n", "EGRESS_ALLOW = '10.9.0.0/16' \nBATCH=7\n"] {
        let (mut command, path) = egress(&["--apply"], &cluster.bootstrap(), before);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_mode(0o444);
        fs::set_permissions(&path, permissions).unwrap();
        let output = command.command().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("has the list already"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}

#[test]
fn the_line_that_a_cluster_needs_is_printed_alone() {
    let cluster = Cluster::start();
    let (command, _) = egress(&[], &cluster.bootstrap(), "");
    let finished = command.finish();
    // The broker stands in KAFKA_BOOTSTRAP by its address.
    assert_eq!(finished.exits(0).stdout, "EGRESS_ALLOW=\n");
    finished.says("nothing to add: KAFKA_BOOTSTRAP and EGRESS_ALLOW have every address of this");
    let (command, _) = egress(&[], &cluster.bootstrap(), "EGRESS_ALLOW='10.9.0.0/16 ::1'\n");
    let finished = command.finish();
    assert_eq!(finished.exits(0).stdout, "EGRESS_ALLOW=10.9.0.0/16,::1\n");
    finished.says("kept, although this cluster does not need it: 10.9.0.0/16,::1");
}

#[test]
fn applying_changes_one_line_and_keeps_the_file_as_it_was_otherwise() {
    let cluster = Cluster::start();
    let before = "# mine\nEGRESS_ALLOW = '10.9.0.0/16' \nBATCH=7";
    let (command, path) = egress(&["--apply"], &cluster.bootstrap(), before);
    // More than the file has.
    let command = command.set("EGRESS_ALLOW", "10.9.0.0/16,10.8.0.1");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (link, directory) = (path.with_file_name("link.env"), path.parent().unwrap().to_owned());
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut running = command.set("VM4_PRODUCER_ENV", &link);
    let output = running.command().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("line 2 has the list"), "{said}");
    assert!(
        said.contains("the unit reads /etc/vm4-producer.env, so nothing changes for it"),
        "{said}"
    );
    let after = "# mine\nEGRESS_ALLOW=10.9.0.0/16,10.8.0.1\nBATCH=7";
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(link.is_symlink(), "a link stays a link");
    let left: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_profile_has_its_own_line() {
    let cluster = Cluster::start();
    let (command, path) =
        egress(&["--apply", "--profile", "site"], &cluster.bootstrap(), "BATCH=1\n");
    let profile = command.file("producer/site.env", "EGRESS_ALLOW=\n");
    let mut command = command;
    let output = command.command().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(profile).unwrap(), "EGRESS_ALLOW=\n");
    assert_eq!(fs::read_to_string(path).unwrap(), "BATCH=1\n");
}

#[test]
fn nothing_is_applied_where_the_need_is_not_known() {
    let (command, path) = egress(&["--apply"], "no-such-name.invalid", "BATCH=1\n");
    let mut command = command;
    let output = command.command().output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("the addresses of broker no-such-name.invalid:9092 are not known"),
        "{said}"
    );
    assert!(
        said.contains("`vm4-producer doctor` shows which name; exit 69 (UNAVAILABLE)"),
        "{said}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(fs::read_to_string(path).unwrap(), "BATCH=1\n");

    let (command, _) = egress(&[], &nobody(), "");
    let finished = command.finish();
    finished.exits(69).says("; start the broker, or correct the address; exit 69 (UNAVAILABLE)");
}

#[test]
fn a_file_that_cannot_be_changed_safely_is_left_alone() {
    let cluster = Cluster::start();
    let (command, path) = egress(&["--apply"], &cluster.bootstrap(), "RUN_ID='open");
    let mut command = command.set("EGRESS_ALLOW", "10.8.0.1");
    let output = command.command().output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the value of RUN_ID on line 1 is not closed"), "{said}");
    assert_eq!(fs::read_to_string(path).unwrap(), "RUN_ID='open");
}
