//! What is seen while files move: bars on a terminal, events for programs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::view::{State, View};
use crate::report::Report;
use crate::units::{show_byte_rate, show_duration, show_size};

/// The rate is that of so much time.
const WINDOW: Duration = Duration::from_secs(5);
/// The rate of less time would be that of a burst.
const LEAST: Duration = Duration::from_millis(500);
/// Lines that a terminal keeps for others.
const SPARE: u16 = 8;

const SIZED: &str = "{elapsed_precise} {bar:16} {bytes}/{total_bytes}  {wide_msg}";
const ENDLESS: &str = "{elapsed_precise} {bytes}  {wide_msg}";
const LINE: &str = "         {wide_msg}";

/// The numbers of the newest seconds.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Instant, u64)>);

impl Recent {
    /// So many bytes at this time. The rate, in bytes a second.
    fn add(&mut self, now: Instant, bytes: u64) -> u64 {
        self.0.push_back((now, bytes));
        while self.0.len() > 2 && now.duration_since(self.0[0].0) > WINDOW {
            self.0.pop_front();
        }
        self.0.front().map_or(0, |(at, from)| {
            let time = now.duration_since(*at).max(LEAST);
            super::summary::per_second(bytes.saturating_sub(*from), time)
        })
    }
}

/// One server's part on the screen.
#[derive(Debug, Default)]
struct Part {
    bar: Option<ProgressBar>,
    sized: bool,
    recent: Recent,
    told: Option<(u64, u64, &'static str)>,
    lines: BTreeMap<u32, (ProgressBar, Recent)>,
}

/// Shows progress.
pub(super) struct Screen<'a> {
    report: &'a Report,
    parts: Vec<Part>,
    /// A line for each stream.
    streams: bool,
}

impl<'a> Screen<'a> {
    /// Of so many servers.
    pub(super) fn new(report: &'a Report, servers: usize, streams: bool) -> Self {
        let parts = (0..servers).map(|_| {
            let bar = report.is_interactive().then(|| report.bars().add(ProgressBar::no_length()));
            if let Some(bar) = &bar {
                bar.set_style(style(ENDLESS));
            }
            Part { bar, ..Part::default() }
        });
        let streams = streams && servers == 1 && report.is_interactive();
        Self { report, parts: parts.collect(), streams }
    }

    /// Shows the numbers. To be called ten times a second.
    pub(super) fn tell(&mut self, index: usize, view: &View) {
        let now = Instant::now();
        let (streams, several) = (self.streams, self.parts.len() > 1);
        let Some(part) = self.parts.get_mut(index) else { return };
        let rate = part.recent.add(now, view.stored());
        let eta = eta(view, rate);
        let (files, entries) = view.progress();
        let told = (view.there(), files, view.state.name());
        if part.told != Some(told) {
            part.told = Some(told);
            let elapsed = u64::try_from(view.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.report.event(
                "progress",
                json!({
                    "id": view.token, "server": view.server, "state": view.state.name(),
                    "bytes": view.there(), "total": view.goal(), "files": files,
                    "entries": entries, "file": view.current(), "bytes_per_second": rate,
                    "eta_seconds": eta.map(|eta| eta.as_secs()), "elapsed_ms": elapsed,
                }),
            );
        }
        let Some(bar) = &part.bar else { return };
        if let (Some(goal), false) = (view.goal(), part.sized) {
            bar.set_style(style(SIZED));
            bar.set_length(goal);
            part.sized = true;
        }
        if let Some(goal) = view.goal() {
            bar.set_length(goal);
        }
        bar.set_position(view.there());
        bar.set_message(words(view, rate, eta, several));
        if streams && tall_enough(view.stats.channels.len()) {
            part.streams(self.report, now, view);
        }
    }
}

impl Part {
    /// A line for each stream that is open.
    fn streams(&mut self, report: &Report, now: Instant, view: &View) {
        let open = view.stats.channels.iter().filter(|channel| channel.is_open);
        let gone = |channel: &u32| {
            !view.stats.channels.iter().any(|one| one.channel.0 == *channel && one.is_open)
        };
        self.lines.retain(|channel, (line, _)| {
            if gone(channel) {
                line.finish_and_clear();
            }
            !gone(channel)
        });
        for stats in open {
            let (line, recent) = self.lines.entry(stats.channel.0).or_insert_with(|| {
                let line = report.bars().add(ProgressBar::no_length());
                line.set_style(style(LINE));
                (line, Recent::default())
            });
            let rate = recent.add(now, stats.bytes);
            line.set_message(format!(
                "stream {:<3} {:>10} {:>12}  {} pieces",
                stats.stream,
                show_size(stats.bytes),
                show_byte_rate(rate),
                stats.pieces
            ));
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        for part in &self.parts {
            part.lines.values().for_each(|(line, _)| line.finish_and_clear());
            if let Some(bar) = &part.bar {
                bar.finish_and_clear();
            }
        }
    }
}

/// Whether the terminal has room for so many lines more.
fn tall_enough(lines: usize) -> bool {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.is_ok_and(|size| usize::from(size.ws_row) >= lines + usize::from(SPARE))
}

/// How long it will take at this rate.
fn eta(view: &View, rate: u64) -> Option<Duration> {
    let left = view.goal()?.checked_sub(view.there())?;
    (rate > 0 && view.state == State::Moving).then(|| Duration::from_secs(left.div_ceil(rate)))
}

/// For people, beside the bar.
fn words(view: &View, rate: u64, eta: Option<Duration>, several: bool) -> String {
    let server = if several { format!("{}  ", view.server) } else { String::new() };
    let what = match &view.state {
        State::Connecting => "connecting".to_owned(),
        State::Asking => "waiting for the answer".to_owned(),
        State::Checking(done, total) => {
            format!("checking what is there: {} of {}", show_size(*done), show_size(*total))
        }
        State::Paused { here: true, there: false } => "PAUSED".to_owned(),
        State::Paused { here, .. } => {
            format!("PAUSED by the server{}", if *here { " and here" } else { "" })
        }
        State::Lost(until) => {
            let left = until.saturating_duration_since(Instant::now());
            format!("connection lost, again in {:.0} s", left.as_secs_f64().ceil())
        }
        State::Over => "done".to_owned(),
        State::Moving => {
            let eta = eta.map(|eta| format!("  ETA {}", show_eta(eta))).unwrap_or_default();
            format!("{}{eta}", show_byte_rate(rate))
        }
    };
    let (done, entries) = view.progress();
    let files = if entries > 1 { format!("  {done}/{entries} files") } else { String::new() };
    let current = view.current().map(|name| format!("  {name}")).unwrap_or_default();
    format!("{server}{what}{files}{current}")
}

fn show_eta(eta: Duration) -> String {
    match eta.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => show_duration(eta),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use anabranch_core::files::{Kind, Stats};
    use anabranch_transfers::Report as Said;

    use super::super::view::Way;
    use super::*;
    use crate::report::Json;

    #[test]
    fn templates_are_sound() {
        for template in [SIZED, ENDLESS, LINE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn the_rate_is_that_of_the_newest_seconds() {
        let mut recent = Recent::default();
        let start = Instant::now();
        assert_eq!(recent.add(start, 500), 0);
        assert_eq!(recent.add(start + Duration::from_secs(1), 1500), 1000);
        let mut at = start;
        for second in 2..20 {
            at = start + Duration::from_secs(second);
            recent.add(at, 1500);
        }
        assert_eq!(recent.add(at, 1500), 0);
    }

    #[test]
    fn a_person_sees_what_happens() {
        let report = Report::new("test", Json::Off, true);
        let mut view = View::new("h:1".into(), "t".into(), Way::Send);
        assert_eq!(words(&view, 0, None, true), "h:1  connecting");
        view.begin();
        (view.total, view.entries) = (Some(100), Some(3));
        view.accept();
        view.stats = Stats { acked: 40, kept: 10, ..Stats::default() };
        let entry = |file| Said::Entry {
            file,
            name: format!("d/\x1b{file}"),
            kind: Kind::File,
            size: Some(20),
        };
        view.hear(entry(0), &report);
        view.hear(entry(1), &report);
        view.hear(Said::Skipped { file: 0, name: String::new() }, &report);
        // 20 of the 100 bytes are not wanted, 50 are there.
        assert_eq!(eta(&view, 10), Some(Duration::from_secs(3)));
        let want = "10 B/s  ETA 3 s  1/3 files  d/\u{fffd}1";
        assert_eq!(words(&view, 10, eta(&view, 10), false), want);
        view.hear(Said::Checking { file: 1, done: 5, total: 20 }, &report);
        assert!(words(&view, 0, None, false).starts_with("checking what is there: 5 B of 20 B"));
        view.paused.1 = true;
        view.settle();
        assert!(words(&view, 0, None, false).starts_with("PAUSED by the server  1/3"));
    }
}
