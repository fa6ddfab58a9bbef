//! What a person sees while media play.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::report::Report;
use crate::units;

/// At most ten events a second.
const TICK: Duration = Duration::from_millis(100);
/// The bitrate is that of so much time.
const WINDOW: Duration = Duration::from_secs(5);
/// The bitrate of less time would be that of a burst.
const LEAST: Duration = Duration::from_secs(1);

/// What is happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Chunks come.
    Streaming,
    /// Chunks do not come, because they were told not to.
    Paused,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Streaming => "STREAMING",
            Self::Paused => "PAUSED",
        }
    }
}

/// Shows progress, as a bar or as events.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    told: Option<Instant>,
    recent: VecDeque<(Instant, u64)>,
    /// Where in the media.
    pub bytes: u64,
    /// The newest chunk.
    pub chunk: u32,
    /// What is happening.
    pub state: State,
}

impl Progress {
    /// Starts at byte `from` of `size`, if the size is known.
    #[must_use]
    pub fn start(report: &Report, from: u64, size: Option<u64>) -> Self {
        let bar = report.is_interactive().then(|| {
            let bar = size.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let bar = report.bars().add(bar.with_position(from));
            bar.set_style(style(size.is_some()));
            bar
        });
        let now = Instant::now();
        Self {
            bar,
            started: now,
            told: None,
            recent: VecDeque::from([(now, from)]),
            bytes: from,
            chunk: 0,
            state: State::Streaming,
        }
    }

    /// Shows the numbers, if it is time to. `force`: in any case.
    pub fn tell(&mut self, report: &Report, force: bool) {
        let now = Instant::now();
        if !force && self.told.is_some_and(|told| now.duration_since(told) < TICK) {
            return;
        }
        self.told = Some(now);
        self.recent.push_back((now, self.bytes));
        while self.recent.len() > 2 && now.duration_since(self.recent[0].0) > WINDOW {
            self.recent.pop_front();
        }
        let rate = self.rate(now);
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.event(
            "progress",
            json!({
                "state": self.state.name(), "bytes": self.bytes, "chunk": self.chunk,
                "bitrate": rate, "elapsed_ms": elapsed,
            }),
        );
        if let Some(bar) = &self.bar {
            bar.set_position(self.bytes);
            let (state, rate) = (self.state.name(), units::show_bitrate(rate));
            bar.set_message(format!("{state:<9}  chunk {}  {rate}", self.chunk));
        }
    }

    fn rate(&self, now: Instant) -> u64 {
        self.recent.front().map_or(0, |(at, bytes)| {
            units::rate(self.bytes.saturating_sub(*bytes), now.duration_since(*at).max(LEAST))
        })
    }

    /// How long it has been.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

const SIZED: &str = "{elapsed_precise} {bar:16} {bytes}/{total_bytes}  {wide_msg}";
const ENDLESS: &str = "{elapsed_precise} {bytes}  {wide_msg}";

fn style(sized: bool) -> ProgressStyle {
    ProgressStyle::with_template(if sized { SIZED } else { ENDLESS })
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Json;

    #[test]
    fn templates_are_sound() {
        for template in [SIZED, ENDLESS] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn the_bitrate_is_that_of_the_newest_seconds() {
        let report = Report::new("test", Json::Off, true);
        let mut progress = Progress::start(&report, 0, None);
        progress.bytes = 1000;
        progress.tell(&report, true);
        assert_eq!(progress.rate(progress.started + Duration::from_secs(1)), 8000);
    }
}
