//! A transport without a network: the fuzz input plays the peer's part, stream by stream. No
//! cryptography stands between the input and the sessions, so it reaches every state of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anabranch_core::id::{Dir, StreamId};
use anabranch_core::transport::{
    CidBytes, Dropped, Facts, Offer, Read, Route, Signal, Stack, Stats, StreamEnd, Target,
    Transport, Wrote,
};
use anabranch_core::{Code, ConnId, Dialect, Instant, Misuse, Path, Side, Transmit, Why};
use bytes::Bytes;

/// One stream, from this end.
#[derive(Default)]
struct Stream {
    incoming: VecDeque<u8>,
    fin: bool,
    /// The peer reset what it sends.
    reset: Option<Code>,
    /// The peer wants no more of what we send.
    stopped: Option<Code>,
    /// The last read found nothing: tell when there is something.
    read_blocked: bool,
    /// The last write did not fit: tell when there is room.
    write_blocked: bool,
    room: usize,
    reading_over: bool,
    writing_over: bool,
}

/// Both ends' view of one connection.
pub(super) struct World {
    side: Side,
    dialect: Dialect,
    pub(super) conn: Option<ConnId>,
    streams: BTreeMap<StreamId, Stream>,
    signals: VecDeque<Signal>,
    openable: u32,
    open_refused: bool,
    opened: [u64; 2],
    room: usize,
    down: bool,
}

/// The world, shared by the one who plays the peer and the transport under test.
pub(super) type Shared = Arc<Mutex<World>>;

/// The addresses of the only path.
pub(super) fn path() -> Path {
    let local = SocketAddr::from(([127, 0, 0, 1], 1));
    Path { local, remote: SocketAddr::from(([127, 0, 0, 1], 2)) }
}

/// A new world. `side` is the end under test.
pub(super) fn world(side: Side, dialect: Dialect, room: usize) -> Shared {
    Arc::new(Mutex::new(World {
        side,
        dialect,
        conn: None,
        streams: BTreeMap::new(),
        signals: VecDeque::new(),
        openable: 4,
        open_refused: false,
        opened: [0; 2],
        room,
        down: false,
    }))
}

/// Locks it. A panic elsewhere has failed the test already.
pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn up(&mut self) {
        let alpn = self.dialect.alpn().to_vec();
        let facts = Facts { alpn, peer_key: None, resumed: false, remote: path().remote };
        self.signals.push_back(Signal::Up(facts));
    }

    /// The stream that selector `n` means, if the peer can send on it: one that the peer opens, or
    /// one that we have opened.
    pub(super) fn stream(&self, n: u8) -> Option<StreamId> {
        let peer = match self.side {
            Side::Client => 1,
            Side::Server => 0,
        };
        let index = u64::from(n >> 2) % 20 * 4;
        let id = match n & 3 {
            0 => StreamId(index + peer),
            1 => StreamId(index + peer + 2),
            _ => StreamId(index + 1 - peer),
        };
        (id.opener() != self.side || self.streams.contains_key(&id)).then_some(id)
    }

    fn touch(&mut self, id: StreamId) -> &mut Stream {
        let room = self.room;
        let fresh = || Stream { read_blocked: true, room, ..Stream::default() };
        self.streams.entry(id).or_insert_with(fresh)
    }

    fn tell_readable(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && std::mem::take(&mut stream.read_blocked)
            && !stream.reading_over
        {
            self.signals.push_back(Signal::Readable(id));
        }
    }

    /// The peer sends bytes, and ends the stream if `fin`.
    pub(super) fn send(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        let stream = self.touch(id);
        if stream.fin || stream.reset.is_some() || stream.reading_over {
            return;
        }
        stream.incoming.extend(bytes);
        stream.fin |= fin;
        self.tell_readable(id);
    }

    /// The peer resets what it sends.
    pub(super) fn peer_resets(&mut self, id: StreamId, code: Code) {
        self.touch(id).reset.get_or_insert(code);
        self.tell_readable(id);
    }

    /// The peer wants no more of what we send.
    pub(super) fn peer_stops(&mut self, id: StreamId, code: Code) {
        let stream = self.touch(id);
        stream.stopped.get_or_insert(code);
        if std::mem::take(&mut stream.write_blocked) {
            self.signals.push_back(Signal::Writable(id));
        }
    }

    /// The peer lets us send more on every stream, and open more of them.
    pub(super) fn give_room(&mut self, bytes: usize, streams: u32) {
        self.openable = self.openable.saturating_add(streams).min(64);
        if self.openable > 0 && std::mem::take(&mut self.open_refused) {
            self.signals.push_back(Signal::Openable);
        }
        for (id, stream) in &mut self.streams {
            stream.room = stream.room.saturating_add(bytes);
            if stream.room > 0 && std::mem::take(&mut stream.write_blocked) {
                self.signals.push_back(Signal::Writable(*id));
            }
        }
    }

    /// The peer allows no stream before [`World::give_room`].
    #[cfg(test)]
    pub(super) fn allow_no_streams(&mut self) {
        self.openable = 0;
    }

    /// How many bidirectional streams this end has opened.
    #[cfg(test)]
    pub(super) fn opened(&self) -> u64 {
        self.opened[0]
    }

    /// The connection is over.
    pub(super) fn goes_down(&mut self, why: Why) {
        if !std::mem::replace(&mut self.down, true) {
            self.signals.push_back(Signal::Down(why));
        }
    }
}

/// The stack of one world: knows one connection.
pub(super) struct FakeStack(pub(super) Shared);

impl Stack for FakeStack {
    fn classify(&mut self, _: Instant, _: Path, _: &[u8], _: &mut Vec<u8>) -> Route {
        let cid = CidBytes::new(&[7; 16]).expect("16 is at most 20");
        let offer =
            Offer { validated: true, version: 1, dcid: cid, scid: cid, original_dcid: Some(cid) };
        lock(&self.0).conn.map_or(Route::New(offer), Route::To)
    }

    fn challenge(&mut self, _: Instant, _: Path, _: &Offer, _: &mut Vec<u8>) -> Route {
        Route::Drop(Dropped::Malformed)
    }

    fn admit(
        &mut self,
        _: Instant,
        id: ConnId,
        _: Path,
        _: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        lock(&self.0).conn = Some(id);
        lock(&self.0).up();
        Ok(Box::new(FakeTransport(self.0.clone())))
    }

    fn dial(&mut self, _: Instant, id: ConnId, _: &Target) -> Result<Box<dyn Transport>, Misuse> {
        lock(&self.0).conn = Some(id);
        lock(&self.0).up();
        Ok(Box::new(FakeTransport(self.0.clone())))
    }

    fn forget(&mut self, _: ConnId) {}

    fn set_identity(&mut self, _: &[u8], _: &[u8]) -> Result<(), Misuse> {
        Ok(())
    }
}

/// The transport under the endpoint.
struct FakeTransport(Shared);

impl Transport for FakeTransport {
    fn receive(&mut self, _: Instant, _: Path, _: &mut [u8]) {}

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<Transmit> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant) {}

    fn poll(&mut self) -> Option<Signal> {
        lock(&self.0).signals.pop_front()
    }

    fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let mut world = lock(&self.0);
        if world.openable == 0 || world.down {
            world.open_refused = true;
            return None;
        }
        world.openable -= 1;
        let (slot, bit) = match dir {
            Dir::Bidi => (0, 0),
            Dir::Uni => (1, 2),
        };
        let ours = u64::from(world.side == Side::Server);
        let id = StreamId(world.opened[slot] * 4 + bit + ours);
        world.opened[slot] += 1;
        world.touch(id);
        Some(id)
    }

    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        let mut world = lock(&self.0);
        let stream = world.streams.get_mut(&id).ok_or(StreamEnd::Gone)?;
        if stream.writing_over {
            return Err(StreamEnd::Gone);
        }
        if let Some(code) = stream.stopped {
            stream.writing_over = true;
            return Err(StreamEnd::ByPeer(code));
        }
        let taken = data.len().min(stream.room);
        let _ = data.split_to(taken);
        stream.room -= taken;
        if !data.is_empty() {
            stream.write_blocked = true;
            return Ok(Wrote::Blocked);
        }
        stream.writing_over = fin;
        Ok(Wrote::All)
    }

    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        assert!(!buf.is_empty(), "read into an empty buffer");
        let mut world = lock(&self.0);
        let stream = world.streams.get_mut(&id).ok_or(StreamEnd::Gone)?;
        if stream.reading_over {
            return Err(StreamEnd::Gone);
        }
        if let Some(code) = stream.reset {
            stream.reading_over = true;
            return Err(StreamEnd::ByPeer(code));
        }
        let len = buf.len().min(stream.incoming.len());
        for (to, from) in buf.iter_mut().zip(stream.incoming.drain(..len)) {
            *to = from;
        }
        if len > 0 {
            return Ok(Read::Bytes(len));
        }
        if stream.fin {
            stream.reading_over = true;
            return Ok(Read::Finished);
        }
        stream.read_blocked = true;
        Ok(Read::Blocked)
    }

    fn reset(&mut self, id: StreamId, _: Code) {
        if let Some(stream) = lock(&self.0).streams.get_mut(&id) {
            stream.writing_over = true;
        }
    }

    fn stop(&mut self, id: StreamId, _: Code) {
        if let Some(stream) = lock(&self.0).streams.get_mut(&id) {
            stream.reading_over = true;
        }
    }

    fn prioritize(&mut self, _: StreamId, _: u8) {}

    fn ping(&mut self) {}

    fn close(&mut self, _: Instant, code: Code, _: &str) {
        lock(&self.0).goes_down(Why::Local(code));
    }

    fn rebind(&mut self, _: Instant, _: SocketAddr) -> Result<(), Misuse> {
        Ok(())
    }

    fn is_early(&self) -> bool {
        false
    }

    fn ticket(&self) -> Option<Bytes> {
        None
    }

    fn is_over(&self, id: StreamId) -> bool {
        let world = lock(&self.0);
        let one_way = id.dir() == Dir::Uni;
        let sends = !one_way || id.opener() == world.side;
        let receives = !one_way || id.opener() != world.side;
        world.streams.get(&id).is_none_or(|stream| {
            (stream.reading_over || !receives) && (stream.writing_over || !sends)
        })
    }

    fn is_finished(&self) -> bool {
        lock(&self.0).down
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}
