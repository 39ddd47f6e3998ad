//! The arrows between modules: they only go down, and never in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{program_lines, root, sources};

/// The rooms of the crate from the top down: each may use those behind it.
const ORDER: [&str; 25] = [
    "main",
    "lib",
    "commands",
    "batch",
    "cli",
    "report",
    "answer_key",
    "kafka",
    "send_loop",
    "audit",
    "expect",
    "plan",
    "egress",
    "host",
    "settings",
    "delivery",
    "event_time",
    "faults",
    "event",
    "workload",
    "histogram",
    "exit",
    "allow_list",
    "net",
    "awake",
];

/// The text of each module by its path; the root's is empty.
type Modules = BTreeMap<Vec<String>, String>;

/// An arrow between two modules of one parent.
type Arrow = (String, String);

fn split(path: &str) -> Vec<String> {
    path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The modules of the program, without their tests and comments.
fn modules() -> Modules {
    let mut modules = Modules::new();
    for file in sources() {
        let below = file.strip_prefix(root().join("src")).expect("below src").with_extension("");
        let mut path: Vec<_> =
            below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        path.retain(|part| part != "lib");
        if !path.contains(&"tests".to_owned()) {
            let code = program_lines(&file).into_iter();
            let code = code.map(|line| line.split("//").next().unwrap_or_default().to_owned());
            modules.insert(path, code.collect::<Vec<_>>().join("\n"));
        }
    }
    modules
}

/// What stands in a text behind the path to it: the paths of a `use` tree, or one path.
fn tree(before: &[String], text: &str, found: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while !text[at..].trim_start().starts_with('}') {
                at += tree(&path, &text[at..], found);
                let next = text[at..].find([',', '}']).expect("the end of a tree");
                at += next + usize::from(text[at + next..].starts_with(','));
            }
            return at + text[at..].find('}').expect("the end of a tree") + 1;
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '*';
        let end = text[at..].find(|c| !is_part(c)).map_or(text.len(), |length| at + length);
        path.push(text[at..end].to_owned());
        if !text[end..].starts_with("::") {
            found.push(path);
            return end;
        }
        at = end + 2;
    }
}

/// Every path in a text that begins at the root, at this module or above it.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = ["crate::", "super::", "self::"]
        .iter()
        .filter_map(|start| text[at..].find(start).map(|next| at + next))
        .min()
    {
        let inside = text[..next].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        at = next + if inside { "self::".len() } else { tree(&[], &text[next..], &mut found) };
    }
    found
}

/// The module that a path leads to: the longest part of it that is one.
fn target(modules: &Modules, from: &[String], path: &[String]) -> Vec<String> {
    let mut at = from.to_vec();
    for part in path {
        match part.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            name => {
                at.push(name.to_owned());
                if !modules.contains_key(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    at
}

/// The arrows between siblings by their parent: an arrow between two modules is one between the
/// rooms of their nearest common parent that they are in.
fn arrows(modules: &Modules) -> BTreeMap<String, BTreeSet<Arrow>> {
    let mut arrows: BTreeMap<String, BTreeSet<Arrow>> = BTreeMap::new();
    for (from, text) in modules {
        for path in paths(text) {
            let to = target(modules, from, &path);
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            // A parent and what is in it are one.
            if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                let parent = from[..common].join("::");
                arrows.entry(parent).or_default().insert((a.clone(), b.clone()));
            }
        }
    }
    arrows
}

/// The arrows that go from a room to one before it, or to one without a place.
fn upward(arrows: &BTreeMap<String, BTreeSet<Arrow>>, order: &[&str]) -> Vec<String> {
    let place = |room: &str| order.iter().position(|name| *name == room);
    let rooms = arrows.get("").into_iter().flatten();
    let up = rooms.filter(|(from, to)| place(from) >= place(to) || place(from).is_none());
    up.map(|(from, to)| format!("{from} uses {to}")).collect()
}

/// All that can be reached from a module of a room, on arrows within it.
fn reached<'a>(arrows: &'a BTreeSet<Arrow>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for (_, to) in arrows.iter().filter(|(a, _)| a == module) {
            if reached.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    reached
}

/// The circles: modules of one parent that reach each other.
fn circles(arrows: &BTreeMap<String, BTreeSet<Arrow>>) -> BTreeSet<String> {
    let mut circles = BTreeSet::new();
    for (parent, arrows) in arrows {
        for (from, _) in arrows {
            let around = reached(arrows, from);
            let mut circle = around.iter().filter(|to| reached(arrows, to).contains(from.as_str()));
            if around.contains(from.as_str()) {
                let circle: Vec<_> = circle.by_ref().copied().collect();
                circles.insert(format!("{parent}: {}", circle.join(", ")));
            }
        }
    }
    circles
}

#[test]
fn arrows_between_modules_only_go_down_and_never_in_a_circle() {
    let arrows = arrows(&modules());
    assert_eq!(upward(&arrows, &ORDER), Vec::<String>::new());
    assert_eq!(circles(&arrows), BTreeSet::new());
}

#[test]
fn every_kind_of_path_is_an_arrow_and_every_circle_is_found() {
    let sources = [
        ("", "mod high; mod low;"),
        ("high", "use crate::{low::{Deep, shelf::Box}, Root}; mod left;"),
        ("high::left", "use super::right::{self, Right};"),
        ("high::right", "fn f() { crate::high::below::g(super::super::low::h) }"),
        ("high::below", "use self::inner::Inner; use crate::high\n    ::left::*;"),
        ("high::below::inner", "use super::Below; // and crate::nothing"),
        ("low", "fn supercrate() {}"),
        ("low::shelf", "const A: u8 = crate::high::B;"),
    ];
    let modules = sources.map(|(path, text)| (split(path), text.replace("\n    ", "")));
    let arrows = arrows(&modules.into_iter().collect());
    let named = |(from, to): &Arrow| format!("{from} -> {to}");
    let inner: Vec<_> = arrows["high"].iter().map(named).collect();
    assert_eq!(inner, ["below -> left", "left -> right", "right -> below"]);
    assert_eq!(upward(&arrows, &["high", "low"]), ["low uses high"]);
    assert_eq!(upward(&arrows, &["high"]), ["high uses low", "low uses high"]);
    let expected = [": high, low", "high: below, left, right"];
    assert!(circles(&arrows).iter().eq(expected), "{:?}", circles(&arrows));
}
