//! What a driver runs: an application that reacts to events and to commands from elsewhere.

use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::id::ConnId;
use crate::time::Instant;

/// The part of a program that lives on the protocol loop. It must not block: slow work (files,
/// name look-ups) goes to other threads, and its results come back as commands.
///
/// Both drivers run any `App`, so the same program can be a server on one and a client on the
/// other.
pub trait App {
    /// What other threads may send to the loop.
    type Command: Send + 'static;

    /// An event of a connection.
    fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, conn: ConnId, event: Event);

    /// A command from the inbox.
    fn on_command(&mut self, endpoint: &mut Endpoint, now: Instant, command: Self::Command);

    /// The loop ends when this is true and nothing is left to send.
    fn is_done(&self, endpoint: &Endpoint) -> bool;
}
