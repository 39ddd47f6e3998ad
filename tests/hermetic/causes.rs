//! The last line names the address and the cause, whatever answers there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

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
        "{address} closes the connection before it answers: it may expect TLS \
         (RDKAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL), or is no Kafka broker"
    );
    ends_with(&address, &cause);
}

#[test]
fn a_server_of_another_protocol_is_told_at_once_by_what_it_answers() {
    for (bytes, what) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH"),
        (b"\x15\x03\x01\x00\x02\x02\x28\x15\x03\x01\x00\x02\x02\x28", "TLS"),
        (b"220 mail.example ESMTP\r\n", "something else"),
    ] {
        let address = answering(bytes);
        let cause =
            format!("{address} answers {what}, not Kafka's protocol: check KAFKA_BOOTSTRAP");
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
        .says(&format!("no broker answered within 1.8 s: {address} answers without TLS: "));
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
    finished.exits(69).says(&format!("no broker answered within 5.4 s: {cause}"));

    let finished = Producer::run(&address).set("DELIVERY_TIMEOUT_SEC", "1").finish();
    let cause =
        "no broker answered within 0.9 s: neither an answer nor an error came back; exit 69";
    finished.exits(69).says(cause);
}
