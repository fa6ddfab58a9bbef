//! Datagrams from attackers: what they cost is limited, and who is served goes on being served.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anabranch_core::config::Retry;
use anabranch_core::transport::{Dropped, Offered};
use anabranch_core::{Seed, limits};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Pair, SERVER};
use anabranch_tests::seeds;

use super::{ON, options, pair_with_clip};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn attacker(n: usize) -> SocketAddr {
    let [a, b] = u16::try_from(n / 60_000).unwrap().to_be_bytes();
    let port = 1_024 + u16::try_from(n % 60_000).unwrap();
    SocketAddr::from((Ipv4Addr::new(10, a, b, 1), port))
}

#[test]
fn half_open_connections_of_one_address_are_limited() {
    let mut options = options();
    options.server.retry = Retry::Never;
    let mut pair = Pair::new(0, options);
    let n = limits::MAX_HALF_OPEN_PER_ADDRESS + 40;
    for (port, first) in pair.first_flights(n).into_iter().enumerate() {
        pair.inject(attacker(port), &first);
        pair.settle();
    }
    let server = pair.endpoint(Who::Server);
    assert_eq!(server.connections(), limits::MAX_HALF_OPEN_PER_ADDRESS);
    assert!(server.counters().drops(Dropped::HalfOpenLimited) >= 40);
    // Another address is served, and after the timeout so is this one.
    pair.up(0, Offered::V1);
    pair.run_for(SECONDS(30));
    assert_eq!(pair.endpoint(Who::Server).connections(), 1);
}

#[test]
fn half_open_connections_are_limited_in_all() {
    let mut options = options();
    options.server.retry = Retry::Never;
    options.server.max_half_open = 50;
    let mut pair = Pair::new(0, options);
    for (n, first) in pair.first_flights(80).into_iter().enumerate() {
        let from = SocketAddr::from((Ipv4Addr::new(10, 0, 0, u8::try_from(n).unwrap()), 5_000));
        pair.inject(from, &first);
    }
    pair.settle();
    assert_eq!(pair.endpoint(Who::Server).connections(), 50);
    assert_eq!(pair.endpoint(Who::Server).counters().drops(Dropped::HalfOpenLimited), 30);
}

#[test]
fn under_load_proof_of_address_is_asked_for() {
    let mut pair = Pair::new(0, options());
    let n = limits::HALF_OPEN_BEFORE_RETRY + 20;
    for (n, first) in pair.first_flights(n).into_iter().enumerate() {
        let from = SocketAddr::from((Ipv4Addr::new(10, 0, 0, u8::try_from(n).unwrap()), 5_000));
        pair.inject(from, &first);
        pair.settle();
    }
    assert_eq!(pair.endpoint(Who::Server).connections(), limits::HALF_OPEN_BEFORE_RETRY);
    let last = SocketAddr::from((Ipv4Addr::new(10, 0, 0, u8::try_from(n - 1).unwrap()), 5_000));
    let answers = &pair.strays[&last].datagrams;
    assert_eq!(answers.len(), 1);
    assert!(ON.is_retry(&answers[0]), "a Retry packet");
    // Whoever proves his address gets in.
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    pair.complete(0, key, SECONDS(30));
}

#[test]
fn an_established_connection_goes_on_in_a_flood_of_initials() {
    let mut pair = pair_with_clip(0, 3_000_000);
    let conn = pair.up(0, Offered::V1);
    let key = (conn, pair.play(0, conn));
    let firsts = pair.first_flights(400);
    let began = pair.now();
    for (n, first) in firsts.iter().enumerate() {
        pair.inject(attacker(n * 59_999), first);
        pair.run_for(Duration::from_millis(2));
    }
    pair.complete(0, key, SECONDS(5));
    assert!(pair.now() - began < SECONDS(5));
    pair.run_for(SECONDS(60));
    assert_eq!(pair.endpoint(Who::Server).connections(), 1);
}

#[test]
fn short_initials_are_dropped() {
    let mut pair = Pair::new(0, options());
    let first = pair.first_flights(1).remove(0);
    for len in [1, 20, 600, limits::MIN_INITIAL_DATAGRAM - 1] {
        pair.inject(attacker(0), &ON.cut(&first, len));
    }
    pair.settle();
    assert_eq!(pair.endpoint(Who::Server).connections(), 0);
    assert_eq!(pair.strays.len(), 0, "and nothing is answered");
    assert!(pair.endpoint(Who::Server).counters().drops(Dropped::ShortInitial) >= 1);
}

#[test]
fn an_unknown_version_is_answered_with_ours() {
    let mut pair = Pair::new(0, options());
    let first = pair.first_flights(1).remove(0);
    pair.inject(attacker(0), &ON.with_version(&first, 0x1a2a_3a4a));
    pair.inject(attacker(1), &ON.with_version(&first[..1_000], 0x1a2a_3a4a));
    pair.settle();
    let answer = &pair.strays[&attacker(0)].datagrams[0];
    assert!(ON.is_version_answer(answer), "which version is spoken");
    assert!(!pair.strays.contains_key(&attacker(1)), "short datagrams get no answer");
    // Such an answer is never answered itself.
    let echo = answer.clone();
    pair.inject(attacker(2), &echo);
    pair.settle();
    assert!(!pair.strays.contains_key(&attacker(2)));
}

#[test]
fn garbage_from_anywhere_is_counted_and_dropped() {
    seeds::each(10, |seed| {
        let mut dice = Seed::from_u64(seed).stream("garbage");
        let mut pair = pair_with_clip(seed, 1_000_000);
        let conn = pair.up(0, Offered::V1);
        let key = (conn, pair.play(0, conn));
        let client = pair.seen_as(0).expect("it has sent");
        for n in 0..600 {
            let len = [1, 5, 21, 40, 1_200, 1_500][usize::try_from(dice.below(6)).unwrap()];
            let mut bytes = vec![0; len];
            dice.fill(&mut bytes);
            if dice.chance(1, 3) {
                bytes = ON.garbage(bytes);
            }
            let from = if dice.chance(1, 3) { client } else { attacker(n) };
            pair.inject(from, &bytes);
            pair.run_for(Duration::from_micros(500));
        }
        pair.complete(0, key, SECONDS(30));
        let sent: usize = pair.strays.values().map(|stray| stray.bytes()).sum();
        assert!(sent < 600 * 1_500, "{sent} bytes were answered to garbage");
    });
}

#[test]
fn datagrams_of_an_unknown_connection_get_a_shorter_reset() {
    let mut pair = Pair::new(0, options());
    for (n, len) in [21, 40, 43, 200, 1_300].into_iter().enumerate() {
        pair.inject(attacker(n), &ON.stray(len));
        pair.settle();
        for answer in pair.strays.get(&attacker(n)).into_iter().flat_map(|s| &s.datagrams) {
            assert!(answer.len() < len, "{} bytes for {len}: resets must not loop", answer.len());
            assert!(ON.is_reset(answer));
        }
    }
    assert!(pair.strays.contains_key(&attacker(4)), "a long one is answered");
}

#[test]
fn stateless_answers_are_limited() {
    let mut pair = Pair::new(0, options());
    let bytes = ON.stray(100);
    for n in 0..3_000 {
        pair.inject(attacker(n), &bytes);
        if n % 50 == 0 {
            pair.settle();
        }
    }
    pair.settle();
    let answers: usize = pair.strays.values().map(|stray| stray.datagrams.len()).sum();
    assert_eq!(answers, limits::STATELESS_ANSWERS_PER_SECOND as usize);
    assert!(pair.endpoint(Who::Server).counters().drops(Dropped::AnswersLimited) > 0);
}

#[test]
fn impossible_datagrams_are_dropped() {
    let mut pair = Pair::new(0, options());
    let first = pair.first_flights(1).remove(0);
    pair.inject(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &first);
    pair.inject(SERVER, &[]);
    pair.settle();
    let server = pair.endpoint(Who::Server);
    assert_eq!((server.connections(), server.counters().drops(Dropped::Impossible)), (0, 2));
}
