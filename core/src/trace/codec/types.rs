//! The types that cross a seam, field by field. Numbers of variants are never used again for
//! something else.

use super::super::call::{Call, StackCall};
use super::super::data::{Data, Part};
use super::super::entry::{Aim, Cause, Entry, Step, Trusting};
use super::super::words;
use super::macros::{choice, record, wrapper};
use super::{Field, Get, Listed, SHORT, Source, Writer};
use crate::code::Code;
use crate::config::{Pacing, Retry};
use crate::error::{Lost, Violation, Why};
use crate::event::Dialect;
use crate::id::{ConnId, Dir, MediaId, RequestId, SessionId, Side, StreamId};
use crate::io::{Ecn, Transmit};
use crate::limits;
use crate::time::{Deadline, Reason, UnixMillis};
use crate::transport::{
    CidBytes, Dropped, Facts, Offer, Offered, Read, Route, Signal, StreamEnd, Wrote,
};

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
