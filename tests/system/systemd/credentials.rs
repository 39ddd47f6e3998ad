//! Encrypted credentials, as the unit's comment and the documents have them.

use super::installed::{ENV_FILE, Installed, UNIT};
use super::on_every_release;
use crate::machine::Release;

on_every_release! {
    an_encrypted_credential_is_decrypted_by_the_line_of_the_unit_s_comment,
}

fn an_encrypted_credential_is_decrypted_by_the_line_of_the_unit_s_comment(release: Release) {
    let installed = Installed::new(release);
    let machine = &installed.machine;
    let store = "/etc/credstore.encrypted";
    let encrypt = format!(
        "mkdir -p -m 700 {store} && \
         printf %s kestrel-4711 | systemd-creds encrypt --with-key=host --name=sasl.password - \
         {store}/vm4-producer.sasl.password"
    );
    machine.shell(&encrypt).success();
    // Without the drop-in, systemd 252 ignores the file, and 257 hands it over as it is.
    let settings = machine.read(ENV_FILE);
    let login = "RDKAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT\nRDKAFKA_SASL_MECHANISM=PLAIN\n\
                 RDKAFKA_SASL_USERNAME=ann\n";
    machine.put(ENV_FILE, format!("{settings}{login}"), 0o644);
    assert_eq!(machine.run(&["systemctl", "start", UNIT]).code, 1);
    let refused = match release {
        Release::Bookworm => "sasl.username and sasl.password must be set",
        Release::Trixie => "systemd-creds has encrypted it, and LoadCredential= decrypts nothing",
    };
    let summary = installed.summary();
    assert_eq!(summary["VM4_EXIT_CODE"], "78");
    assert!(summary["MESSAGE"].contains(refused), "{summary:?}");
    machine.put(ENV_FILE, settings, 0o644);

    let read = "/bin/sh -c 'cat $CREDENTIALS_DIRECTORY/sasl.password'";
    let line =
        "LoadCredentialEncrypted=sasl.password:/etc/credstore.encrypted/vm4-producer.sasl.password";
    let unit = machine.read("/usr/lib/systemd/system/vm4-producer.service");
    let documented = line.replace("vm4-producer.sasl.password", "FILE");
    assert!(unit.contains(&documented), "{documented} is not in the unit");
    // What the unit's own program would get, shown by another one.
    let loads = "LoadCredential=sasl.password:vm4-producer.sasl.password\n\
                 SetCredential=sasl.password:\\n\n";
    let shown = format!("ExecStart={read}\nStandardOutput=file:/run/shown\n{loads}{line}\n");
    super::put_oneshot(machine, "shown", &shown);
    machine.run(&["systemctl", "start", "shown"]).success();
    assert_eq!(machine.read("/run/shown"), "kestrel-4711");
    // The unit itself starts with it: a plain broker has no use for the password.
    installed.drop_in(UNIT, &format!("[Service]\n{line}\n"));
    machine.run(&["systemctl", "start", UNIT]).success();
    assert_eq!(installed.summary()["VM4_OUTCOME"], "delivered");
    let doctor = machine.run(&["vm4-producer", "doctor"]).success();
    assert!(!doctor.stdout.contains("kestrel"), "{}", doctor.stdout);
}
