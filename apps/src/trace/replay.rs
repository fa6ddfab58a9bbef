//! `anabranch trace replay`: everything that was put in, put in again.

use anabranch_core::trace::{Cause, Counts, Replay as Rerun, Verdict};
use serde_json::{Value, json};

use super::reading::{self, Reached, entries};
use crate::cli::trace::Replay;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::units::show_duration;

/// Compares every output with the recorded one.
///
/// # Errors
/// [`Exit::Different`] with the first divergence and what came before it, [`Exit::Data`] if the
/// trace cannot be read to its end, or has too little in it.
pub(super) fn run(args: &Replay, report: &Report) -> Result<(), Failure> {
    let name = args.file.display();
    let (header, records) = reading::open(&args.file)?;
    let replay = Rerun::scripted(&header, records)
        .map_err(|unfit| Failure::new(Exit::Data, format!("{name}: {unfit}")))?;
    let began = std::time::Instant::now();
    match replay.run() {
        Verdict::Identical { counts, truncated } => {
            let took = began.elapsed();
            let truncated = truncated.map(|cause| match cause {
                Cause::Buffer => "the disk was too slow for it",
                Cause::Length => "it was as long as was allowed",
            });
            if let Some(why) = truncated {
                report.warning(&format!("the recording ended early: {why}"));
            }
            let words = format!("{name}: identical, {} in {}", say(counts), show_duration(took));
            report.summary(numbers(counts, "identical"), &words);
            Ok(())
        }
        Verdict::Diverged(divergence) => {
            report.event("summary", numbers(divergence.counts, "diverged"));
            let text = divergence.to_string();
            Err(Failure::new(Exit::Different, format!("{name}: {}", text.trim_end())))
        }
        Verdict::Unreadable { error, counts } => {
            report.event("summary", numbers(counts, "unreadable"));
            let failure = reading::failure(&args.file, &error, Reached::default());
            let same = entries(counts.entries());
            Err(Failure { hint: None, ..failure }
                .hint(format!("up to there the replay is identical: {same}")))
        }
    }
}

fn say(counts: Counts) -> String {
    let Counts { inputs, outputs, steps, calls } = counts;
    format!("{inputs} inputs, {outputs} outputs, {steps} steps, {calls} calls of the transport")
}

fn numbers(counts: Counts, verdict: &str) -> Value {
    let Counts { inputs, outputs, steps, calls } = counts;
    json!({"verdict": verdict, "inputs": inputs, "outputs": outputs, "steps": steps,
        "calls": calls})
}
