//! Traces of real runs of the real programs replay, without sockets and without cryptography.
//!
//! What the core does with the same input has changed if this fails. If that is meant:
//! `cargo run --release -p anabranch-tests --bin record_traces`, and look at what has changed
//! with `anabranch trace diff --steps`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anabranch_core::trace::{Entry, Replay, Verdict, entries, header};
use anabranch_core::{Event, media};
use anabranch_tests::programs::root;

/// The sum of all of them, in bytes.
const ROOM: u64 = 500_000;

fn traces() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("tests/traces")).expect("tests/traces");
    let mut all: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all
}

#[test]
fn every_recorded_run_replays() {
    let mut sum = 0;
    for path in traces() {
        let bytes = std::fs::read(&path).expect("a trace");
        let name = path.display();
        sum += bytes.len() as u64;
        let header = header(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let replay = Replay::scripted(&header, entries(&bytes)).expect("both seams");
        match replay.run() {
            Verdict::Identical { truncated: None, .. } => {}
            Verdict::Diverged(divergence) => panic!("{name}: {divergence}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(sum <= ROOM, "{sum} bytes");
}

/// What the runs are there for is in them.
#[test]
fn the_recorded_runs_have_everything_in_them() {
    let mut steps = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut lost_something = false;
    for path in traces() {
        let bytes = std::fs::read(&path).expect("a trace");
        let mut written = 0;
        for record in entries(&bytes) {
            match record.expect("an entry").entry {
                Entry::Step(step) => {
                    let to = step.to.expect("nothing out of place in these runs");
                    steps.insert(format!("{}: {} -> {to}", step.machine, step.from));
                }
                Entry::Event(_, Event::Listing(_)) => drop(seen.insert("listing")),
                Entry::Event(_, Event::Pong { .. }) => drop(seen.insert("pong")),
                Entry::Event(_, Event::Connected { dialect, .. }) => {
                    seen.insert(match dialect {
                        anabranch_core::Dialect::Classic => "classic",
                        anabranch_core::Dialect::V1 => "anabranch/1",
                    });
                }
                Entry::Event(_, Event::Media(_, media::Event::Refused(_))) => {
                    seen.insert("refused");
                }
                Entry::Event(_, Event::Media(_, media::Event::Resumed { skipped })) => {
                    seen.insert(if skipped > 0 { "live" } else { "hold" });
                }
                Entry::Transmit { transmit, .. } => written += transmit.len,
                _ => {}
            }
        }
        // Two transfers, 500 KB, and what was lost again.
        lost_something |= path.ends_with("loss-server.trace") && written > 540_000;
    }
    let wanted = ["anabranch/1", "classic", "hold", "listing", "live", "pong", "refused"];
    assert_eq!(seen, BTreeSet::from(wanted));
    assert!(lost_something);
    for step in [
        "connection: Closing -> Closed",
        "media-client: Streaming -> Paused",
        "media-server: Streaming -> Paused",
        "media-server: Paused -> Streaming",
        "media-server: Closing -> Closed",
    ] {
        assert!(steps.contains(step), "{step} is not among {steps:#?}");
    }
}
