//! The numbers of streams, as events and as a table for people.

use std::time::Duration;

use anabranch_core::Instant;
use anabranch_core::transport::dquic::classic::StreamStats;
use serde_json::{Value, json};

use crate::report::Report;
use crate::units::{count, show_duration, show_size};

/// What one stream has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Packets with something of it. Connections of the extension do not count them by stream.
    pub(super) packets: Option<u64>,
    /// Frames, likewise.
    pub(super) frames: Option<u64>,
    /// Frames that were not the next ones, likewise.
    pub(super) misplaced: Option<u64>,
    /// Bytes.
    pub(super) bytes: u64,
    /// When it began.
    pub(super) first: Instant,
    /// When something happened last.
    pub(super) last: Instant,
}

impl Numbers {
    /// A stream that begins, of a connection of the extension.
    pub(super) const fn starting(now: Instant) -> Self {
        Self { packets: None, frames: None, misplaced: None, bytes: 0, first: now, last: now }
    }

    /// So many more bytes.
    pub(super) fn add(&mut self, now: Instant, bytes: usize) {
        self.bytes += bytes as u64;
        self.last = now;
    }

    pub(super) const fn elapsed(&self) -> Duration {
        self.last.since(self.first)
    }
}

impl From<StreamStats> for Numbers {
    fn from(stats: StreamStats) -> Self {
        let StreamStats { packets, frames, misplaced, bytes, first, last } = stats;
        let [packets, frames, misplaced] = [packets, frames, misplaced].map(Some);
        Self { packets, frames, misplaced, bytes, first, last }
    }
}

/// The numbers of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) stream: u32,
    pub(super) peer: String,
    pub(super) file: String,
    /// How it ended.
    pub(super) end: &'static str,
    pub(super) stats: Numbers,
}

/// The numbers of all streams together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Packets, whatever is in them.
    pub(super) packets: u64,
    /// Of a sender: datagrams that repeated one.
    pub(super) repeated: Option<u64>,
}

/// So many in so much time, a second. Nothing for no time.
#[expect(clippy::cast_precision_loss, reason = "for the eye only")]
fn per_second(number: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { number as f64 / time.as_secs_f64() }
}

fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let whole = number.round() as u64;
    whole
}

/// Rounded for people and programs alike.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// From the first frame of any stream to the last.
fn span(rows: &[Row]) -> Duration {
    let first = rows.iter().map(|row| row.stats.first).min().unwrap_or(Instant::ZERO);
    let last = rows.iter().map(|row| row.stats.last).max().unwrap_or(first);
    last.since(first)
}

fn bytes(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.stats.bytes).sum()
}

/// The sum of what is counted, if any of it is.
fn sum(rows: &[Row], of: fn(&Numbers) -> Option<u64>) -> Option<u64> {
    let counted = rows.iter().filter_map(|row| of(&row.stats));
    counted.fold(None, |sum, number| Some(sum.unwrap_or(0) + number))
}

impl Row {
    /// Tells programs how the stream ended.
    pub(super) fn tell(&self, report: &Report) {
        let Self { stream, peer, file, end, stats } = self;
        let time = stats.elapsed();
        report.event(
            "stream",
            json!({
                "stream": stream, "peer": peer, "file": file, "end": end,
                "packets": stats.packets, "frames": stats.frames, "misplaced": stats.misplaced,
                "bytes": stats.bytes, "elapsed_ms": millis(time),
                "bytes_per_second": whole(per_second(stats.bytes, time)),
                "packets_per_second":
                    stats.packets.map(|packets| rounded(per_second(packets, time))),
            }),
        );
    }
}

/// Tells the end: the sums as an event, and a table for people.
pub(super) fn tell(rows: &[Row], totals: &Totals, report: &Report) {
    let (bytes, time) = (bytes(rows), span(rows));
    let fields: Value = json!({
        "streams": rows.len(), "packets": totals.packets, "repeated": totals.repeated,
        "frames": sum(rows, |stats| stats.frames),
        "misplaced": sum(rows, |stats| stats.misplaced),
        "bytes": bytes, "elapsed_ms": millis(time),
        "bytes_per_second": whole(per_second(bytes, time)),
        "packets_per_second": rounded(per_second(totals.packets, time)),
    });
    report.summary(fields, table(rows, totals).trim_end());
}

const HEAD: [&str; 8] =
    ["STREAM", "PACKETS", "FRAMES", "BYTES", "TIME", "DATA RATE", "PACKET RATE", "FILE"];

/// One line for each stream, then the sums, then the averages over the streams.
fn table(rows: &[Row], totals: &Totals) -> String {
    let mut text = count(rows.len(), "stream");
    if let Some(repeated) = totals.repeated.filter(|repeated| *repeated > 0) {
        text.push_str(&format!(", {} sent again", count_of(repeated, "packet")));
    }
    text.push('\n');
    if rows.is_empty() {
        return text;
    }
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        let Numbers { packets, frames, bytes, .. } = row.stats;
        let file = match row.end {
            "acknowledged" | "quiet" | "finished" => row.file.clone(),
            end => format!("{} ({end})", row.file),
        };
        line(row.stream.to_string(), [packets, frames], bytes, row.stats.elapsed(), file)
    }));
    let sums = [Some(totals.packets), sum(rows, |stats| stats.frames)];
    lines.push(line("all".to_owned(), sums, bytes(rows), span(rows), String::new()));
    lines.push(average(rows));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column + 1 == HEAD.len() { cell.clone() } else { format!("{cell:>width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    text
}

fn count_of(number: u64, what: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), what)
}

/// A number, if there is one.
fn cell<T: ToString>(number: Option<T>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// The cells of a stream, or of all together.
fn line(
    name: String,
    counts: [Option<u64>; 2],
    bytes: u64,
    time: Duration,
    file: String,
) -> [String; 8] {
    let [packets, frames] = counts;
    let data = per_second(bytes, time);
    let rate = packets.map(|packets| format!("{:.1}/s", per_second(packets, time)));
    [
        name,
        cell(packets),
        cell(frames),
        bytes.to_string(),
        show_duration(time),
        format!("{}/s", show_size(whole(data))),
        cell(rate),
        file,
    ]
}

/// The mean over the streams of which there is such a number.
fn mean(rows: &[Row], of: impl Fn(&Numbers) -> Option<f64>) -> Option<f64> {
    let numbers: Vec<f64> = rows.iter().filter_map(|row| of(&row.stats)).collect();
    #[expect(clippy::cast_precision_loss, reason = "for the eye only")]
    let count = numbers.len() as f64;
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / count)
}

/// The mean of each column.
fn average(rows: &[Row]) -> [String; 8] {
    #[expect(clippy::cast_precision_loss, reason = "for the eye only")]
    let number = |of: fn(&Numbers) -> Option<u64>| {
        cell(mean(rows, |numbers| of(numbers).map(|n| n as f64)).map(|mean| format!("{mean:.1}")))
    };
    let rate = |of: fn(&Numbers) -> Option<u64>| {
        mean(rows, |numbers| of(numbers).map(|n| per_second(n, numbers.elapsed())))
    };
    let seconds = mean(rows, |numbers| Some(numbers.elapsed().as_secs_f64())).unwrap_or(0.0);
    let data = rate(|numbers| Some(numbers.bytes)).unwrap_or(0.0);
    [
        "average".to_owned(),
        number(|numbers| numbers.packets),
        number(|numbers| numbers.frames),
        number(|numbers| Some(numbers.bytes)),
        show_duration(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        format!("{}/s", show_size(whole(data))),
        cell(rate(|numbers| numbers.packets).map(|rate| format!("{rate:.1}/s"))),
        String::new(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stream: u32, bytes: u64, seconds: u64, end: &'static str) -> Row {
        let at = |seconds: u64| Instant::ZERO + Duration::from_secs(seconds);
        let [packets, frames, misplaced] = [bytes / 1_000, bytes / 1_000, 0].map(Some);
        let (first, last) = (at(10), at(10 + seconds));
        let stats = Numbers { packets, frames, misplaced, bytes, first, last };
        Row { stream, peer: "127.0.0.1:9".into(), file: format!("f{stream}"), end, stats }
    }

    #[test]
    fn the_table_has_sums_and_averages() {
        let rows = [row(1, 4_000, 2, "acknowledged"), row(12, 2_000, 1, "unfinished")];
        let totals = Totals { packets: 5, repeated: Some(1) };
        let want = "\
2 streams, 1 packet sent again
   STREAM  PACKETS  FRAMES   BYTES   TIME  DATA RATE  PACKET RATE  FILE
        1        4       4    4000  2.0 s  2.0 KiB/s        2.0/s  f1
       12        2       2    2000  1.0 s  2.0 KiB/s        2.0/s  f12 (unfinished)
      all        5       6    6000  2.0 s  2.9 KiB/s        2.5/s
  average      3.0     3.0  3000.0  1.5 s  2.0 KiB/s        2.0/s
";
        assert_eq!(table(&rows, &totals), want);
        assert_eq!(table(&[], &Totals::default()), "0 streams\n");
    }

    #[test]
    fn what_is_not_counted_is_a_dash() {
        let mut one = row(1, 4_000, 2, "finished");
        one.stats = Numbers { packets: None, frames: None, misplaced: None, ..one.stats };
        let totals = Totals { packets: 5, repeated: None };
        let want = "\
1 stream
   STREAM  PACKETS  FRAMES   BYTES   TIME  DATA RATE  PACKET RATE  FILE
        1        -       -    4000  2.0 s  2.0 KiB/s            -  f1
      all        5       -    4000  2.0 s  2.0 KiB/s        2.5/s
  average        -       -  4000.0  2.0 s  2.0 KiB/s            -
";
        assert_eq!(table(&[one], &totals), want);
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert_eq!(whole(per_second(5, Duration::ZERO)), 0);
        assert_eq!(rounded(per_second(1, Duration::from_secs(3))), 0.333);
    }
}
