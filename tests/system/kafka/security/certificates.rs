//! Certificates for a broker on the loopback address, made with the `openssl` command.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::tools;

/// What `openssl` is told of the two certificates. Its own default file need not be there.
const CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = system tests
[authority]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
subjectAltName = IP:127.0.0.1
[client]
basicConstraints = CA:FALSE
";

/// The longest that making one key and certificate may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A certificate authority and a broker's certificate by it, all as PEM text.
pub struct Certificates {
    /// The authority's certificate.
    pub authority: String,
    /// The broker's certificate.
    pub chain: String,
    /// The broker's private key, PKCS #8.
    pub key: String,
    /// A client's certificate by the same authority.
    pub client: String,
    /// The client's private key.
    pub client_key: String,
}

impl Certificates {
    /// Makes an authority that nobody else knows, and has it sign.
    pub fn make() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the certificates");
        let path = directory.path();
        fs::write(path.join("config"), CONFIG).expect("openssl's configuration to be written");
        request(path, "authority", &[]);
        for name in ["server", "client"] {
            request(path, name, &["-CA", "authority.pem", "-CAkey", "authority.key"]);
        }
        let read = |name| fs::read_to_string(path.join(name)).expect("what openssl wrote");
        Self {
            authority: read("authority.pem"),
            chain: read("server.pem"),
            key: read("server.key"),
            client: read("client.pem"),
            client_key: read("client.key"),
        }
    }
}

/// Makes `name.key` and `name.pem`, with the extensions of that section.
fn request(directory: &Path, name: &str, signer: &[&str]) {
    let mut openssl = tools::bounded(LIMIT, "openssl");
    openssl
        .current_dir(directory)
        .args(["req", "-x509", "-nodes", "-days", "2", "-config", "config", "-extensions", name])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
        .args(signer);
    tools::success(&mut openssl);
}
