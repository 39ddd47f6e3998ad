//! A mock cluster in a process of its own, for `make bench`: it prints its address, and ends with its
//! standard input.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "it is run by hand")]

use std::io::Read;

use vm4_producer::kafka::embedded::mock_cluster;

fn main() {
    let topics = ["gpu.metrics.v1", "token.usage.v1"];
    let cluster = mock_cluster(1, topics, 6).expect("a mock cluster");
    println!("{}", cluster.bootstrap_servers());
    let mut nothing = String::new();
    std::io::stdin().read_to_string(&mut nothing).expect("standard input");
}
