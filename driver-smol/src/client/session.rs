//! A media session, as the loop sees it.

use anabranch_core::media::{self, EndReason, Ended, Grant, Pulled};
use anabranch_core::{ConnId, Endpoint, Instant, SessionId, Why};
use smol::channel::{self, Receiver, Sender};

use super::command::{Reply, WeakHandle};
use super::connection::Connection;
use super::error::OpenError;
use super::filler::{Filler, Piece, Stopped};
use super::outcome::{Outcome, Setter, outcome};
use super::pool::{PIECES, Pool};
use super::stream::MediaStream;

/// Who waits for the server's answer.
struct Opening {
    connection: Connection,
    reply: Reply<Result<(MediaStream, Grant), OpenError>>,
    pieces: Receiver<Piece>,
    ended: Outcome<Ended>,
}

/// One session and its consumer.
pub(super) struct Session {
    opening: Option<Opening>,
    filler: Filler,
    pieces: Sender<Piece>,
    ended: Setter<Ended>,
    /// What has been handed over, for when the connection is lost.
    bytes: u64,
    chunks: u64,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        connection: Connection,
        reply: Reply<Result<(MediaStream, Grant), OpenError>>,
        weak: WeakHandle,
    ) -> Self {
        let conn = connection.0.id;
        let pool = Pool::new(Box::new(move || weak.note(super::command::Note::Room(conn, id))));
        let (sender, pieces) = channel::bounded(PIECES);
        let (setter, ended) = outcome();
        Self {
            opening: Some(Opening { connection, reply, pieces, ended }),
            filler: Filler::new(pool),
            pieces: sender,
            ended: setter,
            bytes: 0,
            chunks: 0,
        }
    }

    /// The server has granted it.
    pub(super) fn opened(&mut self, id: SessionId, grant: Grant) {
        if let Some(opening) = self.opening.take() {
            let Opening { connection, reply, pieces, ended } = opening;
            let stream = MediaStream { connection, id, pieces, ended };
            // Where nobody waits any more, the stream is dropped, and that closes the session.
            let _ = reply.try_send(Ok((stream, grant)));
        }
    }

    /// The server has refused it.
    pub(super) fn refused(mut self, nack: media::Nack) {
        self.fail(OpenError::Refused(nack));
    }

    /// It is over.
    pub(super) fn finish(mut self, ended: Ended) {
        self.fail(OpenError::Ended(ended));
        self.ended.set(ended);
    }

    /// Its connection is over.
    pub(super) fn lose(mut self, why: &Why) {
        self.fail(OpenError::Lost(why.clone()));
        let reason = EndReason::ConnectionLost;
        self.ended.set(Ended { reason, bytes: self.bytes, chunks: self.chunks, missed: 0 });
    }

    fn fail(&mut self, error: OpenError) {
        if let Some(opening) = self.opening.take() {
            let _ = opening.reply.try_send(Err(error));
        }
    }

    /// Pulls what is there, as far as there are buffers.
    pub(super) fn fill(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        conn: ConnId,
        id: SessionId,
    ) {
        let Ok(mut connection) = endpoint.conn(now, conn) else { return };
        let Ok(mut media) = connection.media(id) else { return };
        let Self { filler, pieces, bytes, chunks, .. } = self;
        let stopped = filler.fill(
            |buf| media.pull(buf).unwrap_or(Pulled::End),
            |piece| {
                *bytes += piece.bytes.len() as u64;
                *chunks += piece.parts.iter().filter(|part| part.last).count() as u64;
                // There are never more pieces than places. A consumer that is gone wants none.
                let _ = pieces.try_send(piece);
            },
        );
        log::trace!("{conn} {id}: pulled until {stopped:?}");
        debug_assert!(matches!(stopped, Stopped::Blocked | Stopped::NoBuffer));
    }
}
