//! A media stream, as its user sees it.

use std::fmt;

use anabranch_core::media::{EndReason, Ended};
use anabranch_core::{SessionId, media};
use smol::channel::Receiver;

use super::command::{Act, Command, Note};
use super::connection::Connection;
use super::error::RequestError;
use super::filler::Piece;
use super::outcome::Outcome;

/// A media session that the server has granted. Dropped, it is closed.
pub struct MediaStream {
    pub(super) connection: Connection,
    pub(super) id: SessionId,
    pub(super) pieces: Receiver<Piece>,
    pub(super) ended: Outcome<Ended>,
}

impl fmt::Debug for MediaStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaStream({} of {:?})", self.id, self.connection)
    }
}

impl Drop for MediaStream {
    fn drop(&mut self) {
        if self.ended.get().is_none() {
            self.connection.0.handle.note(Note::CloseSession(self.connection.0.id, self.id));
        }
    }
}

impl MediaStream {
    /// The next bytes; `None` when the session is over ([`MediaStream::ended`] says how).
    ///
    /// Who does not ask, or keeps pieces, stops the server through flow control.
    pub async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await.ok()
    }

    /// The next bytes, if they are there.
    pub fn try_next(&mut self) -> Option<Piece> {
        self.pieces.try_recv().ok()
    }

    /// Asks the server to stop sending. Chunks on their way still arrive.
    ///
    /// # Errors
    /// The session is in no state for it, or over.
    pub async fn pause(&self) -> Result<(), RequestError> {
        self.act(Act::Pause).await
    }

    /// Asks the server to go on.
    ///
    /// # Errors
    /// The session is in no state for it, or over.
    pub async fn resume(&self) -> Result<(), RequestError> {
        self.act(Act::Resume).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// It is ending already, or over.
    pub async fn close(&self) -> Result<(), RequestError> {
        self.act(Act::Close).await
    }

    /// Numbers of the session.
    ///
    /// # Errors
    /// The session is over.
    pub async fn stats(&self) -> Result<media::Stats, RequestError> {
        let ids = (self.connection.0.id, self.id);
        self.connection.request(|reply| Command::SessionStats(ids.0, ids.1, reply)).await
    }

    /// Waits until the session is over, and says how it ended. It does not end by itself while
    /// pieces wait to be taken.
    pub async fn ended(&self) -> Ended {
        let lost = Ended { reason: EndReason::ConnectionLost, bytes: 0, chunks: 0, missed: 0 };
        self.ended.wait().await.unwrap_or(lost)
    }

    /// The connection it belongs to.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn act(&self, act: Act) -> Result<(), RequestError> {
        let ids = (self.connection.0.id, self.id);
        self.connection.request(|reply| Command::Act(ids.0, ids.1, act, reply)).await
    }
}
