//! What many runs did, and what they never did.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anabranch_core::machine::drawings;

use super::outcome::Outcome;
use crate::network::Fates;

/// Counts of many runs. They go from one process to another as lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    counts: BTreeMap<String, u64>,
}

/// In front of a line that is a count.
const MARK: &str = "# ";

impl Summary {
    fn count(&mut self, what: &str, by: u64) {
        if by > 0 {
            *self.counts.entry(what.to_owned()).or_default() += by;
        }
    }

    fn get(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.count("runs", 1);
        self.count("failed", u64::from(outcome.failure.is_some()));
        self.count("datagrams", outcome.tally.datagrams);
        self.count("events", outcome.tally.events);
        self.count("seconds", outcome.time.as_secs());
        for (what, by) in &outcome.tally.done {
            self.count(&format!("done {what}"), *by);
        }
        for ((machine, state, input), by) in &outcome.tally.steps {
            self.count(&format!("step {machine} {state} x {input}"), *by);
        }
        for (what, by) in losses(&outcome.fates) {
            self.count(&format!("fate {what}"), by);
        }
    }

    /// Takes a line of [`Summary::lines`]. False: it is another line.
    pub fn take_line(&mut self, line: &str) -> bool {
        let parts = line.strip_prefix(MARK).and_then(|rest| rest.split_once(' '));
        let Some((by, what)) = parts else { return false };
        let Ok(by) = by.parse() else { return false };
        self.count(what, by);
        true
    }

    /// All counts, one in each line.
    #[must_use]
    pub fn lines(&self) -> String {
        self.counts.iter().map(|(what, by)| format!("{MARK}{by} {what}\n")).collect()
    }

    /// Runs that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.get("failed")
    }

    /// For people.
    #[must_use]
    pub fn report(&self) -> String {
        let mut out = String::new();
        for (title, prefix) in [("commands and faults", "done "), ("datagrams", "fate ")] {
            let all = self.counts.iter().filter_map(|(what, by)| {
                what.strip_prefix(prefix).map(|what| format!("{what} {by}"))
            });
            let _ = writeln!(out, "{title}: {}", all.collect::<Vec<_>>().join(", "));
        }
        for drawing in drawings() {
            // Recordings tell no steps of transports.
            if !drawing.name.starts_with("dquic") {
                let _ = writeln!(out, "{}", self.coverage(drawing.name, &drawing.matrix));
            }
        }
        let _ = writeln!(
            out,
            "{} runs, {} failed: {} datagrams, {} events, {} s of virtual time",
            self.get("runs"),
            self.failed(),
            self.get("datagrams"),
            self.get("events"),
            self.get("seconds")
        );
        out
    }

    /// Which edges of a state machine were taken by what was recorded.
    fn coverage(&self, machine: &str, matrix: &str) -> String {
        let edges = matrix.lines().filter_map(|line| {
            let (step, to) = line.split_once(" -> ")?;
            let (from, _) = step.split_once(" x ")?;
            (to != "stay" && to != "ILLEGAL" && to != from).then_some(step)
        });
        let edges: Vec<&str> = edges.collect();
        let taken = |step: &&&str| self.get(&format!("step {machine} {step}")) > 0;
        let never: Vec<&str> = edges.iter().filter(|step| !taken(step)).copied().collect();
        let count = edges.len() - never.len();
        match never.is_empty() {
            true => format!("{machine}: all {count} edges taken"),
            false => {
                format!(
                    "{machine}: {count} of {} edges taken, never: {}",
                    edges.len(),
                    never.join(", ")
                )
            }
        }
    }
}

fn losses(fates: &Fates) -> [(&'static str, u64); 14] {
    [
        ("delivered", fates.delivered),
        ("lost", fates.lost),
        ("lost in bursts", fates.lost_in_burst),
        ("duplicated", fates.duplicated),
        ("reordered", fates.reordered),
        ("corrupted", fates.corrupted),
        ("truncated", fates.truncated),
        ("in full queues", fates.overflowed),
        ("in black holes", fates.swallowed),
        ("too big", fates.too_big),
        ("stopped by partitions", fates.partitioned),
        ("refused by translators", fates.filtered + fates.unmapped),
        ("to hosts that were down", fates.receiver_down),
        ("to nobody", fates.no_host),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_through_lines() {
        let mut summary = Summary::default();
        summary.count("runs", 3);
        summary.count("step connection Open x Close", 2);
        let mut other = Summary::default();
        for line in summary.lines().lines() {
            assert!(other.take_line(line), "{line}");
        }
        assert_eq!(other, summary);
        assert!(!other.take_line("seed 1 quic ok") && !other.take_line("# no count"));
    }

    #[test]
    fn what_was_never_done_is_named() {
        let mut summary = Summary::default();
        let matrix = "A x One -> B\nA x Two -> stay\nB x One -> ILLEGAL\nB x Two -> A\n";
        summary.count("step m A x One", 1);
        assert_eq!(summary.coverage("m", matrix), "m: 1 of 2 edges taken, never: B x Two");
        summary.count("step m B x Two", 1);
        assert_eq!(summary.coverage("m", matrix), "m: all 2 edges taken");
    }
}
