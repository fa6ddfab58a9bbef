//! The benchmarks: `make bench`, or
//!
//! ```text
//! bench [all|play|recording|idle|handshakes] [--runs 5] [--mib 1024] [--connections 10000]
//!       [--handshakes 4000] [--update-docs] [--no-build]
//! ```
//!
//! Builds the programs for release, measures them over loopback, and prints tables in Markdown.
//! `--update-docs` keeps them in `docs/benchmarks.md`.

use std::path::Path;

use anabranch_tests::bench::args::Args;
use anabranch_tests::bench::programs::Programs;
use anabranch_tests::bench::{Outcome, handshakes, idle, play, recording, report};

fn main() -> Outcome<()> {
    let args = Args::from_env();
    let what = args.word().unwrap_or("all");
    if !["all", "play", "recording", "idle", "handshakes"].contains(&what) {
        return Err(format!("there is no benchmark {what:?}").into());
    }
    let runs = args.get("runs", 5)?;
    let programs =
        if args.has("no-build") { Programs::beside_this_one()? } else { Programs::build()? };
    let wants = |name| what == "all" || what == name;
    let mut sections = Vec::new();
    if wants("play") {
        let plan = play::Plan { runs, bytes: args.get::<u64>("mib", 1_024)? << 20 };
        sections.push(play::run(&programs, plan)?);
    }
    if wants("recording") {
        let plan = play::Plan { runs, bytes: args.get::<u64>("mib", 1_024)? << 20 };
        sections.push(recording::run(&programs, plan)?);
    }
    if wants("idle") {
        sections.push(idle::run(&programs, args.get("connections", 10_000)?)?);
    }
    if wants("handshakes") {
        sections.push(handshakes::run(&programs, runs, args.get("handshakes", 4_000)?)?);
    }
    let given: Vec<String> = std::env::args().skip(1).collect();
    let command = match given.iter().filter(|arg| *arg != "--update-docs").count() {
        0 => "make bench".to_owned(),
        _ => format!("cargo run --release -p anabranch-tests --bin bench -- {}", given.join(" ")),
    };
    let text = report::whole(&sections, &command);
    println!("{text}");
    if args.has("update-docs") {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        report::update(&docs, &text)?;
    }
    Ok(())
}
