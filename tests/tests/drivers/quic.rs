//! Over QUIC. Keys are TLS's: DQUIC has none that could be wrong.

use anabranch_core::transport::{Target, Trust};
use anabranch_core::{Lost, Why};
use anabranch_driver_smol::client::ConnectError;
use anabranch_tests::stack::Kind;

/// The transport of these tests.
const ON: Kind = Kind::Quic;

#[expect(clippy::duplicate_mod, reason = "one source, and two transports")]
mod conformance;
#[expect(clippy::duplicate_mod, reason = "one source, and two transports")]
mod files;

#[test]
fn a_wrong_key_is_told() {
    let ((), served) = conformance::with_client(2, |client, target| async move {
        let wrong = Target { trust: Trust::Pin([7; 32]), ..target.clone() };
        match client.connect(wrong).await {
            Err(ConnectError::Lost(Why::Lost(Lost::WrongKey(key)))) => assert_ne!(key, [7; 32]),
            other => panic!("{other:?}"),
        }
        client.connect(target).await.unwrap();
    });
    assert_eq!(served.closed.len(), 2);
}
