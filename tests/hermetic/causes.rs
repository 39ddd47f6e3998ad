//! The last line names the address and the cause, whatever answers there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::cluster::Cluster;
use crate::common::{Finished, Producer, nobody};

/// A server that does this to each connection, and its address. Its thread ends with the process.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// A server that reads a request and answers with these bytes.
fn answering(bytes: &'static [u8]) -> String {
    server(move |mut stream| {
        let _request = stream.read(&mut [0; 1024]);
        let _closed = stream.write_all(bytes);
    })
}

/// A run against such a server; its last line ends so.
#[track_caller]
fn ends_with(address: &str, cause: &str) -> Finished {
    let waited = "no broker answered within 1.8 s: ";
    ends_with_text(address, "2", &format!("{waited}{cause}"))
}

/// A run with this delivery timeout against such a server; its last line ends so.
#[track_caller]
fn ends_with_text(address: &str, timeout: &str, reason: &str) -> Finished {
    let finished = Producer::run(address).set("DELIVERY_TIMEOUT_SEC", timeout).finish();
    let expected = format!("nothing was sent: {reason}; exit 69 (UNAVAILABLE)");
    let last = finished.exits(69).stderr.trim_end().lines().last().unwrap().to_owned();
    assert!(last.ends_with(&expected), "{expected:?} is not the end of:\n{}", finished.stderr);
    assert!(!finished.stderr.contains("receive.message.max.bytes"), "{}", finished.stderr);
    finished
}

#[test]
fn a_port_that_closes_each_connection_may_expect_tls() {
    let address = server(|mut stream| {
        let _request = stream.read(&mut [0; 1024]);
    });
    let cause = format!(
        "{address} closes the connection before it answers, as a listener with TLS does; set \
         RDKAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL, unless it is no Kafka broker"
    );
    ends_with(&address, &cause);
}

#[test]
fn a_server_of_another_protocol_is_told_at_once_by_what_it_answers() {
    for (bytes, what, more) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP", ""),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH", ""),
        (
            b"\x15\x03\x01\x00\x02\x02\x28\x15\x03\x01\x00\x02\x02\x28",
            "TLS",
            "; RDKAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL speaks TLS",
        ),
        (b"220 mail.example ESMTP\r\n", "something else", ""),
    ] {
        let address = answering(bytes);
        let cause =
            format!("{address} answers {what}, not Kafka's protocol; check KAFKA_BOOTSTRAP{more}");
        // Ten minutes would be too long for the test to wait.
        ends_with_text(&address, "600", &cause);
        let other = nobody();
        let both = format!("{address},{other}");
        let finished = Producer::run(&both).set("DELIVERY_TIMEOUT_SEC", "1").finish();
        finished.exits(69).says("no broker answered within 0.9 s: ");
    }
}

#[test]
fn a_listener_without_tls_is_told_from_one_with_it() {
    let address = answering(b"\0\0\0\x04\0\0\0\x01");
    let finished = Producer::run(&address)
        .set("DELIVERY_TIMEOUT_SEC", "2")
        .set("RDKAFKA_SECURITY_PROTOCOL", "SSL")
        .finish();
    finished
        .exits(69)
        .says(&format!("no broker answered within 1.8 s: {address} answers without TLS; "));
    finished.says(
        "; RDKAFKA_SECURITY_PROTOCOL=PLAINTEXT or SASL_PLAINTEXT fits such a listener; exit 69",
    );
}

#[test]
fn a_port_that_is_mute_is_told_from_one_that_is_closed() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let finished = Producer::run(&address).set("DELIVERY_TIMEOUT_SEC", "6").finish();
    let cause = format!("{address} accepts connections, but does not answer as a Kafka broker");
    let cause = format!("{cause}; check KAFKA_BOOTSTRAP; exit 69");
    finished.exits(69).says(&format!("no broker answered within 5.4 s: {cause}"));

    let finished = Producer::run(&address).set("DELIVERY_TIMEOUT_SEC", "1").finish();
    let cause =
        "no broker answered within 0.9 s: neither an answer nor an error came back; exit 69";
    finished.exits(69).says(cause);
}

#[test]
fn a_token_endpoint_that_is_down_is_tried_until_the_timeout_and_doctor_says_the_same() {
    let (broker, endpoint) = (answering(b""), nobody());
    let go = |command: Producer| {
        command
            .set("KAFKA_BOOTSTRAP", &broker)
            .set("DELIVERY_TIMEOUT_SEC", "2")
            .set("RDKAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
            .set("RDKAFKA_SASL_MECHANISM", "OAUTHBEARER")
            .set("RDKAFKA_SASL_OAUTHBEARER_METHOD", "oidc")
            .set("RDKAFKA_SASL_OAUTHBEARER_CLIENT_ID", "vm4")
            .set("RDKAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", "hunter22")
            .set("RDKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", format!("http://{endpoint}/token"))
            .finish()
    };
    let cause = format!("the token endpoint {endpoint} cannot be reached: ");
    go(Producer::new(["run"])).exits(69).says("no broker answered within 1.8 s: ").says(&cause);
    let doctor = go(Producer::new(["doctor"]));
    assert!(doctor.exits(69).stdout.contains(&cause), "{}", doctor.stdout);
}

#[test]
fn topics_whose_names_collide_are_named_by_doctor() {
    let cluster = Cluster::start();
    let doctor = Producer::new(["doctor"])
        .set("KAFKA_BOOTSTRAP", cluster.bootstrap())
        .set("TOPIC_TOKEN", "gpu_metrics.v1")
        .finish();
    let line = "FAIL  topic gpu_metrics.v1: Kafka does not create gpu_metrics.v1 beside \
                gpu.metrics.v1: their names differ only in \".\" and \"_\"; remedy: name another \
                with TOPIC_TOKEN, or delete gpu.metrics.v1";
    assert!(doctor.exits(69).stdout.contains(line), "{}", doctor.stdout);
}
