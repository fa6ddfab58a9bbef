//! How connections live and end: silence, keep-alive, drain, close, and servers that vanish.

use std::time::Duration;

use anabranch_core::media::{self, EndReason, Nack};
use anabranch_core::transport::Offered;
use anabranch_core::{Code, Event, Lost, Misuse, Why};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair, unpaced};
use anabranch_tests::seeds;

use super::{options, pair_with_clip, with_clip};

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn without_keep_alive() -> Options {
    let mut options = options();
    options.client.keep_alive = None;
    options
}

#[test]
fn silence_ends_a_connection_on_both_sides() {
    for blackhole in [false, true] {
        let mut pair = Pair::new(0, without_keep_alive());
        let conn = pair.up(0, Offered::V1);
        pair.run_for(SECONDS(1));
        pair.blackhole(0, blackhole, blackhole);
        pair.run_for(SECONDS(28));
        assert_eq!(pair.closed(CLIENT, conn), None);
        pair.run_for(SECONDS(10));
        let silent = Some(&Why::Lost(Lost::IdleTimeout));
        assert_eq!(pair.closed(CLIENT, conn), silent);
        assert_eq!(pair.closed(Who::Server, pair.accepted()[0]), silent);
        assert!(pair.endpoint(CLIENT).is_idle() && pair.endpoint(Who::Server).is_idle());
    }
}

#[test]
fn keep_alive_keeps_an_idle_connection() {
    for offered in [Offered::V1, Offered::Classic] {
        let mut pair = Pair::new(0, options());
        let conn = pair.up(0, offered);
        pair.run_for(SECONDS(3_600));
        assert_eq!(pair.closed(CLIENT, conn), None);
        let sent = pair.counts(0).0.sent;
        assert!(sent < 1_000, "{sent} datagrams in an idle hour");
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(30));
    }
}

#[test]
fn keep_alive_does_not_hide_a_dead_server() {
    let mut pair = Pair::new(0, options());
    let conn = pair.up(0, Offered::V1);
    pair.run_for(SECONDS(100));
    pair.blackhole(0, false, true);
    pair.run_for(SECONDS(100));
    assert_eq!(pair.closed(CLIENT, conn), Some(&Why::Lost(Lost::IdleTimeout)));
}

#[test]
fn a_restarted_server_resets_the_connections_it_has_forgotten() {
    seeds::each(8, |seed| {
        let mut pair = pair_with_clip(seed, 20_000_000);
        let conn = pair.up(0, Offered::V1);
        let key = (conn, pair.play(0, conn));
        pair.must("bytes", SECONDS(10), |pair| pair.playback(0, key).bytes > 500_000);
        pair.restart_server();
        let began = pair.now();
        pair.must("closed", SECONDS(20), |pair| pair.closed(CLIENT, conn).is_some());
        assert_eq!(pair.closed(CLIENT, conn), Some(&Why::Lost(Lost::StatelessReset)));
        assert!(pair.now() - began < SECONDS(12), "at the next datagram");
        assert_eq!(pair.playback(0, key).ended.unwrap().reason, EndReason::ConnectionLost);
        let conn = pair.connect(0, Offered::V1);
        pair.must("up", SECONDS(5), |pair| pair.is_up(0, conn));
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(60));
    });
}

#[test]
fn a_drain_lets_run_what_runs_and_refuses_what_is_new() {
    seeds::each(8, |seed| {
        let mut pair = pair_with_clip(seed, 10_000_000);
        let conn = pair.up(0, Offered::V1);
        let on_server = pair.accepted()[0];
        let key = (conn, pair.play(0, conn));
        pair.must("bytes", SECONDS(10), |pair| pair.playback(0, key).bytes > 500_000);
        // One that is on its way when the server starts to drain.
        let late = (conn, pair.play(0, conn));
        let now = pair.now();
        pair.endpoint(Who::Server).drain(now, SECONDS(60));
        pair.must("refused", SECONDS(1), |pair| pair.client_apps[0].refused.contains_key(&late));
        assert_eq!(pair.client_apps[0].refused[&late], Nack::GoingAway);
        let away = |event: &Event| matches!(event, Event::GoAway { left } if *left == SECONDS(60));
        pair.must("told", SECONDS(1), |pair| pair.events(CLIENT, conn).any(away));
        let took = pair.now() - now;
        assert!(took < Duration::from_millis(35), "ahead of media (AB-S5), not {took:?}");
        assert_eq!(pair.open(0, conn, 0, unpaced()), Err(Misuse::Draining));
        let newcomer = pair.connect(0, Offered::V1);
        pair.complete(0, key, SECONDS(50));
        pair.must("closed", SECONDS(5), |pair| pair.closed(CLIENT, conn).is_some());
        let gone = Why::Peer(Code::GoingAway, String::new());
        assert_eq!(pair.closed(CLIENT, conn), Some(&gone));
        assert_eq!(pair.closed(Who::Server, on_server), Some(&Why::Local(Code::GoingAway)));
        pair.run_for(SECONDS(20));
        assert!(!pair.is_up(0, newcomer), "nobody new gets in");
        assert!(pair.endpoint(Who::Server).is_idle());
    });
}

#[test]
fn a_drain_ends_in_time_even_if_a_session_does_not() {
    for offered in [Offered::V1, Offered::Classic] {
        let mut pair = pair_with_clip(0, 10_000_000);
        let conn = pair.up(0, offered);
        let key = (conn, pair.play(0, conn));
        pair.must("bytes", SECONDS(10), |pair| pair.playback(0, key).bytes > 500_000);
        pair.pause(0, key, None).unwrap();
        let now = pair.now();
        pair.endpoint(Who::Server).drain(now, SECONDS(7));
        pair.run_for(SECONDS(6));
        assert_eq!(pair.closed(CLIENT, conn), None);
        pair.run_for(SECONDS(2));
        let gone = Why::Peer(Code::GoingAway, String::new());
        assert_eq!(pair.closed(CLIENT, conn), Some(&gone));
        assert_eq!(pair.playback(0, key).ended.unwrap().reason, EndReason::ConnectionLost);
        pair.run_for(SECONDS(5));
        assert!(pair.endpoint(Who::Server).is_idle());
    }
}

#[test]
fn close_all_ends_everything_at_once() {
    let mut pair = Pair::new(0, Options { clients: 3, ..with_clip(10_000_000) });
    let conns: Vec<_> = (0..3).map(|n| pair.up(n, Offered::V1)).collect();
    let keys: Vec<_> = conns.iter().enumerate().map(|(n, c)| (*c, pair.play(n, *c))).collect();
    pair.run_for(Duration::from_millis(100));
    let now = pair.now();
    pair.endpoint(Who::Server).close_all(now);
    pair.run_for(SECONDS(1));
    for (n, key) in keys.iter().enumerate() {
        let gone = Why::Peer(Code::GoingAway, String::new());
        assert_eq!(pair.closed(Who::Client(n), key.0), Some(&gone));
        assert_eq!(pair.playback(n, *key).ended.unwrap().reason, EndReason::ConnectionLost);
    }
    pair.run_for(SECONDS(5));
    assert!(pair.endpoint(Who::Server).is_idle());
    assert_eq!(pair.server_app.sessions.len(), 0);
}

#[test]
fn a_close_carries_its_code_and_reason() {
    let mut pair = Pair::new(0, options());
    let conn = pair.up(0, Offered::V1);
    let on_server = pair.accepted()[0];
    pair.conn(CLIENT, conn).unwrap().close(Code::Cancelled, "enough");
    pair.run_for(SECONDS(1));
    assert_eq!(pair.closed(CLIENT, conn), Some(&Why::Local(Code::Cancelled)));
    let why = Why::Peer(Code::Cancelled, "enough".to_owned());
    assert_eq!(pair.closed(Who::Server, on_server), Some(&why));
    pair.run_for(SECONDS(5));
    assert!(matches!(pair.conn(CLIENT, conn), Err(Misuse::Gone)));
    assert!(pair.endpoint(CLIENT).is_idle() && pair.endpoint(Who::Server).is_idle());
}

#[test]
fn a_close_right_behind_a_request_is_no_violation() {
    let mut pair = Pair::with_clip(0, 3_000_000);
    let conn = pair.up(0, Offered::V1);
    let on_server = pair.accepted()[0];
    let key = (conn, pair.play(0, conn));
    pair.must("bytes", SECONDS(10), |pair| pair.playback(0, key).bytes > 500_000);
    // Both reach the server at one time: it has an answer to write when the end is there.
    pair.conn(CLIENT, conn).unwrap().ping().unwrap();
    pair.settle();
    pair.conn(CLIENT, conn).unwrap().close(Code::Cancelled, "");
    pair.run_for(SECONDS(1));
    let why = Why::Peer(Code::Cancelled, String::new());
    assert_eq!(pair.closed(Who::Server, on_server), Some(&why));
    let ended = pair.told(Who::Server).iter().find_map(|told| match &told.2 {
        Event::Media(_, media::Event::Ended(ended)) => Some(ended.reason),
        _ => None,
    });
    assert_eq!(ended, Some(EndReason::ConnectionLost));
}

#[test]
fn ids_are_gone_as_soon_as_the_end_is_told() {
    let mut pair = Pair::with_clip(0, 50_000);
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    pair.complete(0, key, SECONDS(10));
    let gone = |pair: &mut Pair| pair.conn(CLIENT, conn)?.media(key.1).map(drop);
    assert_eq!(gone(&mut pair), Err(Misuse::Gone));
    pair.conn(CLIENT, conn).unwrap().close(Code::None, "");
    pair.must("closed", SECONDS(1), |pair| pair.closed(CLIENT, conn).is_some());
    assert!(matches!(pair.conn(CLIENT, conn), Err(Misuse::Gone)));
}

#[test]
fn ids_of_the_past_name_nothing() {
    let mut pair = pair_with_clip(0, 50_000);
    let first = pair.up(0, Offered::V1);
    pair.conn(CLIENT, first).unwrap().close(Code::None, "");
    pair.run_for(SECONDS(5));
    let second = pair.up(0, Offered::V1);
    assert_ne!(first, second);
    assert!(matches!(pair.conn(CLIENT, first), Err(Misuse::Gone)));
    let key = (second, pair.play(0, second));
    pair.complete(0, key, SECONDS(10));
    pair.run_for(SECONDS(1));
    let mut handle = pair.conn(CLIENT, second).unwrap();
    assert!(matches!(handle.media(key.1), Err(Misuse::Gone)));
}
