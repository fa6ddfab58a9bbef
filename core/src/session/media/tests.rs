//! Both roles against each other.

use std::time::Duration;

use super::pdu::{DISCONTINUITY, Kind};
use super::testing::World;
use super::*;
use crate::event::Dialect;

const V1: Dialect = Dialect::V1;

fn request() -> Request {
    Request::default()
}

fn assert_complete(world: &World) {
    assert_eq!(world.client_end(), Some(EndReason::Complete));
    assert_eq!(world.server_end(), Some(EndReason::Complete));
    assert!(world.client.as_ref().unwrap().is_over() && world.server.as_ref().unwrap().is_over());
}

#[test]
fn media_of_every_awkward_length_arrives_whole() {
    for dialect in [Dialect::Classic, V1] {
        for known in [true, false] {
            for len in [0, 1, 1_023, 1_024, 1_025, 2_048, 5_000] {
                for pace in [Pace::Bitrate, Pace::Unpaced] {
                    let mut world = World::new(dialect, len);
                    if !known {
                        world = world.of_unknown_size();
                    }
                    let request = Request { pace, ..request() };
                    let mut world = world.with_server().with_client(request);
                    world.run_for_ms(1_000);
                    assert_eq!(world.received, world.media, "{dialect:?} {known} {len} {pace:?}");
                    assert_eq!(world.got.len(), len.div_ceil(1_024));
                    assert_complete(&world);
                }
            }
        }
    }
}

#[test]
fn pacing_is_exact_also_over_a_pause() {
    // 1024 bytes at 80 kbit/s: 102.4 ms.
    let mut world = World::pair(V1, 6 * 1_024, request());
    world.run_for_ms(250);
    world.pause().unwrap();
    world.run_for_ms(1_000);
    world.resume().unwrap();
    world.run_for_ms(1_000);
    let at: Vec<u64> = world.got.iter().map(|got| got.ms).collect();
    assert_eq!(at, [0, 102, 204, 1_307, 1_409, 1_512]);
    assert_eq!(world.received, world.media);
    assert_complete(&world);
    assert_eq!(world.server_events[1..3], [Event::Paused, Event::Resumed { skipped: 0 }]);
}

#[test]
fn the_burst_leaves_at_once() {
    let mut world = World::new(V1, 10 * 1_024);
    world.policy.startup_burst = Duration::from_millis(410);
    let mut world = world.with_server().with_client(request());
    world.settle();
    assert_eq!(world.got.len(), 5);
    world.run_for_ms(101);
    assert_eq!(world.got.len(), 5);
    world.run_for_ms(1);
    assert_eq!(world.got.len(), 6);
}

#[test]
fn many_pauses_lose_nothing_and_repeat_nothing() {
    for pace in [Pace::Bitrate, Pace::Unpaced] {
        let world = World::new(V1, 100_000);
        world.link().down.window = 3_000;
        let mut world = world.with_server().with_client(Request { pace, ..request() });
        world.pulling = pace == Pace::Bitrate;
        world.settle();
        for _ in 0..40 {
            if world.client_end().is_some() {
                break;
            }
            world.pause().unwrap();
            world.run_for_ms(77);
            world.pull(1_500);
            world.resume().unwrap();
            world.run_for_ms(130);
        }
        world.pulling = true;
        world.run_for_ms(20_000);
        assert_eq!(world.received, world.media);
        assert_complete(&world);
    }
}

#[test]
fn a_chunk_in_flight_at_the_pause_is_kept() {
    let mut world = World::pair(V1, 10 * 1_024, request());
    world.link().down.held = true;
    world.run_for_ms(110);
    world.pause().unwrap();
    world.link().down.held = false;
    world.settle();
    assert_eq!(world.sequences(), [1, 2], "the second came after the pause");
    world.run_for_ms(5_000);
    assert_eq!(world.sequences(), [1, 2], "and then silence");
    assert_eq!(world.client.as_ref().unwrap().stats(world.now).paused.as_secs(), 5);
}

#[test]
fn a_live_resume_rejoins_the_media_and_says_what_was_missed() {
    let live = Request { pause: PausePolicy::Live, ..request() };
    let mut world = World::pair(V1, 100 * 1_024, live);
    world.run_for_ms(250);
    world.pause().unwrap();
    world.run_for_ms(2_000);
    // After 2250 ms the media is in its 22nd chunk.
    world.resume().unwrap();
    world.run_for_ms(10);
    assert_eq!(world.sequences(), [1, 2, 3, 22]);
    assert_eq!(world.server_events[2], Event::Resumed { skipped: 18 });
    world.run_for_ms(98);
    assert_eq!(world.sequences(), [1, 2, 3, 22, 23], "on the media's own clock");
    let edge = 21 * 1_024;
    assert_eq!(world.received[3 * 1_024..], world.media[edge..edge + 2 * 1_024]);
    world.run_for_ms(60_000);
    assert_complete(&world);
    assert_eq!(World::ended(&world.client_events).unwrap().missed, 18);
    assert_eq!(World::ended(&world.server_events).unwrap().missed, 18);
}

#[test]
fn a_live_resume_after_the_end_still_gives_the_last_chunk() {
    let live = Request { pause: PausePolicy::Live, ..request() };
    let mut world = World::pair(V1, 10 * 1_024, live);
    world.pause().unwrap();
    world.run_for_ms(60_000);
    world.resume().unwrap();
    world.run_for_ms(1_000);
    assert_eq!(world.sequences(), [1, 10]);
    assert_complete(&world);
}

#[test]
fn the_chunk_behind_a_gap_is_flagged() {
    let live = Request { pause: PausePolicy::Live, ..request() };
    let mut world = World::pair(V1, 100 * 1_024, live);
    world.pause().unwrap();
    world.run_for_ms(1_000);
    world.client = None;
    world.feed_server(&pdu::Pdu::ResumeStream.encode(1, true));
    world.run_for_ms(200);
    let flags: Vec<u8> = world
        .take_from_server()
        .iter()
        .filter(|pdu| pdu.kind == Kind::StreamChunk)
        .map(|pdu| pdu.flags)
        .collect();
    assert_eq!(flags, [DISCONTINUITY, 0], "only that one");
}

#[test]
fn a_start_names_the_same_place_of_the_file_by_byte_and_by_sequence() {
    let start = |start| {
        let mut world = World::pair(V1, 5_000, Request { start, ..request() });
        world.run_for_ms(2_000);
        world
    };
    for (at, from, first) in [
        (Start::Sequence(3), 2_048, Some((3, 1_024))),
        (Start::Byte(2_048), 2_048, Some((3, 1_024))),
        (Start::Byte(2_050), 2_050, Some((3, 1_022))),
        (Start::Byte(3_071), 3_071, Some((3, 1))),
        (Start::Byte(4_999), 4_999, Some((5, 1))),
        (Start::Byte(5_000), 5_000, None),
    ] {
        let world = start(at);
        assert_eq!(world.received, world.media[from..], "{at:?}");
        assert_eq!(world.got.first().map(|got| (got.sequence, got.len)), first);
        assert_complete(&world);
    }
    let world = start(Start::Byte(5_001));
    assert_eq!(world.client_events[0], Event::Refused(Nack::StartOutOfRange));
    assert_eq!(world.server_end(), Some(EndReason::Peer));
}

#[test]
fn a_slow_application_stops_the_server_and_nobody_gives_up() {
    let world = World::new(V1, 400_000);
    world.link().down.window = 10_000;
    let unpaced = Request { pace: Pace::Unpaced, ..request() };
    let mut world = world.with_server().with_client(unpaced);
    world.pulling = false;
    world.run_for_ms(300_000);
    assert!(world.link().down.total < 10_100);
    assert_eq!((world.client_end(), world.server_end()), (None, None));
    world.pulling = true;
    world.run_for_ms(10);
    assert_eq!(world.received, world.media);
    assert_complete(&world);
}

#[test]
fn supplies_in_scraps_are_put_together() {
    let mut world = World::new(V1, 10_000).with_server();
    world.supplying = false;
    let mut world = world.with_client(Request { pace: Pace::Unpaced, ..request() });
    world.settle();
    while world.client_end().is_none() {
        assert!(world.supply_next(333), "something is always wanted until the end");
        world.settle();
    }
    assert_eq!(world.received, world.media);
}

#[test]
fn either_side_may_close_and_the_other_is_told() {
    let mut world = World::pair(V1, 100_000, request());
    world.run_for_ms(300);
    world.close_client().unwrap();
    assert_eq!(
        (world.client_end(), world.server_end()),
        (Some(EndReason::Local), Some(EndReason::Peer))
    );
    let mut world = World::pair(V1, 100_000, request());
    world.run_for_ms(300);
    world.close_server().unwrap();
    assert_eq!(
        (world.client_end(), world.server_end()),
        (Some(EndReason::Peer), Some(EndReason::Local))
    );
    assert!(world.client.as_ref().unwrap().is_over() && world.server.as_ref().unwrap().is_over());
}

#[test]
fn a_paused_session_lives_on_heartbeats() {
    for dialect in [Dialect::Classic, V1] {
        let mut world = World::pair(dialect, 5_000, request());
        world.pause().unwrap();
        world.run_for_ms(600_000);
        world.resume().unwrap();
        world.run_for_ms(2_000);
        assert_eq!(world.received, world.media);
        assert_complete(&world);
    }
}
