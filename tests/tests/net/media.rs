//! One media session on a good link: what is granted, what arrives, and when.

use std::time::Duration;

use anabranch_core::media::{EndReason, Event, Nack, Pace, PausePolicy, Request, Start};
use anabranch_core::transport::Offered;
use anabranch_core::{Code, Dialect, Event as ConnEvent};
use anabranch_tests::apps::Supply;
use anabranch_tests::content::Clip;
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair, named, unpaced};
use anabranch_tests::seeds;

use super::{options, pair_with_clip, with_clip};

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;
/// Long enough for what was in flight when a pause was asked for.
const GRACE: Duration = Duration::from_millis(100);

/// A clip that plays at 4 Mbit/s in chunks of 16 KiB, and a server that grants both.
fn paced(len: u64) -> Options {
    let mut options = with_clip(len);
    options.clips[0].bitrate = Some(4_000_000);
    options.server.media.max_bitrate = 4_000_000;
    options.server.media.max_chunk = 16 << 10;
    options
}

fn by_bitrate() -> Request {
    Request { bitrates: vec![4_000_000], pace: Pace::Bitrate, ..Request::default() }
}

fn start(options: Options, seed: u64, offered: Offered, request: Request) -> (Pair, Key) {
    let mut pair = Pair::new(seed, options);
    let conn = pair.up(0, offered);
    let session = pair.open(0, conn, 0, request).expect("a session can be opened");
    (pair, (conn, session))
}

fn server_key(pair: &Pair) -> Key {
    let opened = |event: &ConnEvent| match event {
        ConnEvent::Media(session, Event::Opened(_)) => Some(*session),
        _ => None,
    };
    let told = pair.told(Who::Server).iter().rev();
    told.filter_map(|told| Some((told.1, opened(&told.2)?))).next().expect("a session was opened")
}

#[test]
fn every_byte_arrives_in_both_dialects() {
    seeds::each(8, |seed| {
        for (offered, dialect) in [
            (Offered::V1, Dialect::V1),
            (Offered::Both, Dialect::V1),
            (Offered::Classic, Dialect::Classic),
        ] {
            let options = with_clip(300_000 + seed * 7_919);
            let (mut pair, key) = start(options, seed, offered, unpaced());
            assert_eq!(pair.conn(CLIENT, key.0).unwrap().dialect(), Some(dialect));
            pair.complete(0, key, SECONDS(60));
            let on_server = server_key(&pair);
            pair.must("the server knows", SECONDS(1), |pair| {
                let whole = EndReason::Complete;
                let ended = |event: &Event| matches!(event, Event::Ended(e) if e.reason == whole);
                pair.session_events(Who::Server, on_server).any(ended)
            });
        }
    });
}

#[test]
fn sizes_around_a_chunk_and_nothing_at_all() {
    for len in [0, 1, 1_023, 1_024, 1_025, 65_535, 65_536, 65_537, 131_072] {
        let (mut pair, key) = start(with_clip(len), 0, Offered::V1, unpaced());
        pair.complete(0, key, SECONDS(30));
        assert_eq!(pair.playback(0, key).bytes, len);
    }
}

#[test]
fn the_grant_says_what_was_agreed_on() {
    let mut options = paced(500_000);
    options.server.media.keepalive = 7;
    let (mut pair, key) = start(options, 0, Offered::V1, by_bitrate());
    pair.must("granted", SECONDS(1), |pair| pair.playback(0, key).grant.is_some());
    let grant = pair.playback(0, key).grant.clone().unwrap();
    assert_eq!((grant.bitrate, grant.chunk, grant.keepalive), (4_000_000, 16 << 10, 7));
    assert_eq!((grant.name.as_deref(), grant.size, grant.start), (Some("clip"), Some(500_000), 0));
    assert_eq!((grant.pause, grant.pace), (PausePolicy::Hold, Pace::Bitrate));
}

#[test]
fn pacing_takes_the_time_the_bitrate_says() {
    // 4 MB at 500 kB/s is 8 s, of which 2 s are sent ahead.
    for offered in [Offered::V1, Offered::Classic] {
        let (mut pair, key) = start(paced(4_000_000), 0, offered, by_bitrate());
        let began = pair.now();
        pair.complete(0, key, SECONDS(20));
        let took = pair.now() - began;
        let range = SECONDS(5)..SECONDS(9);
        assert!(range.contains(&took), "{offered:?}: {took:?}");
    }
}

#[test]
fn a_pause_is_silent_and_a_resume_goes_on_without_a_gap() {
    seeds::each(8, |seed| {
        for offered in [Offered::V1, Offered::Classic] {
            let (mut pair, key) = start(paced(3_000_000), seed, offered, by_bitrate());
            for stop in [3, 40 + seed % 50, 90] {
                pair.must("chunks", SECONDS(60), |pair| pair.playback(0, key).chunks >= stop);
                pair.pause(0, key, Some(GRACE)).unwrap();
                pair.run_for(SECONDS(2));
                let before = pair.playback(0, key).bytes;
                pair.run_for(SECONDS(20));
                assert_eq!(pair.playback(0, key).bytes, before);
                pair.resume(0, key).unwrap();
            }
            pair.complete(0, key, SECONDS(60));
        }
    });
}

#[test]
fn a_live_pause_leaves_out_what_has_passed() {
    let mut options = paced(6_000_000);
    options.server.media.startup_burst = Duration::from_millis(100);
    let request = Request { pause: PausePolicy::Live, ..by_bitrate() };
    let (mut pair, key) = start(options, 0, Offered::V1, request);
    pair.client_apps[0].playbacks.get_mut(&key).unwrap().may_skip = true;
    pair.must("chunks", SECONDS(60), |pair| pair.playback(0, key).chunks >= 5);
    pair.pause(0, key, Some(GRACE)).unwrap();
    pair.run_for(SECONDS(4));
    pair.resume(0, key).unwrap();
    pair.complete(0, key, SECONDS(60));
    // 4 s at 500 kB/s, in chunks of 16 KiB.
    let ended = pair.playback(0, key).ended.unwrap();
    assert!((100..140).contains(&ended.missed), "{ended:?}");
    let skipped =
        pair.session_events(Who::Server, server_key(&pair)).find_map(|event| match event {
            Event::Resumed { skipped } => Some(u64::from(*skipped)),
            _ => None,
        });
    assert_eq!(skipped, Some(ended.missed));
}

#[test]
fn a_session_starts_where_it_is_asked_to() {
    let starts = [
        (Start::Byte(0), 0),
        (Start::Byte(1), 1),
        (Start::Byte(99_999), 99_999),
        (Start::Byte(100_000), 100_000),
        (Start::Sequence(1), 0),
        (Start::Sequence(3), 20_000),
    ];
    for (at, byte) in starts {
        let mut options = with_clip(100_000);
        options.server.media.max_chunk = 10_000;
        let request = Request { start: at, ..unpaced() };
        let (mut pair, key) = start(options, 0, Offered::V1, request);
        pair.complete(0, key, SECONDS(30));
        let playback = pair.playback(0, key);
        assert_eq!(playback.grant.as_ref().unwrap().start, byte, "{at:?}");
        assert_eq!(playback.bytes, 100_000 - byte, "{at:?}");
    }
}

#[test]
fn what_cannot_be_had_is_refused() {
    let cases = [
        (named("nothing"), Nack::NoSuchMedia),
        (Request { start: Start::Byte(1_000_001), ..unpaced() }, Nack::StartOutOfRange),
        (Request { start: Start::Sequence(u32::MAX), ..unpaced() }, Nack::StartOutOfRange),
    ];
    for (request, nack) in cases {
        let (mut pair, key) = start(with_clip(1_000_000), 0, Offered::V1, request);
        pair.must("refused", SECONDS(1), |pair| pair.client_apps[0].refused.contains_key(&key));
        assert_eq!(pair.client_apps[0].refused[&key], nack);
        let next = pair.play(0, key.0);
        pair.complete(0, (key.0, next), SECONDS(30));
    }
}

#[test]
fn either_side_may_end_it() {
    for by_client in [true, false] {
        let (mut pair, key) = start(paced(3_000_000), 0, Offered::V1, by_bitrate());
        pair.must("chunks", SECONDS(10), |pair| pair.playback(0, key).chunks >= 10);
        let on_server = server_key(&pair);
        let (who, closing) = if by_client { (CLIENT, key) } else { (Who::Server, on_server) };
        pair.conn(who, closing.0).unwrap().media(closing.1).unwrap().close().unwrap();
        let ended = |pair: &Pair, who, key| {
            pair.session_events(who, key).find_map(|event| match event {
                Event::Ended(ended) => Some(ended.reason),
                _ => None,
            })
        };
        pair.must("ended", SECONDS(5), |pair| {
            ended(pair, CLIENT, key).is_some() && ended(pair, Who::Server, on_server).is_some()
        });
        let reasons = (ended(&pair, CLIENT, key), ended(&pair, Who::Server, on_server));
        let (local, peer) = (Some(EndReason::Local), Some(EndReason::Peer));
        assert_eq!(reasons, if by_client { (local, peer) } else { (peer, local) });
    }
}

#[test]
fn a_failing_source_ends_the_session_and_not_the_connection() {
    let mut pair = pair_with_clip(0, 2_000_000);
    pair.server_app.supply = Supply::FailAt(1_200_000);
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    pair.must("it ends", SECONDS(30), |pair| pair.playback(0, key).ended.is_some());
    let reset = EndReason::Reset(Code::SourceFailed);
    assert_eq!(pair.playback(0, key).ended.unwrap().reason, reset);
    pair.server_app.supply = Supply::AtOnce;
    let next = (conn, pair.play(0, conn));
    pair.complete(0, next, SECONDS(30));
}

#[test]
fn a_slow_source_delays_and_loses_nothing() {
    let mut pair = pair_with_clip(0, 3_000_000);
    pair.server_app.supply = Supply::After(Duration::from_millis(300));
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    pair.complete(0, key, SECONDS(30));
}

#[test]
fn an_empty_catalogue_refuses_and_the_default_is_the_first_name() {
    let clips = vec![Clip::new("b", 1, 1_000), Clip::new("a", 2, 2_000)];
    let options = Options { clips, ..options() };
    let mut pair = Pair::new(0, options);
    let conn = pair.up(0, Offered::V1);
    let session = pair.open(0, conn, 1, unpaced()).unwrap();
    pair.complete(0, (conn, session), SECONDS(5));
    let mut pair = pair_with_clip(0, 1);
    pair.endpoint(Who::Server).hub().set_catalogue(Vec::new(), None).unwrap();
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    pair.must("refused", SECONDS(1), |pair| pair.client_apps[0].refused.contains_key(&key));
    assert_eq!(pair.client_apps[0].refused[&key], Nack::NoSuchMedia);
}
