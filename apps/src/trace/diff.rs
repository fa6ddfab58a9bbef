//! `anabranch trace diff`: where two traces begin to differ.

use std::collections::VecDeque;
use std::path::Path;

use anabranch_core::limits::TRACE_CONTEXT;
use anabranch_core::trace::{Entry, Header, Record, TraceError};
use anabranch_core::{Config, UnixMillis};
use serde_json::json;

use super::reading::{self, Reached, Records, entries};
use crate::cli::trace::Diff;
use crate::exit::{Exit, Failure};
use crate::report::Report;

/// Compares two traces entry by entry.
///
/// # Errors
/// [`Exit::Different`] with the first difference and what came before it, and [`Exit::Data`] if a
/// trace cannot be read as far as they are the same.
pub(super) fn run(args: &Diff, report: &Report) -> Result<(), Failure> {
    let [one, two] = [&args.one, &args.two];
    let (first, left) = reading::open(one)?;
    let (second, right) = reading::open(two)?;
    for text in headers(&first, &second) {
        report.warning(&text);
    }
    let mut left = Side { path: one, records: left, reached: Reached::default() };
    let mut right = Side { path: two, records: right, reached: Reached::default() };
    let mut same = 0;
    let mut before: VecDeque<Record> = VecDeque::new();
    loop {
        let (a, b) = (left.next(args.steps)?, right.next(args.steps)?);
        let equal = match (&a, &b) {
            (None, None) => break,
            (Some(a), Some(b)) if args.steps => a.entry == b.entry,
            (Some(a), Some(b)) => a.at == b.at && a.entry == b.entry,
            _ => false,
        };
        if !equal {
            return Err(difference(args, report, &before, [a, b]));
        }
        same += 1;
        before.extend(a);
        if before.len() > TRACE_CONTEXT {
            before.pop_front();
        }
    }
    let what = if args.steps { format!("{same} steps") } else { entries(same) };
    report.summary(json!({"verdict": "same", "same": same}), &format!("the same: {what}"));
    Ok(())
}

/// One of the two.
struct Side<'a> {
    path: &'a Path,
    records: Records,
    reached: Reached,
}

impl Side<'_> {
    /// The next entry, or the next step of a state machine.
    fn next(&mut self, steps: bool) -> Result<Option<Record>, Failure> {
        loop {
            let failure = |error: TraceError| reading::failure(self.path, &error, self.reached);
            let Some(record) = self.records.next().transpose().map_err(failure)? else {
                return Ok(None);
            };
            self.reached.pass(&record);
            if !steps || matches!(record.entry, Entry::Step(_)) {
                return Ok(Some(record));
            }
        }
    }
}

fn headers(one: &Header, two: &Header) -> Vec<String> {
    // When a recording was made is no difference.
    let settings = |header: &Header| Config { epoch: UnixMillis(0), ..header.config.clone() };
    let parts = [
        (
            one.about != two.about,
            "they were recorded by different programs or over different settings",
        ),
        (settings(one) != settings(two), "the settings of the endpoint differ"),
        (one.contents != two.contents, "they do not hold the same kinds of entries"),
    ];
    parts.iter().filter(|(differ, _)| *differ).map(|(_, text)| (*text).to_owned()).collect()
}

fn difference(
    args: &Diff,
    report: &Report,
    before: &VecDeque<Record>,
    found: [Option<Record>; 2],
) -> Failure {
    let shown =
        found.map(|record| record.map_or("nothing: it has ended".into(), |r| r.to_string()));
    let context: Vec<String> = before.iter().map(ToString::to_string).collect();
    report.event(
        "summary",
        json!({"verdict": "different", "one": shown[0], "two": shown[1], "before": context}),
    );
    let mut text = format!(
        "the first difference:\n  {}: {}\n  {}: {}\nthe last entries before it:",
        args.one.display(),
        shown[0],
        args.two.display(),
        shown[1],
    );
    for line in context {
        text.push_str("\n  ");
        text.push_str(&line);
    }
    Failure::new(Exit::Different, text)
}
