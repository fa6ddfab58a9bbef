//! Files over many streams (`docs/protocol.md`, rules AB-F*).
//!
//! A transfer is one control stream and some data streams. Either side can start one: it offers
//! files ([`crate::Conn::offer_files`]), or asks for some ([`crate::Conn::request_files`]). From
//! then on one side is the sender and the other one the receiver, whoever dialled.
//!
//! # The sender's application
//! answers [`Event::WantedEntries`] with [`crate::Files::supply_entries`], [`Event::Wanted`] with
//! a piece's bytes and their hash ([`crate::Files::supply`]), and [`Event::Check`] with the hashes
//! of pieces that the receiver says it has ([`crate::Files::checked`]). It may answer in any order
//! and from other threads. [`Event::Done`] says that the receiver has a file.
//!
//! # The receiver's application
//! answers [`Event::Offered`] ([`crate::Files::accept`] or [`crate::Files::refuse`]) and each entry
//! of [`Event::Entries`] ([`crate::Files::take`] or [`crate::Files::skip`]). After
//! [`Event::Readable`] it pulls ([`crate::Files::pull`]) until there is nothing, stores what it
//! pulls, hashes it meanwhile, and says so for each piece ([`crate::Files::stored`]). Only then is
//! the piece acknowledged. [`Event::Complete`] says that a file has all its pieces and the right
//! root: the application puts it in its place ([`crate::Files::committed`]). At
//! [`Event::Finishing`] it makes all durable ([`crate::Files::finish`]).
//!
//! Either side can pause, resume, cancel, and give up a single file ([`crate::Files::fail`]).
//! The core holds no file: only what was asked for and what is on its way.

pub mod block;
mod bucket;
mod command;
pub mod hash;
mod line;
pub mod message;
mod meter;
pub mod name;
mod party;
mod query;
pub mod ranges;
pub(crate) mod receiver;
pub(crate) mod sender;
mod transfer;
mod tune;
mod types;

use crate::code::Code;
pub use command::Command;
pub use hash::Hash;
pub use message::{Listed, Order, Query, Reply, TransferState, Transferring};
pub use meter::{LimitedBy, Shares};
pub use name::Names;
pub(crate) use transfer::Transfer;
pub use types::{
    Accept, Channel, ChannelStats, End, Ended, Entry, Existing, Have, Kind, Modified, Offer,
    Request, Stats, Token, piece_size,
};

/// The states of senders and receivers, of their files and of their pieces.
pub mod state {
    /// A sender's.
    pub mod sender {
        pub use crate::session::files::sender::state::*;
    }
    /// A receiver's.
    pub mod receiver {
        pub use crate::session::files::receiver::state::*;
    }
}

/// What happened in a transfer, or in a question about some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Receiver: the peer offers files. Answer with [`crate::Files::accept`] or
    /// [`crate::Files::refuse`]. After [`crate::Conn::request_files`] it was accepted by asking.
    Offered(Offer),
    /// Sender: the peer asks for files. Answer with [`crate::Files::offer`] or
    /// [`crate::Files::refuse`].
    Requested {
        /// Which transfer it will be.
        token: Token,
        /// The files and folders, as the peer names them. They were not looked at.
        names: Vec<String>,
    },
    /// Sender: the offer was accepted.
    Accepted,
    /// Sender: up to so many entries are wanted: see [`crate::Files::supply_entries`].
    WantedEntries {
        /// At most.
        most: usize,
    },
    /// Sender: this piece is wanted: see [`crate::Files::supply`].
    Wanted {
        /// The number of the entry.
        file: u32,
        /// The number of the piece.
        piece: u64,
        /// Where its bytes start.
        offset: u64,
        /// How many there are; of a file of unknown size: at most.
        len: u32,
    },
    /// Sender: the receiver says that it has these pieces; the hashes of the sender's own are
    /// wanted: see [`crate::Files::checked`].
    Check {
        /// The number of the entry.
        file: u32,
        /// The first piece.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Receiver: entries of the transfer. Each wants an answer: [`crate::Files::take`],
    /// [`crate::Files::skip`] or [`crate::Files::fail`].
    Entries {
        /// Number and entry.
        entries: Vec<(u32, Entry)>,
    },
    /// Receiver: an entry was refused because of its name, or for being neither file nor folder.
    Unusable {
        /// The number of the entry.
        file: u32,
        /// Its name, made fit to be shown.
        name: String,
        /// What is wrong with its name; `None`: it is something else.
        why: Option<name::BadName>,
    },
    /// Receiver: pieces that it said it had are others at the sender, and will be sent. The
    /// partial file is of another version.
    Stale {
        /// The number of the entry.
        file: u32,
        /// The first piece.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Receiver: there is something to pull. Comes again only after a pull was
    /// [`Pulled::Blocked`].
    Readable {
        /// From which stream.
        channel: Channel,
    },
    /// Receiver: a piece was not what the sender announced, and is asked for again.
    Wrong {
        /// The number of the entry.
        file: u32,
        /// The number of the piece.
        piece: u64,
    },
    /// Receiver: all of a file is stored, and its root is right. To be answered with
    /// [`crate::Files::committed`].
    Complete {
        /// The number of the entry.
        file: u32,
        /// Its size in bytes.
        size: u64,
        /// Its root hash.
        root: Hash,
    },
    /// Sender: the receiver has a file or folder.
    Done {
        /// The number of the entry.
        file: u32,
        /// Its root hash; `None`: a folder.
        root: Option<Hash>,
    },
    /// Sender: the receiver does not want an entry.
    Skipped {
        /// The number of the entry.
        file: u32,
    },
    /// A file has failed; the others go on.
    Failed {
        /// The number of the entry.
        file: u32,
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
        /// Whether the peer gave it up.
        by_peer: bool,
    },
    /// The peer has paused the transfer. What is on its way still arrives.
    Paused {
        /// Why, for people.
        reason: String,
    },
    /// The peer would go on.
    Resumed,
    /// Receiver: every entry was dealt with. To be answered with [`crate::Files::finish`] when
    /// everything is durable.
    Finishing,
    /// A question of the peer's: answer with [`crate::Files::reply`].
    Asked(Query),
    /// The answer to a question.
    Replied(Reply),
    /// The end. Nothing comes after it.
    Ended(Box<Ended>),
}

/// What a pull gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Bytes of a piece.
    Bytes {
        /// The number of the entry.
        file: u32,
        /// The number of the piece.
        piece: u64,
        /// Where in the file these bytes belong.
        offset: u64,
        /// How many were written to the buffer.
        len: usize,
        /// They are the last ones of the piece: say [`crate::Files::stored`] when they are
        /// stored.
        last: bool,
    },
    /// Nothing is there. [`Event::Readable`] will come.
    Blocked,
}

/// Who has a transfer paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) here: bool,
    pub(crate) there: bool,
}

impl Hold {
    /// Somebody has.
    pub(crate) const fn is_on(self) -> bool {
        self.here || self.there
    }
}

/// An event on its way to the application.
pub(crate) fn tell(cx: &mut super::Cx<'_>, id: crate::id::SessionId, event: Event) {
    cx.events.push_back(crate::Event::Files(id, event));
}

/// Cuts a text for people to what fits.
pub(crate) fn shorten(reason: &str) -> String {
    let mut end = reason.len().min(crate::limits::MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

#[cfg(test)]
mod tests;
