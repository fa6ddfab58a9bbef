//! What applications and sessions say: events and commands. A new service adds its own here.

use super::macros::{choice, record};
use super::{Field, Get, Listed, Source, Writer};
use crate::conn::{self, Answer};
use crate::event::{Entry, Event, Listing};
use crate::id::MediaId;
use crate::limits;
use crate::session;
use crate::session::media::{
    self, EndReason, Ended, Grant, Nack, Pace, PausePolicy, Pulled, Request, Start,
};

impl Listed for u32 {
    const LIMIT: usize = u8::MAX as usize;
}

impl Listed for Entry {
    const LIMIT: usize = limits::MAX_LISTING_PAGE;
}

impl Listed for (MediaId, Entry) {
    const LIMIT: usize = limits::MAX_CATALOGUE;
}

impl Field for Nack {
    fn put(&self, to: &mut Writer) {
        self.to_wire().put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        u16::get(from).map(Self::from_wire)
    }
}

record!(Entry { name, size, bitrate, kind });
record!(Listing { request, entries, next });
choice!(Event {
    0 Connected { dialect, remote, peer_key, resumed },
    1 Hello { agent },
    2 Moved(path),
    3 GoAway { left },
    4 Pong { request, rtt },
    5 Listing(listing),
    6 Media(session, event),
    7 Closed(why),
});

choice!(Start { 0 Beginning, 1 Sequence(sequence), 2 Byte(byte) });
choice!(PausePolicy { 0 Hold, 1 Live });
choice!(Pace { 0 Bitrate, 1 Unpaced });
record!(Request {
    name,
    codec,
    profile,
    bitrates,
    start,
    pause,
    pace,
    max_chunk,
    keepalive,
    timeout
});
record!(Grant { bitrate, chunk, keepalive, timeout, name, size, kind, start, pause, pace });
choice!(EndReason {
    0 Complete, 1 Local, 2 Peer, 3 Reset(code),
    4 Violation(rule), 5 Timeout, 6 SourceFailed, 7 ConnectionLost,
});
record!(Ended { reason, bytes, chunks, missed });
choice!(media::Event {
    0 Opened(grant),
    1 Refused(nack),
    2 Readable,
    3 Wanted { media, offset, len },
    4 Paused,
    5 Resumed { skipped },
    6 Ended(ended),
});
choice!(Pulled { 0 Bytes { len, sequence, offset, last }, 1 Blocked, 2 End });

/// The payload stands beside the command.
impl Field for media::Command {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::Pause => to.number(0),
            Self::Resume => to.number(1),
            Self::Close => to.number(2),
            Self::Pull { room } => {
                to.number(3);
                (*room).min(limits::MAX_TRACE_DATA).put(to);
            }
            Self::Supply { offset, bytes: _, end } => {
                to.number(4);
                offset.put(to);
                end.put(to);
            }
            Self::SourceFailed => to.number(5),
        }
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        match from.number()? {
            0 => Ok(Self::Pause),
            1 => Ok(Self::Resume),
            2 => Ok(Self::Close),
            3 => Ok(Self::Pull { room: from.length(limits::MAX_TRACE_DATA)? }),
            4 => {
                let (offset, end) = (Field::get(from)?, Field::get(from)?);
                Ok(Self::Supply { offset, bytes: bytes::Bytes::new(), end })
            }
            5 => Ok(Self::SourceFailed),
            _ => Err("unknown command to a media session"),
        }
    }
}

choice!(session::Command { 0 Media(command) });
choice!(conn::Command {
    0 OpenMedia(request),
    1 List { after },
    2 Ping,
    3 Close { code, reason },
    4 Drain { left },
    5 Rebind { local },
});
choice!(Answer { 0 Done, 1 Connection(id), 2 Session(id), 3 Request(id), 4 Pulled(pulled) });
