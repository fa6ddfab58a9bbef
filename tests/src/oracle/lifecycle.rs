//! The order of events: nothing after the end, no session without its connection.

use std::collections::BTreeMap;

use anabranch_core::files::Event as Files;
use anabranch_core::media::Event as Media;
use anabranch_core::{ConnId, Event, SessionId};

/// Where a session is, as far as its events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Asked,
    Open,
    Refused,
    Ended,
}

#[derive(Debug, Default)]
struct Connection {
    up: bool,
    closed: bool,
    sessions: BTreeMap<SessionId, Phase>,
}

/// Watches all events of one host.
#[derive(Debug, Default)]
pub struct Lifecycle {
    connections: BTreeMap<ConnId, Connection>,
}

impl Lifecycle {
    /// The application has opened a session.
    ///
    /// # Panics
    /// If the connection is over, or the id was used before.
    pub fn opened(&mut self, conn: ConnId, session: SessionId) {
        let state = self.connections.entry(conn).or_default();
        assert!(!state.closed, "{conn}: a session was opened after Closed");
        let before = state.sessions.insert(session, Phase::Asked);
        assert_eq!(before, None, "{conn} {session}: a session id was used twice");
    }

    /// The host has told this.
    ///
    /// # Panics
    /// If it breaks a rule.
    pub fn event(&mut self, conn: ConnId, event: &Event) {
        let state = self.connections.entry(conn).or_default();
        assert!(!state.closed, "{conn}: {event:?} after Closed");
        match event {
            Event::Connected { .. } => {
                assert!(!state.up, "{conn}: Connected twice");
                state.up = true;
            }
            Event::Media(session, event) => {
                assert!(state.up, "{conn} {session}: {event:?} before Connected");
                step(conn, *session, state, event);
            }
            Event::Files(session, event) => {
                assert!(state.up, "{conn} {session}: {event:?} before Connected");
                let phase = state.sessions.get(session).copied();
                assert_ne!(phase, Some(Phase::Ended), "{conn} {session}: {event:?} after its end");
                let ended = matches!(event, Files::Ended(_));
                state.sessions.insert(*session, if ended { Phase::Ended } else { Phase::Open });
            }
            Event::Closed(why) => {
                state.closed = true;
                for (session, phase) in &state.sessions {
                    assert_eq!(
                        *phase,
                        Phase::Ended,
                        "{conn} {session}: still {phase:?} at Closed({why:?})"
                    );
                }
            }
            Event::GoAway { .. } | Event::Moved(_) => {
                assert!(state.up, "{conn}: {event:?} before Connected");
            }
            // Control messages may come in 0-RTT, ahead of Connected.
            Event::Hello { .. } | Event::Pong { .. } | Event::Listing(_) => {}
        }
    }

    /// Whether this connection has been reported closed.
    #[must_use]
    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_some_and(|state| state.closed)
    }
}

fn step(conn: ConnId, session: SessionId, state: &mut Connection, event: &Media) {
    let phase = state.sessions.get(&session).copied();
    let next = match (event, phase) {
        (Media::Opened(_), None | Some(Phase::Asked)) => Phase::Open,
        (Media::Refused(_), Some(Phase::Asked)) => Phase::Refused,
        (
            Media::Readable | Media::Wanted { .. } | Media::Paused | Media::Resumed { .. },
            Some(Phase::Open),
        ) => Phase::Open,
        // A server ends sessions that it never granted.
        (Media::Ended(_), None | Some(Phase::Asked | Phase::Open | Phase::Refused)) => Phase::Ended,
        (
            Media::Opened(_)
            | Media::Refused(_)
            | Media::Readable
            | Media::Wanted { .. }
            | Media::Paused
            | Media::Resumed { .. }
            | Media::Ended(_),
            _,
        ) => panic!("{conn} {session}: {event:?} in phase {phase:?}"),
    };
    state.sessions.insert(session, next);
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use anabranch_core::media::{EndReason, Ended};
    use anabranch_core::{Code, Dialect, Why};

    use super::*;

    const CONN: ConnId = ConnId { slot: 0, generation: 0 };
    const SESSION: SessionId = SessionId(0);

    fn connected() -> Lifecycle {
        let mut lifecycle = Lifecycle::default();
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let event =
            Event::Connected { dialect: Dialect::V1, remote, peer_key: None, resumed: false };
        lifecycle.event(CONN, &event);
        lifecycle.opened(CONN, SESSION);
        lifecycle
    }

    fn ended() -> Event {
        let reason = EndReason::Complete;
        Event::Media(SESSION, Media::Ended(Ended { reason, bytes: 0, chunks: 0, missed: 0 }))
    }

    fn closed() -> Event {
        Event::Closed(Why::Local(Code::None))
    }

    #[test]
    fn the_usual_order_is_fine() {
        let mut lifecycle = connected();
        lifecycle.event(CONN, &ended());
        lifecycle.event(CONN, &closed());
        assert!(lifecycle.is_closed(CONN));
    }

    #[test]
    #[should_panic(expected = "Readable in phase Some(Ended)")]
    fn an_event_after_the_end_is_caught() {
        let mut lifecycle = connected();
        lifecycle.event(CONN, &ended());
        lifecycle.event(CONN, &Event::Media(SESSION, Media::Readable));
    }

    #[test]
    #[should_panic(expected = "still Asked at Closed")]
    fn a_session_that_outlives_its_connection_is_caught() {
        connected().event(CONN, &closed());
    }

    #[test]
    #[should_panic(expected = "after Closed")]
    fn an_event_of_a_closed_connection_is_caught() {
        let mut lifecycle = Lifecycle::default();
        lifecycle.event(CONN, &closed());
        lifecycle.event(CONN, &closed());
    }
}
