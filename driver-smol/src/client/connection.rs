//! A connection, as its user sees it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anabranch_core::event::Listing;
use anabranch_core::{Code, ConnId, Dialect, Path, Why, files, media, transport};
use anabranch_driver::Sockets;
use anabranch_transfers::{Buffers, Worker};
use bytes::Bytes;
use smol::channel::Receiver;

use super::command::{Command, Handle, Note, ask};
use super::error::{OpenError, RebindError, RequestError, TransferError};
use super::moving::Wish;
use super::outcome::Outcome;
use super::stream::MediaStream;
use super::transfer::Transfer;

/// What a complete handshake has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// Which protocol the connection speaks.
    pub dialect: Dialect,
    /// The server's address.
    pub remote: SocketAddr,
    /// SHA-256 of the SPKI of the server's certificate.
    pub peer_key: Option<[u8; 32]>,
    /// An earlier session was resumed (its certificate was checked then).
    pub resumed: bool,
}

/// Something to know about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Which program the server is, as it says.
    Hello {
        /// Program and version.
        agent: String,
    },
    /// The connection runs over another path.
    Moved(Path),
    /// The server is shutting down: nothing new, and what runs may run for `left`.
    GoAway {
        /// How long what runs may go on.
        left: Duration,
    },
}

pub(super) struct Inner {
    pub(super) handle: Handle,
    pub(super) id: ConnId,
    pub(super) facts: Established,
    pub(super) notices: Receiver<Notice>,
    pub(super) closed: Outcome<Why>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.handle.note(Note::CloseConnection(self.id));
    }
}

/// A connection. Clones are the same one; it is closed when the last of them, and of its media
/// streams and transfers, is gone.
#[derive(Clone)]
pub struct Connection(pub(super) Arc<Inner>);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} to {})", self.0.id, self.0.facts.remote)
    }
}

impl Connection {
    /// What the handshake has shown.
    #[must_use]
    pub fn established(&self) -> &Established {
        &self.0.facts
    }

    /// A page of the server's catalogue, from the name `after` on (exclusive).
    ///
    /// # Errors
    /// The connection cannot ask, or was lost before the answer.
    pub async fn list(&self, after: Option<&str>) -> Result<Listing, RequestError> {
        let after = after.map(str::to_owned);
        self.request(|reply| Command::List(self.0.id, after, reply)).await
    }

    /// The time of a round trip through the server's application layer.
    ///
    /// # Errors
    /// The connection cannot ask, or was lost before the answer.
    pub async fn ping(&self) -> Result<Duration, RequestError> {
        self.request(|reply| Command::Ping(self.0.id, reply)).await
    }

    /// Asks for a media session. Resolves when the server has granted or refused it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open_media(
        &self,
        request: media::Request,
    ) -> Result<(MediaStream, media::Grant), OpenError> {
        let make = |reply| Command::Open(self.clone(), Box::new(request), reply);
        match ask(&self.0.handle, make).await {
            Some(Err(OpenError::Misuse(misuse))) => {
                Err(self.0.closed.get().map_or(OpenError::Misuse(misuse), OpenError::Lost))
            }
            Some(answer) => answer,
            None => Err(self.0.closed.get().map_or(OpenError::Gone, OpenError::Lost)),
        }
    }

    /// Offers files to the server. The worker sends them, on a thread of its own: a
    /// [`Giver`](anabranch_transfers::Giver), say.
    ///
    /// # Errors
    /// The connection takes no more transfers, or was lost.
    pub async fn offer_files(
        &self,
        offer: files::Offer,
        worker: Box<dyn Worker>,
    ) -> Result<Transfer, TransferError> {
        self.start(Wish::Offer(offer), worker).await
    }

    /// Asks the server for files. The worker receives them, on a thread of its own: a
    /// [`Keeper`](anabranch_transfers::Keeper) or [`Printer`](anabranch_transfers::Printer), say.
    ///
    /// # Errors
    /// As [`Connection::offer_files`].
    pub async fn request_files(
        &self,
        request: files::Request,
        worker: Box<dyn Worker>,
    ) -> Result<Transfer, TransferError> {
        self.start(Wish::Request(request), worker).await
    }

    async fn start(&self, wish: Wish, worker: Box<dyn Worker>) -> Result<Transfer, TransferError> {
        let make = |reply| Command::Move(self.clone(), Box::new(wish), worker, reply);
        let lost =
            |error| TransferError::Request(self.0.closed.get().map_or(error, RequestError::Lost));
        match ask(&self.0.handle, make).await {
            Some(Err(TransferError::Request(error))) => Err(lost(error)),
            Some(answer) => answer,
            None => Err(lost(RequestError::Gone)),
        }
    }

    /// Asks the server about its files and transfers. A question that it does not take is
    /// [`files::Reply::Refused`].
    ///
    /// # Errors
    /// The connection cannot ask, or was lost before the answer.
    pub async fn ask_files(&self, query: files::Query) -> Result<files::Reply, RequestError> {
        self.request(|reply| Command::AskFiles(self.0.id, query, reply)).await
    }

    /// The stock of buffers that workers share, for a [`Giver`](anabranch_transfers::Giver).
    #[must_use]
    pub fn buffers(&self) -> Buffers {
        self.0.handle.buffers.clone()
    }

    /// The newest ticket, for a later connection to the same server.
    pub async fn ticket(&self) -> Option<Bytes> {
        ask(&self.0.handle, |reply| Command::Ticket(self.0.id, reply)).await.flatten()
    }

    /// Numbers of the transport. Not cheap: at most a few times a second.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn stats(&self) -> Result<transport::Stats, RequestError> {
        self.request(|reply| Command::Stats(self.0.id, reply)).await
    }

    /// Closes the connection at once: what was not sent is dropped.
    pub async fn close(&self, code: Code, reason: &str) {
        let command = Command::Close(self.0.id, code, reason.to_owned());
        // If the driver is gone, so is the connection.
        let _ = self.0.handle.inbox.send(command).await;
    }

    /// Waits until the connection is over, and says why. A driver that ended before is
    /// [`Why::Local`].
    pub async fn closed(&self) -> Why {
        self.0.closed.wait().await.unwrap_or(Why::Local(Code::GoingAway))
    }

    /// Moves the connection to new sockets, after a change of network, say.
    ///
    /// # Errors
    /// The server cannot be reached from them, or the endpoint cannot move.
    pub async fn rebind(&self, sockets: Sockets) -> Result<(), RebindError> {
        let local = sockets.bound().and_then(|bound| bound.local_for(self.0.facts.remote));
        let local = local.map_err(RebindError::Unreachable)?;
        let adopted = self.0.handle.inbox.adopt(sockets).await;
        adopted.map_err(|_| RebindError::Request(RequestError::Gone))?;
        let moved = self.request(|reply| Command::Rebind(self.0.id, local, reply)).await;
        moved.map_err(RebindError::Request)
    }

    /// The next thing to know about the connection; `None` when it is over. The oldest are
    /// dropped when nobody asks.
    pub async fn next_event(&self) -> Option<Notice> {
        self.0.notices.recv().await.ok()
    }

    /// Asks the loop, and says what became of the connection if it cannot answer.
    pub(super) async fn request<T>(
        &self,
        make: impl FnOnce(super::command::Reply<Result<T, RequestError>>) -> Command,
    ) -> Result<T, RequestError> {
        match ask(&self.0.handle, make).await {
            Some(Err(RequestError::Misuse(misuse))) => {
                Err(self.0.closed.get().map_or(RequestError::Misuse(misuse), RequestError::Lost))
            }
            Some(answer) => answer,
            None => Err(self.0.closed.get().map_or(RequestError::Gone, RequestError::Lost)),
        }
    }
}
