//! A client's bad day: a link that loses, reorders and repeats, while the client's address changes
//! and it pauses now and then.

use std::time::Duration;

use anabranch_core::Seed;
use anabranch_core::media::Request;
use anabranch_core::rng::Rng;
use anabranch_core::transport::Offered;

use crate::link::LinkConfig;
use crate::oracle::Key;
use crate::pair::{Options, Pair, unpaced};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn millis(rng: &mut Rng, below: u64) -> Duration {
    Duration::from_millis(rng.below(below))
}

/// A session that plays the one clip of `options`, and has bytes of it.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn streaming(seed: u64, mut options: Options) -> (Pair, Key) {
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

/// 10 % loss each way, reordering and duplication, with pauses, rebindings and a migration in
/// between, over the transport of the options that `clip` gives for a length: every byte arrives
/// once, in order.
///
/// # Panics
/// If that is not so, or if the day was not bad.
pub fn endure(seed: u64, clip: impl Fn(u64) -> Options) {
    let mut dice = Seed::from_u64(seed).stream("a bad day");
    let options = clip(400_000 + seed * 1_000).over(&LinkConfig::rough(10));
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
    pair.complete(0, key, SECONDS(1));
    let counts = pair.counts(0).1;
    assert!(counts.lost > 0 && counts.duplicated > 0, "it was a bad day: {counts:?}");
}
