//! The server against bytes written by hand.

use std::time::Duration;

use super::super::pdu::{HEADER, Kind, OpenStream};
use super::super::testing::{EPOCH, Raw, World, chunk, cx};
use super::super::{Nack, Pace, Request, Start};
use super::*;
use crate::error::Violation;
use crate::limits;
use crate::time::UnixMillis;
use crate::transport::Transport;

const SECOND: Duration = Duration::from_secs(1);

fn open(request: Request) -> Vec<u8> {
    let open = OpenStream { request, encryption: 0, delivery: 0 };
    Pdu::OpenStream(open).encode(0, true)
}

fn server(dialect: Dialect, len: usize) -> World {
    World::new(dialect, len).with_server()
}

fn kinds(pdus: &[Raw]) -> Vec<Kind> {
    pdus.iter().map(|pdu| pdu.kind).collect()
}

fn nack(pdu: &Raw) -> u16 {
    assert_eq!((pdu.kind, pdu.body.len()), (Kind::OpenNack, 2));
    u16::from_be_bytes([pdu.body[0], pdu.body[1]])
}

fn state(world: &World) -> &'static str {
    world.server.as_ref().unwrap().stats(world.now).state
}

fn ignored(world: &World) -> u32 {
    world.server.as_ref().unwrap().stats(world.now).ignored
}

/// A session of 10 chunks of 1024 bytes, one each 102.4 ms, and its first chunk.
fn streaming(dialect: Dialect) -> World {
    let mut world = server(dialect, 10_240);
    world.feed_server(&open(Request::default()));
    assert_eq!(kinds(&world.take_from_server()), [Kind::OpenAck, Kind::StreamChunk]);
    world
}

#[test]
fn a_classic_client_gets_exactly_28_bytes_and_others_get_extensions() {
    let ack = |dialect| {
        let mut world = server(dialect, 10_240);
        world.feed_server(&open(Request::default()));
        world.take_from_server().remove(0)
    };
    let classic = ack(Dialect::Classic);
    assert_eq!(HEADER + classic.body.len(), 28);
    assert_eq!(classic.session, 3, "stream 8 is the third");
    let v1 = ack(Dialect::V1);
    assert_eq!(v1.body[..16], classic.body[..]);
    let Ok(Pdu::OpenAck(grant)) = Pdu::parse(Kind::OpenAck, &v1.body) else { panic!() };
    assert_eq!((grant.name.as_deref(), grant.size), (Some("clip"), Some(10_240)));
    assert_eq!(grant.kind, "audio/wav");
}

#[test]
fn open_twice_is_refused_with_99_and_the_session_goes_on() {
    let mut world = streaming(Dialect::V1);
    world.feed_server(&open(Request::default()));
    let pdus = world.take_from_server();
    assert_eq!((kinds(&pdus), nack(&pdus[0])), (vec![Kind::OpenNack], 99));
    assert_eq!((state(&world), ignored(&world)), ("STREAMING", 1));
    world.run_for(SECOND);
    assert_eq!(kinds(&world.take_from_server())[..2], [Kind::StreamChunk; 2]);
}

#[test]
fn a_malformed_or_refused_open_stays_in_idle_and_a_good_one_may_follow() {
    let mut world = server(Dialect::Classic, 10_240);
    let mut short = open(Request::default());
    short.truncate(HEADER + 3);
    short[11] = 3;
    world.feed_server(&short);
    let mut tail = open(Request::default());
    tail.push(0x40);
    tail[11] += 1;
    world.feed_server(&tail);
    world.feed_server(&open(Request { name: Some("nowhere".into()), ..Request::default() }));
    world.feed_server(&open(Request { start: Start::Byte(10_241), ..Request::default() }));
    world.draining = true;
    world.feed_server(&open(Request::default()));
    let codes: Vec<u16> = world.take_from_server().iter().map(nack).collect();
    assert_eq!((codes, state(&world)), (vec![99, 99, 4, 5, 7], "IDLE"));
    world.draining = false;
    world.feed_server(&open(Request::default()));
    assert_eq!(kinds(&world.take_from_server()), [Kind::OpenAck, Kind::StreamChunk]);
    assert_eq!(world.server_events.len(), 1, "{:?}", world.server_events);
}

#[test]
fn the_stream_names_the_session_whatever_id_the_client_writes() {
    let mut world = streaming(Dialect::Classic);
    world.feed_server(&Pdu::PauseStream.encode(12_345, true));
    assert_eq!(state(&world), "PAUSED");
    world.feed_server(&Pdu::Heartbeat(UnixMillis(1)).encode(12_345, true));
    world.feed_server(&Pdu::ResumeStream.encode(54_321, true));
    assert_eq!((state(&world), ignored(&world)), ("STREAMING", 0));
    world.feed_server(&Pdu::CloseStream.encode(12_345, true));
    assert_eq!(kinds(&world.take_from_server()).last(), Some(&Kind::CloseStream));
    assert!(world.server_is_finished());
    assert_eq!(world.server_end(), Some(EndReason::Peer));
}

#[test]
fn leftover_bytes_come_first() {
    let mut world = World::new(Dialect::V1, 10_240);
    let bytes = open(Request::default());
    let (head, tail) = bytes.split_at(15);
    world.server =
        Some(Server::new(SessionId(1), super::super::testing::STREAM, head, cx!(world, 1)));
    world.settle();
    assert_eq!(state(&world), "IDLE");
    world.feed_server(tail);
    assert_eq!(state(&world), "STREAMING");
}

#[test]
fn pdus_cut_at_every_place_mean_the_same() {
    let stream = [
        open(Request::default()),
        Pdu::PauseStream.encode(1, true),
        chunk(1, 0, b"a client has no chunks"),
        vec![1, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 7, 7],
        Pdu::ResumeStream.encode(1, true),
    ]
    .concat();
    for cut in 0..stream.len() {
        let mut world = server(Dialect::V1, 10_240);
        world.feed_server(&stream[..cut]);
        world.feed_server(&stream[cut..]);
        assert_eq!((state(&world), ignored(&world)), ("STREAMING", 2), "cut at {cut}");
    }
}

#[test]
fn what_only_servers_send_is_ignored_in_every_open_state() {
    let ours = |world: &World| {
        let grant = world.server.as_ref().unwrap().grant().cloned();
        grant.unwrap_or(Grant {
            bitrate: 1,
            chunk: 1,
            keepalive: 1,
            timeout: 1,
            name: None,
            size: None,
            kind: String::new(),
            start: 0,
            pause: super::super::PausePolicy::Hold,
            pace: Pace::Bitrate,
        })
    };
    for open_first in [false, true] {
        let mut world = server(Dialect::V1, 10_240);
        if open_first {
            world.feed_server(&open(Request::default()));
        }
        let (before, ack) = (state(&world), Pdu::OpenAck(ours(&world)));
        world.feed_server(&ack.encode(1, true));
        world.feed_server(&Pdu::OpenNack(Nack::Busy).encode(1, true));
        world.feed_server(&chunk(9, 0, &[1; 5_000]));
        world.feed_server(&Pdu::ResumeStream.encode(1, true));
        assert_eq!((state(&world), ignored(&world)), (before, 4));
    }
}

#[test]
fn unknown_pdus_are_skipped_and_too_much_out_of_place_ends_the_session() {
    let mut world = streaming(Dialect::V1);
    let unknown = [&[1, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20][..], &[0xee; 20]].concat();
    for n in 1..=limits::MAX_IGNORED {
        world.feed_server(&unknown);
        assert_eq!(ignored(&world), n);
    }
    assert_eq!(world.server_end(), None);
    world.feed_server(&unknown);
    assert_eq!(world.server_end(), Some(EndReason::Violation(Violation::TooManyIgnored)));
    assert_eq!(world.server_cut(), (Some(Code::Limit), Some(Code::Limit)));
}

#[test]
fn broken_framing_cuts_the_stream_with_its_code() {
    let header = |bytes: [u8; 12]| bytes.to_vec();
    let long = limits::MAX_PDU_BODY as u32 + 1;
    let [a, b, c, d] = long.to_be_bytes();
    let mut wrong_chunk = chunk(1, 0, b"xyz");
    wrong_chunk[19] = 2;
    let cases = [
        (header([2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Violation::PduVersion(2)),
        (
            header([1, 8, 0, 0, 0, 0, 0, 0, a, b, c, d]),
            Violation::PduTooLong { kind: 8, len: long },
        ),
        (
            header([1, 77, 0, 0, 0, 0, 0, 0, a, b, c, d]),
            Violation::PduTooLong { kind: 77, len: long },
        ),
        (header([1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), Violation::ChunkLength),
        (wrong_chunk, Violation::ChunkLength),
        (
            [&[1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0]].concat(),
            Violation::PduMalformed { kind: 8, why: "ends early" },
        ),
    ];
    for (bytes, rule) in cases {
        let mut world = streaming(Dialect::V1);
        world.feed_server(&bytes);
        assert_eq!(world.server_end(), Some(EndReason::Violation(rule)));
        assert_eq!(world.server_cut(), (Some(rule.code()), Some(rule.code())));
        assert!(world.server.as_ref().unwrap().is_over());
    }
}

#[test]
fn a_stream_that_ends_inside_a_pdu_is_a_violation_and_between_two_a_close() {
    let mut world = streaming(Dialect::V1);
    world.feed_server(&Pdu::PauseStream.encode(1, true)[..7]);
    world.fin_to_server();
    assert_eq!(world.server_end(), Some(EndReason::Violation(Violation::PduTruncated)));

    let mut world = streaming(Dialect::V1);
    world.fin_to_server();
    assert_eq!(kinds(&world.take_from_server()), [Kind::CloseStream]);
    assert!(world.server_is_finished());
    assert_eq!(world.server_end(), Some(EndReason::Peer));
    assert!(world.server.as_ref().unwrap().is_over());
}

#[test]
fn a_reset_ends_it_with_the_code_of_the_client() {
    let mut world = streaming(Dialect::V1);
    world.reset_to_server(Code::Other(77));
    assert_eq!(world.server_end(), Some(EndReason::Reset(Code::Other(77))));
    assert!(world.server_cut().0.is_some());

    let mut world = streaming(Dialect::V1);
    world.ends[0].stop(super::super::testing::STREAM, Code::Cancelled);
    world.run_for(SECOND);
    assert_eq!(world.server_end(), Some(EndReason::Reset(Code::Cancelled)));
}

#[test]
fn heartbeats_go_out_while_streaming_and_while_paused() {
    let mut world = server(Dialect::V1, 200_000);
    world.feed_server(&open(Request { keepalive: Some(2), ..Request::default() }));
    world.run_for(SECOND);
    assert!(!kinds(&world.take_from_server()).contains(&Kind::Heartbeat));
    world.run_for(SECOND);
    let pdus = world.take_from_server();
    let beat = pdus.iter().find(|pdu| pdu.kind == Kind::Heartbeat).unwrap();
    assert_eq!(beat.body, (EPOCH + 3_000).to_be_bytes(), "two seconds after the grant");
    world.feed_server(&Pdu::PauseStream.encode(1, true));
    world.take_from_server();
    world.run_for(10 * SECOND);
    assert_eq!(kinds(&world.take_from_server()), [Kind::Heartbeat; 5], "silent but for them");
}

#[test]
fn silence_of_the_client_ends_it_in_every_state() {
    let timeout = Duration::from_secs(u64::from(limits::DEFAULT_SESSION_TIMEOUT));
    let mut idle = server(Dialect::V1, 10_240);
    idle.run_for(timeout - Duration::from_nanos(1));
    assert_eq!(idle.server_end(), None);
    idle.run_for(Duration::from_nanos(1));
    assert_eq!(idle.server_end(), Some(EndReason::Timeout));
    assert_eq!(kinds(&idle.take_from_server()), [Kind::CloseStream]);
    assert!(idle.server_is_finished());

    for pause in [false, true] {
        let mut world = server(Dialect::V1, 1_000_000);
        world.link().down.window = 1 << 30;
        let request = Request { timeout: Some(12), keepalive: Some(3), ..Request::default() };
        world.feed_server(&open(request));
        if pause {
            world.feed_server(&Pdu::PauseStream.encode(1, true));
        }
        world.run_for(11 * SECOND);
        world.feed_server(&Pdu::Heartbeat(UnixMillis(0)).encode(1, true)[..5]);
        world.run_for(11 * SECOND);
        assert_eq!(world.server_end(), None, "half a PDU is a sign of life too");
        world.run_for(SECOND);
        assert_eq!(world.server_end(), Some(EndReason::Timeout));
        assert_eq!(kinds(&world.take_from_server()).last(), Some(&Kind::CloseStream));
    }
}

#[test]
fn closing_does_not_wait_for_ever_for_a_client_that_takes_nothing() {
    let mut world = server(Dialect::V1, 10_240);
    world.link().down.window = 500;
    world.feed_server(&open(Request::default()));
    world.close_server().unwrap();
    assert_eq!(state(&world), "CLOSING");
    world.run_for(29 * SECOND);
    assert_eq!(world.server_end(), None);
    world.run_for(2 * SECOND);
    assert_eq!(world.server_end(), Some(EndReason::Timeout));
    assert_eq!(world.server_cut().0, Some(Code::Timeout));
}

#[test]
fn a_half_written_chunk_is_finished_before_the_close_and_a_fresh_one_is_dropped() {
    for part in [0, 27] {
        let mut world = server(Dialect::V1, 10_240);
        // Room for the ACK, then for nothing or for a part of the chunk.
        world.supplying = false;
        world.feed_server(&open(Request::default()));
        let ack = usize::try_from(world.link().down.total).unwrap();
        world.link().down.window = ack + part;
        world.supplying = true;
        world.settle();
        world.feed_server(&Pdu::CloseStream.encode(1, true));
        world.link().down.window = 1 << 20;
        world.settle();
        let pdus = world.take_from_server();
        let expected: &[Kind] = if part == 0 {
            &[Kind::OpenAck, Kind::CloseStream]
        } else {
            &[Kind::OpenAck, Kind::StreamChunk, Kind::CloseStream]
        };
        assert_eq!(kinds(&pdus), expected);
        let ended = World::ended(&world.server_events).unwrap();
        let sent = u64::from(part > 0);
        assert_eq!((ended.chunks, ended.bytes), (sent, sent * 1_024));
    }
}

#[test]
fn the_source_may_fail_and_supplies_must_be_wanted() {
    let mut world = server(Dialect::V1, 10_240);
    world.supplying = false;
    let misuse = |wanted, supplied| Err(Misuse::NotWanted { wanted, supplied });
    let supply = |world: &mut World, offset, len: usize| {
        let bytes = Bytes::from(vec![0; len]);
        world.server.as_mut().unwrap().supply(cx!(world, 1), offset, bytes, false)
    };
    assert_eq!(supply(&mut world, 0, 1), misuse(0, 0), "nothing is granted yet");
    world.feed_server(&open(Request::default()));
    assert_eq!(world.wanted, [(0, 2_048)], "two chunks");
    assert_eq!(supply(&mut world, 5, 1), misuse(0, 5));
    assert_eq!(supply(&mut world, 0, 2_049), misuse(0, 0));
    world.server.as_mut().unwrap().source_failed(cx!(world, 1));
    world.settle();
    assert_eq!(world.server_end(), Some(EndReason::SourceFailed));
    assert_eq!(world.server_cut().0, Some(Code::SourceFailed));
    world.server.as_mut().unwrap().source_failed(cx!(world, 1));
    assert_eq!(supply(&mut world, 0, 5), Ok(()), "an answer that crossed the end is dropped");
    assert!(matches!(world.close_server(), Err(Misuse::WrongState { command: "close", .. })));
}

#[test]
fn unpaced_asks_ahead_up_to_the_limit_and_queues_one_chunk() {
    let mut world = server(Dialect::V1, 8 << 20);
    world.policy.max_chunk = 65_536;
    world.link().down.window = 100_000;
    world.feed_server(&open(Request { pace: Pace::Unpaced, ..Request::default() }));
    let server = world.server.as_ref().unwrap();
    let play = server.play.as_ref().unwrap();
    assert!(play.source.footprint() <= limits::MAX_SUPPLIED);
    let taken = world.link().down.total;
    assert!(play.bytes - taken <= 2 * 65_536, "{} queued, {taken} taken", play.bytes);
    assert!(taken >= 100_000);
}

#[test]
fn a_classic_client_that_pauses_after_its_third_chunk_misses_nothing() {
    let mut world = server(Dialect::Classic, 10_240);
    world.policy.startup_burst = Duration::from_secs(60);
    world.feed_server(&open(Request { codec: "h264".into(), ..Request::default() }));
    assert_eq!(
        kinds(&world.take_from_server()),
        [Kind::OpenAck, Kind::StreamChunk, Kind::StreamChunk],
        "two chunks at once, not more"
    );
    world.run_for(Duration::from_nanos(102_400_000 - 1));
    assert_eq!(kinds(&world.take_from_server()), []);
    world.run_for(Duration::from_nanos(1));
    assert_eq!(kinds(&world.take_from_server()), [Kind::StreamChunk]);
    world.feed_server(&Pdu::PauseStream.encode(12_345, true));
    let pings = world.ends[1].pings;
    world.run_for(2 * SECOND);
    assert_eq!(kinds(&world.take_from_server()), []);
    assert_eq!(world.ends[1].pings - pings, 4, "after 100, 300, 700 and 1500 ms");
    world.feed_server(&Pdu::ResumeStream.encode(12_345, true));
    world.run_for(10 * SECOND);
    let rest = world.take_from_server();
    let mut expected = vec![Kind::StreamChunk; 7];
    expected.push(Kind::CloseStream);
    assert_eq!(kinds(&rest), expected);
    assert_eq!(rest[0].body[..4], 4u32.to_be_bytes(), "sequence 4 comes next");
}

#[test]
fn a_v1_client_is_never_prodded() {
    let mut world = streaming(Dialect::V1);
    world.feed_server(&Pdu::PauseStream.encode(1, true));
    world.run_for(10 * SECOND);
    assert_eq!(world.ends[1].pings, 0);
}

#[test]
fn work_per_call_is_bounded() {
    let mut world = server(Dialect::V1, 10_240);
    let beat = Pdu::Heartbeat(UnixMillis(0)).encode(1, true);
    world.link().up.held = true;
    world.feed_server(&beat.repeat(PDUS_PER_CALL + 1));
    world.link().up.held = false;
    let server = world.server.as_mut().unwrap();
    server.on_readable(cx!(world, 1));
    assert!(server.is_runnable(), "one is left");
    server.on_readable(cx!(world, 1));
    assert!(!server.is_runnable());
}

#[test]
fn after_the_end_the_clients_end_mark_is_awaited_but_not_for_ever() {
    let mut world = server(Dialect::V1, 100);
    world.feed_server(&open(Request::default()));
    world.take_from_server();
    assert_eq!(world.server_end(), Some(EndReason::Complete));
    assert!(!world.server.as_ref().unwrap().is_over());
    world.feed_server(&Pdu::Heartbeat(UnixMillis(0)).encode(1, true));
    world.run_for(LINGER);
    assert!(world.server.as_ref().unwrap().is_over());
    assert_eq!(world.server_cut(), (None, Some(Code::None)));
    assert_eq!(world.server.as_ref().unwrap().deadline(), None);
}

#[test]
fn a_lost_connection_ends_it_once() {
    let mut world = streaming(Dialect::V1);
    for _ in 0..2 {
        world.server.as_mut().unwrap().on_connection_lost(cx!(world, 1));
    }
    world.settle();
    assert_eq!(world.server_end(), Some(EndReason::ConnectionLost));
    assert!(world.server.as_ref().unwrap().is_over());
}
