//! What has been received: files, and the numbers of the streams that they are.

use std::collections::BTreeMap;

use anabranch_core::Instant;
use anabranch_core::transport::dquic::classic::{Endpoint, Received};
use serde_json::json;

use crate::dquic::files::{Files, Key};
use crate::dquic::stats::{self, Numbers, Row, Totals};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::units::{count, show_duration, show_size};

/// A stream that has come.
#[derive(Clone, Copy, Debug)]
struct Stream {
    end: Option<&'static str>,
    numbers: Numbers,
}

/// The files, and the streams.
pub(super) struct Store<'a> {
    report: &'a Report,
    files: Files,
    streams: BTreeMap<Key, Stream>,
    bytes: u64,
    packets: u64,
    /// Streams of which bytes are missing.
    bad: usize,
    /// Ends so far: a classic stream that goes on after its end has another one.
    ended: u64,
}

impl<'a> Store<'a> {
    pub(super) const fn new(report: &'a Report, files: Files) -> Self {
        let streams = BTreeMap::new();
        Self { report, files, streams, bytes: 0, packets: 0, bad: 0, ended: 0 }
    }

    /// Streams that are not at their end.
    pub(super) fn open(&self) -> usize {
        self.streams.values().filter(|stream| stream.end.is_none()).count()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn ended(&self) -> u64 {
        self.ended
    }

    pub(super) fn warn(&self, text: &str) {
        self.report.warning(text);
    }

    /// So many more packets have come.
    pub(super) const fn count_packets(&mut self, packets: u64) {
        self.packets += packets;
    }

    /// A packet of a classic sender.
    pub(super) fn packet(&mut self, packet: &Received) -> Result<(), Failure> {
        self.packets += 1;
        for piece in packet.pieces.iter().filter(|piece| piece.in_order) {
            // Its numbers come with its end.
            let key = Key::classic(packet.peer, piece.stream);
            self.write(key, &piece.data, Instant::ZERO)?;
        }
        Ok(())
    }

    /// What comes next of a stream, which may be its beginning.
    pub(super) fn write(&mut self, key: Key, data: &[u8], now: Instant) -> Result<(), Failure> {
        let is_new = self.files.path(key).is_none();
        self.files.write(key, data)?;
        self.bytes += data.len() as u64;
        let new = Stream { end: None, numbers: Numbers::starting(now) };
        let stream = self.streams.entry(key).or_insert(new);
        // A stream that was damaged stays so; one that was quiet goes on.
        if stream.end != Some("damaged") {
            stream.end = None;
        }
        stream.numbers.add(now, data.len());
        if is_new {
            self.began(key);
        }
        Ok(())
    }

    fn began(&self, key: Key) {
        let (file, Key { peer, stream, .. }) = (self.file(key), key);
        let words = format!("stream {stream} of {peer} goes to {file}");
        let fields = json!({"peer": peer.to_string(), "stream": stream, "file": file});
        self.report.phase("receiving", fields, &words);
    }

    fn file(&self, key: Key) -> String {
        self.files.path(key).map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// The numbers of a stream so far.
    pub(super) fn numbers(&self, key: Key) -> Option<Numbers> {
        self.streams.get(&key).map(|stream| stream.numbers)
    }

    /// Streams of a connection that are not at their end.
    pub(super) fn open_of(&self, is_of: impl Fn(&Key) -> bool) -> Vec<Key> {
        let open = self.streams.iter().filter(|(key, stream)| is_of(key) && stream.end.is_none());
        open.map(|(key, _)| *key).collect()
    }

    /// A stream has ended.
    pub(super) fn end(&mut self, key: Key, end: &'static str, numbers: Numbers) {
        self.ended += 1;
        self.bad += usize::from(!matches!(end, "quiet" | "finished"));
        self.streams.insert(key, Stream { end: Some(end), numbers });
        let row = self.row(key, end, numbers);
        row.tell(self.report);
        let (bytes, time) = (show_size(numbers.bytes), show_duration(numbers.elapsed()));
        let words = format!("stream {} of {}: {bytes} in {time}, {end}", row.stream, row.peer);
        self.report.hint(&words);
        self.files.close(key);
    }

    /// The count of a stream is gone: if it comes again, it is another one.
    pub(super) fn forget(&mut self, key: Key, numbers: Numbers) {
        if self.streams.get(&key).is_some_and(|stream| stream.end.is_none()) {
            self.end(key, "forgotten", numbers);
        }
        self.files.forget(key);
    }

    fn row(&self, key: Key, end: &'static str, stats: Numbers) -> Row {
        Row { stream: key.stream, peer: key.peer.to_string(), file: self.file(key), end, stats }
    }

    /// The numbers at the end. Streams that are not at theirs are told as they are.
    pub(super) fn finish(&self, classic: &Endpoint) {
        let mut rows = Vec::new();
        for (key, stream) in &self.streams {
            let connection = classic.connection(&key.peer).filter(|_| key.connection == 0);
            let inbound = connection.and_then(|peer| peer.received_stream(key.stream));
            let numbers = inbound.map_or(stream.numbers, |inbound| inbound.stats().into());
            let row = self.row(*key, stream.end.unwrap_or("unfinished"), numbers);
            if stream.end.is_none() {
                row.tell(self.report);
            }
            rows.push(row);
        }
        stats::tell(&rows, &Totals { packets: self.packets, repeated: None }, self.report);
    }

    /// Whether what came is whole.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.bad {
            0 => Ok(()),
            bad => {
                let what = format!("{} did not come whole", count(bad, "stream"));
                Err(Failure::new(Exit::Protocol, what))
            }
        }
    }
}
