//! What an application knows about its connections and sessions, from what it did and what it
//! was told. From this follows what each command has to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anabranch_core::media::{Event as Media, PausePolicy};
use anabranch_core::{ConnId, Dialect, Event, RequestId, SessionId, Side, limits};

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handshake is under way.
    Dialled,
    /// Connected.
    Up,
    /// Nothing new is started.
    Draining,
    /// Closed has been told.
    Over,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Asked for (client).
    Asked,
    /// Granted.
    Open,
    /// Paused by its client.
    Paused,
    /// Being ended by this side.
    Closing,
    /// Ended has been told.
    Ended,
}

impl Stage {
    /// The name of a client's state machine in this stage, as in `docs/protocol.md`.
    #[must_use]
    pub(super) const fn client_state(self) -> &'static str {
        match self {
            Self::Asked => "OPEN_SENT",
            Self::Open => "STREAMING",
            Self::Paused => "PAUSED",
            Self::Closing => "CLOSING",
            Self::Ended => "CLOSED",
        }
    }
}

/// A session that an application has.
#[derive(Clone, Debug)]
pub(super) struct KnownSession {
    /// Where it is.
    pub(super) stage: Stage,
    /// A pause lets the media go on.
    pub(super) live: bool,
    /// Silence that ends it, in seconds.
    pub(super) timeout: u32,
}

impl KnownSession {
    /// A session that is asked for.
    pub(super) const fn new(live: bool) -> Self {
        Self { stage: Stage::Asked, live, timeout: limits::DEFAULT_SESSION_TIMEOUT }
    }
}

/// A connection that an application has, or had.
#[derive(Clone, Debug)]
pub(super) struct KnownConn {
    /// Which end.
    pub(super) side: Side,
    /// Where it is.
    pub(super) phase: Phase,
    /// Once it is up.
    pub(super) dialect: Option<Dialect>,
    /// The peer's address when it came up, or was dialled.
    pub(super) remote: Option<SocketAddr>,
    /// This side closes it, or drains it.
    pub(super) left: bool,
    /// Its sessions.
    pub(super) sessions: BTreeMap<SessionId, KnownSession>,
    /// Requests that wait for their answer.
    pub(super) requests: BTreeSet<RequestId>,
}

impl KnownConn {
    /// A connection of this side of which nothing is known yet.
    #[must_use]
    pub(super) const fn new(side: Side, remote: Option<SocketAddr>) -> Self {
        Self {
            side,
            phase: Phase::Dialled,
            dialect: None,
            remote,
            left: false,
            sessions: BTreeMap::new(),
            requests: BTreeSet::new(),
        }
    }

    /// Its sessions that have not ended.
    pub(super) fn running(&self) -> impl Iterator<Item = (SessionId, Stage)> + '_ {
        let sessions = self.sessions.iter().map(|(id, session)| (*id, session.stage));
        sessions.filter(|(_, stage)| *stage != Stage::Ended)
    }
}

/// All connections of one process, over or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// By id.
    pub(super) conns: BTreeMap<ConnId, KnownConn>,
    /// Sessions that have not ended.
    running: BTreeSet<(ConnId, SessionId)>,
    /// The whole endpoint shuts down.
    pub(super) leaving: bool,
}

impl Known {
    /// The application has dialled.
    ///
    /// # Panics
    /// If the id was used before.
    pub(super) fn dialled(&mut self, id: ConnId, remote: SocketAddr) {
        let before = self.conns.insert(id, KnownConn::new(Side::Client, Some(remote)));
        assert!(before.is_none(), "{id}: an id of a connection was used twice");
    }

    /// The connection an event belongs to; one that is new was accepted.
    pub(super) fn conn(&mut self, id: ConnId) -> &mut KnownConn {
        self.conns.entry(id).or_insert_with(|| KnownConn::new(Side::Server, None))
    }

    /// The endpoint has told this.
    ///
    /// # Panics
    /// If an answer comes to a question that was not asked.
    pub(super) fn on_event(&mut self, id: ConnId, event: &Event) {
        let conn = self.conn(id);
        match event {
            Event::Connected { dialect, remote, .. } => {
                conn.phase = Phase::Up;
                conn.dialect = Some(*dialect);
                conn.remote = Some(*remote);
            }
            Event::GoAway { .. } => conn.phase = Phase::Draining,
            Event::Closed(_) => conn.phase = Phase::Over,
            Event::Pong { request, .. } => answered(conn, *request),
            Event::Listing(listing) => answered(conn, listing.request),
            Event::Media(session, event) => {
                on_media(conn, *session, event);
                match event {
                    Media::Ended(_) => self.running.remove(&(id, *session)),
                    _ => self.running.insert((id, *session)),
                };
            }
            Event::Moved(path) => conn.remote = Some(path.remote),
            Event::Hello { .. } => {}
        }
    }

    /// Connections of a side in a phase.
    pub(super) fn in_phase(&self, side: Side, phase: Phase) -> Vec<ConnId> {
        let fits = |conn: &KnownConn| conn.side == side && conn.phase == phase;
        self.conns.iter().filter(|(_, conn)| fits(conn)).map(|(id, _)| *id).collect()
    }

    /// The application has asked for a session.
    pub(super) fn asked(&mut self, id: ConnId, session: SessionId, live: bool) {
        self.conn(id).sessions.insert(session, KnownSession::new(live));
        self.running.insert((id, session));
    }

    /// Sessions of a side that have not ended.
    pub(super) fn running(&self, side: Side) -> Vec<(ConnId, SessionId, Stage)> {
        let found = self.running.iter().filter_map(|(id, session)| {
            let conn = self.conns.get(id).filter(|conn| conn.side == side)?;
            Some((*id, *session, conn.sessions.get(session)?.stage))
        });
        found.collect()
    }
}

fn answered(conn: &mut KnownConn, request: RequestId) {
    assert!(conn.requests.remove(&request), "{request:?} was answered and not asked");
}

fn on_media(conn: &mut KnownConn, id: SessionId, event: &Media) {
    let fresh = || KnownSession::new(false);
    let session = conn.sessions.entry(id).or_insert_with(fresh);
    match event {
        Media::Opened(grant) => {
            session.live = grant.pause == PausePolicy::Live;
            session.timeout = grant.timeout;
            if session.stage == Stage::Asked {
                session.stage = Stage::Open;
            }
        }
        Media::Paused => session.stage = Stage::Paused,
        Media::Resumed { .. } => session.stage = Stage::Open,
        Media::Ended(_) => session.stage = Stage::Ended,
        Media::Refused(_) | Media::Readable | Media::Wanted { .. } => {}
    }
}
