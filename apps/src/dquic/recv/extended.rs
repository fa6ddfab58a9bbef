//! Receiving over connections of the DQUIC extension.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use anabranch_core::id::StreamId;
use anabranch_core::transport::{Read, Signal, StreamEnd};
use anabranch_core::{Code, ConnId, Why};
use anabranch_driver::dquic::Runner;

use super::store::Store;
use crate::dquic::files::Key;
use crate::exit::Failure;

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

/// The connections that are up.
#[derive(Debug, Default)]
pub(super) struct Connections {
    up: BTreeMap<ConnId, (SocketAddr, u32)>,
    /// How many there have been: the number of the newest one.
    count: u32,
    buffer: Vec<u8>,
}

impl Connections {
    pub(super) fn is_empty(&self) -> bool {
        self.up.is_empty()
    }

    /// A connection has told something.
    ///
    /// # Errors
    /// If what it has brought cannot be written.
    pub(super) fn take(
        &mut self,
        runner: &mut Runner,
        store: &mut Store<'_>,
        id: ConnId,
        signal: &Signal,
    ) -> Result<(), Failure> {
        match signal {
            Signal::Up(facts) => {
                self.count += 1;
                self.up.insert(id, (facts.remote, self.count));
            }
            Signal::Readable(stream) => self.read(runner, store, id, *stream)?,
            Signal::Down(why) => self.down(runner, store, id, why),
            Signal::Early { .. } | Signal::Writable(_) | Signal::Openable | Signal::Moved(_) => {}
        }
        Ok(())
    }

    fn key(&self, id: ConnId, stream: StreamId) -> Option<Key> {
        let (peer, connection) = *self.up.get(&id)?;
        // The first stream of a client is stream 1, as it is of classic senders.
        let stream = u32::try_from((stream.0 >> 2) + 1).ok()?;
        Some(Key { peer, connection, stream })
    }

    /// Everything that is there of a stream.
    fn read(
        &mut self,
        runner: &mut Runner,
        store: &mut Store<'_>,
        id: ConnId,
        stream: StreamId,
    ) -> Result<(), Failure> {
        let Some(key) = self.key(id, stream) else { return Ok(()) };
        self.buffer.resize(BUFFER, 0);
        loop {
            let (Some(plain), now) = runner.plain_with_time() else { return Ok(()) };
            let Some(conn) = plain.conn(id) else { return Ok(()) };
            match conn.read(stream, &mut self.buffer) {
                Ok(Read::Bytes(len)) => store.write(key, &self.buffer[..len], now)?,
                Ok(Read::Blocked) | Err(StreamEnd::Gone) => return Ok(()),
                Ok(Read::Finished) => {
                    // A file without bytes is one too.
                    store.write(key, &[], now)?;
                    let numbers = store.numbers(key);
                    numbers.into_iter().for_each(|numbers| store.end(key, "finished", numbers));
                    return Ok(());
                }
                Err(StreamEnd::ByPeer(_)) => {
                    let numbers = store.numbers(key);
                    numbers.into_iter().for_each(|numbers| store.end(key, "unfinished", numbers));
                    return Ok(());
                }
            }
        }
    }

    /// A connection is over, and with it what it has not finished.
    fn down(&mut self, runner: &mut Runner, store: &mut Store<'_>, id: ConnId, why: &Why) {
        let Some((peer, connection)) = self.up.remove(&id) else { return };
        if let Some(conn) = runner.plain_with_time().0.and_then(|plain| plain.conn(id)) {
            store.count_packets(conn.stats().packets_received);
        }
        if !matches!(why, Why::Peer(Code::None, _)) {
            store.warn(&format!("the connection of {peer} has ended: {why}"));
        }
        let is_of = |key: &Key| key.peer == peer && key.connection == connection;
        for key in store.open_of(is_of) {
            let numbers = store.numbers(key);
            numbers.into_iter().for_each(|numbers| store.end(key, "unfinished", numbers));
        }
    }

    /// Ends what is still up, and says so to the senders.
    pub(super) fn close(
        &self,
        runner: &mut Runner,
        store: &mut Store<'_>,
        code: Code,
        reason: &str,
    ) {
        let (Some(plain), now) = runner.plain_with_time() else { return };
        for id in self.up.keys() {
            if let Some(conn) = plain.conn(*id) {
                store.count_packets(conn.stats().packets_received);
            }
        }
        plain.close(now, code, reason);
        // Whether the last words arrive is not up to us.
        while let Ok(Some(_)) = runner.step(Some(Instant::now())) {}
    }
}
