//! Seam B, recorded: a stack and its transports that pass every call on and write it down.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;

use bytes::Bytes;

use super::Trace;
use super::call::{Call, StackCall};
use super::data::Data;
use super::entry::{Aim, Entry};
use super::scan::Scanner;
use crate::code::Code;
use crate::error::Misuse;
use crate::id::{ConnId, Dir, Side, StreamId};
use crate::io::{Path, Transmit};
use crate::time::Instant;
use crate::transport::{
    Dropped, Offer, Read, Route, Signal, Stack, Stats, StreamEnd, Target, Transport, Wrote,
};

/// The same stack, with every call written down.
pub(crate) fn tap(stack: Box<dyn Stack>, trace: Trace) -> Box<dyn Stack> {
    Box::new(StackTap { stack, trace })
}

struct StackTap {
    stack: Box<dyn Stack>,
    trace: Trace,
}

impl StackTap {
    fn say(&self, call: StackCall) {
        self.trace.say(|_| Entry::Stack(call));
    }

    fn wrap(&self, transport: Box<dyn Transport>, conn: ConnId, side: Side) -> Box<dyn Transport> {
        Box::new(Tap {
            transport,
            conn,
            trace: self.trace.clone(),
            scanner: RefCell::new(Scanner::new(side)),
            deadline: Cell::new(None),
            early: Cell::new(false),
        })
    }
}

/// A result with the refusal in words.
pub(super) fn worded<T>(result: &Result<T, Misuse>) -> Result<(), String> {
    result.as_ref().map(|_| ()).map_err(ToString::to_string)
}

impl Stack for StackTap {
    fn classify(&mut self, now: Instant, path: Path, bytes: &[u8], out: &mut Vec<u8>) -> Route {
        let route = self.stack.classify(now, path, bytes, out);
        self.trace.say(|contents| {
            let out = Data::new(out, contents.datagrams);
            Entry::Stack(StackCall::Classify { route, out })
        });
        route
    }

    fn challenge(&mut self, now: Instant, path: Path, offer: &Offer, out: &mut Vec<u8>) -> Route {
        let route = self.stack.challenge(now, path, offer, out);
        self.trace.say(|contents| {
            let out = Data::new(out, contents.datagrams);
            Entry::Stack(StackCall::Challenge { offer: *offer, route, out })
        });
        route
    }

    fn admit(
        &mut self,
        now: Instant,
        conn: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        let answer = self.stack.admit(now, conn, path, offer);
        let result = answer.as_ref().map(|_| ()).map_err(|why| *why);
        self.say(StackCall::Admit { conn, path, offer: *offer, result });
        answer.map(|transport| self.wrap(transport, conn, Side::Server))
    }

    fn dial(
        &mut self,
        now: Instant,
        conn: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse> {
        let answer = self.stack.dial(now, conn, target);
        let result = worded(&answer);
        self.say(StackCall::Dial { conn, aim: Aim::of(target, false), result });
        answer.map(|transport| self.wrap(transport, conn, Side::Client))
    }

    fn forget(&mut self, id: ConnId) {
        self.stack.forget(id);
        self.say(StackCall::Forget(id));
    }

    fn set_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), Misuse> {
        let answer = self.stack.set_identity(chain_pem, key_pem);
        self.say(StackCall::SetIdentity { result: worded(&answer) });
        answer
    }
}

/// A transport with every call written down.
struct Tap {
    transport: Box<dyn Transport>,
    conn: ConnId,
    trace: Trace,
    scanner: RefCell<Scanner>,
    /// The answers given last to the questions that are asked often.
    deadline: Cell<Option<Instant>>,
    early: Cell<bool>,
}

impl Tap {
    fn say(&self, call: Call) {
        self.trace.say(|_| Entry::Transport(self.conn, call));
    }

    /// Bytes that come next on a stream, without the payload if that is not recorded.
    fn data(&mut self, id: StreamId, sent: bool, bytes: &[u8]) -> Data {
        if self.trace.contents().payload {
            return Data::new(bytes, true);
        }
        self.scanner.get_mut().cut(id, sent, bytes)
    }
}

impl Transport for Tap {
    fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        self.transport.receive(now, path, bytes);
        self.say(Call::Receive);
    }

    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let answer = self.transport.transmit(now, buf);
        if let Some(transmit) = answer {
            self.say(Call::Transmit(transmit));
        }
        answer
    }

    fn deadline(&self) -> Option<Instant> {
        let answer = self.transport.deadline();
        if self.deadline.replace(answer) != answer {
            self.say(Call::Deadline(answer));
        }
        answer
    }

    fn expire(&mut self, now: Instant) {
        self.transport.expire(now);
        self.say(Call::Expire);
    }

    fn poll(&mut self) -> Option<Signal> {
        let answer = self.transport.poll();
        if let Some(signal) = &answer {
            match signal {
                Signal::Early { alpn } => self.scanner.get_mut().speak(alpn),
                Signal::Up(facts) => self.scanner.get_mut().speak(&facts.alpn),
                Signal::Readable(_)
                | Signal::Writable(_)
                | Signal::Openable
                | Signal::Moved(_)
                | Signal::Down(_) => {}
            }
            self.say(Call::Signal(signal.clone()));
        }
        answer
    }

    fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let stream = self.transport.open(dir);
        self.say(Call::Open { dir, stream });
        stream
    }

    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        let before = data.clone();
        let result = self.transport.write(id, data, fin);
        let taken = &before[..before.len().saturating_sub(data.len())];
        let (stream, offered, data) = (id, before.len(), self.data(id, true, taken));
        self.say(Call::Write { stream, offered, fin, data, result });
        result
    }

    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        let (stream, room) = (id, buf.len());
        let result = self.transport.read(id, buf);
        let data = match result {
            Ok(Read::Bytes(len)) => self.data(id, false, &buf[..len]),
            Ok(Read::Blocked | Read::Finished) | Err(_) => Data::default(),
        };
        self.say(Call::Read { stream, room, data, result });
        result
    }

    fn reset(&mut self, id: StreamId, code: Code) {
        self.transport.reset(id, code);
        self.say(Call::Reset { stream: id, code });
    }

    fn stop(&mut self, id: StreamId, code: Code) {
        self.transport.stop(id, code);
        self.say(Call::Stop { stream: id, code });
    }

    fn prioritize(&mut self, id: StreamId, rank: u8) {
        self.transport.prioritize(id, rank);
        self.say(Call::Prioritize { stream: id, rank });
    }

    fn ping(&mut self) {
        self.transport.ping();
        self.say(Call::Ping);
    }

    fn close(&mut self, now: Instant, code: Code, reason: &str) {
        self.transport.close(now, code, reason);
        self.say(Call::Close { code, reason: reason.to_owned() });
    }

    fn rebind(&mut self, now: Instant, local: SocketAddr) -> Result<(), Misuse> {
        let answer = self.transport.rebind(now, local);
        self.say(Call::Rebind { local, result: worded(&answer) });
        answer
    }

    fn is_early(&self) -> bool {
        let answer = self.transport.is_early();
        if self.early.replace(answer) != answer {
            self.say(Call::Early(answer));
        }
        answer
    }

    fn ticket(&self) -> Option<Bytes> {
        self.transport.ticket()
    }

    fn is_over(&self, id: StreamId) -> bool {
        let answer = self.transport.is_over(id);
        if answer {
            self.scanner.borrow_mut().forget(id);
            self.say(Call::Over(id));
        }
        answer
    }

    fn is_finished(&self) -> bool {
        let answer = self.transport.is_finished();
        if answer {
            self.say(Call::Finished);
        }
        answer
    }

    fn stats(&self) -> Stats {
        self.transport.stats()
    }
}
