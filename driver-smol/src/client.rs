//! The client's role with async handles and back-pressure.
//!
//! [`Client::new`] makes a handle and the future that drives it. Everything else is a handle to
//! something on that loop: a [`Connection`], a [`MediaStream`], a [`Transfer`]. A handle that is
//! dropped closes what it stands for; the driver's future ends when the last one is gone and
//! everything is sent. There is no protocol in here, only commands, answers and buffers.
//!
//! **Back-pressure.** Media arrives in [`Piece`]s of at most [`PIECE`] bytes, and at most
//! [`PIECES`] of one stream are on their way or in the consumer's hands. Beyond that nothing is
//! pulled from the connection, so flow control stops the server, and nothing grows. The buffers
//! are used again when the last [`bytes::Bytes`] of a piece is gone.
//!
//! **Files.** The disk belongs to a [`Worker`](anabranch_transfers::Worker) on a thread of its own,
//! which the loop never waits for. It waits for the loop, when the inbox is full, and for whoever
//! should take its reports.

mod app;
mod command;
mod connection;
mod error;
mod filler;
mod moving;
mod outcome;
mod pool;
mod session;
mod stream;
mod transfer;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anabranch_core::Endpoint;
use anabranch_core::transport::Target;
use anabranch_driver::{Bound, Clock, Sockets};

pub use connection::{Connection, Established, Notice};
pub use error::{ConnectError, OpenError, RebindError, RequestError, TransferError};
pub use filler::{Part, Piece};
pub use pool::{PIECE, PIECES};
pub use stream::MediaStream;
pub use transfer::{News, Transfer};

use crate::driver::Driver;
use command::{Command, ask};

/// The way to a loop that runs client connections. Clones lead to the same one.
#[derive(Clone)]
pub struct Client {
    handle: command::Handle,
    bound: Arc<Bound>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Client {
    /// A client on these sockets, and the future that drives it: spawn it, or run it beside the
    /// rest. The endpoint's [`Config::epoch`](anabranch_core::Config::epoch) must come from this
    /// clock.
    ///
    /// The future ends when every handle is gone and everything is sent; its error is that
    /// smol's reactor failed.
    ///
    /// # Errors
    /// The system cannot do with a socket what is needed.
    pub fn new(
        clock: Clock,
        endpoint: Endpoint,
        sockets: Sockets,
    ) -> io::Result<(Self, impl Future<Output = io::Result<()>> + Send + 'static)> {
        let bound = Arc::new(sockets.bound()?);
        let (mut driver, commands) = Driver::new(clock, endpoint, sockets, app::App::new())?;
        let handle = driver.parts_mut().1.attach(commands);
        let run = async move { driver.run().await };
        Ok((Self { handle, bound }, run))
    }

    /// Our address towards a server, for [`Target::local`].
    ///
    /// # Errors
    /// As [`Bound::local_for`].
    pub fn local_for(&self, remote: SocketAddr) -> io::Result<SocketAddr> {
        self.bound.local_for(remote)
    }

    /// Makes a connection. Resolves when the handshake is complete.
    ///
    /// # Errors
    /// It did not come to be, and why.
    pub async fn connect(&self, target: Target) -> Result<Connection, ConnectError> {
        let made = ask(&self.handle, |reply| Command::Connect(Box::new(target), reply)).await;
        made.unwrap_or(Err(ConnectError::Gone))
    }
}
