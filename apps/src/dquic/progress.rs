//! What is seen while bytes go or come.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::report::Report;

/// At most ten events a second.
const TICK: Duration = Duration::from_millis(100);
const SIZED: &str = "{elapsed_precise} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}  {wide_msg}";
const ENDLESS: &str = "{elapsed_precise} {bytes} {bytes_per_sec}  {wide_msg}";

/// A bar, or events.
pub(super) struct Progress<'a> {
    report: &'a Report,
    bar: Option<ProgressBar>,
    total: Option<u64>,
    told: Option<(Instant, u64)>,
    started: Instant,
}

impl<'a> Progress<'a> {
    /// Of so many bytes, if that is known.
    pub(super) fn start(report: &'a Report, total: Option<u64>) -> Self {
        let bar = report.is_interactive().then(|| {
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let template = if total.is_some() { SIZED } else { ENDLESS };
            let style = ProgressStyle::with_template(template);
            let bar = report.bars().add(bar);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { report, bar, total, told: None, started: Instant::now() }
    }

    /// So many bytes so far, if it is time to say so and something has changed.
    pub(super) fn tell(&mut self, bytes: u64, words: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.told.is_some_and(|(at, told)| told == bytes || now.duration_since(at) < TICK) {
            return;
        }
        self.told = Some((now, bytes));
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(words());
        }
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.report
            .event("progress", json!({"bytes": bytes, "total": self.total, "elapsed_ms": elapsed}));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        for template in [SIZED, ENDLESS] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
