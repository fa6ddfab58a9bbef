//! Runs an endpoint again from its trace, and compares everything it does.

mod script;
mod tape;

use std::fmt;
use std::sync::Arc;

use super::entry::{Cause, Entry, Record};
use super::error::TraceError;
use super::file::Header;
use super::{Class, Trace, tap};
use crate::conn::Conn;
use crate::endpoint::Endpoint;
use crate::id::ConnId;
use crate::limits;
use crate::session;
use crate::transport::Stack;
use tape::Tape;

/// How many entries of each class have been replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams, timeouts, commands.
    pub inputs: u64,
    /// Transmits, events, waits, answers of commands.
    pub outputs: u64,
    /// Steps of state machines, and dropped datagrams.
    pub steps: u64,
    /// Calls of the transport.
    pub calls: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.inputs + self.outputs + self.steps + self.calls
    }

    const fn add(&mut self, class: Class) {
        match class {
            Class::Input => self.inputs += 1,
            Class::Output => self.outputs += 1,
            Class::Step => self.steps += 1,
            Class::Transport => self.calls += 1,
            Class::End => {}
        }
    }
}

/// Where a replay first did something else than the trace says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What should have happened.
    pub expected: Record,
    /// On which connection, as far as that is known.
    pub conn: Option<ConnId>,
    /// What happened instead.
    pub got: String,
    /// The last entries before it that were as they should be, at most
    /// [`limits::TRACE_CONTEXT`].
    pub before: Vec<Record>,
    /// How much was as it should be.
    pub counts: Counts,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { number, offset, at, entry } = &self.expected;
        write!(f, "first divergence at entry {number} (byte {offset}, time {at:?}")?;
        if let Some(conn) = self.conn {
            write!(f, ", connection {conn}")?;
        }
        write!(f, ")\n  expected: {entry}\n  got:      {}\n", self.got)?;
        writeln!(f, "the last entries before it:")?;
        self.before.iter().try_for_each(|record| writeln!(f, "  {record}"))
    }
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is the same, to the end of the trace.
    Identical {
        /// How much that is.
        counts: Counts,
        /// The recording ended early.
        truncated: Option<Cause>,
    },
    /// Something is not.
    Diverged(Box<Divergence>),
    /// Everything is the same, but from here on the trace cannot be read.
    Unreadable {
        /// Why not.
        error: TraceError,
        /// How much was the same.
        counts: Counts,
    },
}

/// Why a trace cannot be replayed in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not have the calls of the transport.
    NoTransport,
    /// It does not have the bytes of datagrams.
    NoDatagrams,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTransport => {
                "the trace was recorded without the calls of the transport: it can be replayed \
                 only over the transport itself"
            }
            Self::NoDatagrams => {
                "the trace was recorded without the bytes of datagrams: it cannot be replayed \
                 over a transport"
            }
        })
    }
}

impl std::error::Error for Unfit {}

/// An endpoint that is given again what a trace says it was given.
pub struct Replay {
    endpoint: Endpoint,
    tape: Tape,
    scratch: Vec<u8>,
}

impl Replay {
    /// Over a script of what the transport answered: without sockets, without cryptography.
    /// Payload that was left out is zeros.
    ///
    /// # Errors
    /// [`Unfit::NoTransport`].
    pub fn scripted(
        header: &Header,
        records: impl Iterator<Item = Result<Record, TraceError>> + Send + 'static,
    ) -> Result<Self, Unfit> {
        if !header.contents.transport {
            return Err(Unfit::NoTransport);
        }
        let tape = Tape::new(Box::new(records), true);
        let trace = Trace::new(Arc::new(tape.clone()), header.contents);
        Ok(Self::new(header, script::stack(&tape), trace, tape))
    }

    /// Over a transport made as the recorded one was, from the settings and the seed in the
    /// header: for transports that have no other source of randomness. Datagrams are compared
    /// byte by byte, unless payload was left out of the trace.
    ///
    /// # Errors
    /// [`Unfit::NoDatagrams`].
    pub fn over(
        header: &Header,
        stack: Box<dyn Stack>,
        records: impl Iterator<Item = Result<Record, TraceError>> + Send + 'static,
    ) -> Result<Self, Unfit> {
        if !header.contents.datagrams {
            return Err(Unfit::NoDatagrams);
        }
        let tape = Tape::new(Box::new(records), !header.contents.payload);
        let trace = Trace::new(Arc::new(tape.clone()), header.contents);
        let stack = match header.contents.transport {
            true => tap(stack, trace.clone()),
            false => stack,
        };
        Ok(Self::new(header, stack, trace, tape))
    }

    fn new(header: &Header, stack: Box<dyn Stack>, trace: Trace, tape: Tape) -> Self {
        let endpoint = Endpoint::traced(header.config.clone(), stack, trace);
        Self { endpoint, tape, scratch: vec![0; limits::MAX_SEGMENTED] }
    }

    /// Replays to the end of the trace, or to the first divergence.
    #[must_use]
    pub fn run(mut self) -> Verdict {
        while let Some(record) = self.tape.peek() {
            match record.entry.class() {
                Class::Input => self.input(record),
                Class::Output | Class::Step | Class::Transport | Class::End => {
                    self.endpoint.poll_output(&mut self.scratch);
                }
            }
        }
        self.tape.verdict()
    }

    fn input(&mut self, record: Record) {
        let Record { at, entry, number, .. } = record;
        let endpoint = &mut self.endpoint;
        match entry {
            Entry::Datagram { path, ecn, data } => {
                endpoint.handle_datagram(at, path, ecn, &mut Vec::from(data.restore()));
            }
            Entry::Timeout => endpoint.handle_timeout(at),
            Entry::Connect(aim) => {
                let _refused = endpoint.connect(at, &aim.target());
            }
            Entry::Listen(on) => endpoint.listen(on),
            Entry::Drain { left } => endpoint.drain(at, left),
            Entry::CloseAll => endpoint.close_all(at),
            Entry::WallClock(wall) => endpoint.set_wall_clock(at, wall),
            Entry::Catalogue { entries, default } => {
                let _refused = endpoint.hub().set_catalogue(entries, default.as_deref());
            }
            Entry::Identity => {
                let _refused = endpoint.set_identity(&[], &[]);
            }
            Entry::Handle(id) => {
                if let Ok(mut conn) = endpoint.conn(at, id) {
                    commands(&self.tape, &mut conn, &mut self.scratch);
                }
            }
            Entry::Command(_) | Entry::Session { .. } => self.tape.stop("no such connection"),
            Entry::Answer { .. }
            | Entry::Transmit { .. }
            | Entry::Event(..)
            | Entry::Wait(_)
            | Entry::Step(_)
            | Entry::Dropped(_)
            | Entry::Stack(_)
            | Entry::Transport(..)
            | Entry::End { .. }
            | Entry::Truncated(_) => {}
        }
        self.tape.must_pass(number);
    }
}

/// The commands that come next are for this connection.
fn commands(tape: &Tape, conn: &mut Conn<'_>, scratch: &mut Vec<u8>) {
    while let Some(record) = tape.peek() {
        match record.entry {
            Entry::Command(command) => {
                let _refused = conn.apply(command);
            }
            Entry::Session { session, mut command, data } => {
                if let Some(payload) = command.payload() {
                    *payload = data.restore();
                }
                let session::Command::Media(command) = command;
                match conn.media(session) {
                    Ok(mut media) => {
                        let _refused = media.apply(command, room(scratch));
                    }
                    Err(_) => tape.stop("no such session"),
                }
            }
            _ => return,
        }
        tape.must_pass(record.number);
    }
}

/// A buffer for whatever is pulled.
fn room(scratch: &mut Vec<u8>) -> &mut [u8] {
    scratch.resize(limits::MAX_TRACE_DATA.max(limits::MAX_SEGMENTED), 0);
    scratch
}
