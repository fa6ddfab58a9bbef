//! `anabranch dquic recv`.

use std::collections::BTreeMap;

use anabranch_core::transport::dquic::classic::{Config, Event, Received, StreamStats};
use anabranch_driver::dquic::Runner;
use serde_json::json;

use super::files::{Files, Key};
use super::progress::Progress;
use super::stats::{self, Row, Totals};
use crate::cli::dquic::Recv;
use crate::dial::{self, Interrupts};
use crate::exit::{Exit, Failure};
use crate::plaintext;
use crate::report::Report;
use crate::units::{count, show_duration, show_size};

/// Receives until it is enough.
///
/// # Errors
/// Whatever is in the way.
pub(super) fn run(args: &Recv, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    report.warning(plaintext::WARNING);
    args.plaintext.check(args.listen)?;
    let files = Files::new(&args.out, args.force)?;
    let config = Config { quiet_after: Some(args.quiet_after), ..Config::default() };
    let mut runner = super::bind(args.listen, config)?;
    let address = runner.socket().local_addr().map_err(|error| super::network(&error))?;
    let out = args.out.display().to_string();
    let words = format!("listening on {address}; streams become files in {out}");
    report.phase("listening", json!({"address": address.to_string(), "out": out}), &words);
    let mut store =
        Store { report, files, streams: BTreeMap::new(), bytes: 0, packets: 0, bad: 0, ended: 0 };
    let outcome = receive(args, &mut runner, &mut store, interrupts);
    store.finish(&runner);
    outcome?;
    store.verdict()
}

/// One turn after another.
fn receive(
    args: &Recv,
    runner: &mut Runner,
    store: &mut Store<'_>,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let mut progress = Progress::start(store.report, None);
    loop {
        if let Ok(signal) = interrupts.try_recv() {
            // Ctrl-C is how a receiver without end is ended.
            let is_done = store.is_idle() && !args.once && args.count.is_none();
            return if is_done { Ok(()) } else { Err(dial::interrupted(signal)) };
        }
        let event = runner.step(super::next_tick()).map_err(|error| super::network(&error))?;
        if let Some(event) = event {
            store.take(&event)?;
        }
        progress.tell(store.bytes, || format!("{} open", count(store.open(), "stream")));
        let enough = match args.count {
            Some(count) => store.ended >= count,
            None => args.once && store.ended > 0 && store.is_idle(),
        };
        if enough {
            return Ok(());
        }
    }
}

/// A stream that has come.
#[derive(Clone, Copy, Debug)]
struct Stream {
    end: Option<&'static str>,
    stats: Option<StreamStats>,
}

/// The files, and the numbers of the streams that they are.
struct Store<'a> {
    report: &'a Report,
    files: Files,
    streams: BTreeMap<Key, Stream>,
    bytes: u64,
    packets: u64,
    /// Streams of which bytes are missing.
    bad: usize,
    /// Ends so far: a stream that goes on after its end has another one.
    ended: u64,
}

impl Store<'_> {
    fn open(&self) -> usize {
        self.streams.values().filter(|stream| stream.end.is_none()).count()
    }

    fn is_idle(&self) -> bool {
        self.open() == 0
    }

    fn take(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Received(packet) => self.packet(packet)?,
            Event::Quiet { peer, stream, stats } => {
                self.end((*peer, *stream), "quiet", *stats);
                self.files.close((*peer, *stream));
            }
            Event::Broken { peer, stream, stats } => {
                self.report.warning(&format!(
                    "stream {stream} of {peer} is damaged: a frame declares more than it has"
                ));
                self.end((*peer, *stream), "damaged", *stats);
                self.files.close((*peer, *stream));
            }
            Event::Forgotten { peer, streams } => {
                for (stream, stats) in streams {
                    let key = (*peer, *stream);
                    if self.streams.get(&key).is_some_and(|stream| stream.end.is_none()) {
                        self.end(key, "forgotten", *stats);
                    }
                    self.files.forget(key);
                }
            }
            Event::Wanted { .. } | Event::Sent { .. } | Event::Failed { .. } => {}
        }
        Ok(())
    }

    fn packet(&mut self, packet: &Received) -> Result<(), Failure> {
        self.packets += 1;
        for piece in packet.pieces.iter().filter(|piece| piece.in_order) {
            let key = (packet.peer, piece.stream);
            let is_new = self.files.path(key).is_none();
            self.files.write(key, &piece.data)?;
            self.bytes += piece.data.len() as u64;
            let stream = self.streams.entry(key).or_insert(Stream { end: None, stats: None });
            // A stream that was damaged stays so; one that was quiet goes on.
            if stream.end != Some("damaged") {
                stream.end = None;
            }
            if is_new {
                self.began(key);
            }
        }
        Ok(())
    }

    fn began(&self, (peer, stream): Key) {
        let file = self.file((peer, stream));
        let words = format!("stream {stream} of {peer} goes to {file}");
        let fields = json!({"peer": peer.to_string(), "stream": stream, "file": file});
        self.report.phase("receiving", fields, &words);
    }

    fn file(&self, key: Key) -> String {
        self.files.path(key).map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// A stream has ended.
    fn end(&mut self, key: Key, end: &'static str, stats: StreamStats) {
        self.ended += 1;
        self.bad += usize::from(end != "quiet");
        self.streams.insert(key, Stream { end: Some(end), stats: Some(stats) });
        let row = self.row(key, end, stats);
        row.tell(self.report);
        let (bytes, time) = (show_size(stats.bytes), show_duration(stats.elapsed()));
        let words = format!("stream {} of {}: {bytes} in {time}, {end}", row.stream, row.peer);
        self.report.hint(&words);
    }

    fn row(&self, key: Key, end: &'static str, stats: StreamStats) -> Row {
        Row { stream: key.1, peer: key.0.to_string(), file: self.file(key), end, stats }
    }

    /// The numbers at the end. Streams that are not at theirs are told as they are.
    fn finish(&mut self, runner: &Runner) {
        let mut rows = Vec::new();
        for (key, stream) in &self.streams {
            let connection = runner.endpoint().connection(&key.0);
            let now = connection.and_then(|peer| peer.received_stream(key.1));
            let Some(stats) = now.map(|inbound| inbound.stats()).or(stream.stats) else { continue };
            let row = self.row(*key, stream.end.unwrap_or("unfinished"), stats);
            if stream.end.is_none() {
                row.tell(self.report);
            }
            rows.push(row);
        }
        stats::tell(&rows, &Totals { packets: self.packets, repeated: None }, self.report);
    }

    /// Whether what came is whole.
    fn verdict(&self) -> Result<(), Failure> {
        match self.bad {
            0 => Ok(()),
            bad => {
                let what = format!("{} did not come whole", count(bad, "stream"));
                Err(Failure::new(Exit::Protocol, what))
            }
        }
    }
}
