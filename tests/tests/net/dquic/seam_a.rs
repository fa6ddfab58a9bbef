//! Where nothing is encrypted a trace of seam A alone is enough: the transport runs again from its
//! seed, byte by byte.

use std::time::Duration;

use anabranch_core::Seed;
use anabranch_core::trace::{self, Contents, Replay, Verdict};
use anabranch_core::transport::Offered;
use anabranch_tests::link::{LinkConfig, Ratio};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::{seeds, stack};

use super::with_clip;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn options(contents: Contents) -> Options {
    let link = LinkConfig { loss: Ratio::percent(3), ..LinkConfig::default() };
    Options { record: Some(contents), ..with_clip(1_500_000) }.over(&link)
}

/// A server's trace of a session with a pause, over a link that loses datagrams.
fn played(seed: u64, contents: Contents) -> (Vec<u8>, Pair) {
    let mut pair = Pair::new(seed, options(contents));
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    pair.must("bytes", SECONDS(60), |pair| pair.playback(0, key).bytes > 50_000);
    pair.pause(0, key, None).unwrap();
    pair.run_for(SECONDS(3));
    pair.resume(0, key).unwrap();
    pair.complete(0, key, SECONDS(60));
    (pair.trace(Who::Server), pair)
}

#[test]
fn the_transport_runs_again_from_its_seed() {
    seeds::each(2, |seed| {
        for (transport, payload) in [(false, true), (true, true), (false, false)] {
            let contents = Contents { transport, payload, datagrams: true };
            let (bytes, pair) = played(seed, contents);
            let header = trace::header(&bytes).unwrap();
            let replay = |seed| {
                let knobs = options(contents).stack;
                let stack = stack::server(&knobs, pair.identity(), &Seed::from_u64(seed), 0);
                Replay::over(&header, stack, trace::entries(&bytes)).unwrap().run()
            };
            let Verdict::Identical { counts, truncated: None } = replay(seed) else {
                panic!("{:?}", replay(seed))
            };
            assert!(counts.inputs > 50 && counts.outputs > 200, "{counts:?}");
            assert!(matches!(replay(seed + 1), Verdict::Diverged(_)), "another seed");
        }
    });
}
