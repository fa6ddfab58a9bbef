//! Peers that do not keep to `docs/protocol.md`: each broken rule has the specified answer, and
//! nothing a peer sends makes the server hang or grow.

use std::time::Duration;

use anabranch_core::id::{Dir, StreamId};
use anabranch_core::transport::Offered;
use anabranch_core::wire::varint;
use anabranch_core::{Code, Violation, Why, limits};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::rogue::Rogue;

use super::with_clip;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// A control message.
fn message(kind: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::put(&mut out, kind);
    varint::put_bytes(&mut out, body);
    out
}

/// The control stream's type, and HELLO for version 1.
pub(super) fn hello() -> Vec<u8> {
    [&[0][..], &message(0, &[1, 1])].concat()
}

/// A media PDU.
fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1, kind, 0, 0, 0, 0, 0, 0][..], &len, body].concat()
}

/// OPEN_STREAM for the default media, as fast as possible, behind a stream type if asked for.
pub(super) fn open_stream(typed: bool) -> Vec<u8> {
    let mut body = vec![0, 3];
    body.extend_from_slice(b"any");
    // No profile, no bitrates, no encryption, unicast; TLV 5 (pace): 1.
    body.extend_from_slice(&[0, 0, 0, 0, 0, 5, 1, 1]);
    let kind: &[u8] = if typed { &[1] } else { &[] };
    [kind, &pdu(1, &body)].concat()
}

fn connected(offered: Offered) -> Pair {
    let mut pair = Pair::new(0, Options { clients: 0, ..with_clip(3_000_000) });
    pair.add_rogue(offered);
    pair.must("up", SECONDS(5), |pair| pair.rogues[0].up && !pair.accepted().is_empty());
    pair
}

/// With the control stream opened as it should be.
fn greeted() -> (Pair, StreamId) {
    let mut pair = connected(Offered::V1);
    let control = pair.rogues[0].open(Dir::Bidi, &hello(), false);
    pair.run_for(SECONDS(1));
    assert_eq!(pair.rogues[0].received(control).bytes[0], 0, "the server's HELLO");
    (pair, control)
}

/// The connection is closed for this.
#[track_caller]
fn expect_violation(pair: &mut Pair, rule: Violation) {
    let on_server = pair.accepted()[0];
    pair.must("a close", SECONDS(5), |pair| pair.rogues[0].down.is_some());
    assert_eq!(pair.closed(Who::Server, on_server), Some(&Why::Violation(rule)));
    let down = pair.rogues[0].down.as_ref().unwrap();
    assert!(matches!(down, Why::Peer(code, _) if *code == rule.code()), "{down:?}");
    pair.run_for(SECONDS(5));
    assert!(pair.endpoint(Who::Server).is_idle());
}

/// The connection goes on, and a new session can be had.
#[track_caller]
fn expect_alive(pair: &mut Pair) {
    assert_eq!(pair.rogues[0].down, None);
    let media = pair.rogues[0].open(Dir::Bidi, &open_stream(true), false);
    pair.run_for(SECONDS(5));
    let received = pair.rogues[0].received(media).bytes;
    assert_eq!(received.get(..2), Some(&[1, 2][..]), "OPEN_ACK");
    assert!(received.len() > 3_000_000, "{} bytes of media", received.len());
}

#[test]
fn a_well_behaved_rogue_is_served() {
    let (mut pair, _) = greeted();
    expect_alive(&mut pair);
    let mut pair = connected(Offered::Classic);
    let media = pair.rogues[0].open(Dir::Bidi, &open_stream(false), false);
    pair.run_for(SECONDS(60));
    let received = pair.rogues[0].received(media);
    assert_eq!(received.bytes[..12], [1, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16], "16 bytes: AB-L1");
}

#[test]
fn control_rules() {
    let long = limits::MAX_CONTROL_MESSAGE as u64 + 1;
    let mut too_long = Vec::new();
    varint::put(&mut too_long, 4242);
    varint::put(&mut too_long, long);
    let malformed = |kind, why| Violation::ControlMalformed { kind, why };
    let cases: [(&str, Vec<u8>, Violation); 7] = [
        ("HELLO twice", message(0, &[1, 1]), Violation::HelloOrder),
        ("too long", too_long, Violation::ControlTooLong(long)),
        ("a PING without a number", message(1, &[]), malformed(1, "ends too early")),
        ("a cut LIST", message(4, &[0]), malformed(4, "ends too early")),
        ("text", message(4, &[0, 1, 2, 0xff, 0xff]), malformed(4, "text is not UTF-8")),
        ("an empty range", message(0, &[2, 1]), malformed(0, "empty version range")),
        ("a listing nobody asked for, cut", message(5, &[0]), malformed(5, "ends too early")),
    ];
    for (what, bytes, rule) in cases {
        eprintln!("{what}");
        let (mut pair, control) = greeted();
        pair.rogues[0].write(control, &bytes, false);
        expect_violation(&mut pair, rule);
    }
}

#[test]
fn hello_rules() {
    for (first, rule) in [
        (message(1, &[7]), Violation::HelloOrder),
        (message(58, b"x"), Violation::HelloOrder),
        (message(0, &[2, 9]), Violation::NoCommonVersion),
    ] {
        let mut pair = connected(Offered::V1);
        pair.rogues[0].open_typed(0, &first, false);
        expect_violation(&mut pair, rule);
    }
    // A range that has version 1 in it, an unknown TLV, and unknown messages are all fine.
    let mut pair = connected(Offered::V1);
    let first = [message(0, &[0, 9, 42, 2, 1, 1]), message(27, b"x"), message(4242, &[])].concat();
    pair.rogues[0].open_typed(0, &first, false);
    expect_alive(&mut pair);
}

#[test]
fn control_stream_rules() {
    let (mut pair, _) = greeted();
    pair.rogues[0].open(Dir::Bidi, &hello(), false);
    expect_violation(&mut pair, Violation::ControlStream);
    let (mut pair, control) = greeted();
    pair.rogues[0].write(control, &[], true);
    expect_violation(&mut pair, Violation::ControlClosed);
    let (mut pair, control) = greeted();
    pair.rogues[0].transport.reset(control, Code::None);
    expect_violation(&mut pair, Violation::ControlClosed);
}

#[test]
fn streams_in_the_wrong_direction() {
    for (kind, rule) in [(0, Violation::ControlStream), (1, Violation::StreamDirection)] {
        let (mut pair, _) = greeted();
        pair.rogues[0].open(Dir::Uni, &[kind], false);
        expect_violation(&mut pair, rule);
    }
}

#[test]
fn unknown_and_reserved_streams_are_refused_and_the_connection_goes_on() {
    let (mut pair, _) = greeted();
    for (kind, code) in [(2, 3), (6, 3), (4_242, 3), (27, 0), (58, 0), (31 * 1_000 + 27, 0)] {
        let code = Code::from_wire(code);
        let id = pair.rogues[0].open_typed(kind, b"whatever this is", false);
        pair.run_for(SECONDS(1));
        assert_eq!(pair.rogues[0].received(id).end, Some(Err(code)), "type {kind}");
        pair.rogues[0].write(id, &[0; 10], false);
        assert!(pair.rogues[0].stopped.contains_key(&id), "type {kind}");
    }
    // Without an end mark, without a type, and in one direction only.
    pair.rogues[0].open(Dir::Bidi, &[], true);
    pair.rogues[0].open(Dir::Bidi, &[0xc0], true);
    pair.rogues[0].open(Dir::Uni, &[27], true);
    expect_alive(&mut pair);
}

#[test]
fn a_thousand_streams_come_and_go() {
    let (mut pair, _) = greeted();
    let mut opened = 0;
    for round in 0..1_000 {
        while let Some(id) = pair.rogues[0].transport.open(Dir::Bidi) {
            opened += 1;
            let bytes = [[27, 0], [0x7f, 0xff], [6, 6]][opened % 3];
            pair.rogues[0].write(id, &bytes, opened % 2 == 0);
            if opened % 2 == 1 {
                pair.rogues[0].transport.reset(id, Code::Cancelled);
            }
        }
        pair.run_for(Duration::from_millis(50));
        if opened > 1_000 {
            break;
        }
        assert!(round < 999, "only {opened} streams could be opened");
    }
    // Until the last of them are over.
    pair.run_for(SECONDS(1));
    expect_alive(&mut pair);
}

#[test]
fn streams_that_never_say_what_they_are_cost_only_themselves() {
    let (mut pair, control) = greeted();
    let mut opened = 1;
    while let Some(id) = pair.rogues[0].transport.open(Dir::Bidi) {
        pair.rogues[0].write(id, &[0xc0, 0], false);
        opened += 1;
    }
    assert_eq!(opened, limits::MAX_PEER_STREAMS);
    pair.run_for(SECONDS(20));
    pair.rogues[0].write(control, &message(1, &[9]), false);
    pair.run_for(SECONDS(1));
    assert!(pair.rogues[0].received(control).bytes.ends_with(&message(2, &[9])), "PONG");
}

#[test]
fn a_flood_of_requests_is_answered_in_order_and_in_bounded_memory() {
    let (mut pair, control) = greeted();
    let before = pair.rogues[0].received(control).bytes.len();
    let pings = |n: u64| {
        let mut body = Vec::new();
        varint::put(&mut body, n);
        body
    };
    let flood: Vec<u8> = (0..20_000).flat_map(|n| message(1, &pings(n))).collect();
    pair.rogues[0].write(control, &flood, false);
    pair.run_for(SECONDS(60));
    let answers: Vec<u8> = (0..20_000).flat_map(|n| message(2, &pings(n))).collect();
    assert!(pair.rogues[0].received(control).bytes[before..] == answers, "every PONG, in order");
}

/// Writes to a media stream of its own, and gives what came back.
fn media(pair: &mut Pair, bytes: &[u8]) -> (StreamId, Option<Result<(), Code>>, Vec<u8>) {
    let id = pair.rogues[0].open_typed(1, bytes, false);
    pair.run_for(SECONDS(3));
    let received = pair.rogues[0].received(id);
    (id, received.end, received.bytes)
}

fn nack(error: u8) -> Vec<u8> {
    let mut bytes = pdu(3, &[0, error]);
    bytes[4..8].fill(0);
    bytes
}

#[test]
fn media_rules() {
    let (mut pair, _) = greeted();
    let with_version = |version| {
        let mut bytes = pdu(8, &[0; 8]);
        bytes[0] = version;
        bytes
    };
    let long = |kind: u8, len: u32| {
        let mut bytes = pdu(kind, &[]);
        bytes[8..12].copy_from_slice(&len.to_be_bytes());
        bytes
    };
    let too_many = pdu(99, &[]).repeat(limits::MAX_IGNORED as usize + 1);
    let ended = open_stream(false);
    let cases: [(&str, Vec<u8>, u64); 7] = [
        ("version 0", with_version(0), 2),
        ("version 2", with_version(2), 2),
        ("a long heartbeat", long(8, limits::MAX_PDU_BODY as u32 + 1), 4),
        ("a very long unknown PDU", long(200, u32::MAX), 4),
        ("a very long chunk", long(4, limits::MAX_CHUNK + 9), 4),
        ("a heartbeat of 7 bytes", [ended, pdu(8, &[0; 7])].concat(), 2),
        ("too many unknown PDUs", too_many, 4),
    ];
    for (what, bytes, code) in cases {
        let (id, end, _) = media(&mut pair, &bytes);
        assert_eq!(end, Some(Err(Code::from_wire(code))), "{what}");
        pair.rogues[0].write(id, &[0; 10], false);
        assert!(pair.rogues[0].stopped.contains_key(&id), "{what}");
    }
    expect_alive(&mut pair);
}

#[test]
fn open_stream_rules() {
    let (mut pair, _) = greeted();
    let good = open_stream(false);
    let body = &good[12..];
    // Every cut of the body is malformed, except where the TLVs begin.
    for cut in (0..body.len()).filter(|cut| *cut != 10) {
        let (id, end, bytes) = media(&mut pair, &pdu(1, &body[..cut]));
        let answer = (end, bytes.get(8..).map(<[u8]>::to_vec));
        assert_eq!(answer, (None, Some(nack(99)[8..].to_vec())), "cut at {cut}");
        // The state stays as it is: the next request on the same stream is granted.
        pair.rogues[0].write(id, &good, false);
        pair.run_for(SECONDS(3));
        let bytes = pair.rogues[0].received(id).bytes;
        assert_eq!(bytes[14..16], [1, 2], "OPEN_ACK after OPEN_NACK");
        pair.rogues[0].write(id, &pdu(7, &[]), true);
        pair.run_for(SECONDS(1));
    }
    for (encryption, delivery, error) in [(2, 0, 2), (0, 1, 3), (1, 0, 0)] {
        let mut body = body.to_vec();
        (body[8], body[9]) = (encryption, delivery);
        let (_, _, bytes) = media(&mut pair, &pdu(1, &body));
        let expected = if error == 0 { [1, 2] } else { [1, 3] };
        assert_eq!(bytes[..2], expected, "{encryption} {delivery}");
        if error != 0 {
            assert_eq!(bytes[12..14], [0, error]);
        }
    }
}

#[test]
fn a_second_open_is_refused_and_the_session_goes_on() {
    let (mut pair, _) = greeted();
    let (_, end, bytes) = media(&mut pair, &[open_stream(false), open_stream(false)].concat());
    assert_eq!(end, Some(Ok(())), "to the end");
    let refused = bytes.windows(14).filter(|w| w[..2] == [1, 3] && w[8..] == nack(99)[8..]).count();
    assert_eq!(refused, 1);
    assert!(bytes.len() > 3_000_000);
}

#[test]
fn more_sessions_than_the_limit_are_refused() {
    let (mut pair, _) = greeted();
    let ids: Vec<StreamId> =
        (0..=limits::MAX_SESSIONS).map(|_| pair.rogues[0].open_typed(1, &[], false)).collect();
    pair.run_for(SECONDS(1));
    for (n, id) in ids.iter().enumerate() {
        let refused = Some(Err(Code::Limit));
        let expected = if n < limits::MAX_SESSIONS { None } else { refused };
        assert_eq!(pair.rogues[0].received(*id).end, expected, "session {n}");
    }
    assert_eq!(pair.rogues[0].down, None);
}

#[test]
fn sessions_that_say_nothing_time_out() {
    let (mut pair, _) = greeted();
    let id = pair.rogues[0].open_typed(1, &[], false);
    let keep = |pair: &mut Pair| {
        for _ in 0..4 {
            pair.run_for(SECONDS(10));
            pair.rogues[0].transport.ping();
        }
    };
    keep(&mut pair);
    assert!(pair.rogues[0].received(id).end.is_some(), "after 30 s: AB-M18");
    expect_alive(&mut pair);
}

#[test]
fn a_client_that_goes_in_the_middle_of_everything() {
    for stage in 0..6 {
        let (mut pair, _) = greeted();
        let all = open_stream(true);
        let cut = [1, 5, 13, 20, all.len(), all.len()][stage];
        pair.rogues[0].open(Dir::Bidi, &all[..cut], stage % 2 == 0);
        pair.run_for(Duration::from_millis(if stage == 5 { 200 } else { 15 }));
        pair.rogues[0].mute = true;
        pair.blackhole(0, true, false);
        pair.run_for(SECONDS(120));
        assert!(pair.endpoint(Who::Server).is_idle(), "stage {stage}");
        assert_eq!(pair.server_app.sessions.len(), 0, "stage {stage}");
    }
}

/// Every bit of a request flipped, one at a time: an answer each time, and never a hang.
#[test]
fn flipped_bits_of_a_request() {
    let (mut pair, _) = greeted();
    let good = open_stream(false);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let rogue: &mut Rogue = &mut pair.rogues[0];
        let id = rogue.open_typed(1, &bytes, true);
        pair.run_for(SECONDS(4));
        let ended = pair.rogues[0].received(id).end;
        assert!(ended.is_some(), "bit {bit}: no end");
        assert_eq!(pair.rogues[0].down, None, "bit {bit}");
    }
    expect_alive(&mut pair);
}
