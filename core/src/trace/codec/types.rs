//! The types that cross a seam, field by field. A field or variant that is forgotten here is a
//! compile error; numbers of variants are never used for something else.

use super::super::call::{Call, StackCall};
use super::super::data::{Data, Part};
use super::super::entry::{Aim, Cause, Entry, Step, Trusting};
use super::super::words;
use super::{Field, Get, Listed, SHORT, Source, Writer};
use crate::code::Code;
use crate::config::{Pacing, Retry};
use crate::conn::{self, Answer};
use crate::error::{Lost, Violation, Why};
use crate::event::{self, Dialect, Event, Listing};
use crate::id::{ConnId, Dir, MediaId, RequestId, SessionId, Side, StreamId};
use crate::io::{Ecn, Transmit};
use crate::limits;
use crate::session;
use crate::session::media::{
    self, EndReason, Ended, Grant, Nack, Pace, PausePolicy, Pulled, Request, Start,
};
use crate::time::{Deadline, Reason, UnixMillis};
use crate::transport::{
    CidBytes, Dropped, Facts, Offer, Offered, Read, Route, Signal, StreamEnd, Wrote,
};

/// A struct: its fields, one after the other.
macro_rules! record {
    ($type:ident { $($field:tt),* }) => {
        impl Field for $type {
            fn put(&self, to: &mut Writer) {
                let $type { $($field),* } = self;
                $($field.put(to);)*
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                Ok($type { $($field: Field::get(from)?),* })
            }
        }
    };
}

/// A struct of one unnamed field: as that field.
macro_rules! wrapper {
    ($($type:ident),*) => { $(
        impl Field for $type {
            fn put(&self, to: &mut Writer) {
                self.0.put(to);
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                Field::get(from).map(Self)
            }
        }
    )* };
}

/// An enum: the number of the variant, then its fields.
macro_rules! choice {
    ($($type:ident)::+ { $(
        $number:literal $variant:ident $(($($inner:ident),*))? $({$($field:ident),*})?
    ),* $(,)? }) => {
        impl Field for $($type)::+ {
            fn put(&self, to: &mut Writer) {
                match self { $(
                    Self::$variant $(($($inner),*))? $({$($field),*})? => {
                        to.number($number);
                        $($($inner.put(to);)*)?
                        $($($field.put(to);)*)?
                    }
                )* }
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                match from.number()? {
                    $($number => {
                        $($(let $inner = Field::get(from)?;)*)?
                        $($(let $field = Field::get(from)?;)*)?
                        Ok(Self::$variant $(($($inner),*))? $({$($field),*})?)
                    })*
                    _ => Err(concat!("unknown variant of ", stringify!($($type)::+))),
                }
            }
        }
    };
}

wrapper!(StreamId, SessionId, MediaId, RequestId, UnixMillis, Data);
record!(ConnId { slot, generation });
choice!(Side { 0 Client, 1 Server });
choice!(Dir { 0 Bidi, 1 Uni });
choice!(Dialect { 0 Classic, 1 V1 });
choice!(Ecn { 0 Ect0, 1 Ect1, 2 Ce });
choice!(Offered { 0 Both, 1 V1, 2 Classic });
choice!(Retry { 0 Always, 1 UnderLoad, 2 Never });
choice!(Pacing { 0 ByClient, 1 On, 2 Off });
choice!(Cause { 0 Buffer, 1 Length });
choice!(Reason {
    0 Transport, 1 Handshake, 2 KeepAlive, 3 Drain,
    4 Heartbeat, 5 SessionTimeout, 6 Pacing, 7 Release,
});
record!(Deadline { at, why });
record!(Transmit { path, ecn, len, segment, at });
record!(Step { conn, session, machine, from, input, to });
choice!(Trusting { 0 Roots(count), 1 Pin(pin), 2 Any });
record!(Aim { remote, local, server_name, trust, offered, ticket });

impl Field for Code {
    fn put(&self, to: &mut Writer) {
        to.number(self.to_wire());
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        from.number().map(Self::from_wire)
    }
}

impl Field for Nack {
    fn put(&self, to: &mut Writer) {
        self.to_wire().put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        u16::get(from).map(Self::from_wire)
    }
}

impl Field for CidBytes {
    fn put(&self, to: &mut Writer) {
        let bytes = self.as_slice();
        to.number(bytes.len() as u64);
        to.out.extend_from_slice(bytes);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let bytes = from.cursor.prefixed().ok_or(SHORT)?;
        Self::new(bytes).ok_or("a connection id of more than 20 bytes")
    }
}

/// A text of this crate's own.
impl Field for &'static str {
    fn put(&self, to: &mut Writer) {
        (*self).to_owned().put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        Ok(words::known(&String::get(from)?))
    }
}

/// An ALPN name.
impl Field for Vec<u8> {
    fn put(&self, to: &mut Writer) {
        bytes::Bytes::copy_from_slice(self).put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        bytes::Bytes::get(from).map(Into::into)
    }
}

/// Twice the length, and one more if the bytes follow. Otherwise their hash follows.
impl Field for Part {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::Kept(bytes) => {
                to.number(bytes.len() as u64 * 2 + 1);
                to.out.extend_from_slice(bytes);
            }
            Self::Left { len, hash } => {
                to.number(*len as u64 * 2);
                hash.to_be_bytes().put(to);
            }
        }
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let mark = from.number()?;
        let len = usize::try_from(mark / 2).unwrap_or(usize::MAX);
        if len > limits::MAX_TRACE_DATA {
            return Err("more bytes than any call can have");
        }
        if mark % 2 == 1 {
            let bytes = from.cursor.bytes(len).ok_or(SHORT)?;
            return Ok(Self::Kept(bytes::Bytes::copy_from_slice(bytes)));
        }
        Ok(Self::Left { len, hash: u64::from_be_bytes(Field::get(from)?) })
    }
}

impl Listed for Part {
    const LIMIT: usize = limits::MAX_TRACE_PARTS;
}

impl Listed for u32 {
    const LIMIT: usize = u8::MAX as usize;
}

impl Listed for event::Entry {
    const LIMIT: usize = limits::MAX_LISTING_PAGE;
}

impl Listed for (MediaId, event::Entry) {
    const LIMIT: usize = limits::MAX_CATALOGUE;
}

choice!(Violation {
    0 PduVersion(version),
    1 PduTooLong { kind, len },
    2 PduMalformed { kind, why },
    3 ChunkLength,
    4 ChunkSequence { expected, got },
    5 PduTruncated,
    6 TooManyIgnored,
    7 ControlTooLong(len),
    8 ControlMalformed { kind, why },
    9 ControlStream,
    10 ControlClosed,
    11 NoCommonVersion,
    12 HelloOrder,
    13 StreamDirection,
});
choice!(Lost {
    0 HandshakeTimeout,
    1 IdleTimeout,
    2 StatelessReset,
    3 WrongKey(key),
    4 Untrusted,
    5 Tls { alert, by_peer },
    6 NoProtocol,
    7 NoVersion,
    8 Transport { code, by_peer },
});
choice!(Why { 0 Local(code), 1 Peer(code, reason), 2 Violation(rule), 3 Lost(lost) });

mod entry {
    use super::*;
    use crate::event::Entry;
    record!(Entry { name, size, bitrate, kind });
}
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

choice!(Dropped {
    0 Malformed,
    1 ShortInitial,
    2 UnknownConnection,
    3 BadToken,
    4 AnswersLimited,
    5 HalfOpenLimited,
    6 ConnectionsLimited,
    7 NotAccepting,
    8 Impossible,
});
record!(Offer { validated, version, dcid, scid, original_dcid });
choice!(Route { 0 To(conn), 1 New(offer), 2 Answer(len), 3 Drop(why) });
record!(Facts { alpn, peer_key, resumed, remote });
choice!(Signal {
    0 Early { alpn },
    1 Up(facts),
    2 Readable(stream),
    3 Writable(stream),
    4 Openable,
    5 Moved(path),
    6 Down(why),
});
choice!(Wrote { 0 All, 1 Blocked });
choice!(Read { 0 Bytes(len), 1 Blocked, 2 Finished });
choice!(StreamEnd { 0 ByPeer(code), 1 Gone });

choice!(StackCall {
    0 Classify { route, out },
    1 Challenge { offer, route, out },
    2 Admit { conn, path, offer, result },
    3 Dial { conn, aim, result },
    4 Forget(conn),
    5 SetIdentity { result },
});
choice!(Call {
    0 Receive,
    1 Transmit(transmit),
    2 Deadline(at),
    3 Expire,
    4 Signal(signal),
    5 Open { dir, stream },
    6 Write { stream, offered, fin, data, result },
    7 Read { stream, room, data, result },
    8 Reset { stream, code },
    9 Stop { stream, code },
    10 Prioritize { stream, rank },
    11 Ping,
    12 Close { code, reason },
    13 Rebind { local, result },
    14 Early(early),
    15 Over(stream),
    16 Finished,
});
choice!(Entry {
    0 Datagram { path, ecn, data },
    1 Timeout,
    2 Connect(aim),
    3 Listen(on),
    4 Drain { left },
    5 CloseAll,
    6 WallClock(wall),
    7 Catalogue { entries, default },
    8 Identity,
    9 Handle(conn),
    10 Command(command),
    11 Session { session, command, data },
    12 Answer { result, data },
    13 Transmit { transmit, data },
    14 Event(conn, event),
    15 Wait(deadline),
    16 Step(step),
    17 Dropped(why),
    18 Stack(call),
    19 Transport(conn, call),
    20 End { entries },
    21 Truncated(cause),
});
