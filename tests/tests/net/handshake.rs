//! From the first datagram to a connection: loss, Retry, trust, limits and time.

use std::time::Duration;

use anabranch_core::config::Retry;
use anabranch_core::transport::{Dropped, Offered, Trust};
use anabranch_core::{Lost, Why, limits};
use anabranch_tests::cert;
use anabranch_tests::link::{LinkConfig, Ratio};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::seeds;

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn it_survives_heavy_loss() {
    seeds::each(40, |seed| {
        let link = LinkConfig { loss: Ratio::percent(30), ..LinkConfig::default() };
        let mut options = Options::with_clip(50_000).over(&link);
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
            let mut options = Options::with_clip(50_000);
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
        let mut options = Options::with_clip(50_000).over(&LinkConfig::rough(15));
        options.server.retry = Retry::Always;
        options.client.handshake_timeout = SECONDS(60);
        options.server.handshake_timeout = SECONDS(60);
        let mut pair = Pair::new(seed, options);
        let conn = pair.up(0, Offered::Both);
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(120));
    });
}

fn outcome(pair: &mut Pair, trust: Trust) -> Option<Why> {
    let conn = pair.connect_with(0, Offered::Both, |target| target.trust = trust);
    pair.must("an outcome", SECONDS(30), |pair| {
        pair.is_up(0, conn) || pair.closed(CLIENT, conn).is_some()
    });
    pair.closed(CLIENT, conn).cloned()
}

#[test]
fn the_server_has_to_be_the_one_that_is_trusted() {
    let mut pair = Pair::new(0, Options::default());
    let own = pair.identity().clone();
    let other = cert::self_signed();
    let roots = |der: Vec<u8>| Trust::Roots([der].into());
    assert_eq!(outcome(&mut pair, Trust::Any), None);
    assert_eq!(outcome(&mut pair, Trust::Pin(own.pin)), None);
    assert_eq!(outcome(&mut pair, roots(own.der.clone())), None);
    assert_eq!(outcome(&mut pair, Trust::Pin(other.pin)), Some(Why::Lost(Lost::WrongKey(own.pin))));
    assert_eq!(outcome(&mut pair, roots(other.der)), Some(Why::Lost(Lost::Untrusted)));
}

#[test]
fn a_certificate_of_another_name_is_not_trusted() {
    let mut pair = Pair::new(0, Options::default());
    let root = Trust::Roots([pair.identity().der.clone()].into());
    for (name, trusted) in [("localhost", true), ("127.0.0.1", true), ("elsewhere.example", false)]
    {
        let conn = pair.connect_with(0, Offered::Both, |target| {
            target.trust = root.clone();
            target.server_name = name.to_owned();
        });
        pair.run_for(SECONDS(5));
        assert_eq!(pair.is_up(0, conn), trusted, "{name}");
        let lost = (!trusted).then_some(Why::Lost(Lost::Untrusted));
        assert_eq!(pair.closed(CLIENT, conn).cloned(), lost, "{name}");
    }
}

#[test]
fn a_new_certificate_is_used_for_new_connections() {
    let mut pair = Pair::with_clip(0, 3_000_000);
    let old = pair.up(0, Offered::V1);
    let key = (old, pair.play(0, old));
    let next = cert::self_signed();
    let server = pair.endpoint(Who::Server);
    assert!(server.set_identity(b"nonsense", &next.key_pem).is_err());
    let mismatched = cert::self_signed();
    assert!(server.set_identity(&next.chain_pem, &mismatched.key_pem).is_err());
    server.set_identity(&next.chain_pem, &next.key_pem).unwrap();
    assert_eq!(outcome(&mut pair, Trust::Pin(next.pin)), None);
    let old_pin = pair.identity().pin;
    assert_eq!(outcome(&mut pair, Trust::Pin(old_pin)), Some(Why::Lost(Lost::WrongKey(next.pin))));
    pair.complete(0, key, SECONDS(30));
}

#[test]
fn nobody_answers() {
    let mut pair = Pair::new(0, Options::default());
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
    let mut pair = Pair::new(0, Options::default());
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
        let mut pair = Pair::new(seed, Options { clients: 0, ..Options::default() });
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
    let mut pair = Pair::new(0, Options::default());
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
    let mut options = Options { clients: 3, ..Options::default() };
    options.server.max_connections = 2;
    let mut pair = Pair::new(0, options);
    let first = pair.up(0, Offered::V1);
    pair.up(1, Offered::V1);
    let third = pair.connect(2, Offered::V1);
    pair.run_for(SECONDS(5));
    assert!(!pair.is_up(2, third));
    assert!(pair.endpoint(Who::Server).counters().drops(Dropped::ConnectionsLimited) > 0);
    pair.conn(CLIENT, first).unwrap().close(anabranch_core::Code::None, "");
    pair.run_for(SECONDS(4));
    let next = pair.up(2, Offered::V1);
    assert!(pair.is_up(2, next));
}
