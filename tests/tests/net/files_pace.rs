//! Files between two endpoints: how fast, in which order, and held.

use std::time::Duration;

use anabranch_core::files::{Accept, End, Event, Offer, Token};
use anabranch_core::{ConnId, limits};
use anabranch_tests::apps::Source;
use anabranch_tests::link::LinkConfig;
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair, unpaced};

use super::files::{CLIENT, PIECE, SECONDS, pushing, sending, server_key};
use super::options;

fn limited(rate: u64) -> Options {
    let link = LinkConfig { bytes_per_second: Some(rate), ..LinkConfig::default() };
    Options { up: link.clone(), down: link, ..options() }
}

fn acked(pair: &mut Pair, key: Key) -> u64 {
    pair.file_stats(CLIENT, key).acked
}

#[test]
fn a_limit_of_either_side_is_kept() {
    for who in [CLIENT, Who::Server] {
        let (mut pair, key) = pushing(options(), vec![Source::file("a", 1, 5_000_000)]);
        pair.must("told", SECONDS(1), |pair| !pair.server_files.told.is_empty());
        let at = if who == CLIENT { key } else { server_key(&pair) };
        pair.with_files(who, at, |files| files.set_limit(Some(500_000))).unwrap();
        pair.run_for(SECONDS(1));
        let before = acked(&mut pair, key);
        pair.run_for(SECONDS(4));
        let rate = (acked(&mut pair, key) - before) / 4;
        assert!((450_000..=510_000).contains(&rate), "{who:?}: {rate} bytes a second");
        pair.with_files(who, at, |files| files.set_limit(None)).unwrap();
        let start = pair.now();
        assert_eq!(pair.file_end(CLIENT, key, SECONDS(5)).how, End::Complete);
        assert!(pair.now().since(start) < SECONDS(2));
    }
}

#[test]
fn a_pause_stops_pieces_and_loses_nothing() {
    for pausers in [vec![CLIENT], vec![Who::Server], vec![CLIENT, Who::Server]] {
        let (mut pair, key) = pushing(limited(1_000_000), vec![Source::file("a", 1, 3_000_000)]);
        pair.run_for(SECONDS(1));
        let at = |pair: &Pair, who| if who == CLIENT { key } else { server_key(pair) };
        for who in &pausers {
            let at = at(&pair, *who);
            pair.with_files(*who, at, |files| files.pause("dinner")).unwrap();
        }
        // What streams have begun arrives.
        pair.run_for(SECONDS(3));
        let before = pair.file_stats(CLIENT, key);
        assert_eq!(before.state, "paused");
        pair.run_for(SECONDS(30));
        let after = pair.file_stats(CLIENT, key);
        assert_eq!((after.moved, after.acked), (before.moved, before.acked));
        assert!(after.acked < 3_000_000, "{after:?}");
        for who in &pausers {
            assert_eq!(pair.file_stats(CLIENT, key).state, "paused");
            let at = at(&pair, *who);
            pair.with_files(*who, at, |files| files.resume()).unwrap();
            pair.run_for(Duration::from_millis(50));
        }
        let ended = pair.file_end(CLIENT, key, SECONDS(30));
        assert_eq!((ended.how, ended.stats.again), (End::Complete, 0));
        pair.compare(CLIENT, Who::Server);
        for who in [CLIENT, Who::Server] {
            let other = if who == CLIENT { Who::Server } else { CLIENT };
            let told =
                pair.files(who).told.iter().any(
                    |(_, event)| matches!(event, Event::Paused { reason } if reason == "dinner"),
                );
            assert_eq!(told, pausers.contains(&other), "{who:?} of {pausers:?}");
        }
    }
}

#[test]
fn a_pause_at_any_time_loses_nothing() {
    for ms in (0..400).step_by(13) {
        let sources = vec![Source::file("a", 1, 400_000), Source::file("b", 2, 10)];
        let (mut pair, key) = pushing(limited(2_000_000), sources);
        pair.run_for(Duration::from_millis(ms));
        if pair.with_files(CLIENT, key, |files| files.pause("")).is_ok() {
            pair.run_for(SECONDS(1));
            // All may have been on its way.
            let _ = pair.with_files(CLIENT, key, |files| files.resume());
        }
        let ended = pair.file_end(CLIENT, key, SECONDS(10));
        assert_eq!((ended.how, ended.stats.again), (End::Complete, 0), "{ms} ms");
        pair.compare(CLIENT, Who::Server);
    }
}

/// Offers one source with a rank.
fn ranked(pair: &mut Pair, conn: ConnId, name: &str, rank: u8) -> Key {
    let offer = Offer { rank, ..Offer::new(Token([rank; 16])) };
    let session = pair.conn(CLIENT, conn).unwrap().offer_files(&offer).unwrap();
    pair.client_files[0].offered((conn, session), &[name]);
    (conn, session)
}

#[test]
fn a_transfer_of_lower_rank_goes_first() {
    let sources = vec![Source::file("first", 1, 3_000_000), Source::file("last", 2, 3_000_000)];
    let (mut pair, conn) = sending(limited(1_000_000), sources);
    let last = ranked(&mut pair, conn, "last", 5);
    let first = ranked(&mut pair, conn, "first", 4);
    pair.file_end(CLIENT, first, SECONDS(30));
    let behind = acked(&mut pair, last);
    assert!(behind < 1_000_000, "{behind} bytes of the other one");
    assert_eq!(pair.file_end(CLIENT, last, SECONDS(30)).how, End::Complete);
    pair.compare(CLIENT, Who::Server);
}

#[test]
fn media_is_not_slowed_down_by_files() {
    // The server sends a clip and, to the same client, a large file.
    let time = |files: bool| {
        let mut options = limited(4_000_000);
        options.clips = super::with_clip(2_000_000).clips;
        let mut pair = Pair::new(3, options);
        pair.server_files =
            anabranch_tests::apps::FilesApp::with(vec![Source::file("bulk", 1, 40_000_000)]);
        let conn = pair.up(0, anabranch_core::transport::Offered::V1);
        if files {
            pair.pull(CLIENT, conn, "bulk");
            pair.run_for(SECONDS(2));
        }
        let start = pair.now();
        let session = pair.open(0, conn, 0, unpaced()).unwrap();
        pair.complete(0, (conn, session), SECONDS(60));
        pair.now().since(start)
    };
    let (alone, beside) = (time(false), time(true));
    assert!(beside < alone * 2, "{alone:?} alone, {beside:?} beside files");
}

#[test]
fn a_slow_receiver_stops_the_sender_within_its_window() {
    for window in [limits::MIN_FILE_WINDOW, 1 << 20, 4 << 20] {
        let (mut pair, conn) = sending(options(), vec![Source::file("a", 1, 20_000_000)]);
        pair.server_files.habits.accept = Accept { window, ..Accept::default() };
        pair.server_files.habits.idle = true;
        let key = pair.push(CLIENT, conn, "");
        pair.run_for(SECONDS(5));
        let stats = pair.file_stats(CLIENT, key);
        assert_eq!(stats.acked, 0);
        assert!(stats.outstanding <= window + PIECE, "{stats:?}");
        assert!(stats.outstanding > 0);
        let now = pair.now();
        let Pair { server_files, .. } = &mut pair;
        let mut app = std::mem::take(server_files);
        app.start_pulling(pair.endpoint(Who::Server), now);
        pair.server_files = app;
        let ended = pair.file_end(CLIENT, key, SECONDS(60));
        assert_eq!(ended.how, End::Complete);
        pair.compare(CLIENT, Who::Server);
    }
}

#[test]
fn a_window_can_be_changed_while_it_runs() {
    let (mut pair, conn) = sending(options(), vec![Source::file("a", 1, 20_000_000)]);
    pair.server_files.habits.store_delay = Duration::from_millis(100);
    let key = pair.push(CLIENT, conn, "");
    pair.run_for(Duration::from_millis(300));
    let at = server_key(&pair);
    pair.with_files(Who::Server, at, |files| files.set_window(limits::MIN_FILE_WINDOW)).unwrap();
    pair.run_for(SECONDS(1));
    let stats = pair.file_stats(CLIENT, key);
    assert!(stats.outstanding <= limits::MIN_FILE_WINDOW + PIECE, "{stats:?}");
    let more = pair.with_files(Who::Server, at, |files| {
        assert!(files.set_window(limits::MAX_FILE_WINDOW + 1).is_err());
        files.set_window(limits::MAX_FILE_WINDOW)
    });
    more.unwrap();
    assert_eq!(pair.file_end(CLIENT, key, SECONDS(60)).how, End::Complete);
}

#[test]
fn it_is_as_fast_as_the_link_and_uses_no_more_than_it_needs() {
    for (rate, latency, size) in [(12_500_000, 25, 40_000_000), (1_000_000, 50, 6_000_000)] {
        let link = LinkConfig {
            bytes_per_second: Some(rate),
            latency: Duration::from_millis(latency),
            queue_bytes: 1 << 20,
            ..LinkConfig::default()
        };
        let options = Options { up: link.clone(), down: link, ..options() };
        let (mut pair, key) = pushing(options, vec![Source::file("a", 1, size)]);
        let start = pair.now();
        let ended = pair.file_end(CLIENT, key, SECONDS(60));
        let took = pair.now().since(start);
        let least = Duration::from_secs_f64(size as f64 / rate as f64);
        assert!(took < least * 3 / 2, "{took:?} instead of {least:?}: {:?}", ended.stats);
        println!("{took:?} of {least:?}, {:?}", ended.stats.limited);
    }
}
