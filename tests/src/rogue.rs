//! A client that is only a transport: it opens what streams it likes and writes what bytes it
//! likes, and does not keep to `docs/protocol.md`.

use std::collections::BTreeMap;

use anabranch_core::id::{Dir, StreamId};
use anabranch_core::transport::{Read, Signal, Stack, StreamEnd, Target, Transport, Wrote};
use anabranch_core::wire::varint;
use anabranch_core::{Code, ConnId, Instant, Path, Why, limits};
use bytes::Bytes;

use crate::pair::host::{Outgoing, split};

/// What has come on a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its end, if that has come: in order, or by a reset.
    pub end: Option<Result<(), Code>>,
}

/// A transport without a connection on top.
pub struct Rogue {
    /// The transport, for anything.
    pub transport: Box<dyn Transport>,
    // Routes nothing here, but the transport may depend on it.
    _stack: Box<dyn Stack>,
    /// The handshake is complete.
    pub up: bool,
    /// How it ended.
    pub down: Option<Why>,
    /// What has come.
    pub received: BTreeMap<StreamId, Received>,
    /// Streams that take no more bytes, and why.
    pub stopped: BTreeMap<StreamId, StreamEnd>,
    unsent: BTreeMap<StreamId, (Bytes, bool)>,
    /// It never answers: what comes in is dropped.
    pub mute: bool,
    buf: Vec<u8>,
}

impl Rogue {
    /// Dials the target.
    ///
    /// # Panics
    /// If the transport refuses.
    #[must_use]
    pub fn dial(now: Instant, mut stack: Box<dyn Stack>, target: &Target) -> Self {
        let id = ConnId { slot: 0, generation: 0 };
        let transport = stack.dial(now, id, target).expect("a target that works");
        Self {
            transport,
            _stack: stack,
            up: false,
            down: None,
            received: BTreeMap::new(),
            stopped: BTreeMap::new(),
            unsent: BTreeMap::new(),
            mute: false,
            buf: vec![0; limits::MAX_SEGMENTED],
        }
    }

    /// Opens a stream and writes to it.
    ///
    /// # Panics
    /// If the peer allows no more streams.
    pub fn open(&mut self, dir: Dir, bytes: &[u8], fin: bool) -> StreamId {
        let id = self.transport.open(dir).expect("the peer allows a stream");
        self.write(id, bytes, fin);
        id
    }

    /// Opens a stream of `anabranch/1` with this type, and writes to it.
    ///
    /// # Panics
    /// If the peer allows no more streams.
    pub fn open_typed(&mut self, kind: u64, bytes: &[u8], fin: bool) -> StreamId {
        let mut all = Vec::new();
        varint::put(&mut all, kind);
        all.extend_from_slice(bytes);
        self.open(Dir::Bidi, &all, fin)
    }

    /// Writes to a stream, now or when the peer takes it.
    ///
    /// # Panics
    /// After an end mark.
    pub fn write(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        let (mut all, ended) = self.unsent.remove(&id).unwrap_or_default();
        assert!(!ended, "a write after the end");
        all = [&all[..], bytes].concat().into();
        self.unsent.insert(id, (all, fin));
        self.flush(id);
    }

    /// Writes to a stream that may have been stopped, which shows in [`Rogue::stopped`] then.
    ///
    /// # Panics
    /// After an end mark.
    pub fn write_on(&mut self, id: StreamId, bytes: &[u8]) {
        if !self.stopped.contains_key(&id) {
            self.write(id, bytes, false);
        }
    }

    fn flush(&mut self, id: StreamId) {
        let Some((bytes, fin)) = self.unsent.get_mut(&id) else { return };
        match self.transport.write(id, bytes, *fin) {
            Ok(Wrote::Blocked) => {}
            Ok(Wrote::All) => {
                self.unsent.remove(&id);
            }
            Err(end) => {
                self.stopped.insert(id, end);
                self.unsent.remove(&id);
            }
        }
    }

    /// What has come on a stream.
    #[must_use]
    pub fn received(&self, id: StreamId) -> Received {
        self.received.get(&id).cloned().unwrap_or_default()
    }

    pub(crate) fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        if !self.mute {
            self.transport.receive(now, path, bytes);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.transport.deadline()
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        if self.transport.deadline().is_some_and(|at| at <= now) {
            self.transport.expire(now);
        }
    }

    pub(crate) fn drain(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        while let Some(signal) = self.transport.poll() {
            self.on_signal(signal);
        }
        while let Some(transmit) = self.transport.transmit(now, &mut self.buf) {
            split(&transmit, &self.buf, out);
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Up(_) => self.up = true,
            Signal::Readable(id) => self.read(id),
            Signal::Writable(id) => self.flush(id),
            Signal::Down(why) => self.down = Some(why),
            Signal::Early { .. } | Signal::Openable | Signal::Moved(_) => {}
        }
    }

    fn read(&mut self, id: StreamId) {
        let received = self.received.entry(id).or_default();
        let mut buf = [0; 4_096];
        received.end = loop {
            match self.transport.read(id, &mut buf) {
                Ok(Read::Bytes(len)) => received.bytes.extend_from_slice(&buf[..len]),
                Ok(Read::Blocked) => return,
                Ok(Read::Finished) => break Some(Ok(())),
                Err(StreamEnd::ByPeer(code)) => break Some(Err(code)),
                Err(StreamEnd::Gone) => return,
            }
        };
    }
}
