//! Sending over a connection of the DQUIC extension.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anabranch_core::id::{Dir, StreamId};
use anabranch_core::transport::{Signal, StreamEnd, Transport, Wrote};
use anabranch_core::{Code, ConnId, Lost, Why};
use anabranch_driver::dquic::{Happened, Runner};
use bytes::Bytes;

use super::Sent;
use crate::dial::{self, Interrupts};
use crate::dquic::progress::Progress;
use crate::dquic::sources::Sources;
use crate::dquic::stats::Numbers;
use crate::exit::{Exit, Failure};
use crate::report::Report;

/// How long to wait for the first answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often something is said while a file gives nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Files under way at once.
const AT_ONCE: usize = 16;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A file that is sent.
struct Outgoing {
    file: u32,
    offset: u64,
    /// What was read and not taken.
    left: Bytes,
    /// The file has been read to its end.
    is_read: bool,
    /// Its end has been taken too.
    is_written: bool,
    is_blocked: bool,
}

/// A sending.
struct Sending<'a> {
    sources: &'a mut Sources,
    /// Files that have not begun.
    waiting: std::vec::IntoIter<u32>,
    open: BTreeMap<StreamId, Outgoing>,
    numbers: BTreeMap<u32, Numbers>,
    bytes: u64,
}

/// Sends every file, and says how far that came.
pub(super) fn transfer(
    runner: &mut Runner,
    to: SocketAddr,
    sources: &mut Sources,
    report: &Report,
    interrupts: &Interrupts,
) -> Sent {
    let total = sources.total();
    let ids: Vec<u32> = sources.iter().map(|(id, _)| id).collect();
    let mut sending = Sending {
        sources,
        waiting: ids.into_iter(),
        open: BTreeMap::new(),
        numbers: BTreeMap::new(),
        bytes: 0,
    };
    let local = runner.local_addr();
    let (plain, now) = runner.plain_with_time();
    let id = plain.map(|plain| plain.connect(now, local, to));
    let Some(Ok(id)) = id else {
        let why = id.and_then(Result::err).map(|misuse| misuse.to_string()).unwrap_or_default();
        return Sent::failed(Failure::new(Exit::Usage, format!("cannot send to {to}: {why}")));
    };
    let mut progress = Progress::start(report, total);
    let outcome = sending.run(runner, id, to, interrupts, &mut progress);
    let stats = conn(runner, id).map(|conn| conn.stats()).unwrap_or_default();
    let (code, words) = match &outcome {
        Ok(()) => (Code::None, ""),
        Err(_) => (Code::Cancelled, "given up"),
    };
    if let (Some(plain), now) = runner.plain_with_time() {
        plain.close(now, code, words);
        // Whether the last words arrive is not up to us: everything before has.
        while let Ok(Some(_)) = runner.step(Some(Instant::now())) {}
    }
    Sent {
        streams: sending.numbers,
        packets: stats.packets_sent,
        repeated: Some(stats.packets_lost),
        failure: outcome.err(),
    }
}

fn conn(runner: &mut Runner, id: ConnId) -> Option<&mut dyn Transport> {
    runner.plain_with_time().0?.conn(id)
}

impl Sending<'_> {
    fn run(
        &mut self,
        runner: &mut Runner,
        id: ConnId,
        to: SocketAddr,
        interrupts: &Interrupts,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let connected_by = Instant::now() + CONNECT_TIMEOUT;
        let (mut is_up, mut pinged) = (false, Instant::now());
        loop {
            if let Ok(signal) = interrupts.try_recv() {
                return Err(dial::interrupted(signal));
            }
            let event = runner.step(crate::dquic::next_tick());
            match event.map_err(|error| crate::dquic::network(&error))? {
                Some(Happened::Plain(_, Signal::Up(_))) => is_up = true,
                Some(Happened::Plain(_, Signal::Down(why))) => return Err(lost(&why, to)),
                Some(Happened::Plain(_, Signal::Writable(stream))) => self.unblock(stream),
                Some(Happened::Plain(..) | Happened::Classic(_)) | None => {}
            }
            if !is_up {
                if Instant::now() >= connected_by {
                    return Err(lost(&Why::Lost(Lost::HandshakeTimeout), to));
                }
                continue;
            }
            if self.pump(runner, id, to)? {
                return Ok(());
            }
            if pinged.elapsed() >= KEEP_ALIVE {
                pinged = Instant::now();
                conn(runner, id).into_iter().for_each(|conn| conn.ping());
            }
            progress.tell(self.bytes, || format!("to {to}"));
        }
    }

    fn unblock(&mut self, stream: StreamId) {
        if let Some(outgoing) = self.open.get_mut(&stream) {
            outgoing.is_blocked = false;
        }
    }

    /// Writes what can be written. True: everything has been acknowledged.
    fn pump(&mut self, runner: &mut Runner, id: ConnId, to: SocketAddr) -> Result<bool, Failure> {
        let (Some(plain), now) = runner.plain_with_time() else { return Ok(false) };
        let Some(conn) = plain.conn(id) else { return Ok(false) };
        while self.open.len() < AT_ONCE && !self.waiting.as_slice().is_empty() {
            let Some(stream) = conn.open(Dir::Uni) else { break };
            let Some(file) = self.waiting.next() else { break };
            let outgoing = Outgoing {
                file,
                offset: 0,
                left: Bytes::new(),
                is_read: false,
                is_written: false,
                is_blocked: false,
            };
            self.open.insert(stream, outgoing);
            self.numbers.insert(file, Numbers::starting(now));
        }
        for (stream, outgoing) in &mut self.open {
            while !outgoing.is_blocked && !outgoing.is_written {
                let taken = outgoing.write(*stream, conn, self.sources, to)?;
                self.bytes += taken as u64;
                if let Some(numbers) = self.numbers.get_mut(&outgoing.file) {
                    numbers.add(now, taken);
                }
            }
        }
        let numbers = &mut self.numbers;
        self.open.retain(|stream, outgoing| {
            let is_over = outgoing.is_written && conn.is_over(*stream);
            if let Some(numbers) = numbers.get_mut(&outgoing.file).filter(|_| is_over) {
                numbers.last = now;
            }
            !is_over
        });
        Ok(self.open.is_empty() && self.waiting.as_slice().is_empty())
    }
}

impl Outgoing {
    /// Writes some of the file, and says how much was taken.
    fn write(
        &mut self,
        stream: StreamId,
        conn: &mut dyn Transport,
        sources: &mut Sources,
        to: SocketAddr,
    ) -> Result<usize, Failure> {
        if self.left.is_empty() && !self.is_read {
            let piece = sources.read(self.file, self.offset, PIECE)?;
            self.offset += piece.len() as u64;
            self.is_read = piece.len() < PIECE;
            self.left = piece.into();
        }
        let before = self.left.len();
        match conn.write(stream, &mut self.left, self.is_read) {
            Ok(Wrote::All) => self.is_written = self.is_read,
            Ok(Wrote::Blocked) => self.is_blocked = true,
            Err(StreamEnd::ByPeer(code)) => {
                let what = format!("{to} does not want stream {}: {code}", self.file);
                return Err(Failure::new(Exit::Refused, what));
            }
            Err(StreamEnd::Gone) => {
                let what = format!("stream {} has ended early", self.file);
                return Err(Failure::new(Exit::Internal, what));
            }
        }
        Ok(before - self.left.len())
    }
}

/// The connection has ended before everything was acknowledged.
fn lost(why: &Why, to: SocketAddr) -> Failure {
    match why {
        Why::Lost(Lost::HandshakeTimeout) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            let what = format!("nobody answers at {to} within {seconds} s");
            Failure::new(Exit::Unavailable, what)
                .hint("is a receiver running there? A classic one is sent to without --extended")
        }
        Why::Peer(Code::None, _) => Failure::new(Exit::Unavailable, format!("{to} has had enough"))
            .hint("it was told to stop, by --count or by a signal"),
        why => dial::lost(why, &to.to_string()),
    }
}
