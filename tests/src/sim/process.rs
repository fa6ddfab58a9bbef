//! A process on a host: an endpoint, with an application for each side of its connections.

use anabranch_core::{ConnId, Event, Instant, Side};

use super::known::Known;
use crate::apps::{ClientApp, ServerApp};
use crate::pair::host::Node;

/// Wake-ups in one second of virtual time after which the endpoint did nothing: more are taken
/// for a loop.
const IDLE_WAKES_PER_SECOND: u32 = 2_000;
/// Waits in a row for a time that has passed, at one point in time.
const PAST_DEADLINES: u32 = 16;

/// A process that runs.
pub(super) struct Process {
    pub(super) node: Node,
    pub(super) client: ClientApp,
    pub(super) server: ServerApp,
    pub(super) known: Known,
    spin: Spin,
}

/// Looks for loops.
#[derive(Debug, Default)]
struct Spin {
    second: u64,
    idle: u32,
    past: u32,
}

impl Process {
    pub(super) fn new(node: Node, server: ServerApp) -> Self {
        Self {
            node,
            client: ClientApp::default(),
            server,
            known: Known::default(),
            spin: Spin::default(),
        }
    }

    /// The endpoint has told this: the oracles see it, then the application it belongs to.
    pub(super) fn on_event(&mut self, now: Instant, conn: ConnId, event: &Event) {
        self.node.lifecycle.event(conn, event);
        self.known.on_event(conn, event);
        let endpoint = &mut self.node.endpoint;
        match self.known.conn(conn).side {
            Side::Client => self.client.on_event(endpoint, now, conn, event),
            Side::Server => self.server.on_event(endpoint, now, conn, event),
        }
    }

    /// A turn is over that a deadline began; `idle`: nothing came of it.
    ///
    /// # Panics
    /// If it wakes again and again for nothing.
    pub(super) fn after_turn(&mut self, now: Instant, woken: bool, idle: bool) {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.spin.second {
            self.spin = Spin { second, ..Spin::default() };
        }
        self.spin.idle += u32::from(woken && idle);
        assert!(
            self.spin.idle <= IDLE_WAKES_PER_SECOND,
            "busy loop: {IDLE_WAKES_PER_SECOND} wake-ups in a second, and nothing came of them"
        );
        let past = self.node.wake.is_some_and(|wake| wake <= now);
        self.spin.past = if past { self.spin.past + 1 } else { 0 };
        assert!(
            self.spin.past <= PAST_DEADLINES,
            "busy loop: waits again and again for a time that is there: {:?}",
            self.node.why
        );
    }

    /// When it wants to be called next.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.node.wake, self.server.next()].into_iter().flatten().min()
    }
}
