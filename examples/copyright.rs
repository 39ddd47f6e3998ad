//! Prints `packaging/debian/copyright`, which covers every crate and C library in the program: it is
//! made from what cargo links for the architectures of the package, and from the licence files of
//! those crates. It fails if it meets something that nobody has decided about.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it is run by hand and by one test, and prints what is asked for"
)]

mod linked;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use linked::Crate;

/// C libraries that a crate brings along and links: crate, directory, licence file, name in the file.
const BUNDLED: [(&str, &str, &str, &str); 3] = [
    ("rdkafka-sys", "librdkafka", "LICENSES.txt", "librdkafka-and-others"),
    ("curl-sys", "curl", "COPYING", "curl"),
    ("zstd-sys", "zstd", "LICENSE", "BSD-3-clause-zstd"),
];

const HEAD: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vm4-producer
Comment: The program holds the Rust crates and C libraries below, which were
 compiled into it. Paths name crate, version and file. Where a crate offers a
 choice, the licences are named that are made use of here: Expat or Apache-2.0.
 The traces and measurements behind the workload models are in the file NOTICE
 beside this one.

Files: *
Copyright: 2026 The vm4-producer authors
License: Apache-2.0 or Expat

Files: rust-standard-library/*
Copyright: The Rust Project contributors
License: Apache-2.0 or Expat
";

const APACHE: &str = "\
License: Apache-2.0
 On Debian systems, the full text of the Apache License, Version 2.0 is in the
 file /usr/share/common-licenses/Apache-2.0.
";

/// Copyright notices and licence of one or more sets of files.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Terms {
    copyright: Vec<String>,
    licence: String,
    text: String,
}

impl Crate {
    /// The texts of its licence files.
    fn licence_files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).expect("the crate's sources");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().to_ascii_uppercase();
            // Section 4 of the Apache License has a NOTICE passed on, word for word.
            assert!(!name.starts_with("NOTICE"), "{}: carry its NOTICE along", self.name);
            ["LICEN", "COPY"].iter().any(|word| name.starts_with(word))
        });
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).expect("a text")).collect()
    }

    fn terms(&self, expat: &str) -> Terms {
        let files = self.licence_files();
        let mut copyright: Vec<_> = files.iter().flat_map(|text| notices(text)).collect();
        if copyright.is_empty() {
            copyright.clone_from(&self.authors);
        }
        if copyright.is_empty() {
            copyright.push(format!("The contributors of {}", self.name));
        }
        dedup(&mut copyright);
        let offered: Vec<_> = self.licence.split(" OR ").flat_map(|l| l.split('/')).collect();
        let taken = [("Apache-2.0", "Apache-2.0"), ("MIT", "Expat")];
        let taken = taken.iter().filter(|(spdx, _)| offered.contains(spdx));
        let taken = taken.map(|(_, debian)| *debian).collect::<Vec<_>>().join(" or ");
        let is_expat = |text: &String| {
            let start = text.find("Permission is hereby granted");
            start.is_some_and(|start| plain(&text[start..]) == plain(expat))
        };
        let as_usual = match taken.as_str() {
            "" => false,
            "Expat" => files.is_empty() || files.iter().any(is_expat),
            _ => true,
        };
        if as_usual {
            return Terms { copyright, licence: taken, text: String::new() };
        }
        assert!(!files.is_empty(), "{}: no text of {:?}", self.name, self.licence);
        let licence = format!("{}-licence", self.name);
        Terms { copyright, licence, text: files.join("\n") }
    }

    /// What it brings along.
    fn bundled(&self) -> Option<(String, Terms)> {
        let (_, directory, file, licence) = BUNDLED.iter().find(|b| b.0 == self.name)?;
        let text = fs::read_to_string(self.directory.join(directory).join(file)).expect("a text");
        let mut copyright = notices(&text);
        dedup(&mut copyright);
        assert!(!copyright.is_empty(), "no copyright notice in {directory}/{file}");
        let files = format!("{}-{}/{directory}/*", self.name, self.version);
        Some((files, Terms { copyright, licence: (*licence).to_owned(), text }))
    }
}

/// Years and holder, where a line says whose a file is.
fn holder(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("Copyright ").or_else(|| line.strip_prefix("copyright "))?;
    let rest = rest.trim_start();
    let marked = ["(c)", "(C)", "©"].iter().find_map(|mark| rest.strip_prefix(mark));
    let whose = marked.or_else(|| rest.starts_with("20").then_some(rest))?.trim();
    (!whose.contains("yyyy")).then_some(whose)
}

/// The copyright notices of a licence file.
fn notices(text: &str) -> Vec<String> {
    let mut notices: Vec<String> = Vec::new();
    let mut in_notice = false;
    for line in text.lines() {
        let line = line.trim().trim_start_matches(['*', '#', '/', ' ']);
        let goes_on = in_notice && line.starts_with(|c: char| c.is_ascii_lowercase());
        in_notice = true;
        match (holder(line), notices.last_mut()) {
            (Some(whose), _) => notices.push(whose.to_owned()),
            // In mid-sentence.
            (None, Some(last)) if goes_on => *last = format!("{last} {line}"),
            _ => in_notice = false,
        }
    }
    notices
}

/// Without what stands twice, in order.
fn dedup(lines: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
}

/// A text without its line breaks.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text with a pointer in the place of the Apache License, of which every Debian has a copy.
fn without_apache(text: &str) -> String {
    let mut kept = Vec::new();
    let mut skipping = false;
    for line in text.lines() {
        if line.trim() == "Apache License" {
            skipping = true;
            kept.push("Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0");
        }
        if !skipping {
            kept.push(line);
        }
        skipping &= line.trim() != "limitations under the License.";
    }
    assert!(!skipping, "an Apache License without its end");
    kept.join("\n")
}

/// A text as a field of several lines.
fn folded(text: &str) -> String {
    let line = |line: &str| match line.trim_end() {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    };
    text.trim_end().lines().map(line).collect()
}

/// Fails if a crate links C code that [`BUNDLED`] does not know, or if that names a crate in vain.
fn every_c_library_is_known(linked: &[Crate]) {
    let names: BTreeSet<_> = linked.iter().map(|linked| linked.name.as_str()).collect();
    for (name, directory, ..) in BUNDLED {
        assert!(names.contains(name), "{directory} is not linked");
    }
    let others = names.iter().filter(|name| name.ends_with("-sys") || name.ends_with("-src"));
    // Linked dynamically, or without C of their own: bindings to the kernel, OpenSSL and zlib.
    let known = ["linux-raw-sys", "openssl-sys", "libz-sys"];
    for other in others.filter(|name| !known.contains(name)) {
        assert!(BUNDLED.iter().any(|b| b.0 == *other), "what does {other} bring along?");
    }
}

fn main() {
    let licence = include_str!("../LICENSE");
    let start = licence.find("Permission is hereby granted").expect("the text of the MIT licence");
    let expat = &licence[start..];
    let linked = linked::linked();
    every_c_library_is_known(&linked);
    let mut stanzas: BTreeMap<Terms, Vec<String>> = BTreeMap::new();
    for linked in linked {
        let files = format!("{}-{}/*", linked.name, linked.version);
        stanzas.entry(linked.terms(expat)).or_default().push(files);
        if let Some((files, terms)) = linked.bundled() {
            stanzas.entry(terms).or_default().push(files);
        }
    }
    let mut stanzas: Vec<_> = stanzas.into_iter().collect();
    stanzas.sort_by(|a, b| a.1.cmp(&b.1));
    print!("{HEAD}");
    for (terms, files) in stanzas {
        let files = files.join("\n ");
        let copyright = terms.copyright.join("\n ");
        let text = folded(&without_apache(&terms.text));
        print!("\nFiles: {files}\nCopyright: {copyright}\nLicense: {}\n{text}", terms.licence);
    }
    print!("\n{APACHE}\nLicense: Expat\n{}", folded(expat));
}
