//! The client against bytes written by hand.

use std::time::Duration;

use super::super::pdu::Kind;
use super::super::testing::{EPOCH, World, chunk, cx};
use super::super::{Ended, Nack, Start};
use super::*;
use crate::code::Code;
use crate::error::Violation;
use crate::time::UnixMillis;
use crate::transport::Transport;

const SECOND: Duration = Duration::from_secs(1);

fn client(dialect: Dialect) -> World {
    let mut world = World::new(dialect, 0).with_client(Request::default());
    world.settle();
    world
}

fn ack(size: Option<u64>) -> Vec<u8> {
    let grant = Grant {
        bitrate: 80_000,
        chunk: 10,
        keepalive: 2,
        timeout: 10,
        name: None,
        size,
        kind: String::new(),
        start: 0,
        pause: super::super::PausePolicy::Hold,
        pace: super::super::Pace::Bitrate,
    };
    Pdu::OpenAck(grant).encode(77, size.is_some())
}

fn close() -> Vec<u8> {
    Pdu::CloseStream.encode(77, true)
}

fn streaming(dialect: Dialect) -> World {
    let mut world = client(dialect);
    world.feed_client(&ack(None));
    world.take_from_client();
    world
}

fn state(world: &World) -> &'static str {
    world.client.as_ref().unwrap().stats(world.now).state
}

fn ignored(world: &World) -> u32 {
    world.client.as_ref().unwrap().stats(world.now).ignored
}

fn kinds(world: &mut World) -> Vec<Kind> {
    world.take_from_client().iter().map(|pdu| pdu.kind).collect()
}

#[test]
fn it_asks_with_session_0_and_goes_on_with_the_servers() {
    let mut world = client(Dialect::Classic);
    let open = world.take_from_client();
    assert_eq!((open.len(), open[0].kind, open[0].session), (1, Kind::OpenStream, 0));
    world.feed_client(&ack(None));
    world.pause().unwrap();
    let pause = world.take_from_client();
    assert_eq!((pause[0].kind, pause[0].session), (Kind::PauseStream, 77));
}

#[test]
fn chunks_come_in_order_and_the_end_after_them() {
    let mut world = client(Dialect::V1);
    let all = [ack(Some(15)), chunk(1, 0, b"0123456789"), chunk(2, 0xf0, b"abcde"), close()];
    world.feed_client(&all.concat());
    world.fin_to_client();
    assert_eq!(world.received, b"0123456789abcde");
    let ended = World::ended(&world.client_events).unwrap();
    let complete = Ended { reason: EndReason::Complete, bytes: 15, chunks: 2, missed: 0 };
    assert_eq!(ended, complete);
    assert!(world.client_is_finished() && world.client.as_ref().unwrap().is_over());
    assert!(!world.pull(10));
    assert!(kinds(&mut world).iter().all(|kind| *kind == Kind::OpenStream), "a bare end mark");
}

#[test]
fn a_close_before_the_known_end_is_not_complete() {
    let mut world = client(Dialect::V1);
    world.feed_client(&[ack(Some(16)), chunk(1, 0, b"0123456789"), close()].concat());
    assert_eq!(world.client_end(), Some(EndReason::Peer));
    // Nor is an end mark without CLOSE_STREAM, in either dialect.
    for dialect in [Dialect::V1, Dialect::Classic] {
        let mut world = streaming(dialect);
        world.feed_client(&chunk(1, 0, b"0123456789"));
        world.fin_to_client();
        assert_eq!(world.client_end(), Some(EndReason::Peer));
        assert_eq!(world.received.len(), 10);
    }
}

#[test]
fn a_refusal_is_told_and_ends_the_session() {
    let mut world = client(Dialect::V1);
    world.feed_client(&Pdu::OpenNack(Nack::NoSuchMedia).encode(0, true));
    assert_eq!(world.client_events[0], Event::Refused(Nack::NoSuchMedia));
    assert_eq!(world.client_end(), Some(EndReason::Peer));
    assert!(world.client_is_finished());
}

#[test]
fn what_is_out_of_place_is_ignored_in_every_state() {
    let wrong = [
        Pdu::PauseStream.encode(1, true),
        Pdu::ResumeStream.encode(1, true),
        Pdu::OpenStream(OpenStream::default()).encode(1, true),
        vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9],
        vec![1, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9],
    ]
    .concat();
    let mut opening = client(Dialect::V1);
    opening.feed_client(&[wrong.clone(), chunk(1, 0, b"too early")].concat());
    assert_eq!((state(&opening), ignored(&opening)), ("OPEN_SENT", 6));
    for pause in [false, true] {
        let mut world = streaming(Dialect::V1);
        if pause {
            world.pause().unwrap();
        }
        let before = state(&world);
        let nack = Pdu::OpenNack(Nack::Busy).encode(1, true);
        world.feed_client(&[wrong.clone(), ack(None), nack].concat());
        assert_eq!((state(&world), ignored(&world)), (before, 7));
        assert_eq!(world.client_end(), None);
    }
}

#[test]
fn broken_framing_and_sequences_end_it_with_their_rule() {
    let cases = [
        (vec![9; 12], Violation::PduVersion(9)),
        (vec![1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3], Violation::ChunkLength),
        (
            vec![1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
            Violation::PduMalformed { kind: 2, why: "ends early" },
        ),
        (chunk(0, 0, b"x"), Violation::ChunkSequence { expected: 1, got: 0 }),
        (
            [chunk(5, 0, b"x"), chunk(5, 0, b"x")].concat(),
            Violation::ChunkSequence { expected: 6, got: 5 },
        ),
        (
            [chunk(5, 0, b"x"), chunk(4, 0, b"x")].concat(),
            Violation::ChunkSequence { expected: 6, got: 4 },
        ),
    ];
    for (bytes, rule) in cases {
        let mut world = streaming(Dialect::V1);
        world.feed_client(&bytes);
        assert_eq!(world.client_end(), Some(EndReason::Violation(rule)));
        assert_eq!(world.client_cut(), (Some(rule.code()), Some(rule.code())));
        assert!(world.client.as_ref().unwrap().is_over());
    }
}

#[test]
fn a_chunk_cut_off_is_a_violation_and_a_reset_is_told_with_its_code() {
    let mut world = streaming(Dialect::V1);
    world.feed_client(&chunk(1, 0, b"0123456789")[..25]);
    world.fin_to_client();
    assert_eq!(world.client_end(), Some(EndReason::Violation(Violation::PduTruncated)));
    let mut world = streaming(Dialect::V1);
    world.reset_to_client(Code::SourceFailed);
    assert_eq!(world.client_end(), Some(EndReason::Reset(Code::SourceFailed)));
}

#[test]
fn an_application_that_does_not_pull_leaves_everything_in_the_transport() {
    let mut world = streaming(Dialect::V1);
    world.pulling = false;
    let before = world.link().down.total;
    world.feed_client(&chunk(1, 0, &[7; 10]));
    world.feed_client(&[chunk(2, 0, &[8; 10]), close()].concat());
    assert!(world.readable && world.received.is_empty());
    assert_eq!(world.link().down.total, before);
    // Its own slowness is not the server's silence.
    world.run_for(100 * SECOND);
    assert_eq!(world.client_end(), None);
    assert!(kinds(&mut world).contains(&Kind::Heartbeat), "and the server hears of us");
    world.pulling = true;
    world.settle();
    assert_eq!((world.received.len(), world.client_end()), (20, Some(EndReason::Complete)));
}

#[test]
fn silence_of_the_server_counts_from_when_all_was_pulled() {
    let mut world = streaming(Dialect::V1);
    world.feed_client(&chunk(1, 0, b"x"));
    world.run_for(10 * SECOND - Duration::from_nanos(1));
    assert_eq!(world.client_end(), None);
    world.run_for(Duration::from_nanos(1));
    assert_eq!(world.client_end(), Some(EndReason::Timeout));
    assert_eq!(kinds(&mut world).last(), Some(&Kind::CloseStream));
    assert!(world.client_is_finished());
    let mut opening = client(Dialect::V1);
    opening.run_for(30 * SECOND);
    assert_eq!(opening.client_end(), Some(EndReason::Timeout));
}

#[test]
fn heartbeats_go_out_in_every_open_state() {
    let mut world = client(Dialect::V1);
    world.run_for(5 * SECOND);
    let pdus = world.take_from_client();
    assert_eq!(pdus[1].body, (EPOCH + 6_000).to_be_bytes());
    world.feed_client(&ack(None));
    for pause in [false, true] {
        if pause {
            world.pause().unwrap();
        }
        world.take_from_client();
        world.run_for(6 * SECOND);
        assert_eq!(kinds(&mut world), [Kind::Heartbeat; 3]);
        world.feed_client(&Pdu::Heartbeat(UnixMillis(0)).encode(1, true));
    }
}

#[test]
fn closing_discards_what_still_comes_until_the_servers_end() {
    let mut world = streaming(Dialect::V1);
    world.pulling = false;
    world.feed_client(&[chunk(1, 0, b"0123456789"), chunk(2, 0, b"abc")].concat());
    world.close_client().unwrap();
    assert_eq!((state(&world), kinds(&mut world)), ("CLOSING", vec![Kind::CloseStream]));
    assert!(matches!(world.close_client(), Err(Misuse::WrongState { .. })));
    assert!(matches!(world.pause(), Err(Misuse::WrongState { .. })));
    world.feed_client(&[chunk(3, 0, b"abc"), close()].concat());
    world.fin_to_client();
    assert_eq!((world.client_end(), world.received.len()), (Some(EndReason::Local), 0));
    assert!(world.client.as_ref().unwrap().is_over());

    let mut world = streaming(Dialect::V1);
    world.close_client().unwrap();
    world.run_for(5 * SECOND);
    assert_eq!(world.client_end(), Some(EndReason::Local), "the server never answers");
    assert_eq!(world.client_cut(), (None, Some(Code::Cancelled)));
}

#[test]
fn commands_out_of_place_are_misuse_and_change_nothing() {
    let mut world = client(Dialect::V1);
    let wrong = |command, state| Err(Misuse::WrongState { command, state });
    assert_eq!(world.pause(), wrong("pause", "OPEN_SENT"));
    world.feed_client(&ack(None));
    assert_eq!(world.resume(), wrong("resume", "STREAMING"));
    world.pause().unwrap();
    assert_eq!(world.pause(), wrong("pause", "PAUSED"));
    world.resume().unwrap();
    assert_eq!(kinds(&mut world), [Kind::OpenStream, Kind::PauseStream, Kind::ResumeStream]);
}

#[test]
fn a_classic_server_is_prodded_while_we_wait_for_it() {
    let mut world = client(Dialect::Classic);
    world.run_for_ms(1_500);
    assert_eq!(world.ends[0].pings, 4, "after 100, 300, 700 and 1500 ms");
    world.feed_client(&ack(None));
    world.run_for_ms(100);
    assert_eq!(world.ends[0].pings, 5, "input starts it again");
    world.pause().unwrap();
    world.run_for(60 * SECOND);
    assert_eq!(world.client_end(), None, "a paused classic server may be silent");
    assert!(world.ends[0].pings > 60);
    let mut v1 = streaming(Dialect::V1);
    v1.run_for(5 * SECOND);
    assert_eq!(v1.ends[0].pings, 0);
}

#[test]
fn a_server_that_stops_listening_is_still_read() {
    let mut world = streaming(Dialect::V1);
    world.ends[1].stop(super::super::testing::STREAM, Code::None);
    world.run_for(3 * SECOND);
    world.feed_client(&[chunk(1, 0, b"still"), close()].concat());
    assert_eq!((world.client_end(), world.received.len()), (Some(EndReason::Complete), 5));
}

#[test]
fn gaps_are_counted_and_empty_chunks_are_chunks() {
    let mut world = streaming(Dialect::Classic);
    world.feed_client(&[chunk(4, 0, b"a"), chunk(5, 0, b""), chunk(9, 0, b"b"), close()].concat());
    let ended = World::ended(&world.client_events).unwrap();
    assert_eq!((ended.bytes, ended.chunks, ended.missed), (2, 3, 3));
    assert_eq!(world.sequences(), [4, 5, 9]);
}

#[test]
fn a_prefix_goes_in_front_and_a_lost_connection_ends_it_once() {
    let mut world = World::new(Dialect::V1, 0);
    let request = Request { start: Start::Byte(5), ..Request::default() };
    let stream = super::super::testing::STREAM;
    let client = Client::new(SessionId(0), stream, request, &[1], cx!(world, 0));
    world.client = Some(client);
    let mut first = [0; 2];
    world.ends[1].read(stream, &mut first).unwrap();
    assert_eq!(first, [1, 1], "stream type, then the version of the PDU");
    for _ in 0..2 {
        world.client.as_mut().unwrap().on_connection_lost(cx!(world, 0));
    }
    world.settle();
    assert_eq!(world.client_end(), Some(EndReason::ConnectionLost));
    assert!(world.client.as_ref().unwrap().is_over());
}
