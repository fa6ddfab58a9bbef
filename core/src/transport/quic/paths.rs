//! The addresses of a connection, and how large datagrams between them may be.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::buffers::Chunks;
use crate::io::Path;
use crate::limits::{MAX_SEGMENTED, MIN_INITIAL_DATAGRAM};
use crate::time::Instant;
use crate::transport::cid;

/// How long the answer to a challenge may take.
const CHALLENGE_AGAIN: Duration = Duration::from_millis(500);
/// Lost packets that quiche finds by its timer alone.
const FIRST_PACKETS: usize = 2;
/// Bytes kept back on a path that is not proved: a datagram, and some challenges.
const RESERVE: u64 = 1_500 + 600;
/// Room for a challenge, or for a packet that is to be acknowledged.
pub(super) const SMALL: usize = 80;
/// Room for a challenge or an acknowledgement, and for no data: with an id of ours as destination
/// and the shortest packet number, 12 bytes are left, and quiche starts no STREAM frame in those.
const TINY: usize = 1 + cid::LEN + 1 + 12 + 16;
/// Small packets for each event: quiche may need one for an acknowledgement, one for a challenge.
const CREDIT: u8 = 2;
/// quiche's `PathState::ValidatingMTU` (whose type cannot be named): a challenge was answered, a
/// large one was not yet.
const ANSWERED: u8 = 3;

/// What is known about the paths.
#[derive(Debug)]
pub(super) struct Paths {
    /// The path of the handshake: the only one whose datagram size quiche discovers.
    initial: Path,
    /// The path in use, as quiche knows it.
    current: Path,
    /// Paths that were in use before, as quiche knows them. What quiche sends there goes out on
    /// the path in use: see [`Paths::leave`]. quiche knows a limited number of paths.
    /// With each, how often quiche has waited in vain for an acknowledgement there.
    left: Vec<(Path, usize)>,
    /// Addresses of the peer that quiche knows by another: see [`Paths::failed`]. The real one,
    /// and quiche's.
    renamed: BTreeMap<SocketAddr, SocketAddr>,
    names: u16,
    /// Small packets that may be sent on a path before it has proved to work.
    credit: u8,
    /// When it was last challenged by us, rather than by quiche.
    challenged: Instant,
    /// Our real address, where quiche was not told that it changed: quiche's, ours.
    alias: Option<(SocketAddr, SocketAddr)>,
    /// There have been others than the initial one.
    several: bool,
    discovers: bool,
    /// The datagram size that has been proved.
    measured: usize,
}

impl Paths {
    pub(super) fn new(path: Path, discovers: bool) -> Self {
        Self {
            initial: path,
            current: path,
            left: Vec::new(),
            renamed: BTreeMap::new(),
            names: 0,
            credit: 0,
            challenged: Instant::ZERO,
            alias: None,
            several: false,
            discovers,
            measured: MIN_INITIAL_DATAGRAM,
        }
    }

    /// The peer's address.
    pub(super) fn remote(&self) -> SocketAddr {
        self.current().remote
    }

    /// The path in use.
    pub(super) fn current(&self) -> Path {
        self.real(self.current)
    }

    /// A path of quiche's as it is on the wire.
    pub(super) fn real(&self, path: Path) -> Path {
        let mut path = if self.was_left(path) { self.current } else { path };
        path.remote = self.real_remote(path.remote);
        match self.alias {
            Some((quiches, ours)) if quiches == path.local => Path { local: ours, ..path },
            Some(_) | None => path,
        }
    }

    /// Our address as quiche knows it.
    pub(super) fn local_for_quiche(&self, local: SocketAddr) -> SocketAddr {
        match self.alias {
            Some((quiches, ours)) if ours == local => quiches,
            Some(_) | None => local,
        }
    }

    /// An address of the peer that quiche names.
    fn real_remote(&self, name: SocketAddr) -> SocketAddr {
        let real = self.renamed.iter().find(|(_, other)| **other == name);
        real.map_or(name, |(real, _)| *real)
    }

    /// The peer's address as quiche knows it.
    pub(super) fn remote_for_quiche(&self, remote: SocketAddr) -> SocketAddr {
        self.renamed.get(&remote).copied().unwrap_or(remote)
    }

    /// The peer has not answered on a path.
    ///
    /// quiche never forgives that: it closes the connection when the peer is heard there again.
    /// But a client whose address has changed has no other, and only the challenges were lost. So
    /// its address gets another name for quiche (of RFC 6666, which no peer can have), and what
    /// comes from there next begins a new path.
    pub(super) fn failed(&mut self, path: Path) {
        let real = self.real_remote(path.remote);
        self.names = self.names.wrapping_add(1);
        let name = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, self.names);
        self.renamed.insert(real, SocketAddr::from((name, real.port())));
        // What was in flight there is lost as well.
        if path != self.current && !self.was_left(path) {
            self.left.push((path, 0));
        }
    }

    /// A path besides the initial one has been seen.
    pub(super) fn several(&mut self) {
        self.several = true;
    }

    /// The peer has moved. The path that was left behind is given back.
    pub(super) fn moved(&mut self, local: SocketAddr, remote: SocketAddr) -> Option<Path> {
        self.several = true;
        self.leave(Path { local, remote })
    }

    /// Another path is in use from now on. `None`: it was already.
    ///
    /// quiche keeps account of losses for each path, and finds none without an acknowledgement
    /// of a packet of that path: what was in flight on a path that has died would never be sent
    /// again. So it is made to send one packet more there, which really goes out on the path in
    /// use. Its acknowledgement shows what was lost.
    fn leave(&mut self, next: Path) -> Option<Path> {
        let last = std::mem::replace(&mut self.current, next);
        self.left.retain(|(path, _)| *path != next && *path != last);
        (last != next).then(|| {
            self.left.push((last, 0));
            last
        })
    }

    /// The paths that were left, as quiche knows them.
    pub(super) fn left(&self) -> impl Iterator<Item = Path> + '_ {
        self.left.iter().map(|(path, _)| *path)
    }

    /// There have been others than the initial one.
    pub(super) fn are_several(&self) -> bool {
        self.several
    }

    /// Whether little more may be sent to an address that has not been proved.
    pub(super) fn are_tight(&self, conn: &quiche::Connection<Chunks>) -> bool {
        let is_known = |stats: &quiche::PathStats| {
            let path = Path { local: stats.local_addr, remote: stats.peer_addr };
            stats.active || path == self.current || self.was_left(path)
        };
        conn.is_server()
            && conn.path_stats().filter(|path| !is_known(path)).any(|path| is_tight(&path))
    }

    /// Whether the path was in use before, and is not now.
    pub(super) fn was_left(&self, path: Path) -> bool {
        self.left.iter().any(|(left, _)| *left == path)
    }

    /// Paths that were left, and on which something is in flight that nobody has acknowledged
    /// since the last call.
    pub(super) fn stalled(&mut self, conn: &quiche::Connection<Chunks>) -> Vec<Path> {
        if self.left.is_empty() || self.is_unproved(conn) {
            return Vec::new();
        }
        let mut stalled = Vec::new();
        for stats in conn.path_stats() {
            let path = Path { local: stats.local_addr, remote: stats.peer_addr };
            if let Some((_, seen)) = self.left.iter_mut().find(|(left, _)| *left == path)
                && *seen != stats.total_pto_count
            {
                *seen = stats.total_pto_count;
                stalled.push(path);
            }
        }
        stalled
    }

    /// Discovery has found that datagrams of this size arrive.
    pub(super) fn measured(&mut self, size: usize) {
        self.measured = size;
    }

    /// Whether a datagram is a probe for a larger size, and may be lost for it.
    pub(super) fn is_probe(&self, len: usize) -> bool {
        self.discovers && !self.several && len > self.measured
    }

    /// The largest datagram that may be sent now.
    ///
    /// quiche discovers the size on the first path only, and sends the configured maximum on
    /// later ones. A maximum that is there to be discovered is far too much, so later paths get
    /// what every path carries. Loopback, where tests and demonstrations move, carries anything.
    pub(super) fn room(&self) -> usize {
        let path = self.real(self.current);
        let found = !self.several || self.current == self.initial && self.alias.is_none();
        let loopback = path.local.ip().is_loopback() && path.remote.ip().is_loopback();
        if !self.discovers || found || loopback { MAX_SEGMENTED } else { MIN_INITIAL_DATAGRAM }
    }

    /// The path in use, if that is one on which a client has been heard and not answered yet.
    fn unproved_path(
        &self,
        conn: &quiche::Connection<Chunks>,
    ) -> Option<(Path, quiche::PathStats)> {
        if !self.several || !conn.is_server() {
            return None;
        }
        let active = conn.path_stats().find(|path| path.active)?;
        let path = Path { local: active.local_addr, remote: active.peer_addr };
        // quiche goes back to any path that was proved once when it gives one up. That path is not
        // to be challenged again: it may be dead until the client speaks, and when quiche has given
        // its last path up, the connection is lost.
        let proved = conn.is_path_validated(path.local, path.remote).unwrap_or(false);
        (path != self.current && !proved).then_some((path, active))
    }

    /// The client has been heard on the path in use, and not answered yet.
    pub(super) fn is_unproved(&self, conn: &quiche::Connection<Chunks>) -> bool {
        self.unproved_path(conn).is_some()
    }

    /// A path to challenge again. quiche does so only when the packet with the challenge was
    /// lost, and not when the answer was.
    pub(super) fn challenge_again(
        &mut self,
        now: Instant,
        conn: &quiche::Connection<Chunks>,
    ) -> Option<Path> {
        let (path, _) = self.unproved_path(conn)?;
        if now.since(self.challenged) < CHALLENGE_AGAIN {
            return None;
        }
        self.challenged = now;
        Some(path)
    }

    /// Something has happened that may have to be answered on a path that is not proved.
    pub(super) fn earn_credit(&mut self) {
        self.credit = CREDIT;
    }

    /// How much may be sent to a client that has been heard at a new address and has not proved
    /// it yet, in one datagram. `None`: no client is in that state.
    ///
    /// quiche would send it three times the bytes that came from there (RFC 9000 section 8.1),
    /// and then, if that address dies too, have nothing left to find out with what was lost
    /// there. So a part is kept back, for challenges.
    pub(super) fn unproved(&mut self, conn: &quiche::Connection<Chunks>) -> Option<usize> {
        let (_, active) = self.unproved_path(conn)?;
        if !is_tight(&active) {
            return Some(MAX_SEGMENTED);
        }
        // Nothing but challenges and acknowledgements: of what is in flight on a path, quiche's
        // timer sends the two oldest packets with data again and no others, and when the allowance
        // is used up, nothing can be sent there that would show what else was lost.
        let small = if self.credit > 0 { TINY } else { 0 };
        self.credit = self.credit.saturating_sub(1);
        Some(small)
    }

    /// The datagram size in use.
    pub(super) fn datagram(&self, conn: &quiche::Connection<Chunks>) -> usize {
        let most = conn.max_send_udp_payload_size();
        if self.discovers && !self.several {
            self.measured.min(most)
        } else {
            most.min(self.room())
        }
    }

    /// The client's socket is at another address now.
    ///
    /// With a spare id of the server's, this is a migration (RFC 9000 section 9). quiche
    /// cannot free ids of old paths for new ones, so after some moves there is none left: then
    /// the id in use goes on from the new address, which looks to the server like a NAT that
    /// has changed its mind, and is answered by it in the same way.
    ///
    /// The path that was left behind is given back.
    pub(super) fn rebind(
        &mut self,
        conn: &mut quiche::Connection<Chunks>,
        local: SocketAddr,
    ) -> Option<Path> {
        self.several = true;
        if conn.migrate_source(local).is_ok() {
            self.alias = None;
            self.leave(Path { local, ..self.current })
        } else {
            self.alias = Some((self.current.local, local));
            None
        }
    }
}

/// How many more bytes may be sent to an address that has not been proved.
fn allowance(path: &quiche::PathStats) -> u64 {
    (3 * path.recv_bytes).saturating_sub(path.sent_bytes)
}

/// Whether most of what may be sent to an unproved address has been sent.
fn is_tight(path: &quiche::PathStats) -> bool {
    // An answer ends the limit, even if only a small challenge was answered.
    let answered = path.validation_state as u8 >= ANSWERED;
    !answered && path.sent >= FIRST_PACKETS && allowance(path) < RESERVE
}
