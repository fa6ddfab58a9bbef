//! Stateless answers, and datagrams that are not what they should be.

use super::pair::{CLIENT, Pair, SERVER, addr, read_all, send};
use crate::error::{Lost, Why};
use crate::id::Dir;
use crate::io::Path;
use crate::rng::Seed;
use crate::transport::quic::{QuicConfig, stack};
use crate::transport::{Dropped, Route, Signal};

fn path() -> Path {
    Path { local: addr(9000), remote: addr(5000) }
}

/// What the server's stack makes of a datagram.
fn classify(pair: &mut Pair, bytes: &[u8]) -> (Route, Vec<u8>) {
    let mut out = Vec::new();
    let now = pair.now();
    (pair.server.stack.classify(now, path(), bytes, &mut out), out)
}

fn initial(pair: &mut Pair) -> Vec<u8> {
    let target = pair.target();
    pair.dial(&target);
    pair.sent(true).remove(0)
}

#[test]
fn impossible_and_malformed_datagrams_are_dropped() {
    let mut pair = Pair::new();
    let now = pair.now();
    let from_zero = Path { remote: addr(0), ..path() };
    let mut out = Vec::new();
    let zero = pair.server.stack.classify(now, from_zero, &[0x40; 40], &mut out);
    assert_eq!(zero, Route::Drop(Dropped::Impossible));
    assert_eq!(classify(&mut pair, b"").0, Route::Drop(Dropped::Impossible));
    for bytes in [&[0x40; 17][..], &[0; 40], &[0xc0, 0, 0], &[0xc0, 0, 0, 0, 1, 99]] {
        assert_eq!(classify(&mut pair, bytes).0, Route::Drop(Dropped::Malformed));
    }
}

#[test]
fn initials_must_be_long_and_so_must_their_ids() {
    let mut pair = Pair::new();
    let first = initial(&mut pair);
    assert!(matches!(classify(&mut pair, &first).0, Route::New(_)));
    assert_eq!(classify(&mut pair, &first[..1199]).0, Route::Drop(Dropped::ShortInitial));
    let mut short_id = vec![0xc0, 0, 0, 0, 1, 7, 1, 2, 3, 4, 5, 6, 7, 0, 0];
    short_id.resize(1200, 0);
    assert_eq!(classify(&mut pair, &short_id).0, Route::Drop(Dropped::ShortInitial));
    let mut handshake = first.clone();
    handshake[0] = 0xe0;
    assert_eq!(classify(&mut pair, &handshake).0, Route::Drop(Dropped::UnknownConnection));
}

#[test]
fn a_foreign_token_is_no_proof_and_no_offence() {
    let mut pair = Pair::new();
    let mut bytes = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 5];
    bytes.extend_from_slice(b"token");
    bytes.resize(1200, 0);
    assert!(matches!(classify(&mut pair, &bytes).0, Route::New(offer) if !offer.validated));
}

#[test]
fn an_unknown_version_is_told_ours() {
    let mut pair = Pair::new();
    let mut first = initial(&mut pair);
    first[1..5].copy_from_slice(&0x1a2a_3a4a_u32.to_be_bytes());
    let (route, answer) = classify(&mut pair, &first);
    assert_eq!(route, Route::Answer(answer.len()));
    assert_eq!(&answer[1..5], [0; 4]);
    assert!(answer.ends_with(&1_u32.to_be_bytes()));
    assert_eq!(classify(&mut pair, &first[..1199]).0, Route::Drop(Dropped::ShortInitial));
    assert!(!matches!(classify(&mut pair, &answer).0, Route::Answer(_)), "never answered");
    // It lists the version the client speaks, so the client does not believe it.
    pair.give_client(&mut answer.clone());
    assert_eq!(pair.client.take(), []);
    // A server of another age.
    let mut other = answer;
    let at = other.len() - 4;
    other[at..].copy_from_slice(&0x7777_7777_u32.to_be_bytes());
    pair.give_client(&mut other);
    assert_eq!(pair.client.take(), [Signal::Down(Why::Lost(Lost::NoVersion))]);
    assert!(pair.client.conn().is_finished());
}

#[test]
fn a_client_accepts_nobody() {
    let mut pair = Pair::new();
    let first = initial(&mut pair);
    let mut stack = stack(QuicConfig::default(), &Seed::from_u64(3)).unwrap();
    let now = pair.now();
    let mut out = Vec::new();
    let route = stack.classify(now, path(), &first, &mut out);
    assert_eq!(route, Route::Drop(Dropped::NotAccepting));
    let route = stack.classify(now, path(), &[0x40; 100], &mut out);
    assert_eq!(route, Route::Drop(Dropped::UnknownConnection));
    assert!(out.is_empty());
}

#[test]
fn a_restarted_server_ends_old_connections_at_once() {
    let mut pair = Pair::up();
    // The same static key, another seed, no connections.
    let config = super::pair::server_config(&pair.leaf);
    pair.server.stack = stack(config, &Seed::from_u64(77)).unwrap();
    pair.server.conn = None;
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    send(&mut pair.client, id, &[1; 100], false);
    let sent = pair.sent(true).remove(0);
    assert_eq!(classify(&mut pair, &sent[..42]).0, Route::Drop(Dropped::UnknownConnection));
    let (route, answer) = classify(&mut pair, &sent);
    assert_eq!(route, Route::Answer(answer.len()));
    assert!(answer.len() >= 21 && answer.len() < sent.len());
    // From somebody else, or changed, it is nothing.
    let mut bent = answer.clone();
    bent[answer.len() - 1] ^= 1;
    pair.give_client(&mut bent);
    assert_eq!(pair.client.take(), []);
    pair.give_client(&mut answer.clone());
    assert_eq!(pair.client.take(), [Signal::Down(Why::Lost(Lost::StatelessReset))]);
    assert!(pair.client.conn().is_finished());
}

#[test]
fn a_forgotten_connection_is_routed_nowhere() {
    let mut pair = Pair::up();
    pair.client.conn().ping();
    let sent = pair.sent(true).remove(0);
    assert_eq!(classify(&mut pair, &sent).0, Route::To(SERVER));
    pair.forget_server();
    assert!(!matches!(classify(&mut pair, &sent).0, Route::To(_)));
    pair.client.stack.forget(CLIENT);
}

#[test]
fn noise_hurts_nobody() {
    let mut pair = Pair::up();
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    send(&mut pair.client, id, b"x", false);
    pair.settle();
    let real = std::mem::take(&mut pair.wire);
    let seed = 5;
    let mut rng = Seed::from_u64(seed).stream("noise");
    for n in 0..6000_usize {
        let mut bytes = if n % 3 == 0 {
            let mut noise = vec![0; usize::try_from(rng.below(1500)).unwrap()];
            rng.fill(&mut noise);
            noise
        } else {
            let mut bent = real[n % real.len()].clone();
            for _ in 0..=rng.below(3) {
                let at = usize::try_from(rng.below(bent.len() as u64)).unwrap();
                bent[at] ^= 1 << rng.below(8);
            }
            if n % 3 == 1 {
                bent.truncate(usize::try_from(rng.below(bent.len() as u64 + 1)).unwrap());
            }
            bent
        };
        let mut copy = bytes.clone();
        let mut out = Vec::new();
        let now = pair.now();
        let _ = pair.server.stack.classify(now, path(), &bytes, &mut out);
        assert!(out.len() < bytes.len().max(1), "an answer is no amplifier (seed {seed})");
        if !bytes.is_empty() {
            pair.server.conn().receive(now, path(), &mut bytes);
        }
        if !copy.is_empty() {
            let back = Path { local: addr(5000), remote: addr(9000) };
            pair.client.conn().receive(now, back, &mut copy);
        }
    }
    pair.settle();
    send(&mut pair.client, id, b"still here", false);
    pair.settle();
    let mut got = Vec::new();
    assert!(!read_all(&mut pair.server, id, &mut got));
    assert_eq!(got, b"xstill here");
}

#[test]
fn noise_in_a_handshake_hurts_nobody() {
    for seed in 0..60 {
        let mut rng = Seed::from_u64(seed).stream("noise");
        let mut pair = Pair::new();
        let target = pair.target();
        pair.dial(&target);
        for _ in 0..6 {
            for by_client in [true, false] {
                for mut datagram in pair.sent(by_client) {
                    let mut bent = datagram.clone();
                    let at = usize::try_from(rng.below(bent.len() as u64)).unwrap();
                    bent[at] ^= 1 << rng.below(8);
                    let cut = usize::try_from(rng.below(bent.len() as u64)).unwrap();
                    let mut short = datagram[..cut].to_vec();
                    for bytes in [&mut bent, &mut short, &mut datagram] {
                        if by_client {
                            pair.give_server(bytes);
                        } else {
                            pair.give_client(bytes);
                        };
                    }
                }
            }
        }
        // A bent first datagram can be admitted, and ends that connection. Nothing panics.
        let told = pair.client.take();
        assert!(told.len() <= 3, "seed {seed}: {told:?}");
    }
}
