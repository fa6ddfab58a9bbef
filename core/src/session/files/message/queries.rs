//! Questions about a peer's files and transfers, and their answers (`docs/protocol.md`, rules
//! AB-F31 and AB-F32). The applications on both sides give them their meaning.

use super::{Malformed, SHORT, array, index, list, number, plus_one, text};
use crate::code::Code;
use crate::limits;
use crate::session::files::message::entries;
use crate::session::files::types::{Entry, Token};
use crate::wire::varint::{self, Cursor};

/// What to do with a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Hold it.
    Pause,
    /// Go on.
    Resume,
    /// End it.
    Cancel,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What is in a folder?
    List {
        /// The folder; empty: the top.
        folder: String,
        /// Entries whose names come after this one; empty: from the first.
        after: String,
        /// Entries wanted at most.
        most: u32,
    },
    /// Remove these.
    Remove {
        /// At most [`limits::MAX_REQUEST_NAMES`] names.
        names: Vec<String>,
    },
    /// Which transfers are there?
    Transfers {
        /// Those whose token comes after this one.
        after: Option<Token>,
        /// Transfers wanted at most.
        most: u32,
    },
    /// Do this with a transfer.
    Order {
        /// Which.
        token: Token,
        /// What.
        order: Order,
    },
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A file or folder; its name is without the folder's.
    Entry(Entry),
    /// Something else, by its name.
    Other(String),
}

/// What a transfer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferState {
    /// Bytes move, or wait for their turn.
    Running,
    /// It is paused.
    Paused,
    /// It is not complete, and nobody is connected for it.
    Waiting,
    /// It is complete.
    Complete,
    /// It ended before its time.
    Failed,
}

/// One transfer of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferring {
    /// Which.
    pub token: Token,
    /// What it is doing.
    pub state: TransferState,
    /// The peer is the sender.
    pub sending: bool,
    /// Bytes that are stored at the receiver.
    pub bytes: u64,
    /// Bytes in all, where that is known.
    pub of: Option<u64>,
    /// For people: what it is.
    pub label: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The question is refused.
    Refused {
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// Entries of a folder, in the order of the bytes of their names.
    Listing {
        /// The entries.
        entries: Vec<Listed>,
        /// There are more.
        more: bool,
    },
    /// For each name: [`Code::None`], or why it is still there.
    Removed {
        /// In the order of the question.
        codes: Vec<Code>,
    },
    /// Transfers, in the order of their tokens.
    Transfers {
        /// The transfers.
        transfers: Vec<Transferring>,
        /// There are more.
        more: bool,
    },
    /// The order was carried out.
    Ordered,
}

impl Query {
    /// Whether its texts and counts are within their limits.
    #[must_use]
    pub fn fits(&self) -> bool {
        match self {
            Self::List { folder, after, most } => {
                folder.len() <= limits::MAX_PATH && after.len() <= limits::MAX_PATH && *most > 0
            }
            Self::Remove { names } => fit_one_message(names),
            Self::Transfers { most, .. } => *most > 0,
            Self::Order { .. } => true,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::List { folder, after, most } => {
                varint::put(out, 0);
                varint::put_bytes(out, folder.as_bytes());
                varint::put_bytes(out, after.as_bytes());
                varint::put(out, u64::from(*most));
            }
            Self::Remove { names } => {
                varint::put(out, 1);
                varint::put(out, names.len() as u64);
                names.iter().for_each(|name| varint::put_bytes(out, name.as_bytes()));
            }
            Self::Transfers { after, most } => {
                varint::put(out, 2);
                varint::put_bytes(out, after.as_ref().map_or(&[], |token| &token.0));
                varint::put(out, u64::from(*most));
            }
            Self::Order { token, order } => {
                varint::put(out, 3);
                out.extend_from_slice(&token.0);
                varint::put(out, *order as u64);
            }
        }
    }

    pub(super) fn parse(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let path = |c: &mut Cursor<'_>| text(c.prefixed().ok_or(SHORT)?, limits::MAX_PATH);
        Ok(match number(c)? {
            0 => Self::List { folder: path(c)?, after: path(c)?, most: index(c)?.max(1) },
            1 => {
                let names = list(c, path)?;
                if names.len() > limits::MAX_REQUEST_NAMES {
                    return Err("too many names");
                }
                Self::Remove { names }
            }
            2 => {
                let after = c.prefixed().ok_or(SHORT)?;
                let after = if after.is_empty() {
                    None
                } else {
                    Some(Token(array(&mut Cursor::new(after))?))
                };
                Self::Transfers { after, most: index(c)?.max(1) }
            }
            3 => {
                let token = Token(array(c)?);
                let orders = [Order::Pause, Order::Resume, Order::Cancel];
                let number = number(c)?;
                let order = orders.into_iter().find(|order| *order as u64 == number);
                Self::Order { token, order: order.ok_or("unknown order")? }
            }
            _ => return Err("unknown question"),
        })
    }
}

/// Whether so many names, and names so long, can be asked for at once.
#[must_use]
pub(crate) fn fit_one_message(names: &[String]) -> bool {
    let bytes: usize = names.iter().map(|name| name.len() + 4).sum();
    !names.is_empty()
        && names.len() <= limits::MAX_REQUEST_NAMES
        && names.iter().all(|name| name.len() <= limits::MAX_PATH)
        && bytes <= limits::MAX_FILE_MESSAGE / 2
}

const STATES: [TransferState; 5] = [
    TransferState::Running,
    TransferState::Paused,
    TransferState::Waiting,
    TransferState::Complete,
    TransferState::Failed,
];

impl Transferring {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut body = self.token.0.to_vec();
        let numbers = [self.state as u64, u64::from(self.sending), self.bytes, plus_one(self.of)];
        numbers.iter().for_each(|number| varint::put(&mut body, *number));
        varint::put_bytes(&mut body, self.label.as_bytes());
        varint::put_bytes(out, &body);
    }

    fn parse(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let c = &mut Cursor::new(c.prefixed().ok_or(SHORT)?);
        let token = Token(array(c)?);
        let state = number(c)?;
        let state = STATES.into_iter().find(|known| *known as u64 == state);
        Ok(Self {
            token,
            state: state.ok_or("unknown state")?,
            sending: number(c)? != 0,
            bytes: number(c)?,
            of: number(c)?.checked_sub(1),
            label: text(c.prefixed().ok_or(SHORT)?, limits::MAX_LABEL)?,
        })
    }
}

impl Reply {
    /// Cuts a page down to what fits one message, and says then that there is more. A reply that
    /// is no page stays as it is.
    #[must_use]
    pub fn fit(mut self) -> Self {
        loop {
            let mut out = Vec::new();
            self.encode(&mut out);
            if out.len() <= limits::MAX_FILE_MESSAGE {
                return self;
            }
            let half = |len: usize| len / 2;
            match &mut self {
                Self::Listing { entries, more } => {
                    entries.truncate(half(entries.len()));
                    *more = true;
                }
                Self::Transfers { transfers, more } => {
                    transfers.truncate(half(transfers.len()));
                    *more = true;
                }
                Self::Refused { .. } | Self::Removed { .. } | Self::Ordered => return self,
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Refused { code, reason } => {
                varint::put(out, 0);
                varint::put(out, code.to_wire());
                varint::put_bytes(out, reason.as_bytes());
            }
            Self::Listing { entries, more } => {
                varint::put(out, 1);
                varint::put(out, u64::from(*more));
                varint::put(out, entries.len() as u64);
                for listed in entries {
                    let entry = match listed {
                        Listed::Entry(entry) => entries::Parsed::Known(entry.clone()),
                        Listed::Other(name) => entries::Parsed::Unknown(name.clone()),
                    };
                    entry.encode(out);
                }
            }
            Self::Removed { codes } => {
                varint::put(out, 2);
                varint::put(out, codes.len() as u64);
                codes.iter().for_each(|code| varint::put(out, code.to_wire()));
            }
            Self::Transfers { transfers, more } => {
                varint::put(out, 3);
                varint::put(out, u64::from(*more));
                varint::put(out, transfers.len() as u64);
                transfers.iter().for_each(|transfer| transfer.encode(out));
            }
            Self::Ordered => varint::put(out, 4),
        }
    }

    pub(super) fn parse(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(match number(c)? {
            0 => Self::Refused {
                code: Code::from_wire(number(c)?),
                reason: text(c.prefixed().ok_or(SHORT)?, limits::MAX_REASON)?,
            },
            1 => {
                let more = number(c)? != 0;
                let entries = list(c, |c| {
                    Ok(match entries::Parsed::parse(c)? {
                        entries::Parsed::Known(entry) => Listed::Entry(entry),
                        entries::Parsed::Unknown(name) => Listed::Other(name),
                    })
                })?;
                Self::Listing { entries, more }
            }
            2 => Self::Removed { codes: list(c, |c| Ok(Code::from_wire(number(c)?)))? },
            3 => {
                let more = number(c)? != 0;
                Self::Transfers { transfers: list(c, Transferring::parse)?, more }
            }
            4 => Self::Ordered,
            _ => return Err("unknown answer"),
        })
    }
}
