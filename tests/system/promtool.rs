//! Prometheus's own judgement of metrics, by the tool of Debian's package, which is not installed for it:
//! the package would start a server.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cache;
use crate::tools::success;

/// What `promtool check metrics` says of a text; nothing if it has nothing to find fault with.
pub fn check(metrics: &str) -> String {
    let mut file = tempfile::tempfile().expect("a temporary file can be made");
    std::io::Write::write_all(&mut file, metrics.as_bytes())
        .expect("a temporary file can be written");
    std::io::Seek::rewind(&mut file).expect("a temporary file can be rewound");
    let mut command = Command::new(promtool());
    let output = command.args(["check", "metrics"]).stdin(Stdio::from(file)).output();
    let output = output.expect("promtool can be started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { said } else { format!("{}: {said}", output.status) }
}

fn promtool() -> PathBuf {
    let tree = cache::made_once("promtool", |tree| {
        let directory = tree.parent().expect("an entry is made in a directory");
        success(
            Command::new("apt-get").args(["download", "-q", "prometheus"]).current_dir(directory),
        );
        let line = "dpkg-deb -x prometheus_*.deb root";
        success(Command::new("sh").args(["-c", line]).current_dir(directory));
    });
    tree.join("usr/bin/promtool")
}
