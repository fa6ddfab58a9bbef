//! Whose certificate a client accepts, and which one a server shows.

use std::time::Duration;

use anabranch_core::transport::{Offered, Trust};
use anabranch_core::{Lost, Why};
use anabranch_tests::cert;
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::Pair;

use super::{options, pair_with_clip};

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn outcome(pair: &mut Pair, trust: Trust) -> Option<Why> {
    let conn = pair.connect_with(0, Offered::Both, |target| target.trust = trust);
    pair.must("an outcome", SECONDS(30), |pair| {
        pair.is_up(0, conn) || pair.closed(CLIENT, conn).is_some()
    });
    pair.closed(CLIENT, conn).cloned()
}

#[test]
fn the_server_has_to_be_the_one_that_is_trusted() {
    let mut pair = Pair::new(0, options());
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
    let mut pair = Pair::new(0, options());
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
    let mut pair = pair_with_clip(0, 3_000_000);
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
