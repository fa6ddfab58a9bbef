//! Where an application's loop hands transfers over to workers, and hears from them.

use std::collections::BTreeMap;
use std::io;

use anabranch_core::files::{Channel, Event, Pulled};
use anabranch_core::{Code, Endpoint, Instant, Misuse};

use crate::{Buffers, Crew, Done, Key, Out, Report, Task, Worker};

/// A piece on its way in.
#[derive(Debug)]
struct Filling {
    bytes: Vec<u8>,
    len: usize,
    start: u64,
}

/// A transfer.
#[derive(Debug, Default)]
struct Session {
    filling: BTreeMap<Channel, Filling>,
}

/// What an application's loop has of the crate: it knows which transfers have workers, pulls
/// pieces for them, and gives their commands to the core.
#[derive(Debug)]
pub struct Desk {
    crew: Crew,
    buffers: Buffers,
    sessions: BTreeMap<Key, Session>,
}

impl Desk {
    /// With no transfers. `deliver` hands [`Done`] to the loop, which calls [`Desk::on_done`]; it
    /// runs on threads of the workers, and may block.
    pub fn new(deliver: impl Fn(Done) + Send + Sync + 'static) -> Self {
        Self { crew: Crew::new(deliver), buffers: Buffers::default(), sessions: BTreeMap::new() }
    }

    /// The stock of buffers, for a [`Giver`](crate::Giver).
    #[must_use]
    pub fn buffers(&self) -> Buffers {
        self.buffers.clone()
    }

    /// A worker does what this transfer needs, from now on to its end.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn begin(&mut self, key: Key, worker: Box<dyn Worker>) -> io::Result<()> {
        self.crew.hire(key, worker)?;
        self.sessions.insert(key, Session::default());
        Ok(())
    }

    /// Transfers that have a worker.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// No transfer has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether this transfer has a worker.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.sessions.contains_key(&key)
    }

    /// The core has told this of a transfer that has a worker: bytes are pulled, anything else is
    /// handed on. After [`Event::Ended`] the transfer has none any more.
    pub fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key, event: Event) {
        if !self.has(key) {
            return;
        }
        if let Event::Readable { channel } = event {
            if let Err(misuse) = self.pull(endpoint, now, key, channel) {
                log::debug!("{} {}: {misuse}", key.0, key.1);
            }
            return;
        }
        let over = matches!(event, Event::Ended(_));
        self.crew.give(key, Task::Event(event));
        if over {
            self.end(key);
        }
    }

    /// A transfer's connection is gone, say: its worker finishes what it was given, and goes.
    pub fn end(&mut self, key: Key) {
        self.crew.dismiss(key);
        if let Some(session) = self.sessions.remove(&key) {
            for (_, filling) in session.filling {
                self.buffers.give_back(filling.bytes);
            }
        }
    }

    /// A worker has done something: its commands take effect. What is for people comes back.
    pub fn on_done(&mut self, endpoint: &mut Endpoint, now: Instant, done: Done) -> Vec<Report> {
        let mut reports = Vec::new();
        for out in done.out {
            match out {
                Out::Buffer(buffer) => self.buffers.give_back(buffer),
                Out::Report(report) => reports.push(report),
                Out::Command(command) => {
                    let (conn, session) = done.key;
                    let given = endpoint
                        .conn(now, conn)
                        .and_then(|mut conn| conn.files(session)?.apply(command, &mut []));
                    // The transfer, or one file of it, may have ended while the disk was at work.
                    if let Err(misuse) = given {
                        log::debug!("{conn} {session}: {misuse}");
                    }
                }
            }
        }
        reports
    }

    fn pull(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        channel: Channel,
    ) -> Result<(), Misuse> {
        let Some(session) = self.sessions.get_mut(&key) else { return Ok(()) };
        let mut conn = endpoint.conn(now, key.0)?;
        let mut files = conn.files(key.1)?;
        loop {
            let filling = session.filling.entry(channel).or_insert_with(|| Filling {
                bytes: Vec::new(),
                len: 0,
                start: 0,
            });
            if filling.bytes.len() == filling.len {
                grow(&self.buffers, filling);
            }
            let pulled = files.pull(channel, &mut filling.bytes[filling.len..])?;
            let Pulled::Bytes { file, piece, offset, len, last } = pulled else { return Ok(()) };
            if filling.len == 0 {
                filling.start = offset;
            }
            filling.len += len;
            if last {
                let mut filling = session.filling.remove(&channel).expect("it was just filled");
                filling.bytes.truncate(filling.len);
                let task = Task::Piece { file, piece, offset: filling.start, bytes: filling.bytes };
                if !self.crew.give(key, task) {
                    files.cancel(Code::Internal, "a thread of the receiver has ended")?;
                    return Ok(());
                }
            }
        }
    }
}

/// The first room for a piece.
const FIRST: usize = 16 << 10;

/// Makes room for more of a piece: a little at first, for there may be many small files.
fn grow(buffers: &Buffers, filling: &mut Filling) {
    let room = if filling.len == 0 { FIRST } else { filling.len.saturating_mul(8).max(1 << 20) };
    let mut larger = buffers.take(room.max(filling.len + FIRST));
    larger[..filling.len].copy_from_slice(&filling.bytes);
    buffers.give_back(std::mem::replace(&mut filling.bytes, larger));
}
