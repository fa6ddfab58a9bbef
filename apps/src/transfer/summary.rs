//! The end of a transfer, in numbers: as an event, and for people.

use std::collections::BTreeMap;
use std::time::Duration;

use anabranch_core::files::{ChannelStats, LimitedBy};
use serde_json::{Value, json};

use super::view::{Sums, View, Way};
use crate::report::Report;
use crate::units::{count, show_byte_rate, show_duration, show_size};

/// Streams that get a line of their own, at most.
const LINES: usize = 32;

/// So many bytes in so much time, a second.
pub(super) fn per_second(bytes: u64, time: Duration) -> u64 {
    crate::units::rate(bytes, time) / 8
}

#[expect(clippy::cast_precision_loss, reason = "for the eye only")]
fn seconds(time: Duration) -> f64 {
    (time.as_millis() as f64) / 1e3
}

/// Parts of a hundred of the time, the largest first. Pauses are none of it.
fn shares(limited: &BTreeMap<LimitedBy, Duration>) -> Vec<(LimitedBy, u32)> {
    let counted = limited.iter().filter(|(by, _)| **by != LimitedBy::Paused);
    let total: Duration = counted.clone().map(|(_, time)| *time).sum();
    if total.is_zero() {
        return Vec::new();
    }
    let percent = |time: Duration| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        let percent = (time.as_secs_f64() / total.as_secs_f64() * 100.0).round() as u32;
        percent
    };
    let mut shares: Vec<_> = counted.map(|(by, time)| (*by, percent(*time))).collect();
    shares.retain(|(_, percent)| *percent > 0);
    shares.sort_by_key(|(by, percent)| (std::cmp::Reverse(*percent), *by));
    shares
}

/// What a transfer waited for, as this side calls it.
const fn limit_name(by: LimitedBy, way: Way) -> &'static str {
    match (by, way) {
        (LimitedBy::Network, _) => "network",
        (LimitedBy::Source, Way::Send) | (LimitedBy::Sink, Way::Get) => "disk here",
        (LimitedBy::Source, Way::Get) | (LimitedBy::Sink, Way::Send) => "disk of the server",
        (LimitedBy::Peer, _) => "answers of the server",
        (LimitedBy::FlowControl, _) => "flow control",
        (LimitedBy::Limit, _) => "limit",
        (LimitedBy::Paused, _) => "paused",
    }
}

/// For people, in a line.
fn limited_words(sums: &Sums, way: Way) -> Option<String> {
    let shares = shares(&sums.limited);
    let words: Vec<String> = shares
        .iter()
        .map(|(by, percent)| format!("{} {percent} %", limit_name(*by, way)))
        .collect();
    (!words.is_empty()).then(|| format!("limited by: {}", words.join(" / ")))
}

/// A table of the streams, for people.
fn table(streams: &[(u64, ChannelStats)]) -> String {
    let several = streams.iter().any(|(connection, _)| *connection > 1);
    let name = |connection: u64, stream: u64| {
        if several { format!("{connection}:{stream}") } else { stream.to_string() }
    };
    let head = ["STREAM", "BYTES", "PIECES", "OPERATIONS", "TIME", "RATE"].map(String::from);
    let rows = streams.iter().take(LINES).map(|(connection, stats)| {
        [
            name(*connection, stats.stream),
            stats.bytes.to_string(),
            stats.pieces.to_string(),
            stats.operations.to_string(),
            show_duration(stats.open),
            show_byte_rate(per_second(stats.bytes, stats.open)),
        ]
    });
    let rows: Vec<[String; 6]> = [head].into_iter().chain(rows).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
        text.push_str(&format!("\n  {}", cells.collect::<Vec<_>>().join("  ")));
    }
    if streams.len() > LINES {
        text.push_str(&format!("\n  and {}", count(streams.len() - LINES, "stream")));
    }
    text
}

/// As an event's fields.
pub(super) fn fields(view: &View, complete: bool) -> Value {
    let sums = view.sums();
    let time = view.elapsed();
    let failed: u64 = view.failed.values().sum();
    let limited: serde_json::Map<String, Value> = LimitedBy::ALL
        .into_iter()
        .map(|by| (by.name().to_owned(), seconds(sums.limited_by(by)).into()))
        .collect();
    let streams: Vec<Value> = sums
        .streams
        .iter()
        .map(|(connection, stats)| {
            json!({
                "connection": connection, "stream": stats.stream, "bytes": stats.bytes,
                "pieces": stats.pieces, "operations": stats.operations,
                "seconds": seconds(stats.open),
                "bytes_per_second": per_second(stats.bytes, stats.open),
            })
        })
        .collect();
    json!({
        "id": view.token, "server": view.server, "complete": complete,
        "files": view.files, "folders": view.folders, "done": view.done,
        "skipped": view.skipped, "failed": failed, "ignored": view.ignored,
        "bytes": view.placed(), "kept": view.kept(), "stored": view.stored(),
        "moved": sums.moved, "again": sums.again, "seconds": seconds(time),
        "bytes_per_second": per_second(view.stored(), time),
        "connections": view.connections, "streams": streams, "limited": limited,
        "packets_sent": sums.packets_sent, "packets_received": sums.packets_received,
        "packets_lost": sums.packets_lost,
    })
}

/// For people. Nothing of what never began.
pub(super) fn words(view: &View, complete: bool) -> String {
    if !complete && view.accepted.is_none() && view.there() == 0 {
        return String::new();
    }
    let sums = view.sums();
    let time = view.elapsed();
    let rate = show_byte_rate(per_second(view.stored(), time));
    let (server, time) = (&view.server, show_duration(time));
    let mut text = if complete {
        let verb = if view.way == Way::Send { "sent to" } else { "got from" };
        let files = count(usize::try_from(view.done).unwrap_or(usize::MAX), "file");
        let bytes = view.placed();
        let size = show_size(bytes);
        format!("{verb} {server}: {files}, {size} ({bytes} bytes) in {time}, {rate}")
    } else {
        let to = if view.way == Way::Send { "sent to" } else { "got from" };
        let of = view.goal().map(|goal| format!(" of {}", show_size(goal))).unwrap_or_default();
        let there = show_size(view.there());
        format!("not complete: {there}{of} {to} {server}, in {time}, {rate}")
    };
    let mut also = Vec::new();
    if view.folders > 0 {
        let folders = usize::try_from(view.folders).unwrap_or(usize::MAX);
        also.push(count(folders, "folder"));
    }
    if view.kept() > 0 {
        also.push(format!("{} were there already", show_size(view.kept())));
    }
    if sums.again > 0 {
        also.push(format!("{} moved again", show_size(sums.again)));
    }
    let counts = [
        (view.skipped, "skipped"),
        (view.failed.values().sum(), "failed"),
        (view.ignored, "left out"),
        (view.connections.saturating_sub(1), "reconnected"),
    ];
    let counted = counts.iter().filter(|(number, _)| *number > 0);
    also.extend(counted.map(|(number, what)| format!("{number} {what}")));
    if !also.is_empty() {
        text.push_str(&format!("\n  {}", also.join(", ")));
    }
    if !sums.streams.is_empty() {
        text.push_str(&table(&sums.streams));
        text.push_str(&format!(
            "\n  packets: {} sent, {} received, {} lost",
            sums.packets_sent, sums.packets_received, sums.packets_lost
        ));
    }
    if let Some(limited) = limited_words(&sums, view.way) {
        text.push_str(&format!("\n  {limited}"));
    }
    text
}

/// Tells the end of all parts: of one as it is, of several as their sums and one by one.
pub(super) fn tell(parts: &[(&View, bool)], report: &Report) {
    if let [(view, complete)] = parts {
        return report.summary(fields(view, *complete), &words(view, *complete));
    }
    let each: Vec<Value> = parts.iter().map(|(view, complete)| fields(view, *complete)).collect();
    let sum = |name: &str| each.iter().filter_map(|fields| fields[name].as_u64()).sum::<u64>();
    let streams = each.iter().filter_map(|fields| fields["streams"].as_array()).flatten();
    let streams: Vec<&Value> = streams.collect();
    let limited: serde_json::Map<String, Value> = LimitedBy::ALL
        .into_iter()
        .map(|by| {
            let times = each.iter().filter_map(|fields| fields["limited"][by.name()].as_f64());
            (by.name().to_owned(), times.sum::<f64>().into())
        })
        .collect();
    let longest = parts.iter().map(|(view, _)| view.elapsed()).max().unwrap_or_default();
    let mut all = json!({
        "complete": parts.iter().all(|(_, complete)| *complete), "seconds": seconds(longest),
        "streams": streams, "limited": limited,
    });
    for name in [
        "files", "folders", "done", "skipped", "failed", "ignored", "bytes", "kept", "stored",
        "moved", "again",
    ] {
        all[name] = sum(name).into();
    }
    all["servers"] = each.into();
    let texts = parts.iter().map(|(view, complete)| words(view, *complete));
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    report.summary(all, &texts.join("\n"));
}

#[cfg(test)]
mod tests {
    use anabranch_core::files::{Channel, Kind, Stats};
    use anabranch_transfers::Report as Said;

    use super::*;
    use crate::report::Json;

    fn view() -> View {
        let report = Report::new("test", Json::Off, true);
        let mut view = View::new("h:1".into(), "t".into(), Way::Send);
        view.begin();
        for (file, kind, size) in [(0, Kind::Folder, 0), (1, Kind::File, 5), (2, Kind::File, 7)] {
            let name = format!("d/{file}");
            view.hear(Said::Entry { file, name, kind, size: Some(size) }, &report);
        }
        view.hear(Said::Sent { file: 0, name: "d/0".into(), size: 0 }, &report);
        view.hear(Said::Sent { file: 1, name: "d/1".into(), size: 5 }, &report);
        view.hear(Said::Skipped { file: 2, name: "d/2".into() }, &report);
        let channel = ChannelStats {
            channel: Channel(0),
            stream: 6,
            bytes: 3 << 20,
            pieces: 3,
            operations: 12,
            open: Duration::from_millis(1500),
            is_open: false,
        };
        let stats = Stats { acked: 3, kept: 2, moved: 4, again: 1, state: "x", ..Stats::default() };
        view.end(Stats { channels: vec![channel], ..stats });
        view
    }

    #[test]
    fn programs_get_the_fields_that_are_documented() {
        let fields = fields(&view(), true);
        for (name, value) in [
            ("files", 2),
            ("folders", 1),
            ("done", 1),
            ("skipped", 1),
            ("failed", 0),
            ("bytes", 5),
            ("kept", 2),
            ("stored", 3),
            ("moved", 4),
            ("again", 1),
        ] {
            assert_eq!(fields[name], value, "{name}");
        }
        assert_eq!(fields["streams"][0]["bytes"], 3 << 20);
        assert_eq!(fields["streams"][0]["bytes_per_second"], 2 << 20);
        assert_eq!(fields["limited"]["network"], 0.0);
        assert!(fields["seconds"].is_number());
    }

    #[test]
    fn people_get_a_table() {
        let text = words(&view(), true);
        assert!(text.starts_with("sent to h:1: 1 file, 5 B (5 bytes) in "), "{text}");
        assert!(text.contains("\n  1 folder, 2 B were there already, 1 B moved again, 1 skipped"));
        let table = "\n  STREAM    BYTES  PIECES  OPERATIONS   TIME       RATE\
                     \n       6  3145728       3          12  1.5 s  2.0 MiB/s";
        assert!(text.contains(table), "{text}");
    }

    #[test]
    fn what_is_not_complete_says_how_far_it_is() {
        let mut view = view();
        view.total = Some(20);
        let text = words(&view, false);
        // 7 of the 20 bytes were skipped.
        assert!(text.starts_with("not complete: 5 B of 13 B sent to h:1, in "), "{text}");
    }

    #[test]
    fn who_is_done_has_taken_as_long_as_it_took() {
        let mut view = view();
        view.close();
        let took = fields(&view, true)["seconds"].clone();
        let later = std::time::Instant::now() + Duration::from_millis(3);
        while std::time::Instant::now() < later {}
        assert_eq!(fields(&view, true)["seconds"], took);
    }

    #[test]
    fn a_pipe_has_as_many_bytes_as_went_through_it() {
        let report = Report::new("test", Json::Off, true);
        let mut view = View::new("h:1".into(), "t".into(), Way::Send);
        view.begin();
        let (name, kind) = ("stdin".to_owned(), Kind::File);
        view.hear(Said::Entry { file: 0, name: name.clone(), kind, size: None }, &report);
        view.hear(Said::Sent { file: 0, name, size: 0 }, &report);
        view.end(Stats { acked: 3, state: "x", ..Stats::default() });
        assert_eq!(fields(&view, true)["bytes"], 3);
    }

    #[test]
    fn what_was_moved_before_a_loss_is_kept_by_this_run() {
        let mut view = view();
        view.begin();
        view.end(Stats { acked: 7, kept: 5, moved: 7, state: "x", ..Stats::default() });
        assert_eq!((view.stored(), view.kept()), (10, 2));
        assert_eq!((view.sums().moved, view.connections), (11, 2));
    }

    #[test]
    fn shares_are_of_the_time_without_pauses() {
        let times = [(LimitedBy::Network, 3), (LimitedBy::Source, 1), (LimitedBy::Paused, 96)];
        let limited = times.map(|(by, time)| (by, Duration::from_secs(time))).into();
        let sums = Sums { limited, ..Sums::default() };
        let words = limited_words(&sums, Way::Send).unwrap();
        assert_eq!(words, "limited by: network 75 % / disk here 25 %");
        assert_eq!(limited_words(&Sums::default(), Way::Get), None);
    }
}
