//! [`Transport`]: one end of one connection.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use quiche::{ConnectionId, PathEvent};

use super::buffers::Chunks;
use super::clock::Clock;
use super::config::KeyLog;
use super::packet;
use super::paths::Paths;
use super::send;
use super::streams::Streams;
use super::trust::{self, Finding};
use super::why::{self, Ending};
use crate::code::Code;
use crate::error::Misuse;
use crate::id::{ConnId, Dir, Side, StreamId};
use crate::io::{Path, Transmit};
use crate::limits;
use crate::time::Instant;
use crate::transport::cid::Cids;
use crate::transport::resets::Resets;
use crate::transport::token::Tokens;
use crate::transport::{Facts, PROTOCOLS, Read, Signal, Stats, StreamEnd, Transport, Wrote};

/// TLS alert `no_application_protocol` (RFC 7301 section 3.2) as a QUIC error code.
const NO_PROTOCOL: u64 = 0x100 + 120;
/// QUIC's `INTERNAL_ERROR`.
const INTERNAL: u64 = 1;

/// What every connection is made with.
pub(super) struct Make {
    pub(super) id: ConnId,
    pub(super) side: Side,
    pub(super) now: Instant,
    pub(super) path: Path,
    pub(super) cids: Cids,
    pub(super) tokens: Tokens,
    pub(super) resets: Resets,
    pub(super) discovers: bool,
    pub(super) key_log: Option<KeyLog>,
}

/// What only a client's end has.
pub(super) struct Dialled {
    /// What the check of the server's certificate found wrong.
    pub(super) finding: Finding,
    /// What tickets are bound to.
    pub(super) binding: [u8; 16],
    /// A ticket is being used.
    pub(super) resumes: bool,
}

/// One end of one connection.
pub(super) struct QuicTransport {
    id: ConnId,
    side: Side,
    conn: quiche::Connection<Chunks>,
    clock: Clock,
    cids: Cids,
    tokens: Tokens,
    resets: Resets,
    dialled: Option<Dialled>,
    paths: Paths,
    streams: Streams,
    ending: Ending,
    /// The sequence number of the next id we issue.
    next_sequence: u32,
    /// A first flight that was made when dialling, so that 0-RTT is possible at once.
    first: Option<Vec<u8>>,
    signals: VecDeque<Signal>,
    /// Something has come, and [`QuicTransport::settle`] was not called since: it is called once
    /// for a whole batch of datagrams.
    unsettled: bool,
    early: bool,
    up: bool,
    down: bool,
}

impl QuicTransport {
    pub(super) fn new(
        make: Make,
        mut conn: quiche::Connection<Chunks>,
        dialled: Option<Dialled>,
    ) -> Self {
        if let Some(log) = make.key_log {
            conn.set_keylog(Box::new(KeyLines(log)));
        }
        let resumes = dialled.as_ref().is_some_and(|dialled| dialled.resumes);
        let mut this = Self {
            id: make.id,
            side: make.side,
            conn,
            clock: Clock::new(make.now),
            cids: make.cids,
            tokens: make.tokens,
            resets: make.resets,
            dialled,
            paths: Paths::new(make.path, make.discovers),
            streams: Streams::default(),
            ending: Ending::default(),
            next_sequence: 1,
            first: None,
            signals: VecDeque::new(),
            unsettled: false,
            early: false,
            up: false,
            down: false,
        };
        if resumes {
            this.first = this.one_datagram();
            if this.first.is_some() {}
        }
        this.settle();
        this
    }

    /// What quiche wants to send, as far as the smallest datagram holds it.
    fn one_datagram(&mut self) -> Option<Vec<u8>> {
        let mut datagram = vec![0; limits::MIN_INITIAL_DATAGRAM];
        let (len, _) = self.conn.send(&mut datagram).ok()?;
        datagram.truncate(len);
        Some(datagram)
    }

    /// After anything that may have changed the connection: collects what is to be told.
    fn settle(&mut self) {
        self.unsettled = false;
        self.streams.changed(&mut self.conn);
        if self.down {
            return;
        }
        if !self.early && self.conn.is_in_early_data() && !self.conn.is_established() {
            self.early = true;
            let alpn = self.conn.as_mut().selected_alpn_protocol().unwrap_or_default().to_vec();
            self.signals.push_back(Signal::Early { alpn });
        }
        if !self.up && self.conn.is_established() && self.conn.local_error().is_none() {
            self.establish();
        }
        while let Some(event) = self.conn.path_event_next() {
            self.path_event(&event);
        }
        if self.up {
            self.issue_ids();
        }
    }

    fn establish(&mut self) {
        let alpn = self.conn.application_proto().to_vec();
        if !PROTOCOLS.contains(&alpn.as_slice()) {
            self.ending.no_protocol();
            let _ = self.conn.close(false, NO_PROTOCOL, b"");
            return;
        }
        self.up = true;
        if self.side == Side::Client {
            let token = self.conn.peer_transport_params().and_then(|p| p.stateless_reset_token);
            if let Some(token) = token {
                self.resets.add(self.paths.remote(), &token.to_be_bytes(), self.id);
            }
        }
        self.signals.push_back(Signal::Up(Facts {
            alpn,
            peer_key: self.conn.peer_cert().and_then(trust::key_hash),
            resumed: self.conn.is_resumed(),
            remote: self.paths.remote(),
        }));
    }

    fn path_event(&mut self, event: &PathEvent) {
        match event {
            PathEvent::New(..) => self.paths.several(),
            // quiche says so of each path that turns out to work after the peer was heard there,
            // and the peer may be elsewhere by then.
            PathEvent::PeerMigrated(local, remote) if self.is_active(*local, *remote) => {
                let left = self.paths.moved(*local, *remote);
                self.find_losses(left);
                self.signals.push_back(Signal::Moved(self.paths.current()));
            }
            PathEvent::FailedValidation(local, remote) if self.side == Side::Server => {
                self.paths.failed(Path { local: *local, remote: *remote });
            }
            PathEvent::PmtuUpdated { pmtu, .. } => self.paths.measured(*pmtu),
            // Validation, its failure and closed paths need nothing from us: quiche falls back
            // to a path that works by itself.
            _ => {}
        }
    }

    fn is_active(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let active = self.conn.path_stats().find(|path| path.active);
        active.is_some_and(|path| (path.local_addr, path.peer_addr) == (local, remote))
    }

    /// Has a packet sent on a path that was left, to be acknowledged (see [`Paths::leave`]).
    ///
    /// No challenge: after three that are lost quiche gives a path up, and the connection with the
    /// last one. A path that was left is needed to fall back to.
    fn find_losses(&mut self, left: Option<Path>) {
        if let Some(Path { local, remote }) = left {
            // Fails only for a path that quiche does not know, on which nothing was sent.
            let _ = self.conn.send_ack_eliciting_on_path(local, remote);
        }
    }

    /// Has a path challenged, to see whether it works.
    fn challenge(&mut self, path: Option<Path>) {
        if let Some(Path { local, remote }) = path {
            // Fails only for a path that quiche does not know.
            let _ = self.conn.probe_path(local, remote);
        }
    }

    /// Keeps the peer supplied with ids, so that it can move and we can answer it.
    fn issue_ids(&mut self) {
        while self.conn.retired_scid_next().is_some() {}
        while (self.conn.active_scids() as u64) < limits::ACTIVE_CONNECTION_IDS
            && self.conn.scids_left() > 0
        {
            let Some(next) = self.next_sequence.checked_add(1) else { return };
            let cid = self.cids.encode(self.id, self.next_sequence);
            let token = u128::from_be_bytes(self.tokens.reset(&cid));
            if self.conn.new_scid(&ConnectionId::from_ref(&cid), token, false).is_err() {
                return;
            }
            self.next_sequence = next;
        }
    }

    /// The part of a datagram that quiche may see. It takes a packet for an id that was retired
    /// as a reason to close the connection, but such packets are just late.
    fn usable(&self, bytes: &[u8]) -> usize {
        let Some((at, dcid)) = packet::short_packet(bytes) else { return bytes.len() };
        let live = self.conn.source_ids().any(|id| id.as_ref() == dcid);
        if live || self.is_reset(bytes) { bytes.len() } else { at }
    }

    fn is_reset(&self, bytes: &[u8]) -> bool {
        let token = self.conn.peer_transport_params().and_then(|p| p.stateless_reset_token);
        token.is_some_and(|token| bytes.ends_with(&token.to_be_bytes()))
    }

    /// quiche has no way to send an error while 0-RTT is all there is to send with (and panics
    /// if it is asked to).
    fn is_mute(&self) -> bool {
        let error = self.conn.local_error().is_some_and(|error| !error.is_app);
        error && self.side == Side::Client && self.early && !self.conn.is_established()
    }

    fn is_ending(&self) -> bool {
        self.conn.is_closed()
            || self.conn.is_draining()
            || self.conn.local_error().is_some()
            || self.ending.is_broken()
    }

    fn stream_signal(&mut self) -> Option<Signal> {
        if let Some(id) = self.streams.readable(&mut self.conn) {
            return Some(Signal::Readable(id));
        }
        if self.is_ending() {
            return None;
        }
        if self.streams.openable(&self.conn) {
            return Some(Signal::Openable);
        }
        self.streams.writable(&mut self.conn).map(Signal::Writable)
    }
}

impl Transport for QuicTransport {
    fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        self.clock.tune(now);
        let len = self.usable(bytes);
        if len == 0 {
            return;
        }
        let info = quiche::RecvInfo {
            from: self.paths.remote_for_quiche(path.remote),
            to: self.paths.local_for_quiche(path.local),
        };
        self.paths.earn_credit();
        let before = self.conn.is_closed();
        let result = self.conn.recv(&mut bytes[..len], info);
        self.ending.received(result, !before && self.conn.is_closed());
        self.unsettled = true;
    }

    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        self.clock.tune(now);
        if self.unsettled {
            self.settle();
        }
        if let Some(first) = self.first.take() {
            buf.get_mut(..first.len())?.copy_from_slice(&first);
            let path = self.paths.current();
            return Some(Transmit { path, ecn: None, len: first.len(), segment: None, at: None });
        }
        if self.is_mute() || self.ending.is_broken() {
            return None;
        }
        let unproved = self.paths.challenge_again(now, &self.conn);
        self.challenge(unproved);
        let batch = match send::batch(&mut self.conn, &mut self.paths, buf) {
            Ok(batch) => batch,
            Err(send::Broken) => {
                // It has no way on, not even to say so.
                let _ = self.conn.close(false, INTERNAL, b"");
                self.ending.broken();
                None
            }
        };
        self.settle();
        let batch = batch?;
        let at = self.clock.ours_at(batch.info.at);
        Some(Transmit {
            path: self.paths.real(batch.path),
            ecn: None,
            len: batch.len,
            segment: batch.segment,
            at: (at > self.clock.now().max(now)).then_some(at),
        })
    }

    fn deadline(&self) -> Option<Instant> {
        if self.ending.is_broken() {
            return None;
        }
        self.conn.timeout_instant().map(|at| self.clock.ours_at(at))
    }

    fn expire(&mut self, now: Instant) {
        self.clock.tune(now);
        self.paths.earn_credit();
        self.conn.on_timeout();
        self.settle();
        for path in self.paths.stalled(&self.conn) {
            self.find_losses(Some(path));
        }
    }

    fn poll(&mut self) -> Option<Signal> {
        if self.unsettled {
            self.settle();
        }
        if self.down {
            return None;
        }
        if let Some(signal) = self.signals.pop_front() {
            return Some(signal);
        }
        // What came before the peer's close can still be read; after our own nobody wants it.
        if !self.ending.is_local()
            && let Some(signal) = self.stream_signal()
        {
            return Some(signal);
        }
        if !self.is_ending() {
            return None;
        }
        self.down = true;
        let finding = self.dialled.as_ref().and_then(|dialled| dialled.finding.get());
        Some(Signal::Down(why::of(&self.conn, &self.ending, self.up, finding)))
    }

    fn open(&mut self, dir: Dir) -> Option<StreamId> {
        if self.is_ending() {
            return None;
        }
        self.streams.open(&mut self.conn, self.side, dir)
    }

    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        // The connection's end is told by Down, and is no stream's fault.
        if self.is_ending() {
            return Ok(Wrote::Blocked);
        }
        self.streams.write(&mut self.conn, id, data, fin)
    }

    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        self.streams.read(&mut self.conn, id, buf)
    }

    fn reset(&mut self, id: StreamId, code: Code) {
        self.streams.reset(&mut self.conn, id, code);
    }

    fn stop(&mut self, id: StreamId, code: Code) {
        self.streams.stop(&mut self.conn, id, code);
    }

    fn prioritize(&mut self, id: StreamId, rank: u8) {
        // Fails only for streams that are over.
        let _ = self.conn.stream_priority(id.0, rank, true);
    }

    fn ping(&mut self) {
        // Fails only when there is nobody to send to.
        let _ = self.conn.send_ack_eliciting();
    }

    fn close(&mut self, now: Instant, code: Code, reason: &str) {
        self.clock.tune(now);
        if self.is_ending() {
            return;
        }
        let reason = &reason.as_bytes()[..reason.len().min(limits::MAX_REASON)];
        // quiche sends nothing but the close after this. A client's last word of the handshake
        // has to go first, or the server takes the close for a handshake that stalls.
        let last_word = (self.side == Side::Client && self.conn.is_established())
            .then(|| self.one_datagram())
            .flatten();
        self.ending.local(code);
        let _ = self.conn.close(true, code.to_wire(), reason);
        self.first = last_word;
    }

    fn rebind(&mut self, now: Instant, local: SocketAddr) -> Result<(), Misuse> {
        self.clock.tune(now);
        if self.side == Side::Server {
            return Err(Misuse::WrongRole("rebind"));
        }
        if !self.up || self.is_ending() {
            let state = if self.up { "closed" } else { "handshaking" };
            return Err(Misuse::WrongState { command: "rebind", state });
        }
        let left = self.paths.rebind(&mut self.conn, local);
        self.find_losses(left);
        // The server learns of the new address by a packet from there.
        self.ping();
        self.settle();
        Ok(())
    }

    fn is_early(&self) -> bool {
        self.conn.is_in_early_data() && !self.conn.is_established()
    }

    fn ticket(&self) -> Option<Bytes> {
        let binding = &self.dialled.as_ref()?.binding;
        let session = self.conn.session()?;
        Some([binding, session].concat().into())
    }

    fn stats(&self) -> Stats {
        let all = self.conn.stats();
        let path = self.conn.path_stats().find(|path| path.active);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Stats {
            rtt: path.as_ref().map(|path| path.rtt).unwrap_or_default(),
            min_rtt: path.as_ref().and_then(|path| path.min_rtt).unwrap_or_default(),
            cwnd: path.as_ref().map_or(0, |path| count(path.cwnd)),
            packets_sent: count(all.sent),
            packets_received: count(all.recv),
            packets_lost: count(all.lost),
            bytes_sent: all.sent_bytes,
            bytes_received: all.recv_bytes,
            datagram: self.paths.datagram(&self.conn),
        }
    }

    fn is_over(&self, id: StreamId) -> bool {
        self.streams.is_over(id)
    }

    fn is_finished(&self) -> bool {
        self.conn.is_closed() || self.ending.is_broken() || self.is_mute()
    }
}

/// Hands the key log on, line by line.
struct KeyLines(KeyLog);

impl io::Write for KeyLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // quiche writes one whole line at a time.
        if let Ok(line) = std::str::from_utf8(bytes) {
            (self.0)(line.trim_end());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
