//! A trace has no secrets.

use std::time::Duration;

use anabranch_core::Code;
use anabranch_core::trace::Contents;
use anabranch_core::transport::Offered;
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::recording::assert_identical;

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// Whether some bytes are in some others.
fn holds(bytes: &[u8], some: &[u8]) -> bool {
    bytes.windows(some.len()).any(|window| window == some)
}

#[test]
fn neither_a_ticket_nor_a_key_is_in_a_trace() {
    let contents = Contents { transport: true, payload: true, datagrams: true };
    let mut pair = Pair::new(2, Options { record: Some(contents), ..Options::default() });
    let first = pair.up(0, Offered::V1);
    pair.run_for(SECONDS(1));
    let mut handle = pair.conn(CLIENT, first).unwrap();
    let ticket = handle.ticket().expect("a ticket");
    handle.close(Code::None, "");
    let again = pair.connect_with(0, Offered::V1, |target| target.ticket = Some(ticket.clone()));
    pair.must("up", SECONDS(60), |pair| pair.is_up(0, again));
    let identity = pair.identity().clone();
    let now = pair.now();
    let server = pair.endpoint(Who::Server);
    server.set_identity(&identity.chain_pem, &identity.key_pem).unwrap();
    server.handle_timeout(now);
    for who in [Who::Server, CLIENT] {
        let bytes = pair.trace(who);
        assert_identical(&bytes);
        assert!(!holds(&bytes, b"PRIVATE KEY"), "{who:?}");
        // A connection id, which is in it too, is no secret, and shorter.
        let piece = ticket.chunks(32).find(|piece| piece.len() == 32 && holds(&bytes, piece));
        assert_eq!(piece, None, "{who:?}");
    }
}
