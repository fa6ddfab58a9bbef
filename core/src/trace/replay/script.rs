//! A stack and transports that answer what a trace says, and check that they are asked the same.

use std::cell::Cell;
use std::net::SocketAddr;

use bytes::Bytes;

use super::tape::{Found, Tape};
use crate::code::Code;
use crate::error::Misuse;
use crate::id::{ConnId, Dir, StreamId};
use crate::io::{Path, Transmit};
use crate::time::Instant;
use crate::trace::call::{Call, StackCall};
use crate::trace::data::Data;
use crate::trace::entry::{Aim, Entry};
use crate::transport::{
    Dropped, Offer, Read, Route, Signal, Stack, Stats, StreamEnd, Target, Transport, Wrote,
};

/// What stands for every refusal; its words are in the trace.
const REFUSED: Misuse = Misuse::Config("refused, as recorded");

/// A stack that plays the tape.
pub(super) fn stack(tape: &Tape) -> Box<dyn Stack> {
    Box::new(StackScript { tape: tape.clone() })
}

struct StackScript {
    tape: Tape,
}

impl StackScript {
    fn ask<T>(
        &self,
        now: Option<Instant>,
        what: impl FnOnce() -> String,
        found: impl FnOnce(&StackCall) -> Option<(StackCall, T)>,
        fallback: T,
    ) -> T {
        let found = |entry: &Entry| match entry {
            Entry::Stack(call) => found(call).map(|(got, answer)| (Entry::Stack(got), answer)),
            _ => None,
        };
        self.tape.ask(now, what, found, fallback)
    }

    fn transport(&self, conn: ConnId) -> Box<dyn Transport> {
        let tape = self.tape.clone();
        Box::new(Script { tape, conn, deadline: Cell::new(None), early: Cell::new(false) })
    }

    /// The recorded answer, with a refusal to be passed on.
    fn pass_on(&self, result: Result<(), String>) -> Result<(), Misuse> {
        pass_on(&self.tape, result)
    }
}

fn pass_on(tape: &Tape, result: Result<(), String>) -> Result<(), Misuse> {
    result.map_err(|words| {
        tape.refuse(&words);
        REFUSED
    })
}

/// Whether the datagram is the one that came last.
fn is_last(tape: &Tape, path: Path, bytes: &[u8]) -> bool {
    tape.datagram() == Some((path, bytes.len()))
}

impl Stack for StackScript {
    fn classify(&mut self, now: Instant, path: Path, bytes: &[u8], out: &mut Vec<u8>) -> Route {
        let last = is_last(&self.tape, path, bytes);
        let what = || format!("classify of a datagram of {} bytes on {path:?}", bytes.len());
        let found = |call: &StackCall| match call {
            StackCall::Classify { route, out } if last => {
                Some((call.clone(), (*route, out.clone())))
            }
            _ => None,
        };
        let fallback = (Route::Drop(Dropped::Malformed), Data::default());
        let (route, data) = self.ask(Some(now), what, found, fallback);
        out.extend_from_slice(&data.restore());
        route
    }

    fn challenge(&mut self, now: Instant, path: Path, offer: &Offer, out: &mut Vec<u8>) -> Route {
        let what = || format!("challenge of {} for {offer:?}", path.remote);
        let found = |call: &StackCall| match call {
            StackCall::Challenge { route, out, .. } => {
                let (route, out) = (*route, out.clone());
                let got = StackCall::Challenge { offer: *offer, route, out: out.clone() };
                Some((got, (route, out)))
            }
            _ => None,
        };
        let fallback = (Route::Drop(Dropped::Malformed), Data::default());
        let (route, data) = self.ask(Some(now), what, found, fallback);
        out.extend_from_slice(&data.restore());
        route
    }

    fn admit(
        &mut self,
        now: Instant,
        conn: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        let what = || format!("admit {conn} on {path:?}");
        let found = |call: &StackCall| match call {
            StackCall::Admit { result, .. } => {
                let got = StackCall::Admit { conn, path, offer: *offer, result: *result };
                Some((got, *result))
            }
            _ => None,
        };
        self.ask(Some(now), what, found, Err(Dropped::NotAccepting))?;
        Ok(self.transport(conn))
    }

    fn dial(
        &mut self,
        now: Instant,
        conn: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse> {
        let aim = Aim::of(target, false);
        let what = || format!("dial {conn} to {}", target.remote);
        let found = |call: &StackCall| match call {
            StackCall::Dial { result, .. } => {
                let got = StackCall::Dial { conn, aim, result: result.clone() };
                Some((got, result.clone()))
            }
            _ => None,
        };
        let result = self.ask(Some(now), what, found, Err(String::new()));
        self.pass_on(result)?;
        Ok(self.transport(conn))
    }

    fn forget(&mut self, id: ConnId) {
        let found = |call: &StackCall| match call {
            StackCall::Forget(_) => Some((StackCall::Forget(id), ())),
            _ => None,
        };
        self.ask(None, || format!("forget {id}"), found, ());
    }

    fn set_identity(&mut self, _: &[u8], _: &[u8]) -> Result<(), Misuse> {
        let found = |call: &StackCall| match call {
            StackCall::SetIdentity { result } => Some((call.clone(), result.clone())),
            _ => None,
        };
        let result = self.ask(None, || "set_identity".to_owned(), found, Ok(()));
        self.pass_on(result)
    }
}

/// A transport that plays the tape.
struct Script {
    tape: Tape,
    conn: ConnId,
    /// The answers given last.
    deadline: Cell<Option<Instant>>,
    early: Cell<bool>,
}

impl Script {
    fn ask<T>(
        &self,
        now: Option<Instant>,
        what: impl FnOnce() -> String,
        found: impl FnOnce(&Call) -> Option<(Call, T)>,
        fallback: T,
    ) -> T {
        let conn = self.conn;
        let found = |entry: &Entry| -> Found<T> {
            let Entry::Transport(_, call) = entry else { return None };
            found(call).map(|(got, answer)| (Entry::Transport(conn, got), answer))
        };
        self.tape.ask(now, || format!("{conn} {}", what()), found, fallback)
    }

    /// A call that has no answer.
    fn tell(&self, now: Option<Instant>, call: &Call) {
        let what = || call.to_string();
        self.ask(now, what, |next| same_kind(next, call).then(|| (call.clone(), ())), ());
    }

    fn unusual<T>(&self, found: impl FnOnce(&Call) -> Option<T>) -> Option<T> {
        self.tape.unusual(|entry| match entry {
            Entry::Transport(conn, call) if *conn == self.conn => found(call),
            _ => None,
        })
    }
}

fn same_kind(a: &Call, b: &Call) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

impl Transport for Script {
    fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        let what = || format!("receive of {} bytes on {path:?}", bytes.len());
        let last = is_last(&self.tape, path, bytes);
        let found = |call: &Call| match call {
            Call::Receive if last => Some((Call::Receive, ())),
            _ => None,
        };
        self.ask(Some(now), what, found, ());
    }

    fn transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let transmit = self.unusual(|call| match call {
            Call::Transmit(transmit) if transmit.len <= buf.len() => Some(*transmit),
            _ => None,
        })?;
        buf[..transmit.len].fill(0);
        Some(transmit)
    }

    fn deadline(&self) -> Option<Instant> {
        let changed = self.unusual(|call| match call {
            Call::Deadline(at) => Some(*at),
            _ => None,
        });
        if let Some(at) = changed {
            self.deadline.set(at);
        }
        self.deadline.get()
    }

    fn expire(&mut self, now: Instant) {
        self.tell(Some(now), &Call::Expire);
    }

    fn poll(&mut self) -> Option<Signal> {
        self.unusual(|call| match call {
            Call::Signal(signal) => Some(signal.clone()),
            _ => None,
        })
    }

    fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let found = |call: &Call| match call {
            Call::Open { stream, .. } => Some((Call::Open { dir, stream: *stream }, *stream)),
            _ => None,
        };
        self.ask(None, || format!("open {dir:?}"), found, None)
    }

    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        let offered = data.len();
        let what = || format!("write of {offered} bytes to {id}");
        let found = |call: &Call| match call {
            Call::Write { data: taken, result, .. } if taken.len() <= offered => {
                let (stream, result, len) = (id, *result, taken.len());
                let data = taken.recut(&data[..len]);
                Some((Call::Write { stream, offered, fin, data, result }, (len, result)))
            }
            _ => None,
        };
        let (len, result) = self.ask(None, what, found, (0, Ok(Wrote::Blocked)));
        let _taken = data.split_to(len);
        result
    }

    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        let room = buf.len();
        let found = |call: &Call| match call {
            Call::Read { data, result, .. } if data.len() <= room && is_possible(data, result) => {
                let (stream, data, result) = (id, data.clone(), *result);
                let got = Call::Read { stream, room, data: data.clone(), result };
                Some((got, (data, result)))
            }
            _ => None,
        };
        let fallback = (Data::default(), Ok(Read::Blocked));
        let what = || format!("read of at most {room} bytes from {id}");
        let (data, result) = self.ask(None, what, found, fallback);
        buf[..data.len()].copy_from_slice(&data.restore());
        result
    }

    fn reset(&mut self, id: StreamId, code: Code) {
        self.tell(None, &Call::Reset { stream: id, code });
    }

    fn stop(&mut self, id: StreamId, code: Code) {
        self.tell(None, &Call::Stop { stream: id, code });
    }

    fn prioritize(&mut self, id: StreamId, rank: u8) {
        self.tell(None, &Call::Prioritize { stream: id, rank });
    }

    fn ping(&mut self) {
        self.tell(None, &Call::Ping);
    }

    fn close(&mut self, now: Instant, code: Code, reason: &str) {
        self.tell(Some(now), &Call::Close { code, reason: reason.to_owned() });
    }

    fn rebind(&mut self, now: Instant, local: SocketAddr) -> Result<(), Misuse> {
        let found = |call: &Call| match call {
            Call::Rebind { result, .. } => {
                let got = Call::Rebind { local, result: result.clone() };
                Some((got, result.clone()))
            }
            _ => None,
        };
        let result = self.ask(Some(now), || format!("rebind to {local}"), found, Ok(()));
        pass_on(&self.tape, result)
    }

    fn is_early(&self) -> bool {
        let changed = self.unusual(|call| match call {
            Call::Early(early) => Some(*early),
            _ => None,
        });
        if let Some(early) = changed {
            self.early.set(early);
        }
        self.early.get()
    }

    /// Nothing that sessions do depends on it.
    fn ticket(&self) -> Option<Bytes> {
        None
    }

    fn is_over(&self, id: StreamId) -> bool {
        let over = |call: &Call| (*call == Call::Over(id)).then_some(());
        self.unusual(over).is_some()
    }

    fn is_finished(&self) -> bool {
        self.unusual(|call| (*call == Call::Finished).then_some(())).is_some()
    }

    /// Nothing that sessions do depends on them.
    fn stats(&self) -> Stats {
        Stats::default()
    }
}

/// Whether so many bytes go with that answer.
fn is_possible(data: &Data, result: &Result<Read, StreamEnd>) -> bool {
    let read = match result {
        Ok(Read::Bytes(len)) => *len,
        Ok(Read::Blocked | Read::Finished) | Err(_) => 0,
    };
    read == data.len()
}
