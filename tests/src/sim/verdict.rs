//! What may not happen between honest hosts, whatever the network does to them.

use std::time::Duration;

use anabranch_core::files::Event as Files;
use anabranch_core::media::{EndReason, Ended, Event as Media};
use anabranch_core::{Code, ConnId, Event, Lost, SessionId, Side, Why, limits};

use super::workload::tag;
use super::world::{HostId, Role, World};
use crate::oracle::Key;
use crate::stack::Kind;

/// A session of a host.
type Name = (HostId, Key);

/// What a session may take for silence of the time of faults.
const GRACE: Duration = Duration::from_secs(5);

impl World {
    /// The endpoint of a host tells this; its application does not know yet.
    pub(super) fn judge_event(&mut self, host: HostId, conn: ConnId, event: &Event) {
        match event {
            Event::Closed(why) => self.judge_close(host, conn, why),
            Event::Media(session, event) => self.judge_media(host, conn, *session, event),
            Event::Moved(path) => {
                let client = self.honest(path.remote);
                client.into_iter().for_each(|client| self.moved(client));
            }
            Event::Connected { .. }
            | Event::Hello { .. }
            | Event::GoAway { .. }
            | Event::Pong { .. }
            | Event::Listing(_) => {}
            Event::Files(session, event) => self.judge_files(host, conn, *session, event),
        }
    }

    /// Whether the peer of a connection is known to be honest.
    pub(super) fn is_honest(&mut self, host: HostId, conn: ConnId) -> bool {
        let remote = self.hosts[host].process().and_then(|p| p.known.conn(conn).remote);
        remote.is_some_and(|remote| self.honest(remote).is_some())
    }

    /// Whether quiche may have lost its way on a connection whose client was seen at more than two
    /// places. Then it may fail to send (`InvalidState`, when an id of the path in use was
    /// retired), or never send again what was in flight on a path that was left. What is
    /// promised then is that the session's or the connection's timeout ends it.
    pub(super) fn is_restless(&mut self, host: HostId, conn: ConnId) -> bool {
        let remote = self.hosts[host].process().and_then(|p| p.known.conn(conn).remote);
        let client = match self.hosts[host].role {
            Role::Server => remote.and_then(|remote| self.honest(remote)),
            Role::Client | Role::Rogue => Some(host),
        };
        let moves = client.and_then(|client| self.moves.get(&client)).copied().unwrap_or(0);
        self.swarm.transport == Kind::Quic && moves > 1
    }

    fn judge_close(&mut self, host: HostId, conn: ConnId, why: &Why) {
        let honest = self.is_honest(host, conn);
        let Some(process) = self.hosts[host].process() else { return };
        let left = process.known.conn(conn).left || process.known.leaving;
        match why {
            Why::Local(_) => assert!(left, "{host} {conn}: closed here, and nobody wanted it"),
            Why::Lost(Lost::HandshakeTimeout | Lost::IdleTimeout | Lost::StatelessReset) => {}
            Why::Peer(code, _) => {
                let plain = match code {
                    Code::None | Code::Cancelled | Code::Refused | Code::GoingAway => true,
                    // The handshake took too long for the peer.
                    Code::Timeout => true,
                    Code::Other(code) => *code == 77,
                    Code::Internal
                    | Code::Violation
                    | Code::UnknownStream
                    | Code::Limit
                    | Code::SourceFailed
                    | Code::SourceChanged
                    | Code::Integrity
                    | Code::BadName
                    | Code::NoSpace
                    | Code::NotFound
                    | Code::Exists
                    | Code::Denied
                    | Code::Io
                    | Code::Unsupported
                    | Code::TooLarge => false,
                };
                assert!(plain || !honest, "{host} {conn}: an honest peer closes it with {why:?}");
            }
            Why::Violation(rule) => {
                assert!(!honest, "{host} {conn}: an honest peer broke a rule: {rule}");
            }
            // A close while the handshake is under way (RFC 9000 section 10.2.3).
            Why::Lost(Lost::Transport { code: 0x0c, by_peer: true }) => {}
            Why::Lost(Lost::Transport { code: 1, by_peer: false })
                if self.is_restless(host, conn) => {}
            Why::Lost(lost) => {
                assert!(!honest, "{host} {conn}: lost between honest hosts: {lost:?}");
            }
        }
    }

    fn judge_media(&mut self, host: HostId, conn: ConnId, session: SessionId, event: &Media) {
        let name = (host, (conn, session));
        let honest = self.is_honest(host, conn);
        let Some(process) = self.hosts[host].process() else { return };
        let stats = process.node.endpoint.media_stats(conn, session);
        match event {
            Media::Opened(grant) => {
                if let Some(tag) = tag(grant).filter(|_| honest) {
                    self.ends.granted(name, tag);
                }
            }
            Media::Paused => {
                if let Some(stats) = stats {
                    self.ends.paused(name, stats.bytes);
                }
            }
            Media::Resumed { .. } => self.ends.resumed(name),
            Media::Ended(ended) => {
                let side = process.known.conn(conn).side;
                match side {
                    Side::Server => self.ends.sent(name, ended.bytes),
                    Side::Client => self.ends.pulled(name, ended.bytes),
                }
                self.judge_end(name, *ended, honest);
                if let (Side::Client, Some(saver)) = (side, &mut self.hosts[host].saver) {
                    saver.received(name.1, ended.bytes);
                    saver.ended(name.1);
                }
            }
            Media::Refused(_) | Media::Readable | Media::Wanted { .. } => {}
        }
    }

    /// A session has ended, which it may have done for few reasons.
    fn judge_end(&mut self, (host, (conn, session)): Name, ended: Ended, honest: bool) {
        if !honest {
            return;
        }
        let fair = !matches!(
            ended.reason,
            EndReason::Violation(_)
                | EndReason::Reset(Code::Violation | Code::Internal | Code::UnknownStream)
        );
        assert!(fair, "{host} {conn} {session}: {ended:?} between honest hosts");
        let restless = self.is_restless(host, conn);
        let Some(process) = self.hosts[host].process() else { return };
        let known = process.known.conn(conn);
        // A server says the end first, and waits as long again for that to be taken.
        let rounds = if known.side == Side::Server { 2 } else { 1 };
        let session_known = known.sessions.get(&session);
        let timeout = session_known.map_or(limits::DEFAULT_SESSION_TIMEOUT, |known| known.timeout);
        let silence = Duration::from_secs(timeout.into()) * rounds + GRACE;
        let healthy = self.swarm.heal_at() + silence;
        assert!(
            ended.reason != EndReason::Timeout || restless || self.now < healthy,
            "liveness: {host} {conn} {session}: {ended:?}, and all is well"
        );
    }

    /// A host has done all it can do now: both ends of its sessions are compared, and nothing is
    /// beyond its limit.
    pub(super) fn judge_turn(&mut self, host: HostId) {
        let Some(process) = self.hosts[host].process() else { return };
        let endpoint = &process.node.endpoint;
        let mut seen = Vec::new();
        for side in [Side::Server, Side::Client] {
            for (conn, session, _) in process.known.running(side) {
                let pulled = process.client.playbacks.get(&(conn, session)).map(|p| p.bytes);
                let stats = endpoint.media_stats(conn, session).map(|stats| stats.bytes);
                seen.push((
                    side,
                    (conn, session),
                    if side == Side::Client { pulled } else { stats },
                ));
            }
        }
        for (conn, session) in self.hosts[host].files.running() {
            self.judge_transfer(host, conn, session);
        }
        let Some(process) = self.hosts[host].process() else { return };
        let endpoint = &process.node.endpoint;
        let most = endpoint.connections() * limits::MAX_SESSIONS;
        assert!(seen.len() <= most, "memory: {} sessions", seen.len());
        for (side, key, bytes) in seen {
            if let (Side::Client, Some(bytes), Some(saver)) =
                (side, bytes, &mut self.hosts[host].saver)
            {
                saver.received(key, bytes);
            }
            match (side, bytes) {
                (Side::Server, Some(bytes)) => self.ends.sent((host, key), bytes),
                (Side::Client, Some(bytes)) => self.ends.pulled((host, key), bytes),
                (_, None) => {}
            }
        }
    }

    /// An event has been dealt with by its application.
    pub(super) fn follow(&mut self, host: HostId, conn: ConnId, event: &Event) {
        if let Event::Files(session, Files::Ended(ended)) = event {
            self.errand_ended(host, (conn, *session), &ended.how);
        }
        if !matches!(event, Event::Hello { .. } | Event::Pong { .. } | Event::Listing(_)) {
            return;
        }
        let now = self.now;
        let Some(process) = self.hosts[host].process() else { return };
        let known = process.known.conn(conn);
        let remote = known.remote.filter(|_| known.side == Side::Client);
        let ticket = process.node.endpoint.conn(now, conn).ok().and_then(|conn| conn.ticket());
        if let (Some(server), Some(ticket)) = (remote.and_then(|at| self.honest(at)), ticket) {
            self.hosts[host].tickets.insert(server, ticket);
        }
    }
}
