//! Several sessions on one connection do not hold each other up, and silence ends one.

use std::time::Duration;

use anabranch_core::media::{EndReason, Event, Request};
use anabranch_core::transport::Offered;
use anabranch_core::{Misuse, limits};
use anabranch_tests::content::Clip;
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair, named, unpaced};
use anabranch_tests::seeds;

use super::{options, pair_with_clip, with_clip};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn clips(count: usize, len: u64) -> Vec<Clip> {
    (0..count).map(|n| Clip::new(&format!("clip {n:02}"), n as u64, len)).collect()
}

fn open_all(pair: &mut Pair, count: usize) -> Vec<Key> {
    let conn = pair.up(0, Offered::V1);
    let open = |n| {
        let request = named(&format!("clip {n:02}"));
        (conn, pair.open(0, conn, n, request).expect("a session can be opened"))
    };
    (0..count).map(open).collect()
}

#[test]
fn fifteen_unread_sessions_do_not_hold_up_the_sixteenth() {
    let len = limits::STREAM_WINDOW + limits::MAX_SUPPLIED as u64 + (3 << 20);
    let mut options = Options { clips: clips(limits::MAX_SESSIONS, len), ..options() };
    options.stack.max_datagram = 16_000;
    let mut pair = Pair::new(0, options);
    let keys = open_all(&mut pair, limits::MAX_SESSIONS - 1);
    for key in &keys {
        pair.stop_reading(0, *key);
    }
    pair.run_for(SECONDS(30));
    let conn = keys[0].0;
    let last = pair.open(0, conn, 15, named("clip 15")).unwrap();
    pair.complete(0, (conn, last), SECONDS(60));
    for key in &keys {
        assert_eq!(pair.playback(0, *key).bytes, 0);
        assert_eq!(pair.playback(0, *key).ended, None);
    }
    // Their windows are full, and no more than full.
    for (id, session) in pair.server_app.sessions.keys().copied().collect::<Vec<_>>() {
        let sent = pair.conn(Who::Server, id).unwrap().media(session).unwrap().stats().bytes;
        assert!(sent > limits::STREAM_WINDOW / 2, "{sent} bytes were sent unread");
        let most = limits::STREAM_WINDOW + limits::MAX_SUPPLIED as u64;
        assert!(sent <= most, "{sent} bytes were sent unread");
    }
    for key in &keys {
        pair.start_reading(0, *key);
    }
    for key in keys {
        pair.complete(0, key, SECONDS(300));
    }
}

#[test]
fn a_paused_session_does_not_hold_up_the_others() {
    seeds::each(8, |seed| {
        let mut pair =
            Pair::new(seed, Options { clips: clips(4, 3_000_000), ..options() });
        let keys = open_all(&mut pair, 4);
        pair.must("bytes", SECONDS(30), |pair| pair.playback(0, keys[1]).bytes > 500_000);
        pair.pause(0, keys[1], None).unwrap();
        pair.stop_reading(0, keys[2]);
        pair.complete(0, keys[0], SECONDS(60));
        pair.complete(0, keys[3], SECONDS(60));
        assert_eq!(pair.playback(0, keys[1]).ended, None);
        pair.resume(0, keys[1]).unwrap();
        pair.start_reading(0, keys[2]);
        pair.complete(0, keys[1], SECONDS(60));
        pair.complete(0, keys[2], SECONDS(60));
    });
}

#[test]
fn more_sessions_than_the_limit_are_misuse() {
    let mut pair = Pair::new(0, Options { clips: clips(17, 1_000_000), ..options() });
    let keys = open_all(&mut pair, limits::MAX_SESSIONS);
    let one_more = pair.open(0, keys[0].0, 16, named("clip 16"));
    assert!(matches!(one_more, Err(Misuse::TooMuch { limit: limits::MAX_SESSIONS, .. })));
    for key in keys {
        pair.complete(0, key, SECONDS(60));
    }
}

#[test]
fn a_hundred_sessions_one_after_the_other() {
    let mut pair = pair_with_clip(0, 20_000);
    let conn = pair.up(0, Offered::V1);
    for _ in 0..100 {
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(10));
    }
}

fn quick() -> Request {
    Request { keepalive: Some(2), timeout: Some(6), ..unpaced() }
}

#[test]
fn silence_ends_a_session_and_not_the_connection() {
    let mut options = with_clip(30_000_000);
    options.stack.idle_timeout = SECONDS(60);
    let mut pair = Pair::new(0, options);
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.open(0, conn, 0, quick()).unwrap());
    pair.must("bytes", SECONDS(5), |pair| pair.playback(0, key).bytes > 100_000);
    for (up, down) in [(true, true), (false, false)] {
        pair.blackhole(0, up, down);
        pair.run_for(SECONDS(8));
    }
    assert_eq!(pair.playback(0, key).ended.unwrap().reason, EndReason::Timeout);
    let on_server = pair.accepted()[0];
    pair.must("the server ends it", SECONDS(20), |pair| {
        let mut events = pair.session_events(Who::Server, (on_server, key.1));
        events.any(|event| matches!(event, Event::Ended(_)))
    });
    let next = (conn, pair.play(0, conn));
    pair.complete(0, next, SECONDS(120));
}

#[test]
fn heartbeats_keep_a_paused_session() {
    for offered in [Offered::V1, Offered::Classic] {
        let mut pair = pair_with_clip(0, 3_000_000);
        let conn = pair.up(0, offered);
        let key = (conn, pair.play(0, conn));
        pair.must("bytes", SECONDS(5), |pair| pair.playback(0, key).bytes > 100_000);
        pair.pause(0, key, None).unwrap();
        pair.run_for(SECONDS(300));
        pair.resume(0, key).unwrap();
        pair.complete(0, key, SECONDS(60));
    }
}

#[test]
fn an_application_that_reads_slowly_is_not_silence() {
    let mut pair = pair_with_clip(0, 9_000_000);
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.open(0, conn, 0, quick()).unwrap());
    pair.stop_reading(0, key);
    pair.run_for(SECONDS(100));
    pair.start_reading(0, key);
    pair.complete(0, key, SECONDS(60));
}

#[test]
fn clients_do_not_disturb_each_other() {
    seeds::each(4, |seed| {
        let options = Options { clients: 5, ..with_clip(400_000) };
        let mut pair = Pair::new(seed, options);
        let keys: Vec<Key> = (0..5)
            .map(|n| {
                let conn = pair.up(n, Offered::Both);
                (conn, pair.play(n, conn))
            })
            .collect();
        pair.blackhole(4, true, false);
        for (n, key) in keys[..4].iter().enumerate() {
            pair.complete(n, *key, SECONDS(60));
        }
    });
}
