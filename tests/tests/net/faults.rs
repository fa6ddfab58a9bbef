//! Datagrams that are lost one at a time, damaged, cut short, or too large for the path.

use std::time::Duration;

use anabranch_core::Event;
use anabranch_core::transport::Offered;
use anabranch_tests::link::{LinkConfig, Ratio};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::seeds;

use super::{pair_with_clip, with_clip};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn play_through(seed: u64, options: Options, offered: Offered) -> Pair {
    let mut pair = Pair::new(seed, options);
    let conn = pair.up(0, offered);
    let key = (conn, pair.play(0, conn));
    pair.complete(0, key, SECONDS(300));
    pair
}

/// Whatever single datagram is lost, the session completes.
fn drop_each(change: impl Fn(&mut Options, LinkConfig)) {
    for k in 0..30 {
        for offered in [Offered::V1, Offered::Classic] {
            // A narrow link spreads the datagrams, so that there are many acknowledgements.
            let narrow = LinkConfig { bytes_per_second: Some(1_000_000), ..LinkConfig::default() };
            let mut options = with_clip(100_000).over(&narrow);
            change(&mut options, LinkConfig { drop_list: [k].into(), ..narrow });
            eprintln!("datagram {k}, {offered:?}");
            let pair = play_through(k, options, offered);
            let (sent, lost) = pair.counts(0);
            assert_eq!(sent.listed + lost.listed, 1, "datagram {k} was lost: {sent:?} {lost:?}");
        }
    }
}

#[test]
fn any_one_datagram_to_the_client_may_be_lost() {
    drop_each(|options, link| options.down = link);
}

#[test]
fn any_one_datagram_to_the_server_may_be_lost() {
    drop_each(|options, link| options.up = link);
}

#[test]
fn damaged_datagrams_are_as_good_as_lost() {
    seeds::each(20, |seed| {
        let link = LinkConfig {
            corrupt: Ratio::percent(5),
            truncate: Ratio::percent(5),
            ..LinkConfig::default()
        };
        let mut options = with_clip(300_000).over(&link);
        options.client.handshake_timeout = SECONDS(60);
        options.server.handshake_timeout = SECONDS(60);
        let pair = play_through(seed, options, Offered::Both);
        let counts = pair.counts(0).1;
        assert!(counts.corrupted > 0 && counts.truncated > 0);
    });
}

#[test]
fn a_path_with_a_small_mtu_works_with_discovery_on() {
    seeds::each(5, |seed| {
        let link = LinkConfig { mtu: Some(1_300), ..LinkConfig::default() };
        let mut options = with_clip(2_000_000).over(&link);
        options.stack.discover_mtu = true;
        options.stack.max_datagram = 1_452;
        let pair = play_through(seed, options, Offered::V1);
        let counts = pair.counts(0).1;
        assert!(counts.too_big > 0, "larger datagrams were tried: {counts:?}");
        assert!(counts.too_big < 50, "and given up: {counts:?}");
    });
}

#[test]
fn discovery_finds_the_largest_datagrams_of_a_path() {
    let link = LinkConfig { mtu: Some(1_420), ..LinkConfig::default() };
    let mut options = with_clip(4_000_000).over(&link);
    options.stack.discover_mtu = true;
    options.stack.max_datagram = 1_452;
    let mut pair = play_through(0, options, Offered::V1);
    let on_server = pair.accepted()[0];
    let datagram = pair.conn(Who::Server, on_server).unwrap().stats().datagram;
    assert!((1_380..=1_420).contains(&datagram), "{datagram} bytes");
}

#[test]
fn a_mean_mixture() {
    seeds::each(30, |seed| {
        let link = LinkConfig {
            corrupt: Ratio::percent(2),
            truncate: Ratio::percent(2),
            ..LinkConfig::rough(5)
        };
        let mut options = with_clip(200_000).over(&link);
        options.client.handshake_timeout = SECONDS(60);
        options.server.handshake_timeout = SECONDS(60);
        play_through(seed, options, Offered::Both);
    });
}

#[test]
fn a_gap_in_the_network_is_survived() {
    seeds::each(5, |seed| {
        let mut pair = pair_with_clip(seed, 5_000_000);
        let conn = pair.up(0, Offered::V1);
        let key = (conn, pair.play(0, conn));
        pair.must("bytes", SECONDS(5), |pair| pair.playback(0, key).bytes > 500_000);
        for on in [true, false] {
            pair.blackhole(0, on, on);
            pair.run_for(SECONDS(12));
        }
        pair.complete(0, key, SECONDS(120));
        let closed = |event: &Event| matches!(event, Event::Closed(_));
        assert!(!pair.events(Who::Client(0), conn).any(closed));
    });
}
