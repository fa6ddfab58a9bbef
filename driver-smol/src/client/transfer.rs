//! A file transfer, as its user sees it.

use std::fmt;

use anabranch_core::files::{Command as Order, End, Ended, Stats};
use anabranch_core::{Code, SessionId};
use anabranch_transfers::Report;
use smol::channel::Receiver;
use smol::future::or;

use super::command::{Command, Note};
use super::connection::Connection;
use super::error::RequestError;
use super::outcome::Outcome;

/// Something to know about a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The server takes what was offered.
    Accepted,
    /// The server says what it will send.
    Offered {
        /// How many entries there will be, where that is known.
        entries: Option<u64>,
        /// How many bytes, where that is known.
        bytes: Option<u64>,
    },
    /// The server has paused it.
    Paused {
        /// Why, for people.
        reason: String,
    },
    /// The server would go on.
    Resumed,
    /// What the worker says.
    Report(Report),
}

/// A transfer that this side has started. Dropped, it is cancelled, unless it is over.
pub struct Transfer {
    pub(super) connection: Connection,
    pub(super) id: SessionId,
    pub(super) notices: Receiver<News>,
    pub(super) reports: Receiver<Report>,
    pub(super) ended: Outcome<Ended>,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transfer({} of {:?})", self.id, self.connection)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.ended.get().is_none() {
            self.connection.0.handle.note(Note::CancelTransfer(self.connection.0.id, self.id));
        }
    }
}

impl Transfer {
    /// The next thing to know. `None` when the transfer is over, its worker has done everything
    /// that it was given, and nothing of the disk is in its hands any more.
    ///
    /// Every report arrives; who does not ask stops the worker. Of what the server says, the
    /// oldest is dropped when nobody asks.
    pub async fn next(&self) -> Option<News> {
        let notice = async {
            match self.notices.recv().await {
                Ok(notice) => Some(notice),
                // The transfer is over. Its worker may not be through.
                Err(_) => self.reports.recv().await.ok().map(News::Report),
            }
        };
        let report = async {
            match self.reports.recv().await {
                Ok(report) => Some(News::Report(report)),
                Err(_) => self.notices.recv().await.ok(),
            }
        };
        or(notice, report).await
    }

    /// Asks both sides to begin nothing new.
    ///
    /// # Errors
    /// It is paused by this side already, or over.
    pub async fn pause(&self, reason: &str) -> Result<(), RequestError> {
        self.order(Order::Pause { reason: reason.to_owned() }).await
    }

    /// Goes on, unless the server has paused it as well.
    ///
    /// # Errors
    /// It is not paused by this side, or over.
    pub async fn resume(&self) -> Result<(), RequestError> {
        self.order(Order::Resume).await
    }

    /// Ends it. What the receiver has, it keeps.
    ///
    /// # Errors
    /// It is over.
    pub async fn cancel(&self, code: Code, reason: &str) -> Result<(), RequestError> {
        self.order(Order::Cancel { code, reason: reason.to_owned() }).await
    }

    /// At most so many bytes a second; `None`: no limit.
    ///
    /// # Errors
    /// It is over.
    pub async fn set_limit(&self, rate: Option<u64>) -> Result<(), RequestError> {
        self.order(Order::SetLimit(rate)).await
    }

    /// Sender: so many streams carry the bytes; `None`: as many as are good for it.
    ///
    /// # Errors
    /// The number is out of range, this side is the receiver, or it is over.
    pub async fn set_streams(&self, streams: Option<usize>) -> Result<(), RequestError> {
        self.order(Order::SetStreams(streams)).await
    }

    /// Numbers.
    ///
    /// # Errors
    /// It is over: [`Transfer::ended`] has the last ones.
    pub async fn stats(&self) -> Result<Stats, RequestError> {
        let ids = (self.connection.0.id, self.id);
        self.connection.request(|reply| Command::TransferStats(ids.0, ids.1, reply)).await
    }

    /// Waits until the transfer is over, and says how it ended. Its worker may still be busy:
    /// [`Transfer::next`] says when it is not.
    pub async fn ended(&self) -> Ended {
        let lost = || Ended { how: End::ConnectionLost, stats: Stats::default() };
        self.ended.wait().await.unwrap_or_else(lost)
    }

    /// The connection it belongs to.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn order(&self, order: Order) -> Result<(), RequestError> {
        let ids = (self.connection.0.id, self.id);
        let make = |reply| Command::Transfer(ids.0, ids.1, Box::new(order), reply);
        self.connection.request(make).await
    }
}
