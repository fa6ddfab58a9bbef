use std::net::SocketAddr;
use std::time::Duration;

use super::pair::{Pair, addr};
use super::raw::{Raw, cid, data, written};
use crate::error::Misuse;
use crate::io::Path;
use crate::transport::Signal;
use crate::transport::dquic::frame::Frame;
use crate::transport::dquic::packet::Packet;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const MILLIS: fn(u64) -> Duration = Duration::from_millis;

fn moves(pair: &Pair) -> Vec<SocketAddr> {
    let moved = |signal: &Signal| match signal {
        Signal::Moved(path) => Some(path.remote),
        _ => None,
    };
    pair.server.said.iter().filter_map(moved).collect()
}

/// The ids that datagrams were sent to lately, client's and server's.
fn ids(pair: &Pair, since: usize, to_server: bool) -> Vec<Vec<u8>> {
    let sent = pair.wire[since..].iter().filter(|flying| flying.to_server == to_server);
    let mut ids: Vec<Vec<u8>> = sent
        .filter_map(|flying| match Packet::read(&flying.bytes) {
            Some(Packet::Data { dcid, .. }) => Some(dcid.to_vec()),
            _ => None,
        })
        .collect();
    ids.dedup();
    ids
}

#[test]
fn a_nat_that_changes_its_mind_again_and_again() {
    let mut pair = Pair::up();
    for n in 0..30u8 {
        let seen = SocketAddr::from(([10, 0, n % 3, 7], 100 + u16::from(n)));
        pair.nat = Some(seen);
        pair.client.conn().ping();
        pair.exchange(20_000, SECONDS(20));
        pair.run(SECONDS(1));
        assert_eq!(moves(&pair).last(), Some(&seen));
    }
    assert_eq!(moves(&pair).len(), 30);
}

#[test]
fn a_move_changes_both_ids_and_a_nat_changes_none() {
    let mut pair = Pair::up();
    pair.run(SECONDS(1));
    let before = (ids(&pair, 0, true).pop().unwrap(), ids(&pair, 0, false).pop().unwrap());
    let since = pair.wire.len();
    pair.nat = Some(addr(55));
    pair.client.conn().ping();
    pair.run(SECONDS(1));
    let after = (ids(&pair, since, true), ids(&pair, since, false));
    assert_eq!(after, (vec![before.0.clone()], vec![before.1.clone()]));
    let mut seen = vec![before];
    pair.nat = None;
    for n in 0..20 {
        let since = pair.wire.len();
        let now = pair.now;
        pair.client.conn().rebind(now, addr(60 + n)).expect("a spare id");
        pair.exchange(5_000, SECONDS(10));
        pair.run(SECONDS(1));
        assert_eq!(moves(&pair).last(), Some(&addr(60 + n)));
        let new = (ids(&pair, since, true).pop().unwrap(), ids(&pair, since, false).pop().unwrap());
        assert!(seen.iter().all(|old| old.0 != new.0 && old.1 != new.1), "an id used twice");
        seen.push(new);
    }
}

#[test]
fn only_a_client_that_is_up_can_move() {
    let mut pair = Pair::new();
    let now = pair.now;
    let early = pair.client.conn().rebind(now, addr(5));
    assert!(matches!(early, Err(Misuse::WrongState { .. })));
    let mut pair = Pair::up();
    let now = pair.now;
    assert!(matches!(pair.server.conn().rebind(now, addr(5)), Err(Misuse::WrongRole(_))));
    pair.client.conn().close(now, crate::code::Code::None, "");
    assert!(matches!(pair.client.conn().rebind(now, addr(5)), Err(Misuse::WrongState { .. })));
}

#[test]
fn a_new_address_gets_three_times_its_bytes_until_it_is_proved() {
    let mut raw = Raw::server();
    raw.say(&[Frame::MaxData(1 << 40), Frame::MaxStreams { dir: crate::id::Dir::Bidi, max: 5 }]);
    let id = raw.conn.open(crate::id::Dir::Bidi).expect("a stream");
    let mut bulk = bytes::Bytes::from(vec![7; 200_000]);
    raw.conn.write(id, &mut bulk, false).unwrap();
    raw.datagrams();
    let home = raw.path;
    raw.path.remote = addr(66);
    let mut heard = 0;
    let mut sent = 0;
    let mut asked = Vec::new();
    for n in 0..200 {
        let packet = data(raw.dcid, 1_000 + n, &written(&Frame::Ping));
        heard += packet.len();
        raw.receive(&packet);
        for (path, bytes) in raw.sent() {
            assert_eq!(path, raw.path);
            sent += bytes.len();
            if let Some(Packet::Data { frames, .. }) = Packet::read(&bytes)
                && frames[0] == 0x1a
            {
                asked.push(<[u8; 8]>::try_from(&frames[1..9]).unwrap());
            }
        }
        assert!(sent <= 3 * heard, "{sent} bytes for {heard}");
        raw.now = raw.now + MILLIS(5);
        raw.conn.expire(raw.now);
    }
    assert!(!asked.is_empty());
    // An answer that nobody gave, and the right one.
    raw.number = 5_000;
    raw.say(&[Frame::PathResponse([0; 8])]);
    assert!(!matches!(raw.said.last(), Some(Signal::Moved(_))));
    raw.say(&[Frame::PathResponse(asked[0])]);
    assert_eq!(raw.said.last(), Some(&Signal::Moved(Path { remote: addr(66), ..home })));
}

#[test]
fn an_address_that_never_answers_is_left_again() {
    let mut raw = Raw::server();
    raw.datagrams();
    let home = raw.path;
    raw.path.remote = addr(66);
    raw.say(&[Frame::Ping]);
    for _ in 0..200 {
        raw.datagrams();
        let Some(at) = raw.conn.deadline() else { break };
        raw.now = at.max(raw.now);
        raw.conn.expire(raw.now);
        if raw.sent().iter().any(|(path, _)| *path == home) {
            assert!(raw.said.iter().all(|signal| !matches!(signal, Signal::Moved(_))));
            return;
        }
    }
    panic!("it never went back");
}

#[test]
fn probes_and_late_packets_move_nothing() {
    let mut raw = Raw::server();
    raw.datagrams();
    raw.number = 10;
    raw.say(&[Frame::Ping]);
    let home = raw.path;
    let away = Path { remote: addr(66), ..home };
    raw.path = away;
    // A packet that was overtaken, as an attacker could send it from elsewhere.
    let late = data(raw.dcid, 5, &written(&Frame::Ping));
    raw.receive(&late);
    let new_id =
        Frame::NewConnectionId { sequence: 1, retire_prior_to: 0, cid: cid(5), token: [5; 16] };
    raw.say(&[Frame::PathChallenge([1; 8]), new_id]);
    raw.path = home;
    raw.conn.ping();
    let sent = raw.sent();
    let (there, here): (Vec<_>, Vec<_>) = sent.iter().partition(|(path, _)| *path == away);
    assert!(!here.is_empty());
    // The answer goes where the question came from, and nothing else does.
    assert_eq!(there.len(), 1);
    let Some(Packet::Data { frames, .. }) = Packet::read(&there[0].1) else { panic!() };
    assert_eq!(frames[..9], [0x1b, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn what_an_unproved_address_has_no_room_for_wakes_nobody() {
    for start in 0..40 {
        let mut raw = Raw::server();
        raw.datagrams();
        raw.path.remote = addr(66);
        // New ids have to be told, and what was heard from there is worth little.
        raw.say_bytes(&vec![0; start]);
        for sequence in 1..4 {
            raw.say(&[Frame::RetireConnectionId(sequence)]);
            for _ in 0..4 {
                raw.datagrams();
                let Some(at) = raw.conn.deadline() else { break };
                assert!(at > raw.now, "waits for a time that is there: {at:?}");
                raw.now = at;
                raw.conn.expire(at);
            }
        }
    }
}
