//! What workers say to people.

use anabranch_core::Code;
use anabranch_core::files::Kind;

/// How a file came to be where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is new.
    New,
    /// It has taken the place of another one.
    Replaced,
    /// The same content was there already.
    Same,
}

/// What happened to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// An entry that the transfer has.
    Entry {
        /// The number of the entry.
        file: u32,
        /// Its name, as it is announced.
        name: String,
        /// What it is.
        kind: Kind,
        /// Its size in bytes, where that is known.
        size: Option<u64>,
    },
    /// Receiver: bytes that are there already are being read again and checked.
    Checking {
        /// The number of the entry.
        file: u32,
        /// Checked so far, bytes.
        done: u64,
        /// In all, bytes.
        total: u64,
    },
    /// Receiver: a part of a file was there, and is used.
    Resumed {
        /// The number of the entry.
        file: u32,
        /// Bytes that are there and right.
        bytes: u64,
    },
    /// Receiver: a part of a file was there, but of another version of it: it starts anew.
    Outdated {
        /// The number of the entry.
        file: u32,
        /// Its name.
        name: String,
    },
    /// Receiver: a file is complete and in its place, or a folder is there.
    Placed {
        /// The number of the entry.
        file: u32,
        /// Where it is, below the folder of the transfer's storage.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// How it came to be there.
        how: How,
    },
    /// Receiver: an entry was not wanted, because its name is taken.
    Skipped {
        /// The number of the entry.
        file: u32,
        /// Its name.
        name: String,
    },
    /// A file has failed, here or at the peer's.
    Failed {
        /// The number of the entry. `None`: it was not even announced.
        file: Option<u32>,
        /// Its name.
        name: String,
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
        /// The peer gave it up.
        by_peer: bool,
    },
    /// Sender: something that cannot be sent, and is left out: a device, or a link that is not
    /// followed.
    Ignored {
        /// Its path.
        path: String,
        /// Why, for people.
        reason: String,
    },
    /// Sender: the receiver has a file or folder.
    Sent {
        /// The number of the entry.
        file: u32,
        /// Its name.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
}
