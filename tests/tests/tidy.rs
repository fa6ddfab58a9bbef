//! Habits of this workspace that no compiler checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anabranch_tests::source::{File, root, rules, rust_files};

const MAX_COLUMNS: usize = 100;
const MAX_FUNCTION: usize = 70;
const MAX_FILE: usize = 400;
const MAX_EXCEPTION: usize = 500;

/// Files that may be longer than the others, and why.
const LONG_FILES: &[(&str, &str)] = &[
    ("core/src/session/media/server/tests.rs", "one scripted client, case after case"),
    ("core/src/session/media/testing.rs", "one harness for both roles"),
    ("core/src/transport/quic/conn.rs", "one implementation of one trait"),
];

/// What the core must not do outside its tests: a text, and what to do instead.
const BANNED_IN_CORE: &[(&str, &str)] = &[
    ("std::time::Instant", "time is an argument"),
    ("SystemTime", "wall-clock time enters as data"),
    ("HashMap", "randomly ordered: use BTreeMap"),
    ("HashSet", "randomly ordered: use BTreeSet"),
    ("println!", "speak through events and log"),
    ("eprintln!", "speak through events and log"),
    ("dbg!", "speak through events and log"),
    (".unwrap()", "say why it cannot fail, or handle it"),
    ("std::fs", "the core has no files"),
    ("std::env", "the core reads no environment"),
    ("std::thread", "the core has no threads"),
    ("UdpSocket", "the core has no sockets"),
    ("todo!", "nothing is left for later"),
    ("unimplemented!", "nothing is left for later"),
];

/// The one file of the core that may read the clock: quiche's time is made from ours there.
const CLOCK: &str = "core/src/transport/quic/clock.rs";

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn lines_are_at_most_100_columns_wide() {
    let mut found = Vec::new();
    for file in rust_files("") {
        for (number, line) in (1..).zip(file.text.lines()) {
            let columns = line.chars().count();
            if columns > MAX_COLUMNS {
                found.push(format!("{}:{number}: {columns} columns", file.name));
            }
        }
    }
    assert_none("lines that are too wide", &found);
}

#[test]
fn files_have_one_subject() {
    let exceptions: BTreeMap<_, _> = LONG_FILES.iter().copied().collect();
    let mut found = Vec::new();
    for file in rust_files("") {
        let lines = file.text.lines().count();
        let listed = exceptions.contains_key(file.name.as_str());
        let limit = if listed { MAX_EXCEPTION } else { MAX_FILE };
        if lines > limit {
            found.push(format!("{}: {lines} lines, at most {limit}", file.name));
        }
        if listed && lines <= MAX_FILE {
            found.push(format!("{}: {lines} lines, take it off the list", file.name));
        }
    }
    assert_none("files that are too long", &found);
}

/// The functions of a file: name, first line, number of lines. Relies on `cargo fmt`: a function
/// ends with a brace as far to the left as its beginning.
fn functions(file: &File) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = file.text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(name) = function_name(trimmed) else { continue };
        let indent = line.len() - trimmed.len();
        let closing = format!("{}}}", &line[..indent]);
        let declared = lines[at..].iter().take_while(|l| !l.ends_with([';', '{', '}'])).count();
        if lines.get(at + declared).is_none_or(|line| !line.ends_with('{')) {
            continue;
        }
        let len = lines[at..].iter().position(|line| *line == closing).map_or(0, |end| end + 1);
        found.push((name.to_owned(), at + 1, len));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    let mut words = line.split(' ');
    let word = words.find(|word| !modifiers.contains(word) && !word.starts_with('"'))?;
    let name = (word == "fn").then(|| words.next()).flatten()?;
    name.split(['(', '<']).next()
}

#[test]
fn functions_fit_on_a_screen() {
    let mut found = Vec::new();
    let mut seen = 0;
    for file in rust_files("") {
        for (name, line, len) in functions(&file) {
            seen += 1;
            if len > MAX_FUNCTION {
                found.push(format!("{}:{line}: {name} has {len} lines", file.name));
            }
        }
    }
    assert!(seen > 300, "only {seen} functions were recognised");
    assert_none("functions that are too long", &found);
}

#[test]
fn the_core_is_pure() {
    let mut found = Vec::new();
    for file in rust_files("core/src").iter().filter(|file| file.name != CLOCK) {
        for (number, line) in file.shipped_lines() {
            let code = line.split("//").next().unwrap_or_default();
            for (banned, instead) in BANNED_IN_CORE.iter().filter(|(b, _)| code.contains(b)) {
                found.push(format!("{}:{number}: {banned} ({instead})", file.name));
            }
        }
    }
    assert_none("the core does what it must not", &found);
}

#[test]
fn every_limit_is_used() {
    const LIMITS: &str = "core/src/limits.rs";
    let files = rust_files("");
    let limits = &files.iter().find(|file| file.name == LIMITS).expect("the limits").text;
    let names =
        limits.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let is_used = |name: &str| {
        files.iter().filter(|file| file.name != LIMITS).any(|file| {
            file.text
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| word == name)
        })
    };
    let unused: Vec<String> =
        names.filter(|name| !is_used(name)).map(|name| format!("{LIMITS}: {name}")).collect();
    assert_none("limits that nothing keeps to", &unused);
}

fn protocol() -> String {
    fs::read_to_string(root().join("docs/protocol.md")).expect("docs/protocol.md")
}

/// The rules that the document defines: in bold at the beginning of a line.
fn defined(document: &str) -> Vec<&str> {
    document.lines().filter_map(|line| rules(line.strip_prefix("**")?).next()).collect()
}

#[test]
fn every_rule_that_is_cited_is_written() {
    let document = protocol();
    let defined: BTreeSet<_> = defined(&document).into_iter().collect();
    let mut found = Vec::new();
    let mut check = |name: &str, text: &str| {
        for rule in rules(text).filter(|rule| !defined.contains(rule)) {
            found.push(format!("{name}: {rule}"));
        }
    };
    check("docs/protocol.md", &document);
    // This test and its library talk about rules that do not exist.
    let about_rules = ["tests/src/source.rs", "tests/tests/tidy.rs"];
    for file in rust_files("").iter().filter(|file| !about_rules.contains(&file.name.as_str())) {
        check(&file.name, &file.text);
    }
    assert_none("rules that docs/protocol.md does not have", &found);
}

#[test]
fn rules_are_numbered_without_gaps() {
    let document = protocol();
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    let defined = defined(&document);
    assert!(defined.len() > 20, "only {} rules were recognised", defined.len());
    for rule in defined {
        let (family, number) = rule.split_at(4);
        let number: u32 = number.parse().expect("digits");
        let previous = last.insert(family, number).unwrap_or(0);
        assert_eq!(number, previous + 1, "{rule} follows {family}{previous}");
    }
}
