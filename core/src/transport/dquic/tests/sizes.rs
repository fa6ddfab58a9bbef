use std::time::Duration;

use super::pair::{Pair, server_config};
use crate::limits::MIN_INITIAL_DATAGRAM;
use crate::transport::Offered;
use crate::transport::dquic::DquicConfig;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn the_largest_datagrams_of_a_path_are_found() {
    for (mtu, found) in
        [(usize::MAX, 16_383..=16_383), (1_420, 1_404..=1_420), (1_200, 1_200..=1_200)]
    {
        let mut pair = Pair::new();
        pair.mtu = mtu;
        // A round trip for each probe, three probes for each size that is too large, and only
        // while there is bulk data: 1 420 takes twenty-three of them, and 4 MB last for nine.
        for _ in 0..4 {
            pair.exchange(4_000_000, SECONDS(60));
        }
        for end in [&mut pair.client, &mut pair.server] {
            let stats = end.conn().stats();
            assert!(found.contains(&stats.datagram), "{mtu}: {}", stats.datagram);
        }
    }
}

#[test]
fn a_peers_limit_is_kept() {
    let small = DquicConfig { max_datagram: 1_300, ..server_config() };
    let mut pair = Pair::with(small, DquicConfig::default(), Offered::V1);
    pair.exchange(500_000, SECONDS(60));
    let longest = |to_server| {
        let sent = pair.wire.iter().filter(|flying| flying.to_server == to_server);
        sent.map(|flying| flying.bytes.len()).max()
    };
    assert_eq!((longest(false), longest(true)), (Some(1_300), Some(16_383)));
}

#[test]
fn a_path_that_gets_narrower_under_way_is_survived() {
    for search in [true, false] {
        let config = |config| DquicConfig { discover_mtu: search, max_datagram: 9_000, ..config };
        let mut pair =
            Pair::with(config(server_config()), config(DquicConfig::default()), Offered::V1);
        pair.exchange(300_000, SECONDS(20));
        assert!(pair.server.conn().stats().datagram == 9_000);
        if !search {
            // Without a search nobody looks.
            continue;
        }
        pair.mtu = 1_400;
        pair.exchange(300_000, SECONDS(60));
        let size = pair.server.conn().stats().datagram;
        assert!((MIN_INITIAL_DATAGRAM..=1_400).contains(&size), "{size}");
    }
}

#[test]
fn runs_of_equal_segments_fill_the_buffer() {
    let config = |config| DquicConfig { discover_mtu: false, ..config };
    let mut pair = Pair::with(config(server_config()), config(DquicConfig::default()), Offered::V1);
    pair.exchange(2_000_000, SECONDS(30));
    let full = pair.wire.iter().filter(|flying| flying.bytes.len() == 1_350).count();
    assert!(full * 1_300 > 3_000_000, "{full} of {}", pair.wire.len());
}
