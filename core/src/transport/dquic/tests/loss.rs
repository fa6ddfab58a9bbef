use std::time::Duration;

use super::pair::Pair;
use crate::rng::Seed;

/// Whatever is lost, and whatever is overtaken: everything arrives, and soon.
#[test]
fn heavy_loss_delays_and_loses_nothing() {
    for seed in 0..150 {
        let mut pair = Pair::new();
        let mut dice = Seed::from_u64(seed).stream("loss");
        pair.lose = Box::new(move |_| dice.chance(3, 10));
        pair.retry = seed % 2 == 1;
        let up = (0..60).any(|_| {
            pair.run(Duration::from_secs(1));
            pair.client.facts().is_some()
        });
        assert!(up, "seed {seed}");
        pair.exchange(40_000, Duration::from_secs(60));
    }
}
