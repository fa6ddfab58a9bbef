//! Peers that break rules, and damage that must not look like that.

use std::time::Duration;

use super::raw::{Raw, cid, data, written};
use crate::error::{Lost, Why};
use crate::id::{Dir, StreamId};
use crate::limits;
use crate::transport::dquic::error::TransportError as Error;
use crate::transport::dquic::frame::{Frame, StreamFrame};
use crate::transport::dquic::packet;

fn new_id(sequence: u64, retire_prior_to: u64, n: u8) -> Frame<'static> {
    Frame::NewConnectionId { sequence, retire_prior_to, cid: cid(n), token: [n; 16] }
}

fn stream(id: u64, offset: u64, data: &[u8], fin: bool) -> Frame<'_> {
    Frame::Stream(StreamFrame { id: StreamId(id), offset, data, fin })
}

#[test]
fn rules_of_frames() {
    let over = limits::SERVER_STREAM_WINDOW;
    let last = 4 * limits::MAX_PEER_STREAMS;
    let cases: [(&str, Vec<Frame<'_>>, Error); 12] = [
        (
            "a retired id that was never issued",
            vec![Frame::RetireConnectionId(99)],
            Error::ProtocolViolation,
        ),
        ("the id in use retired", vec![Frame::RetireConnectionId(0)], Error::ProtocolViolation),
        ("an id twice", vec![new_id(1, 0, 5), new_id(1, 0, 6)], Error::ProtocolViolation),
        ("more ids", (1..10).map(|n| new_id(n, 0, n as u8)).collect(), Error::ConnectionIdLimit),
        ("beyond a stream's window", vec![stream(0, over, b"x", false)], Error::FlowControl),
        ("one stream too many", vec![stream(last, 0, b"x", false)], Error::StreamLimit),
        ("a stream of ours", vec![stream(1, 0, b"x", false)], Error::StreamState),
        (
            "data after the end",
            vec![stream(0, 0, b"", true), stream(0, 0, b"x", false)],
            Error::FinalSize,
        ),
        (
            "credit for a stream that only receives",
            vec![Frame::MaxStreamData { id: StreamId(2), max: 5 }],
            Error::StreamState,
        ),
        (
            "a stop of a stream that only receives",
            vec![Frame::StopSending { id: StreamId(2), code: 5 }],
            Error::StreamState,
        ),
        (
            "a reset of a stream that only sends",
            vec![Frame::ResetStream { id: StreamId(3), code: 0, final_size: 0 }],
            Error::StreamState,
        ),
        (
            "too many streams",
            vec![Frame::MaxStreams { dir: Dir::Bidi, max: (1 << 60) + 1 }],
            Error::FrameEncoding,
        ),
    ];
    for (what, frames, error) in cases {
        let mut raw = Raw::server();
        raw.datagrams();
        raw.say(&frames);
        raw.expect(error, what);
    }
}

#[test]
fn frames_that_cannot_be_parsed() {
    let ack_of_the_future = [2, 0x40, 200, 0, 0, 0];
    let cases: [(&str, &[u8], Error); 10] = [
        ("no frame at all", &[], Error::ProtocolViolation),
        ("a CRYPTO frame", &[6, 0, 1, 0], Error::FrameEncoding),
        ("a NEW_TOKEN frame", &[7, 1, 0], Error::FrameEncoding),
        ("a HANDSHAKE_DONE frame", &[0x1e], Error::FrameEncoding),
        ("an ACK frame with counts", &[3, 0, 0, 0, 0, 0, 0, 0], Error::FrameEncoding),
        ("a cut RESET_STREAM", &[4, 0, 0], Error::FrameEncoding),
        ("a stream longer than its packet", &[0x0a, 0, 5, 1, 2], Error::FrameEncoding),
        ("an id without bytes", &[0x18, 1, 0, 0, 0, 0], Error::FrameEncoding),
        ("an ACK of what was not sent", &ack_of_the_future, Error::ProtocolViolation),
        ("an ACK below 0", &[2, 1, 0, 0, 2], Error::FrameEncoding),
    ];
    for (what, bytes, error) in cases {
        for mut raw in [Raw::server(), Raw::client()] {
            raw.datagrams();
            raw.say_bytes(bytes);
            raw.expect(error, what);
        }
    }
}

#[test]
fn damage_is_no_violation() {
    let mut raw = Raw::server();
    let good = data(raw.dcid, 50, &written(&Frame::Ping));
    for bit in 0..good.len() * 8 {
        let mut bent = good.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        raw.receive(&bent);
    }
    for len in 0..good.len() {
        raw.receive(&good[..len]);
    }
    raw.expect_alive("damage");
}

#[test]
fn packets_of_the_handshake_that_come_late_mean_nothing() {
    let header = packet::Header { version: packet::VERSION, dcid: cid(2), scid: cid(1) };
    for mut raw in [Raw::server(), Raw::client()] {
        let mut late = vec![Vec::new(); 5];
        packet::hello(&mut late[0], &header, b"", b"");
        packet::welcome(&mut late[1], &header, b"");
        packet::retry(&mut late[2], &header, b"token");
        packet::version(&mut late[3], &header);
        packet::reset(&mut late[4], &[9; 16]);
        late.iter().for_each(|packet| raw.receive(packet));
        raw.expect_alive("late");
    }
}

#[test]
fn repeats_and_foreign_ids_mean_nothing() {
    let mut raw = Raw::server();
    let close = Frame::ConnectionClose { code: 0, frame_type: None, reason: b"" };
    // Number 0 has come before, and the other id is of no connection here.
    let again = data(raw.dcid, 0, &written(&close));
    raw.receive(&again);
    let elsewhere = data(cid(9), 7, &written(&close));
    raw.receive(&elsewhere);
    raw.expect_alive("a repeat");
}

#[test]
fn a_server_is_heard_at_its_address_only() {
    let mut raw = Raw::client();
    let home = raw.path;
    raw.path.remote = super::pair::addr(66);
    raw.say(&[Frame::ConnectionClose { code: 0, frame_type: None, reason: b"" }]);
    raw.path = home;
    raw.expect_alive("from elsewhere");
}

#[test]
fn a_reset_is_believed_with_the_token_of_the_id_in_use() {
    let reset = |n: u8| {
        let mut out = Vec::new();
        packet::reset(&mut out, &[n; 16]);
        out
    };
    let mut raw = Raw::client();
    raw.receive(&reset(4));
    raw.say(&[new_id(1, 0, 4)]);
    raw.receive(&reset(4));
    raw.expect_alive("the token of an id that is not in use");
    // The server asks for its first id back: its token is not believed any more.
    raw.say(&[new_id(2, 1, 5)]);
    raw.receive(&reset(3));
    raw.expect_alive("the token of an id that was given back");
    let known = |raw: &mut Raw, n| {
        let route = raw.stack.classify(raw.now, raw.path, &reset(n), &mut Vec::new());
        matches!(route, crate::transport::Route::To(_))
    };
    assert_eq!([3, 4, 5].map(|n| known(&mut raw, n)), [false, true, false]);
    raw.receive(&reset(4));
    assert_eq!(raw.down(), Some(&Why::Lost(Lost::StatelessReset)));
    assert!(raw.conn.is_finished());
    // A server believes none.
    let mut raw = Raw::server();
    raw.say(&[new_id(1, 1, 4)]);
    raw.receive(&reset(4));
    raw.expect_alive("a client's token");
}

#[test]
fn an_endless_exchange_of_ids_costs_nothing() {
    let mut raw = Raw::server();
    for n in 1..2_000 {
        raw.say(&[new_id(n, n, 4), Frame::RetireConnectionId(n), Frame::PathChallenge([7; 8])]);
        if raw.down().is_some() {
            break;
        }
        // Nobody acknowledges anything, and the server goes on.
        raw.now = raw.now + Duration::from_millis(1);
        assert!(raw.datagrams().len() <= 3, "more than was asked for");
    }
    let error = Error::ConnectionIdLimit.to_wire();
    let why = Why::Lost(Lost::Transport { code: error, by_peer: false });
    assert_eq!(raw.down(), Some(&why), "ids that are never acknowledged");
}

#[test]
fn a_flood_of_challenges_is_answered_in_part() {
    let mut raw = Raw::server();
    raw.datagrams();
    for n in 0..100 {
        raw.say(&[Frame::PathChallenge([n; 8])]);
    }
    let answers = raw.frames();
    let answers = answers.iter().filter(|frame| frame.contains("PathResponse")).count();
    assert_eq!(answers, limits::MAX_PATH_ANSWERS);
}
