//! What goes from the handles to the loop.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anabranch_core::event::Listing;
use anabranch_core::transport::{self, Target};
use anabranch_core::{Code, ConnId, SessionId, files, media};
use anabranch_transfers::{Buffers, Done, Worker};
use bytes::Bytes;
use smol::channel::{self, Sender};

use super::connection::Connection;
use super::error::{ConnectError, OpenError, RequestError};
use super::moving::{Started, Wish};
use super::stream::MediaStream;
use crate::inbox;

/// Where one answer goes. It has room for it.
pub(super) type Reply<T> = Sender<T>;

/// What a session's user asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Pause,
    Resume,
    Close,
}

/// What a handle asks of the loop.
pub(super) enum Command {
    Connect(Box<Target>, Reply<Result<Connection, ConnectError>>),
    Open(Connection, Box<media::Request>, Reply<Result<(MediaStream, media::Grant), OpenError>>),
    Act(ConnId, SessionId, Act, Reply<Result<(), RequestError>>),
    SessionStats(ConnId, SessionId, Reply<Result<media::Stats, RequestError>>),
    List(ConnId, Option<String>, Reply<Result<Listing, RequestError>>),
    Ping(ConnId, Reply<Result<Duration, RequestError>>),
    Ticket(ConnId, Reply<Option<Bytes>>),
    Stats(ConnId, Reply<Result<transport::Stats, RequestError>>),
    Close(ConnId, Code, String),
    Rebind(ConnId, SocketAddr, Reply<Result<(), RequestError>>),
    Move(Connection, Box<Wish>, Box<dyn Worker>, Started),
    Transfer(ConnId, SessionId, Box<files::Command>, Reply<Result<(), RequestError>>),
    TransferStats(ConnId, SessionId, Reply<Result<files::Stats, RequestError>>),
    AskFiles(ConnId, files::Query, Reply<Result<files::Reply, RequestError>>),
    /// A worker has done something.
    Done(Done),
    /// Look at the notes.
    Notes,
}

/// What is told where waiting is not possible: when something is dropped. Each is told at most
/// once at a time for one connection or session, so that their number is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    CloseConnection(ConnId),
    CloseSession(ConnId, SessionId),
    /// There is a buffer again.
    Room(ConnId, SessionId),
    CancelTransfer(ConnId, SessionId),
    /// The worker of a transfer has panicked.
    WorkerDied(ConnId, SessionId),
}

type Notes = Arc<Mutex<Vec<Note>>>;

/// The way in.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) inbox: inbox::Handle<Command>,
    notes: Notes,
    /// The stock of the workers of transfers.
    pub(super) buffers: Buffers,
}

impl Handle {
    pub(super) fn new(inbox: inbox::Handle<Command>, buffers: Buffers) -> Self {
        Self { inbox, notes: Notes::default(), buffers }
    }

    pub(super) fn downgrade(&self) -> WeakHandle {
        WeakHandle {
            inbox: self.inbox.downgrade(),
            notes: Arc::clone(&self.notes),
            buffers: self.buffers.clone(),
        }
    }

    pub(super) fn note(&self, note: Note) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        // A full inbox wakes the loop just as well: notes are looked at after every command.
        let _ = self.inbox.try_send(Command::Notes);
    }
}

/// A way in that does not keep the driver running.
#[derive(Clone)]
pub(super) struct WeakHandle {
    inbox: inbox::WeakHandle<Command>,
    notes: Notes,
    buffers: Buffers,
}

impl WeakHandle {
    /// `None` when every other handle is gone.
    pub(super) fn upgrade(&self) -> Option<Handle> {
        let inbox = self.inbox.upgrade()?;
        Some(Handle { inbox, notes: Arc::clone(&self.notes), buffers: self.buffers.clone() })
    }

    /// What was noted since the last time.
    pub(super) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self, note: Note) {
        if let Some(handle) = self.upgrade() {
            handle.note(note);
        }
    }
}

/// Sends a command and waits for its answer. `None` if the driver is gone.
pub(super) async fn ask<T>(handle: &Handle, make: impl FnOnce(Reply<T>) -> Command) -> Option<T> {
    let (reply, answer) = channel::bounded(1);
    handle.inbox.send(make(reply)).await.ok()?;
    answer.recv().await.ok()
}
