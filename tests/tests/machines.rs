//! The tables of all state machines, as snapshots, and their diagrams in the document.
//!
//! `ANABRANCH_RENEW=1 cargo test -p anabranch-tests --test machines` writes both anew.

use std::fs;
use std::path::PathBuf;

use anabranch_core::machine::{Drawing, drawings};
use anabranch_tests::source::root;

fn renewing() -> bool {
    std::env::var_os("ANABRANCH_RENEW").is_some()
}

const RENEW: &str =
    "If that is meant: ANABRANCH_RENEW=1 cargo test -p anabranch-tests --test machines";

fn snapshot(drawing: &Drawing) -> PathBuf {
    root().join("tests/snapshots").join(format!("{}.txt", drawing.name))
}

#[test]
fn every_machine_is_sound() {
    let drawings = drawings();
    let names: Vec<_> = drawings.iter().map(|drawing| drawing.name).collect();
    let media = ["media-client", "media-server"];
    let dquic = ["dquic-connection", "dquic-send", "dquic-receive"];
    let classic = ["dquic-classic-sender", "dquic-classic-receiver"];
    assert_eq!(names, [&["connection"], &dquic[..], &media, &classic].concat());
    for drawing in drawings {
        assert_eq!(drawing.flaw, None, "{}", drawing.name);
    }
}

#[test]
fn every_table_is_its_snapshot() {
    for drawing in drawings() {
        let path = snapshot(&drawing);
        if renewing() {
            fs::write(&path, &drawing.matrix).expect("tests/snapshots");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_same(drawing.name, &drawing.matrix, &kept);
    }
}

/// Says which lines differ.
fn assert_same(name: &str, table: &str, kept: &str) {
    let only = |a: &str, b: &str, mark: &str| {
        let lines = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    let changes = only(kept, table, "-") + &only(table, kept, "+");
    assert!(table == kept, "{name}: the table has changed. {RENEW}\n{changes}");
}

/// The place of a machine's diagram in the document: what is there now, and where.
fn block(document: &str, name: &str) -> std::ops::Range<usize> {
    let marker = format!("<!-- machine: {name} -->\n");
    let at = document.find(&marker).unwrap_or_else(|| panic!("docs/protocol.md has no {marker}"));
    let start = at + marker.len();
    let rest = &document[start..];
    let open = "```mermaid\n";
    let end = rest.strip_prefix(open).map_or(start, |diagram| {
        start + open.len() + diagram.find("```\n").expect("the end of a diagram") + 4
    });
    start..end
}

#[test]
fn every_diagram_in_the_document_is_the_table() {
    let path = root().join("docs/protocol.md");
    let mut document = fs::read_to_string(&path).expect("docs/protocol.md");
    for drawing in drawings() {
        let place = block(&document, drawing.name);
        let diagram = format!("```mermaid\n{}```\n", drawing.diagram);
        if renewing() {
            document.replace_range(place, &diagram);
            continue;
        }
        assert_same(drawing.name, &diagram, &document[place]);
    }
    if renewing() {
        fs::write(&path, document).expect("docs/protocol.md");
    }
}
