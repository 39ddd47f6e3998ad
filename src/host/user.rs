//! Users, as the system's name service has them.

use std::process::{Command, Stdio};

/// The user of the package, which sysusers.d makes.
pub const NAME: &str = "vm4-producer";

/// The number of a user (`-u`) or of its group (`-g`), as `id` prints it.
#[must_use]
pub fn id(option: &str, user: &str) -> Option<String> {
    let output = Command::new("id").args([option, user]).stdin(Stdio::null()).output().ok();
    let output = output.filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The UID of a user.
#[must_use]
pub fn uid(user: &str) -> Option<u32> {
    id("-u", user)?.parse().ok()
}
