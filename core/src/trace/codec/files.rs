//! What applications and file transfers say.

use super::macros::{choice, record, wrapper};
use super::{Field, Get, Listed, Source, Writer};
use crate::code::Code;
use crate::limits;
use crate::session::files::message::{Listed as InFolder, Order, Query, Reply};
use crate::session::files::message::{TransferState, Transferring};
use crate::session::files::name::{BadName, Flaw, Names};
use crate::session::files::{
    Accept, Channel, ChannelStats, Command, End, Ended, Entry, Event, Existing, Hash, Have, Kind,
    LimitedBy, Modified, Offer, Pulled, Request, Shares, Stats, Token,
};

/// Entries, codes or transfers in one message: none is shorter than a byte.
const IN_MESSAGE: usize = limits::MAX_FILE_MESSAGE;

macro_rules! listed {
    ($($type:ty: $limit:expr),* $(,)?) => { $(
        impl Listed for $type {
            const LIMIT: usize = $limit;
        }
    )* };
}

listed! {
    String: limits::MAX_REQUEST_NAMES,
    Entry: limits::MAX_OPEN_ENTRIES,
    (u32, Entry): limits::MAX_OPEN_ENTRIES,
    Have: limits::MAX_HAVES,
    Hash: limits::MAX_PIECES as usize,
    ChannelStats: 4 * limits::MAX_DATA_STREAMS,
    InFolder: IN_MESSAGE,
    Code: IN_MESSAGE,
    Transferring: IN_MESSAGE,
}

impl<T: Field> Field for Box<T> {
    fn put(&self, to: &mut Writer) {
        (**self).put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        T::get(from).map(Self::new)
    }
}

/// With the sign in the lowest bit.
impl Field for i64 {
    fn put(&self, to: &mut Writer) {
        to.number((self << 1 ^ self >> 63).cast_unsigned());
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let folded = from.number()?;
        Ok((folded >> 1 ^ (folded & 1).wrapping_neg()).cast_signed())
    }
}

wrapper!(Token, Channel);
choice!(Kind { 0 File, 1 Folder });
record!(Modified { seconds, nanos });
record!(Entry { name, kind, size, piece, mode, modified, root, opaque });
choice!(Existing { 0 Refuse, 1 Overwrite, 2 Skip, 3 Rename });
record!(Offer { token, label, target, entries, bytes, existing, rank });
choice!(Names { 0 Portable, 1 Native, 2 MakeSafe });
record!(Accept { window, names });
record!(Request { token, names, accept });
record!(Have { first, hashes });
choice!(Flaw {
    0 Empty, 1 Absolute, 2 Dots, 3 TooLong, 4 TooDeep,
    5 Control, 6 Special, 7 Trailing, 8 Device,
});
record!(BadName { component, flaw });
record!(ChannelStats { channel, stream, bytes, pieces, operations, open, is_open });
record!(Stats {
    state,
    entries,
    done,
    skipped,
    failed,
    acked,
    kept,
    moved,
    again,
    pieces,
    outstanding,
    window,
    channels,
    limited
});
choice!(End {
    0 Complete, 1 Local(code), 2 Peer(code, reason), 3 Violation(rule), 4 ConnectionLost,
});
record!(Ended { how, stats });

/// A time for each cause.
impl Field for Shares {
    fn put(&self, to: &mut Writer) {
        LimitedBy::ALL.iter().for_each(|by| self.of(*by).put(to));
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let mut shares = Self::default();
        for by in LimitedBy::ALL {
            shares.add(by, Field::get(from)?);
        }
        Ok(shares)
    }
}

choice!(Order { 0 Pause, 1 Resume, 2 Cancel });
choice!(Query {
    0 List { folder, after, most },
    1 Remove { names },
    2 Transfers { after, most },
    3 Order { token, order },
});
choice!(InFolder { 0 Entry(entry), 1 Other(name) });
choice!(TransferState { 0 Running, 1 Paused, 2 Waiting, 3 Complete, 4 Failed });
record!(Transferring { token, state, sending, bytes, of, label });
choice!(Reply {
    0 Refused { code, reason },
    1 Listing { entries, more },
    2 Removed { codes },
    3 Transfers { transfers, more },
    4 Ordered,
});

choice!(Event {
    0 Offered(offer),
    1 Requested { token, names },
    2 Accepted,
    3 WantedEntries { most },
    4 Wanted { file, piece, offset, len },
    5 Check { file, first, count },
    6 Entries { entries },
    7 Unusable { file, name, why },
    8 Stale { file, first, count },
    9 Readable { channel },
    10 Wrong { file, piece },
    11 Complete { file, size, root },
    12 Done { file, root },
    13 Skipped { file },
    14 Failed { file, code, reason, by_peer },
    15 Paused { reason },
    16 Resumed,
    17 Finishing,
    18 Asked(query),
    19 Replied(reply),
    20 Ended(ended),
});
choice!(Pulled { 0 Bytes { file, piece, offset, len, last }, 1 Blocked });

// The bytes of a piece stand beside the command: here they are empty.
choice!(Command {
    0 Offer(offer),
    1 SupplyEntries { entries, last },
    2 Supply { file, piece, bytes, hash },
    3 Checked { file, first, hashes },
    4 SetStreams(streams),
    5 Accept(accept),
    6 Take { file, haves },
    7 Skip { file },
    8 Pull { channel, room },
    9 Stored { file, piece, hash },
    10 Committed { file },
    11 Finish,
    12 SetWindow(window),
    13 Fail { file, code, reason },
    14 Pause { reason },
    15 Resume,
    16 Cancel { code, reason },
    17 SetLimit(rate),
    18 Reply(reply),
});
