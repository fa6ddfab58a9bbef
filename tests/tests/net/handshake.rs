//! From the first datagram to a connection: loss, Retry, trust, limits and time.

use std::time::Duration;

use anabranch_core::config::Retry;
use anabranch_core::transport::{Dropped, Offered};
use anabranch_core::{Lost, Why, limits};
use anabranch_tests::link::{LinkConfig, Ratio};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::seeds;

use super::{options, with_clip};

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn it_survives_heavy_loss() {
    seeds::each(40, |seed| {
        let link = LinkConfig { loss: Ratio::percent(30), ..LinkConfig::default() };
        let mut options = with_clip(50_000).over(&link);
        options.client.handshake_timeout = SECONDS(60);
        options.server.handshake_timeout = SECONDS(60);
        let mut pair = Pair::new(seed, options);
        let conn = pair.up(0, Offered::Both);
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(300));
    });
}

#[test]
fn retry_always_costs_one_round_trip() {
    seeds::each(4, |seed| {
        let times = [Retry::Never, Retry::Always].map(|retry| {
            let mut options = with_clip(50_000);
            options.server.retry = retry;
            let mut pair = Pair::new(seed, options);
            let began = pair.now();
            let conn = pair.connect(0, Offered::Both);
            pair.must("up", SECONDS(10), |pair| pair.is_up(0, conn));
            let took = pair.now() - began;
            assert_eq!(pair.endpoint(Who::Server).counters().accepted, 1);
            let key = (conn, pair.play(0, conn));
            pair.complete(0, key, SECONDS(30));
            took
        });
        assert_eq!(times, [20, 40].map(Duration::from_millis));
    });
}

#[test]
fn retry_survives_loss() {
    seeds::each(20, |seed| {
        let mut options = with_clip(50_000).over(&LinkConfig::rough(15));
        options.server.retry = Retry::Always;
        options.client.handshake_timeout = SECONDS(60);
        options.server.handshake_timeout = SECONDS(60);
        let mut pair = Pair::new(seed, options);
        let conn = pair.up(0, Offered::Both);
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(120));
    });
}

#[test]
fn nobody_answers() {
    let mut pair = Pair::new(0, options());
    pair.blackhole(0, true, false);
    let began = pair.now();
    let conn = pair.connect(0, Offered::Both);
    pair.must("closed", SECONDS(60), |pair| pair.closed(CLIENT, conn).is_some());
    assert_eq!(pair.closed(CLIENT, conn), Some(&Why::Lost(Lost::HandshakeTimeout)));
    assert_eq!(pair.now() - began, limits::HANDSHAKE_TIMEOUT);
    pair.run_for(SECONDS(60));
    assert_eq!(pair.endpoint(CLIENT).connections(), 0);
    assert!(pair.endpoint(CLIENT).is_idle());
}

#[test]
fn a_server_that_does_not_listen_says_nothing() {
    let mut pair = Pair::new(0, options());
    pair.endpoint(Who::Server).listen(false);
    let conn = pair.connect(0, Offered::Both);
    pair.must("closed", SECONDS(60), |pair| pair.closed(CLIENT, conn).is_some());
    assert_eq!(pair.closed(CLIENT, conn), Some(&Why::Lost(Lost::HandshakeTimeout)));
    assert!(pair.endpoint(Who::Server).counters().drops(Dropped::NotAccepting) > 0);
    assert_eq!(pair.counts(0).1.sent, 0);
}

#[test]
fn a_client_that_never_answers_gets_three_times_its_bytes_and_then_nothing() {
    seeds::each(8, |seed| {
        let mut pair = Pair::new(seed, Options { clients: 0, ..options() });
        let rogue = pair.add_rogue(Offered::Both);
        pair.rogues[rogue].mute = true;
        pair.run_until(SECONDS(60), |pair| {
            let (received, sent) = pair.counts(0);
            let limit = 3 * received.delivered_bytes;
            assert!(sent.sent_bytes <= limit, "{} bytes for {limit}", sent.sent_bytes);
            false
        });
        assert!(pair.counts(0).1.sent > 0);
        assert_eq!(pair.endpoint(Who::Server).connections(), 0, "it was given up");
        assert_eq!(pair.accepted(), []);
    });
}

#[test]
fn both_sides_give_up_a_handshake_that_stalls() {
    let mut pair = Pair::new(0, options());
    pair.blackhole(0, false, true);
    let conn = pair.connect(0, Offered::Both);
    pair.run_for(SECONDS(9));
    assert_eq!(pair.endpoint(Who::Server).connections(), 1);
    pair.run_for(SECONDS(30));
    assert_eq!(pair.closed(CLIENT, conn), Some(&Why::Lost(Lost::HandshakeTimeout)));
    assert_eq!(pair.endpoint(Who::Server).connections(), 0);
    assert_eq!(pair.endpoint(CLIENT).connections(), 0);
}

#[test]
fn a_server_at_its_limit_takes_no_more() {
    let mut options = Options { clients: 3, ..options() };
    options.server.max_connections = 2;
    let mut pair = Pair::new(0, options);
    let first = pair.up(0, Offered::V1);
    pair.up(1, Offered::V1);
    let third = pair.connect(2, Offered::V1);
    pair.run_for(SECONDS(5));
    assert!(!pair.is_up(2, third));
    assert!(pair.endpoint(Who::Server).counters().drops(Dropped::ConnectionsLimited) > 0);
    // Or it would take the place that becomes free.
    pair.conn(Who::Client(2), third).unwrap().close(anabranch_core::Code::None, "");
    pair.conn(CLIENT, first).unwrap().close(anabranch_core::Code::None, "");
    pair.run_for(SECONDS(4));
    let next = pair.up(2, Offered::V1);
    assert!(pair.is_up(2, next));
}
