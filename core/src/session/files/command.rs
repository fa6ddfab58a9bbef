//! Commands to a transfer as values.

use bytes::Bytes;

use super::hash::Hash;
use super::message::Reply;
use super::types::{Accept, Channel, Entry, Have, Offer};
use crate::code::Code;

/// A command to a transfer or a question. What each means, the method of the same name of
/// [`crate::Files`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// [`crate::Files::offer`].
    Offer(Offer),
    /// [`crate::Files::supply_entries`].
    SupplyEntries {
        /// The entries.
        entries: Vec<Entry>,
        /// There are no more.
        last: bool,
    },
    /// [`crate::Files::supply`].
    Supply {
        /// The number of the entry.
        file: u32,
        /// The number of the piece.
        piece: u64,
        /// Its bytes.
        bytes: Bytes,
        /// Their hash.
        hash: Hash,
    },
    /// [`crate::Files::checked`].
    Checked {
        /// The number of the entry.
        file: u32,
        /// The number of the first piece.
        first: u64,
        /// The hashes of the sender's own pieces.
        hashes: Vec<Hash>,
    },
    /// [`crate::Files::set_streams`].
    SetStreams(Option<usize>),
    /// [`crate::Files::accept`].
    Accept(Accept),
    /// [`crate::Files::take`].
    Take {
        /// The number of the entry.
        file: u32,
        /// What is there.
        haves: Vec<Have>,
    },
    /// [`crate::Files::skip`].
    Skip {
        /// The number of the entry.
        file: u32,
    },
    /// [`crate::Files::pull`].
    Pull {
        /// From which stream.
        channel: Channel,
        /// At most so many bytes.
        room: usize,
    },
    /// [`crate::Files::stored`].
    Stored {
        /// The number of the entry.
        file: u32,
        /// The number of the piece.
        piece: u64,
        /// The hash of what was stored.
        hash: Hash,
    },
    /// [`crate::Files::committed`].
    Committed {
        /// The number of the entry.
        file: u32,
    },
    /// [`crate::Files::finish`].
    Finish,
    /// [`crate::Files::set_window`].
    SetWindow(u64),
    /// [`crate::Files::fail`].
    Fail {
        /// The number of the entry.
        file: u32,
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// [`crate::Files::pause`].
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// [`crate::Files::resume`].
    Resume,
    /// [`crate::Files::cancel`] and [`crate::Files::refuse`].
    Cancel {
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// [`crate::Files::set_limit`].
    SetLimit(Option<u64>),
    /// [`crate::Files::reply`].
    Reply(Reply),
}

impl Command {
    /// The payload that goes with it, which is not part of the command's record.
    pub(crate) fn payload(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Supply { bytes, .. } => Some(bytes),
            Self::Offer(_)
            | Self::SupplyEntries { .. }
            | Self::Checked { .. }
            | Self::SetStreams(_)
            | Self::Accept(_)
            | Self::Take { .. }
            | Self::Skip { .. }
            | Self::Pull { .. }
            | Self::Stored { .. }
            | Self::Committed { .. }
            | Self::Finish
            | Self::SetWindow(_)
            | Self::Fail { .. }
            | Self::Pause { .. }
            | Self::Resume
            | Self::Cancel { .. }
            | Self::SetLimit(_)
            | Self::Reply(_) => None,
        }
    }
}
