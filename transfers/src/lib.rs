//! File transfers on disks.
//!
//! [`anabranch_core::files`] says what is to be done and learns what was done; this crate does it.
//! A [`Worker`] takes [`Task`]s and gives [`Out`]s, one after another, through a
//! [`Storage`](anabranch_storage::Storage) that may block and fail: a [`Keeper`] receives into a
//! folder, with partial files and journals that survive whatever happens; a [`Printer`] receives
//! into a pipe; a [`Giver`] sends files and folders. [`Desk`] puts workers on threads of their own
//! and is what an application's loop talks to.
//!
//! Nothing in here knows of sockets, of time, or of who may do what.
//!
//! # What is on disk
//! While `dir/NAME` is received, its bytes are in `dir/.NAME.anab-part`, and `dir/.NAME.anab-state`
//! says which pieces are there and what their hashes are (see [`journal`]). Nothing in the journal
//! is believed without looking: when a file is offered again, its pieces are read and hashed. The
//! complete file gets its name in one step, after its bytes are durable.
#![forbid(unsafe_code)]

pub mod journal;

mod buffers;
mod crew;
mod desk;
mod quota;
mod receive;
mod report;
mod send;
mod trouble;

use anabranch_core::files::{Command, Event};

pub use buffers::Buffers;
pub use crew::{Crew, Done, Key};
pub use desk::Desk;
pub use quota::{Quota, Share};
pub use receive::{Claims, Keeper, Printer, Receive, is_private, part, state};
pub use report::{How, Report};
pub use send::{Cache, Giver, Measure, Origin, Send, Source};

/// Something for a worker to do.
#[derive(Debug)]
pub enum Task {
    /// The core has told this.
    Event(Event),
    /// A whole piece has arrived.
    Piece {
        /// The number of the entry.
        file: u32,
        /// The number of the piece.
        piece: u64,
        /// Where its bytes belong in the file.
        offset: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// What comes of it.
#[derive(Debug)]
pub enum Out {
    /// To be given to the core.
    Command(Command),
    /// For people.
    Report(Report),
    /// A buffer that can be used again.
    Buffer(Vec<u8>),
}

/// Does what a transfer needs of a disk, in the order it is asked. Calls block for as long as the
/// disk takes.
pub trait Worker: std::marker::Send {
    /// Does something.
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out));

    /// Nothing else waits to be done: what was put off is done now.
    fn rest(&mut self, out: &mut dyn FnMut(Out));
}
