//! What every session of a connection shares: the transport, and the way to the application.

use std::collections::VecDeque;

use crate::code::Code;
use crate::config::Config;
use crate::event::{Dialect, Event};
use crate::hub::Hub;
use crate::limits;
use crate::session::Cx;
use crate::time::{Instant, UnixMillis};
use crate::trace::{Story, Trace};
use crate::transport::Transport;

/// What the endpoint lends to a connection for one input.
pub(crate) struct Shared<'a> {
    pub(crate) now: Instant,
    pub(crate) wall: UnixMillis,
    pub(crate) hub: &'a mut Hub,
    pub(crate) config: &'a Config,
    pub(crate) trace: &'a Trace,
}

/// The transport, and events on their way out.
pub(crate) struct Carrier {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) events: VecDeque<Event>,
    /// Known once the handshake is complete, or from the ticket of an earlier connection.
    pub(crate) dialect: Option<Dialect>,
    /// Nothing new is started.
    pub(crate) draining: bool,
    /// What the application gave as reason for its close.
    pub(crate) reason: Option<String>,
    /// Where steps are told.
    pub(crate) story: Story,
}

impl Carrier {
    /// Over a transport whose handshake begins.
    pub(crate) fn new(transport: Box<dyn Transport>, story: Story) -> Self {
        Self {
            transport,
            events: VecDeque::new(),
            dialect: None,
            draining: false,
            reason: None,
            story,
        }
    }

    /// Closes the transport, with the application's reason if it gave one.
    pub(crate) fn close(&mut self, now: Instant, code: Code, reason: &str) {
        let mut reason = self.reason.take().unwrap_or_else(|| reason.to_owned());
        while reason.len() > limits::MAX_REASON {
            reason.pop();
        }
        self.transport.close(now, code, &reason);
    }

    /// What a session may touch.
    pub(crate) fn cx<'a>(&'a mut self, shared: &'a mut Shared<'_>) -> Cx<'a> {
        Cx {
            now: shared.now,
            wall: shared.wall,
            dialect: self.dialect.unwrap_or(Dialect::Classic),
            transport: self.transport.as_mut(),
            events: &mut self.events,
            hub: shared.hub,
            policy: &shared.config.media,
            story: &self.story,
            draining: self.draining,
        }
    }
}
