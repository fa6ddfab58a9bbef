//! Trust, protocols, tickets, Retry.

use std::sync::{Arc, Mutex};

use super::certificates;
use super::pair::{Pair, addr, read_all, send, server_config};
use crate::error::{Lost, Misuse, Why};
use crate::id::Dir;
use crate::io::Path;
use crate::limits;
use crate::rng::Seed;
use crate::transport::quic::{Identity, QuicConfig, stack};
use crate::transport::{Dropped, Offered, Route, Signal, Target, Trust};

/// The signals at both ends after dialling.
fn outcome(pair: &mut Pair, change: impl Fn(&mut Target)) -> (Vec<Signal>, Vec<Signal>) {
    let mut target = pair.target();
    change(&mut target);
    pair.dial(&target);
    pair.settle();
    (pair.client.take(), pair.server.take())
}

fn lost(signals: &[Signal]) -> Option<Lost> {
    signals.iter().find_map(|signal| match signal {
        Signal::Down(Why::Lost(lost)) => Some(*lost),
        _ => None,
    })
}

fn is_up(signals: &[Signal]) -> bool {
    signals.iter().any(|signal| matches!(signal, Signal::Up(_)))
}

#[test]
fn a_chain_to_a_root_is_accepted_for_the_right_name() {
    for name in ["media.example", "127.0.0.1"] {
        let mut pair = Pair::new();
        let (client, server) = outcome(&mut pair, |t| t.server_name = name.to_owned());
        assert!(is_up(&client) && is_up(&server), "{name}: {client:?}");
        let Signal::Up(facts) = &client[0] else { panic!("{client:?}") };
        assert_eq!(facts.alpn, b"anabranch/1");
        assert_eq!(facts.peer_key, Some(pair.leaf.hash()));
        assert!(!facts.resumed);
        assert_eq!(facts.remote, pair.server_addr);
        let Signal::Up(facts) = &server[0] else { panic!("{server:?}") };
        assert_eq!((facts.peer_key, facts.remote), (None, pair.client_addr));
    }
    for name in ["evil.example", "127.0.0.2", "::1", "example"] {
        let mut pair = Pair::new();
        let (client, server) = outcome(&mut pair, |t| t.server_name = name.to_owned());
        assert_eq!(lost(&client), Some(Lost::Untrusted), "{name}");
        assert!(!is_up(&client) && !is_up(&server));
        assert!(matches!(lost(&server), Some(Lost::Tls { by_peer: true, .. })), "{server:?}");
    }
}

#[test]
fn targets_that_cannot_work_are_refused() {
    let changes: [&dyn Fn(&mut Target); 4] = [
        &|t| t.server_name.clear(),
        &|t| t.server_name = "a\0b".to_owned(),
        &|t| t.remote.set_port(0),
        &|t| t.local = "[::1]:1".parse().unwrap(),
    ];
    for change in changes {
        let mut pair = Pair::new();
        let mut target = pair.target();
        change(&mut target);
        let now = pair.now();
        let id = pair.client.id;
        let refused = pair.client.stack.dial(now, id, &target).err();
        assert!(matches!(refused, Some(Misuse::Config(_))), "{target:?}");
    }
}

#[test]
fn an_unknown_root_is_not_accepted() {
    let other = certificates::root();
    for roots in [vec![], vec![other.der()]] {
        let mut pair = Pair::new();
        let (client, _) = outcome(&mut pair, |t| t.trust = Trust::Roots(Arc::from(roots.clone())));
        assert_eq!(lost(&client), Some(Lost::Untrusted));
    }
}

#[test]
fn only_the_pinned_key_is_accepted() {
    let mut pair = Pair::new();
    let hash = pair.leaf.hash();
    let name = "any name".to_owned();
    let (client, _) = outcome(&mut pair, |t| {
        t.trust = Trust::Pin(hash);
        t.server_name.clone_from(&name);
    });
    assert!(is_up(&client), "{client:?}");

    let mut pair = Pair::new();
    let hash = pair.leaf.hash();
    let (client, server) = outcome(&mut pair, |t| t.trust = Trust::Pin([1; 32]));
    assert_eq!(lost(&client), Some(Lost::WrongKey(hash)));
    assert!(!is_up(&server));
}

#[test]
fn any_key_is_accepted_if_the_caller_says_so() {
    let mut pair = Pair::new();
    let (client, _) = outcome(&mut pair, |t| {
        t.trust = Trust::Any;
        t.server_name.clear();
    });
    let Signal::Up(facts) = &client[0] else { panic!("{client:?}") };
    assert_eq!(facts.peer_key, Some(pair.leaf.hash()));
}

#[test]
fn the_clients_choice_of_protocol_holds() {
    let cases = [
        (Offered::Both, &b"anabranch/1"[..]),
        (Offered::V1, b"anabranch/1"),
        (Offered::Classic, b"quic-stream-proto"),
    ];
    for (offered, expected) in cases {
        let mut pair = Pair::new();
        let (client, server) = outcome(&mut pair, |t| t.offered = offered);
        for signals in [client, server] {
            let Some(Signal::Up(facts)) = signals.first() else { panic!("{signals:?}") };
            assert_eq!(facts.alpn, expected);
        }
    }
}

#[test]
fn no_protocol_in_common_is_said_so() {
    let mut pair = Pair::new();
    // A client of something else.
    let mut config = quiche::Config::new(quiche::PROTOCOL_VERSION).unwrap();
    config.set_application_protos(&[b"h3"]).unwrap();
    config.verify_peer(false);
    let scid = quiche::ConnectionId::from_ref(&[9; 17]);
    let (local, remote) = (pair.client_local, pair.server_addr);
    let mut conn = quiche::connect(None, &scid, local, remote, &mut config).unwrap();
    let mut buf = [0; 1500];
    while let Ok((len, _)) = conn.send(&mut buf) {
        pair.give_server(&mut buf[..len]);
    }
    assert_eq!(pair.server.take(), [Signal::Down(Why::Lost(Lost::NoProtocol))]);
    for mut datagram in pair.sent(false) {
        let _ = conn.recv(&mut datagram, quiche::RecvInfo { from: remote, to: local });
    }
    assert_eq!(conn.peer_error().map(|error| error.error_code), Some(0x178));
}

/// A ticket of a first connection; the pair is as before it.
fn with_ticket() -> (Pair, bytes::Bytes) {
    let mut pair = Pair::up();
    let ticket = pair.client.conn().ticket().expect("a ticket");
    pair.client.conn = None;
    pair.client.stack.forget(pair.client.id);
    pair.forget_server();
    (pair, ticket)
}

#[test]
fn a_ticket_resumes_and_carries_early_data() {
    let (mut pair, ticket) = with_ticket();
    let mut target = pair.target();
    target.ticket = Some(ticket);
    pair.dial(&target);
    let early = Signal::Early { alpn: b"anabranch/1".to_vec() };
    assert_eq!(pair.client.take(), std::slice::from_ref(&early), "before anything was sent");
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    send(&mut pair.client, id, b"hello", true);
    for mut datagram in pair.sent(true) {
        pair.give_server(&mut datagram);
    }
    assert_eq!(pair.server.take(), [early, Signal::Readable(id)]);
    assert!(pair.server.conn().is_early());
    let mut got = Vec::new();
    assert!(read_all(&mut pair.server, id, &mut got));
    assert_eq!(got, b"hello");
    pair.settle();
    assert!(!pair.server.conn().is_early());
    for end in [&pair.client, &pair.server] {
        assert!(end.facts().is_some_and(|facts| facts.resumed), "{:?}", end.said);
    }
    let facts = pair.client.facts().unwrap();
    assert_eq!(facts.peer_key, Some(pair.leaf.hash()), "known from the first handshake");
}

#[test]
fn a_ticket_is_for_the_same_trust_and_name_only() {
    let (mut pair, ticket) = with_ticket();
    let hash = pair.leaf.hash();
    let pinned = pair.target();
    let changes: [&dyn Fn(&mut Target); 4] = [
        &|t| t.trust = Trust::Pin([3; 32]),
        &|t| t.trust = Trust::Pin(hash),
        &|t| t.trust = Trust::Any,
        &|t| t.server_name = "127.0.0.1".to_owned(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut target = pinned.clone();
        target.ticket = Some(ticket.clone());
        change(&mut target);
        pair.dial(&target);
        pair.settle();
        let client = pair.client.take();
        assert!(!client.iter().any(|signal| matches!(signal, Signal::Early { .. })), "{n}");
        let resumed = client.iter().any(|s| matches!(s, Signal::Up(facts) if facts.resumed));
        assert!(!resumed, "{n}");
        assert_eq!(is_up(&client), n != 0, "{n}");
        pair.client.stack.forget(pair.client.id);
        pair.forget_server();
    }
}

#[test]
fn a_broken_ticket_is_a_full_handshake() {
    let (mut pair, ticket) = with_ticket();
    let mut rng = Seed::from_u64(4).stream("ticket");
    for n in 0..40 {
        let mut bent = ticket.to_vec();
        if n % 2 == 0 {
            bent.truncate(usize::try_from(rng.below(ticket.len() as u64)).unwrap());
        } else {
            let at = 16 + usize::try_from(rng.below(ticket.len() as u64 - 16)).unwrap();
            bent[at] ^= 1 << rng.below(8);
        }
        let mut target = pair.target();
        target.ticket = Some(bent.into());
        pair.dial(&target);
        pair.settle();
        let client = pair.client.take();
        assert!(is_up(&client) || lost(&client).is_some(), "{n}: {client:?}");
        pair.client.stack.forget(pair.client.id);
        pair.forget_server();
    }
}

#[test]
fn retry_proves_the_address() {
    let mut pair = Pair::new();
    pair.retry = true;
    pair.connect();
    // A ClientHello takes two datagrams, and each is answered; the client heeds the first.
    assert!((1..=2).contains(&pair.answers), "{}", pair.answers);
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    send(&mut pair.client, id, b"x", true);
    pair.settle();
    assert_eq!(pair.server.take(), [Signal::Readable(id)]);
}

#[test]
fn a_token_is_good_for_one_address_port_and_time() {
    let mut pair = Pair::new();
    pair.retry = true;
    let target = pair.target();
    pair.dial(&target);
    for mut datagram in pair.sent(true) {
        pair.give_server(&mut datagram);
    }
    let second = pair.sent(true).remove(0);
    let now = pair.now();
    let path = |remote| Path { local: addr(9000), remote };
    let mut out = Vec::new();
    let mut classify = |now, remote| {
        let route = pair.server.stack.classify(now, path(remote), &second, &mut out);
        assert!(out.is_empty());
        route
    };
    let bad = Route::Drop(Dropped::BadToken);
    assert!(matches!(classify(now, addr(5000)), Route::New(offer) if offer.validated));
    assert_eq!(classify(now, addr(5001)), bad);
    assert_eq!(classify(now, ([127, 0, 0, 2], 5000).into()), bad);
    let late = now + limits::RETRY_TOKEN_LIFETIME + limits::RETRY_TOKEN_LIFETIME;
    assert_eq!(classify(late, addr(5000)), bad);
}

#[test]
fn secrets_go_to_the_key_log() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let config = QuicConfig {
        key_log: Some(Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned()))),
        ..QuicConfig::default()
    };
    let mut pair = Pair::with(config, |_| {});
    pair.connect();
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.starts_with("CLIENT_HANDSHAKE_TRAFFIC_SECRET ")));
    assert!(lines.iter().all(|line| !line.contains('\n')));
}

#[test]
fn a_bad_identity_is_named_and_changes_nothing() {
    let root = certificates::root();
    let (leaf, other) = (certificates::leaf(&root, &["a"]), certificates::leaf(&root, &["b"]));
    let (good, wrong) = (leaf.identity(), other.identity());
    let cases: [(&[u8], &[u8], &str); 5] = [
        (b"", &good.key_pem, "the certificate chain holds no certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\n!\n",
            &good.key_pem,
            "the certificate chain is not valid PEM",
        ),
        (&good.chain_pem, b"", "the private key is not valid PEM"),
        (&good.chain_pem, &good.chain_pem, "the private key is not valid PEM"),
        (&good.chain_pem, &wrong.key_pem, "the private key does not belong to the certificate"),
    ];
    let mut pair = Pair::new();
    for (chain, key, why) in cases {
        assert_eq!(pair.server.stack.set_identity(chain, key), Err(Misuse::Config(why)));
        let mut config = server_config(&leaf);
        config.identity = Some(Identity { chain_pem: chain.to_vec(), key_pem: key.to_vec() });
        assert_eq!(stack(config, &Seed::from_u64(1)).err(), Some(Misuse::Config(why)));
    }
    pair.connect();
    pair.client.stack.forget(pair.client.id);
    pair.forget_server();

    pair.server.stack.set_identity(&wrong.chain_pem, &wrong.key_pem).unwrap();
    let (client, _) = outcome(&mut pair, |t| t.trust = Trust::Any);
    let Signal::Up(facts) = &client[0] else { panic!("{client:?}") };
    assert_eq!(facts.peer_key, Some(other.hash()));
    assert!(pair.client.stack.set_identity(&good.chain_pem, &good.key_pem).is_err());
}

#[test]
fn numbers_that_cannot_work_are_refused() {
    let changes: [&dyn Fn(&mut QuicConfig); 4] = [
        &|c| c.max_datagram = 1199,
        &|c| c.max_datagram = 16_384,
        &|c| c.idle_timeout = std::time::Duration::ZERO,
        &|c| {
            c.identity = Some(certificates::leaf(&certificates::root(), &["a"]).identity());
            c.static_key = [0; 32];
        },
    ];
    for change in changes {
        let mut config = QuicConfig::default();
        change(&mut config);
        assert!(matches!(stack(config, &Seed::from_u64(1)).err(), Some(Misuse::Config(_))));
    }
}
