//! What was recorded replays, and what was changed is found.

use std::time::Duration;

use anabranch_core::trace::Contents;
use anabranch_core::transport::Offered;
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::recording::assert_identical;

#[test]
fn first() {
    for payload in [false, true] {
        let contents = Contents { payload, ..Contents::default() };
        let options = Options { record: Some(contents), ..Options::with_clip(1_000_000) };
        let mut pair = Pair::new(1, options);
        let conn = pair.up(0, Offered::V1);
        let session = pair.play(0, conn);
        pair.complete(0, (conn, session), Duration::from_secs(30));
        for who in [Who::Server, Who::Client(0)] {
            let bytes = pair.trace(who);
            println!("{who:?} {} bytes", bytes.len());
            println!("{:?}", assert_identical(&bytes));
        }
    }
}
