//! What is in the package.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{architecture, checkout, extracted, field, package, ran, said};

/// Every path of the package with its mode; all belong to root.
const PATHS: &str = "\
drwxr-xr-x ./
drwxr-xr-x ./etc/
drwxr-xr-x ./etc/vm4-producer/
-rw-r--r-- ./etc/vm4-producer.env
drwxr-xr-x ./usr/
drwxr-xr-x ./usr/bin/
-rwxr-xr-x ./usr/bin/vm4-producer
drwxr-xr-x ./usr/lib/
drwxr-xr-x ./usr/lib/systemd/
drwxr-xr-x ./usr/lib/systemd/catalog/
-rw-r--r-- ./usr/lib/systemd/catalog/vm4-producer.catalog
drwxr-xr-x ./usr/lib/systemd/system/
drwxr-xr-x ./usr/lib/systemd/system-generators/
drwxr-xr-x ./usr/lib/systemd/system-preset/
-rw-r--r-- ./usr/lib/systemd/system-preset/80-vm4-producer.preset
lrwxrwxrwx ./usr/lib/systemd/system-generators/vm4-producer-generator -> ../../../bin/vm4-producer
-rw-r--r-- ./usr/lib/systemd/system/vm4-producer.service
-rw-r--r-- ./usr/lib/systemd/system/vm4-producer.timer
-rw-r--r-- ./usr/lib/systemd/system/vm4-producer@.service
-rw-r--r-- ./usr/lib/systemd/system/vm4-producer@.timer
drwxr-xr-x ./usr/lib/sysusers.d/
-rw-r--r-- ./usr/lib/sysusers.d/vm4-producer.conf
drwxr-xr-x ./usr/share/
drwxr-xr-x ./usr/share/bash-completion/
drwxr-xr-x ./usr/share/bash-completion/completions/
-rw-r--r-- ./usr/share/bash-completion/completions/vm4-producer
drwxr-xr-x ./usr/share/doc/
drwxr-xr-x ./usr/share/doc/vm4-producer/
-rw-r--r-- ./usr/share/doc/vm4-producer/NOTICE
-rw-r--r-- ./usr/share/doc/vm4-producer/README.md
-rw-r--r-- ./usr/share/doc/vm4-producer/SECURITY.md
-rw-r--r-- ./usr/share/doc/vm4-producer/changelog.Debian.gz
-rw-r--r-- ./usr/share/doc/vm4-producer/changelog.gz
-rw-r--r-- ./usr/share/doc/vm4-producer/copyright
drwxr-xr-x ./usr/share/doc/vm4-producer/docs/
drwxr-xr-x ./usr/share/doc/vm4-producer/examples/
-rw-r--r-- ./usr/share/doc/vm4-producer/examples/vm4-producer-metrics.service
-rw-r--r-- ./usr/share/doc/vm4-producer/examples/vm4-producer-metrics.timer
-rw-r--r-- ./usr/share/doc/vm4-producer/examples/vm4-producer-notify.conf
-rw-r--r-- ./usr/share/doc/vm4-producer/examples/vm4-producer-notify@.service
-rw-r--r-- ./usr/share/doc/vm4-producer/examples/vm4-producer.env
-rw-r--r-- ./usr/share/doc/vm4-producer/sbom.cdx.json
drwxr-xr-x ./usr/share/fish/
drwxr-xr-x ./usr/share/fish/vendor_completions.d/
-rw-r--r-- ./usr/share/fish/vendor_completions.d/vm4-producer.fish
drwxr-xr-x ./usr/share/lintian/
drwxr-xr-x ./usr/share/lintian/overrides/
-rw-r--r-- ./usr/share/lintian/overrides/vm4-producer
drwxr-xr-x ./usr/share/man/
drwxr-xr-x ./usr/share/man/man1/
-rw-r--r-- ./usr/share/man/man1/vm4-producer.1.gz
drwxr-xr-x ./usr/share/vm4-producer/
-rw-r--r-- ./usr/share/vm4-producer/gpu_seed.json
drwxr-xr-x ./usr/share/vm4-producer/schemas/
-rw-r--r-- ./usr/share/vm4-producer/schemas/answer_key.v1.schema.json
-rw-r--r-- ./usr/share/vm4-producer/schemas/detected.v1.schema.json
-rw-r--r-- ./usr/share/vm4-producer/schemas/expect.v1.schema.json
-rw-r--r-- ./usr/share/vm4-producer/schemas/gpu.metrics.v1.schema.json
-rw-r--r-- ./usr/share/vm4-producer/schemas/report.v1.schema.json
-rw-r--r-- ./usr/share/vm4-producer/schemas/token.usage.v1.schema.json
-rw-r--r-- ./usr/share/vm4-producer/schemas/verify.v1.schema.json
drwxr-xr-x ./usr/share/zsh/
drwxr-xr-x ./usr/share/zsh/vendor-completions/
-rw-r--r-- ./usr/share/zsh/vendor-completions/_vm4-producer
";

/// Where the documents are.
const DOCUMENTS: &str = "usr/share/doc/vm4-producer";

/// The pages of the checkout's `docs`.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(checkout().join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".md")).collect()
}

#[test]
fn every_link_of_the_installed_documents_leads_to_something_in_the_package() {
    let root = extracted();
    let documents = root.path().join(DOCUMENTS);
    let pages = pages().into_iter().map(|page| format!("docs/{page}"));
    let mut links = 0;
    for page in ["README.md".to_owned()].into_iter().chain(pages) {
        let path = documents.join(page);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let found = match target.strip_prefix('/') {
                Some(absolute) => root.path().join(absolute),
                None => path.parent().unwrap().join(target),
            };
            assert!(found.exists(), "{target} in {}", path.display());
            links += 1;
        }
    }
    assert!(links > 3, "{links} links");
}

#[test]
fn it_holds_exactly_these_paths_with_these_modes_and_all_are_roots() {
    let listing = said("dpkg-deb", ["-c".as_ref(), package().as_os_str()]);
    let mut paths: Vec<_> = listing
        .lines()
        .map(|line| {
            // Mode, owner/group, size, date, time, path.
            let fields: Vec<_> = line.split_whitespace().collect();
            assert_eq!(fields[1], "root/root", "{line}");
            format!("{} {}\n", fields[0], fields[5..].join(" "))
        })
        .collect();
    let mut expected: Vec<_> = PATHS.lines().map(|line| format!("{line}\n")).collect();
    let pages = pages().into_iter();
    expected.extend(pages.map(|page| format!("-rw-r--r-- ./{DOCUMENTS}/docs/{page}\n")));
    paths.sort();
    expected.sort();
    assert_eq!(paths.concat(), expected.concat());
}

#[test]
fn its_name_version_architecture_and_dependencies_are_those_of_the_program_and_the_machine() {
    let version = format!("{}-1", env!("CARGO_PKG_VERSION"));
    let architecture = architecture("DEB_HOST_ARCH");
    assert_eq!((field("Version"), field("Architecture")), (version.clone(), architecture.clone()));
    let name = format!("vm4-producer_{version}_{architecture}.deb");
    assert_eq!(package().file_name().unwrap().to_str(), Some(name.as_str()));
    let depends = field("Depends");
    assert!(depends.contains("systemd | systemd-standalone-sysusers"), "{depends}");
    // What it links: librdkafka, curl and zstd are inside.
    for library in ["libc6 (>= 2.", "libgcc-s1", "libssl3", "zlib1g (>= 1:1."] {
        assert!(depends.contains(library), "{library} is not in {depends}");
    }
    for library in ["librdkafka", "libcurl", "libzstd", "libsasl2"] {
        assert!(!depends.contains(library), "{library} is in {depends}");
    }
    assert_eq!((field("Multi-Arch"), field("Suggests")), ("foreign".into(), "kcat".into()));
    assert_eq!(field("Homepage"), env!("CARGO_PKG_HOMEPAGE"));
    let size = fs::metadata(package()).unwrap().len();
    eprintln!("{name}: {size} bytes; installed {} KiB; {depends}", field("Installed-Size"));
}

#[test]
fn lintian_finds_neither_an_error_nor_a_warning() {
    let mut command = Command::new("lintian");
    command.args(["--fail-on", "error,warning", "--display-info", "--pedantic"]);
    // The system tests run as root, which lintian would remark on each time.
    let output = ran(command.arg("--allow-root").arg(package()));
    let findings = String::from_utf8_lossy(&output.stdout);
    eprintln!("lintian:\n{findings}");
    assert!(output.status.success(), "{findings}{}", String::from_utf8_lossy(&output.stderr));
    // An override that nothing needs any more hides what comes next.
    for tag in ["unused-override", "mismatched-override"] {
        assert!(!findings.contains(tag), "{findings}");
    }
}

#[test]
fn man_page_and_completions_are_those_of_the_packaged_program() {
    let root = extracted();
    let path = |name: &str| root.path().join(name);
    let program = path("usr/bin/vm4-producer");
    let page =
        said("gzip", ["-dc".as_ref(), path("usr/share/man/man1/vm4-producer.1.gz").as_os_str()]);
    assert_eq!(page, said(&program, ["man"]));
    for (shell, installed) in [
        ("bash", "usr/share/bash-completion/completions/vm4-producer"),
        ("zsh", "usr/share/zsh/vendor-completions/_vm4-producer"),
        ("fish", "usr/share/fish/vendor_completions.d/vm4-producer.fish"),
    ] {
        let completions = fs::read_to_string(path(installed)).unwrap();
        assert_eq!(completions, said(&program, ["completions", shell]), "{shell}");
    }
}

#[test]
fn files_of_the_checkout_are_in_it_as_they_are() {
    let root = extracted();
    for (packaged, source) in [
        ("etc/vm4-producer.env", "packaging/vm4-producer.env"),
        ("usr/lib/sysusers.d/vm4-producer.conf", "packaging/debian/vm4-producer.sysusers"),
        ("usr/lib/systemd/catalog/vm4-producer.catalog", "packaging/vm4-producer.catalog"),
        ("usr/lib/systemd/system-preset/80-vm4-producer.preset", "packaging/vm4-producer.preset"),
        ("usr/share/doc/vm4-producer/NOTICE", "NOTICE"),
        ("usr/share/doc/vm4-producer/sbom.cdx.json", "packaging/sbom.cdx.json"),
        ("usr/share/doc/vm4-producer/copyright", "packaging/debian/copyright"),
        ("usr/share/vm4-producer/gpu_seed.json", "gpu_seed.json"),
    ] {
        let packaged = fs::read(root.path().join(packaged)).unwrap();
        assert!(packaged == fs::read(checkout().join(source)).unwrap(), "{source}");
    }
}

#[test]
fn the_units_name_the_library_directory_of_the_architecture() {
    let root = extracted();
    let multiarch = architecture("DEB_HOST_MULTIARCH");
    for name in ["vm4-producer.service", "vm4-producer@.service"] {
        let packaged = root.path().join("usr/lib/systemd/system").join(name);
        let packaged = fs::read_to_string(packaged).unwrap();
        let source = fs::read_to_string(checkout().join("systemd").join(name)).unwrap();
        assert!(source.contains("@MULTIARCH@"), "{name}");
        assert_eq!(packaged, source.replace("@MULTIARCH@", &multiarch), "{name}");
    }
}

#[test]
fn only_the_env_file_is_the_administrators_to_edit() {
    let conffiles = said("dpkg-deb", ["-I".as_ref(), package().as_os_str(), "conffiles".as_ref()]);
    assert_eq!(conffiles, "/etc/vm4-producer.env\n");
}

#[test]
fn a_checksum_of_every_file_lets_dpkg_verify_the_installation() {
    let root = extracted();
    let sums = said("dpkg-deb", ["-I".as_ref(), package().as_os_str(), "md5sums".as_ref()]);
    fs::write(root.path().join("sums"), &sums).unwrap();
    let mut check = Command::new("md5sum");
    let checked = ran(check.args(["--check", "--strict", "sums"]).current_dir(root.path()));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let files = PATHS.lines().filter(|line| line.starts_with('-')).count() + pages().len();
    assert_eq!(sums.lines().count(), files);
}

#[test]
fn systemd_compiles_the_catalog_and_explains_the_summary() {
    let root = extracted();
    // Where systemd writes what it compiles.
    fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).unwrap();
    let at = format!("--root={}", root.path().display());
    said("journalctl", [&at, "--update-catalog"]);
    let id = vm4_producer::host::log::SUMMARY_MESSAGE_ID;
    let entry = said("journalctl", [&at, "--dump-catalog", id]);
    assert!(entry.starts_with(&format!("-- {id}\nSubject: A batch has ended")), "{entry}");
    assert!(entry.contains("Documentation: man:vm4-producer(1)"), "{entry}");
    assert!(!entry.contains("generated\n# "), "a comment is shown: {entry}");
    for (exit, when) in vm4_producer::exit::DOCUMENTED {
        let code = format!("{:>4} {}", exit.code(), exit.name());
        let line = entry.lines().find(|line| line.starts_with(&code));
        let first = when.split(' ').next().unwrap();
        assert!(line.is_some_and(|line| line.contains(first)), "{code} is not in {entry}");
    }
}

#[test]
fn no_path_of_the_machine_that_built_it_is_in_the_program() {
    let program = fs::read(extracted().path().join("usr/bin/vm4-producer")).unwrap();
    let holds = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    let home = std::env::var("HOME").expect("HOME");
    let cargo_home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    for path in [checkout(), Path::new(&cargo_home)] {
        assert!(!holds(&format!("{}/", path.display())), "{}", path.display());
    }
    // What stands there instead: without it, the search above would be blind.
    assert!(holds("/usr/share/cargo/registry/"), "the paths of crates were not rewritten");
}
