use super::*;
use crate::UnixMillis;
use crate::session::media::pdu::OpenStream;
use crate::session::media::pdu::Pdu;
use crate::session::media::{Nack, Request};
use crate::trace::data::Part;

const STREAM: StreamId = StreamId(4);

fn scanner(side: Side, dialect: Dialect) -> Scanner {
    let mut scanner = Scanner::new(side);
    scanner.speak(dialect.alpn());
    scanner
}

/// A chunk with this payload.
fn chunk(payload: &[u8]) -> Vec<u8> {
    let head = ChunkHead { sequence: 1, len: u32::try_from(payload.len()).unwrap(), flags: 0 };
    [&head.encode(1)[..], payload].concat()
}

/// The bytes with a dot in place of each that was left out.
fn shown(data: &Data) -> Vec<u8> {
    let show = |part: &Part| match part {
        Part::Kept(bytes) => bytes.to_vec(),
        Part::Left { len, .. } => vec![b'.'; *len],
    };
    data.0.iter().flat_map(show).collect()
}

/// Cut in pieces of this size.
fn scan(scanner: &mut Scanner, sent: bool, bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.chunks(size).flat_map(|piece| shown(&scanner.cut(STREAM, sent, piece))).collect()
}

#[test]
fn of_chunks_only_the_payload_is_left_out_however_the_stream_is_cut() {
    let open = Pdu::OpenStream(OpenStream {
        request: Request { name: Some("secret of none".to_owned()), ..Request::default() },
        ..OpenStream::default()
    });
    let unknown = Header { kind: 99, flags: 0, session: 0, len: 3 }.encode();
    let sent = [&[1], &open.encode(0, true)[..], &Pdu::PauseStream.encode(0, true)].concat();
    let beat = Pdu::Heartbeat(UnixMillis(5)).encode(1, true);
    let nack = Pdu::OpenNack(Nack::Busy).encode(1, true);
    let got = [&nack, &chunk(b"payload")[..], &chunk(b""), &unknown, b"xyz", &beat, &chunk(b"p")];
    let kept = [&nack, &chunk(b".......")[..], &chunk(b""), &unknown, b"...", &beat, &chunk(b".")];
    for size in 1..60 {
        let mut client = scanner(Side::Client, Dialect::V1);
        assert_eq!(scan(&mut client, true, &sent, size), sent);
        assert_eq!(scan(&mut client, false, &got.concat(), size), kept.concat());
        let mut server = scanner(Side::Server, Dialect::V1);
        assert_eq!(scan(&mut server, false, &sent, size), sent);
        assert_eq!(scan(&mut server, true, &got.concat(), size), kept.concat());
        let mut classic = scanner(Side::Server, Dialect::Classic);
        assert_eq!(scan(&mut classic, false, &sent[1..], size), sent[1..]);
        assert_eq!(scan(&mut classic, true, &got.concat(), size), kept.concat());
    }
}

#[test]
fn control_messages_are_kept_and_what_nobody_parses_is_not() {
    let mut client = scanner(Side::Client, Dialect::V1);
    assert_eq!(scan(&mut client, true, b"\0hello", 3), b"\0hello");
    assert_eq!(scan(&mut client, false, b"hello", 3), b"hello");
    let mut server = scanner(Side::Server, Dialect::V1);
    assert_eq!(scan(&mut server, false, b"\x40\x3awhatever", 1), b"\x40\x3a........");
    let mut server = scanner(Side::Server, Dialect::V1);
    assert_eq!(scan(&mut server, true, b"no type yet", 4), b"...........");
    let mut nobody = Scanner::new(Side::Client);
    assert_eq!(scan(&mut nobody, true, b"\0hello", 3), b"......");
    let mut uni = scanner(Side::Server, Dialect::Classic);
    assert_eq!(shown(&uni.cut(StreamId(2), false, b"abc")), b"...");
}

#[test]
fn behind_something_that_is_no_pdu_nothing_is_kept() {
    let mut client = scanner(Side::Client, Dialect::Classic);
    let mut bytes = Pdu::CloseStream.encode(1, true);
    bytes[0] = 2;
    bytes.extend(b"more");
    let kept = [&bytes[..HEADER], b"...."].concat();
    assert_eq!(scan(&mut client, false, &bytes, 5), kept);
}

#[test]
fn streams_and_pieces_are_bounded() {
    let mut client = scanner(Side::Client, Dialect::Classic);
    let beat = Pdu::Heartbeat(UnixMillis(5)).encode(1, true);
    for n in 0..limits::MAX_TRACE_STREAMS as u64 {
        assert_eq!(shown(&client.cut(StreamId(4 * n), false, &beat)), beat);
    }
    let next = StreamId(4 * limits::MAX_TRACE_STREAMS as u64);
    assert_eq!(shown(&client.cut(next, false, &beat)), vec![b'.'; beat.len()]);
    client.forget(StreamId(0));
    assert_eq!(shown(&client.cut(next, false, &beat)), beat);
    let many = chunk(b"x").repeat(limits::MAX_TRACE_PARTS);
    let data = client.cut(next, false, &many);
    assert_eq!((data.0.len(), data.len()), (limits::MAX_TRACE_PARTS, many.len()));
    assert!(matches!(data.0.last(), Some(Part::Left { .. })));
}
