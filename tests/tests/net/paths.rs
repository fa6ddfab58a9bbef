//! Clients whose address changes: NAT rebinding, migration, dead paths, and all of it on a bad
//! link.

use std::cell::Cell;
use std::time::Duration;

use anabranch_core::media::{EndReason, Request};
use anabranch_core::rng::Rng;
use anabranch_core::transport::Offered;
use anabranch_core::{Event, Seed};
use anabranch_tests::link::{Burst, LinkConfig, Ratio};
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair, unpaced};
use anabranch_tests::seeds;
use anabranch_tests::stack::Kind;

use super::{ON, with_clip};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn millis(rng: &mut Rng, below: u64) -> Duration {
    Duration::from_millis(rng.below(below))
}

fn moves(pair: &Pair) -> usize {
    let moved = |told: &&_| matches!(told, Event::Moved(_));
    pair.events(Who::Server, pair.accepted()[0]).filter(moved).count()
}

fn streaming(seed: u64, mut options: Options) -> (Pair, Key) {
    // What was lost on a path that died is found again by a timer that has backed off, and the
    // packet that it sends may be lost too: that can take longer than a session's usual timeout.
    options.server.media.timeout = 300;
    let mut pair = Pair::new(seed, options);
    let conn = pair.up(0, Offered::Both);
    // The server's spare connection ids have to arrive before the client can move.
    pair.run_for(SECONDS(1));
    let request = Request { timeout: Some(300), ..unpaced() };
    let key = (conn, pair.open(0, conn, 0, request).expect("a session can be opened"));
    pair.must("bytes", SECONDS(30), |pair| pair.playback(0, key).bytes > 0);
    (pair, key)
}

#[test]
fn several_rebindings_in_a_row() {
    seeds::each(8, |seed| {
        let mut dice = Seed::from_u64(seed).stream("rebindings");
        // 20 s at the speed of the link, and as long again for what the rebindings cost.
        let link = LinkConfig { bytes_per_second: Some(1_000_000), ..LinkConfig::default() };
        let (mut pair, key) = streaming(seed, with_clip(20_000_000).over(&link));
        for n in 0..12 {
            if n % 3 == 2 {
                pair.rebind_address(0);
            } else {
                pair.rebind_port(0);
            }
            let before = pair.playback(0, key).bytes;
            pair.must("it goes on", SECONDS(30), |pair| {
                let playback = pair.playback(0, key);
                playback.ended.is_some() || playback.bytes > before + 200_000
            });
            pair.run_for(millis(&mut dice, 500));
        }
        pair.complete(0, key, SECONDS(60));
        let seen = pair.seen_as(0);
        let on_server = pair.accepted()[0];
        assert_eq!(moves(&pair), 12, "the server noticed each");
        assert!(pair.closed(Who::Server, on_server).is_none());
        pair.conn(Who::Client(0), key.0).unwrap().ping().unwrap();
        pair.run_for(SECONDS(2));
        assert_eq!(Some(pair.conn(Who::Server, on_server).unwrap().remote()), seen);
    });
}

#[test]
fn migration_with_a_dead_old_path() {
    seeds::each(8, |seed| {
        let (mut pair, key) = streaming(seed, with_clip(5_000_000));
        for _ in 0..4 {
            pair.migrate(0, key.0).expect("a spare connection id");
            pair.cut(0);
            let before = pair.playback(0, key).bytes;
            pair.must("it goes on", SECONDS(30), |pair| {
                let playback = pair.playback(0, key);
                playback.ended.is_some() || playback.bytes > before + 100_000
            });
            pair.run_for(Duration::from_millis(300));
        }
        pair.complete(0, key, SECONDS(300));
    });
}

#[test]
fn migration_while_the_old_path_still_works() {
    seeds::each(8, |seed| {
        let (mut pair, key) = streaming(seed, with_clip(3_000_000));
        pair.migrate(0, key.0).expect("a spare connection id");
        pair.complete(0, key, SECONDS(60));
        assert_eq!(moves(&pair), 1);
        let remote = pair.conn(Who::Server, pair.accepted()[0]).unwrap().remote();
        assert_eq!(Some(remote), pair.seen_as(0));
    });
}

/// 10 % loss each way, reordering and duplication, with pauses, rebindings and a migration in
/// between: every byte arrives once, in order.
///
/// Known flaw of QUIC: about one seed in 250 loses its connection instead, and says so. quiche
/// gives a new address up after three lost challenges, and closes the connection when it has no
/// other path that works. One such seed in 40 is let pass, a single seed (`ANABRANCH_SEED`) is not.
#[test]
fn a_bad_day() {
    let lost = Cell::new(0);
    seeds::each(40, |seed| {
        let mut dice = Seed::from_u64(seed).stream("a bad day");
        let options = with_clip(400_000 + seed * 1_000).over(&LinkConfig::rough(10));
        let (mut pair, key) = streaming(seed, options);
        let (mut rebindings, mut migrations, mut pauses) = (4, 1, 5);
        let (mut paused, mut moved) = (false, false);
        while pair.playback(0, key).ended.is_none() && rebindings + migrations + pauses > 0 {
            // A second for a new address to be proved: quiche does not find again what was lost
            // on a path that was never proved and cannot be probed any more.
            pair.run_for(millis(&mut dice, 1_500) + if moved { SECONDS(1) } else { SECONDS(0) });
            moved = false;
            if pair.playback(0, key).ended.is_some() {
                break;
            }
            match dice.below(4) {
                0 if rebindings > 0 => {
                    (rebindings, moved) = (rebindings - 1, true);
                    if dice.chance(1, 2) {
                        pair.rebind_port(0);
                    } else {
                        pair.rebind_address(0);
                    }
                }
                1 if migrations > 0 => {
                    (migrations, moved) = (migrations - 1, true);
                    pair.migrate(0, key.0).expect("a spare connection id");
                }
                2 if pauses > 0 && !paused => {
                    pauses -= 1;
                    paused = pair.pause(0, key, None).is_ok();
                }
                _ if paused => {
                    pair.resume(0, key).expect("a paused session");
                    paused = false;
                }
                _ => {}
            }
        }
        if paused && pair.playback(0, key).ended.is_none() {
            pair.resume(0, key).expect("a paused session");
        }
        pair.must("an end", SECONDS(600), |pair| pair.playback(0, key).ended.is_some());
        if pair.playback(0, key).ended.unwrap().reason == EndReason::ConnectionLost {
            eprintln!("seed {seed}: {:?}", pair.closed(Who::Client(0), key.0));
            lost.set(lost.get() + 1);
            return;
        }
        pair.complete(0, key, SECONDS(1));
        let counts = pair.counts(0).1;
        assert!(counts.lost > 0 && counts.duplicated > 0, "it was a bad day: {counts:?}");
    });
    let allowed = match ON {
        Kind::Quic => seeds::count(40) / 40,
        Kind::Dquic => 0,
    };
    assert!(lost.get() <= allowed, "{} connections were lost", lost.get());
}

#[test]
fn loss_in_bursts_and_a_narrow_link() {
    seeds::each(10, |seed| {
        let percent = Ratio::percent;
        let link = LinkConfig {
            burst: Some(Burst { enter: percent(1), leave: percent(20), loss: percent(80) }),
            bytes_per_second: Some(500_000),
            queue_bytes: 30_000,
            ..LinkConfig::default()
        };
        let (mut pair, key) = streaming(seed, with_clip(1_000_000).over(&link));
        pair.complete(0, key, SECONDS(300));
        assert!(pair.counts(0).1.lost_in_burst > 0);
    });
}
