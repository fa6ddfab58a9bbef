//! A scripted transport: two connected ends of one stream, without a network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::STREAM;
use crate::code::Code;
use crate::error::Misuse;
use crate::id::{Dir, StreamId};
use crate::io::{Path, Transmit};
use crate::time::Instant;
use crate::transport::{Read, Signal, Stats, StreamEnd, Transport, Wrote};

/// One direction of the stream.
#[derive(Default)]
pub(crate) struct Pipe {
    pub(super) flying: VecDeque<u8>,
    pub(super) arrived: VecDeque<u8>,
    pub(super) fin: bool,
    pub(super) reset: Option<Code>,
    pub(super) stop: Option<Code>,
    /// Bytes between writer and reader, at most.
    pub(crate) window: usize,
    /// Nothing arrives for now.
    pub(crate) held: bool,
    pub(super) writer_waits: bool,
    pub(super) reader_waits: bool,
    /// What was written in all.
    pub(crate) total: u64,
}

impl Pipe {
    pub(super) fn deliver(&mut self) {
        if !self.held {
            self.arrived.extend(self.flying.drain(..));
        }
    }

    fn used(&self) -> usize {
        self.flying.len() + self.arrived.len()
    }

    /// Edge-triggered, like the transport: only after a read was blocked.
    pub(super) fn take_readable(&mut self) -> bool {
        self.deliver();
        let there = !self.arrived.is_empty()
            || self.reset.is_some()
            || (self.fin && self.flying.is_empty());
        there && std::mem::take(&mut self.reader_waits)
    }

    pub(super) fn take_writable(&mut self) -> bool {
        let free = self.used() < self.window || self.stop.is_some();
        free && std::mem::take(&mut self.writer_waits)
    }

    fn write(&mut self, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        if let Some(code) = self.stop {
            return Err(StreamEnd::ByPeer(code));
        }
        if self.fin || self.reset.is_some() {
            return Err(StreamEnd::Gone);
        }
        let room = self.window.saturating_sub(self.used());
        let taken = data.split_to(room.min(data.len()));
        self.total += taken.len() as u64;
        self.flying.extend(taken);
        if !data.is_empty() {
            self.writer_waits = true;
            return Ok(Wrote::Blocked);
        }
        self.fin |= fin;
        Ok(Wrote::All)
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        assert!(!buf.is_empty(), "the contract of Transport::read");
        self.deliver();
        if let Some(code) = self.reset {
            return Err(StreamEnd::ByPeer(code));
        }
        let len = buf.len().min(self.arrived.len());
        if len > 0 {
            buf.iter_mut().zip(self.arrived.drain(..len)).for_each(|(to, from)| *to = from);
            return Ok(Read::Bytes(len));
        }
        if self.fin && self.flying.is_empty() {
            return Ok(Read::Finished);
        }
        self.reader_waits = true;
        Ok(Read::Blocked)
    }
}

/// Both directions, and what was asked of the transport.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
}

/// One end of the link.
pub(crate) struct End {
    pub(super) link: Arc<Mutex<Link>>,
    pub(super) is_client: bool,
    /// When each ping was sent.
    pub(crate) pings: usize,
}

impl End {
    fn with<R>(&self, writing: bool, act: impl FnOnce(&mut Pipe) -> R) -> R {
        let mut link = self.link.lock().unwrap();
        let link = &mut *link;
        act(if self.is_client == writing { &mut link.up } else { &mut link.down })
    }
}

impl Transport for End {
    fn receive(&mut self, _: Instant, _: Path, _: &mut [u8]) {}
    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<Transmit> {
        None
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn expire(&mut self, _: Instant) {}
    fn poll(&mut self) -> Option<Signal> {
        None
    }
    fn open(&mut self, _: Dir) -> Option<StreamId> {
        None
    }
    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        assert_eq!(id, STREAM);
        self.with(true, |pipe| pipe.write(data, fin))
    }
    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        assert_eq!(id, STREAM);
        self.with(false, |pipe| pipe.read(buf))
    }
    fn reset(&mut self, _: StreamId, code: Code) {
        self.with(true, |pipe| pipe.reset = Some(code));
    }
    fn stop(&mut self, _: StreamId, code: Code) {
        self.with(false, |pipe| pipe.stop = Some(code));
    }
    fn prioritize(&mut self, _: StreamId, _: u8) {}
    fn ping(&mut self) {
        self.pings += 1;
    }
    fn close(&mut self, _: Instant, _: Code, _: &str) {}
    fn rebind(&mut self, _: Instant, _: SocketAddr) -> Result<(), Misuse> {
        Ok(())
    }
    fn is_early(&self) -> bool {
        false
    }
    fn ticket(&self) -> Option<Bytes> {
        None
    }
    fn is_over(&self, _: StreamId) -> bool {
        false
    }
    fn is_finished(&self) -> bool {
        false
    }
    fn stats(&self) -> Stats {
        Stats::default()
    }
}
