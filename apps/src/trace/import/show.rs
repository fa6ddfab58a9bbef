//! How the comparison is printed.

use std::fmt::Write as _;
use std::io;

use anabranch_core::transport::dquic::classic::Layout;
use serde_json::{Map, Value, json};

use super::Replayed;
use super::replay::Verdict;
use super::shape;
use crate::exit::Failure;
use crate::report::Report;
use crate::units::{show_duration, show_size};

/// One packet, and its acknowledgements.
pub(super) struct Line<'a> {
    pub(super) conversation: usize,
    pub(super) layout: Layout,
    pub(super) number: u32,
    /// In nanoseconds since the Unix epoch.
    pub(super) time: u64,
    /// In nanoseconds since the first datagram.
    pub(super) since: u64,
    pub(super) ours: Option<&'a [u8]>,
    pub(super) theirs: Option<&'a [u8]>,
    pub(super) verdict: Verdict,
}

/// Prints.
pub(super) struct Show<'a> {
    report: &'a Report,
    hex: bool,
    columns: bool,
    titled: bool,
    out: &'a mut dyn io::Write,
}

impl<'a> Show<'a> {
    /// In columns for people, with tabs for programs.
    pub(super) fn new(
        report: &'a Report,
        hex: bool,
        columns: bool,
        out: &'a mut dyn io::Write,
    ) -> Self {
        Self { report, hex, columns, titled: false, out }
    }

    /// One acknowledgement of ours beside theirs.
    pub(super) fn line(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        if self.report.is_json() {
            let ack = |bytes: Option<&[u8]>| bytes.map(|bytes| ack_json(bytes, line.layout));
            self.report.event(
                "ack",
                json!({"conversation": line.conversation, "number": line.number,
                    "time": timestamp(line.time), "at_us": line.since / 1_000,
                    "ours": ack(line.ours), "theirs": ack(line.theirs),
                    "verdict": line.verdict.name()}),
            );
            return Ok(());
        }
        if self.columns && !self.titled {
            self.titled = true;
            self.text(&columns(["CONV", "NUMBER", "SECONDS", "OURS", "THEIRS", "VERDICT"]))?;
        }
        let seconds =
            format!("{}.{:06}", line.since / 1_000_000_000, line.since / 1_000 % 1_000_000);
        let (ours, theirs) = (self.ack(line.ours, line.layout), self.ack(line.theirs, line.layout));
        let (conversation, number) = (line.conversation.to_string(), line.number.to_string());
        let row = [&conversation, &number, &seconds, &ours, &theirs, line.verdict.name()];
        let row = if self.columns { columns(row) } else { format!("{}\n", row.join("\t")) };
        self.text(&row)
    }

    /// What became of a conversation.
    pub(super) fn summary(&mut self, number: usize, one: &Replayed) -> Result<(), Failure> {
        let (bytes, streams) = one.replay.received();
        let (first, last) = one.time.unwrap_or_default();
        let took = std::time::Duration::from_nanos(last.saturating_sub(first));
        let (from, to) = one.way;
        let frame = one.conversation.layout.frame_len();
        if self.report.is_json() {
            let field = |verdict: &Verdict| {
                let name = verdict.name().to_ascii_lowercase().replace('-', "_");
                (name, one.of(*verdict).into())
            };
            let verdicts: Map<String, Value> = Verdict::ALL.iter().map(field).collect();
            self.report.event(
                "conversation",
                json!({"conversation": number, "from": from.to_string(), "to": to.to_string(),
                    "frame_bytes": frame, "packets": one.packets, "repeated": one.repeated,
                    "streams": streams, "bytes": bytes, "elapsed_us": took.as_micros(),
                    "verdicts": verdicts}),
            );
            return Ok(());
        }
        let mut text = format!(
            "conversation {number}: {from} > {to}, frames of {frame} bytes: {} packets \
             ({} repeated), {streams} streams, {} in {}\n ",
            one.packets,
            one.repeated,
            show_size(bytes),
            show_duration(took),
        );
        for verdict in Verdict::ALL {
            let count = one.of(verdict);
            if count > 0 || matches!(verdict, Verdict::Same | Verdict::Different) {
                // Writing to a string cannot fail.
                let _ = write!(text, " {} {count}", verdict.name());
            }
        }
        text.push('\n');
        self.text(&text)
    }

    fn ack(&self, bytes: Option<&[u8]>, layout: Layout) -> String {
        let Some(bytes) = bytes else { return "-".to_owned() };
        if self.hex {
            return hex(bytes);
        }
        // What is not in order can be shown as bytes only.
        if shape::fits(bytes, bytes.len(), layout).is_none() {
            return format!("0x{}", hex(bytes));
        }
        let (frames, _) = shape::frames(bytes, layout);
        let frames: Vec<_> =
            frames.iter().map(|frame| format!("{}:{}", frame.stream_id, frame.offset)).collect();
        if frames.is_empty() { "(no frames)".to_owned() } else { frames.join(" ") }
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|error| Failure::writing("standard output", &error))
    }

    /// Everything is on its way.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::writing("standard output", &error))
    }
}

/// For people. Acknowledgements have up to ten streams, so wide columns are not filled up.
fn columns([conversation, number, seconds, ours, theirs, verdict]: [&str; 6]) -> String {
    format!("{conversation:>4}  {number:>6}  {seconds:>12}  {ours:<22}  {theirs:<22}  {verdict}\n")
}

fn ack_json(bytes: &[u8], layout: Layout) -> Value {
    let (frames, _) = shape::frames(bytes, layout);
    let frames: Vec<_> = frames
        .iter()
        .map(|frame| json!({"stream": frame.stream_id, "offset": frame.offset}))
        .collect();
    json!({"hex": hex(bytes), "frames": frames})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn timestamp(nanos: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanos));
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()).unwrap_or_default()
}
