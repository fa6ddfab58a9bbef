//! Tickets, and what may be asked before the handshake is complete.

use std::time::Duration;

use anabranch_core::id::Dir;
use anabranch_core::transport::Offered;
use anabranch_core::{Event, Misuse};
use anabranch_tests::link::LinkConfig;
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair, unpaced};
use anabranch_tests::seeds;
use bytes::Bytes;

use super::{options, pair_with_clip, with_clip};

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const MILLIS: fn(u64) -> Duration = Duration::from_millis;

/// A ticket, after the connection that it comes from has ended.
fn ticket(pair: &mut Pair, offered: Offered) -> Bytes {
    let conn = pair.up(0, offered);
    pair.run_for(SECONDS(1));
    let mut handle = pair.conn(CLIENT, conn).unwrap();
    let ticket = handle.ticket().expect("a ticket");
    handle.close(anabranch_core::Code::None, "");
    pair.run_for(SECONDS(1));
    ticket
}

fn resumed(pair: &Pair, conn: anabranch_core::ConnId) -> Option<bool> {
    pair.events(CLIENT, conn).find_map(|event| match event {
        Event::Connected { resumed, .. } => Some(*resumed),
        _ => None,
    })
}

#[test]
fn control_requests_go_early_and_media_does_not() {
    let mut pair = pair_with_clip(0, 50_000);
    let ticket = ticket(&mut pair, Offered::V1);
    let began = pair.now();
    let conn = pair.connect_with(0, Offered::Both, |target| target.ticket = Some(ticket));
    let mut handle = pair.conn(CLIENT, conn).unwrap();
    handle.list(None).expect("a listing may be asked for");
    handle.ping().expect("so may a ping");
    let media = handle.open_media(unpaced());
    assert!(matches!(media, Err(Misuse::WrongState { .. })), "{media:?}");
    let answered = |pair: &Pair| {
        let answer = |event: &&Event| matches!(event, Event::Listing(_) | Event::Pong { .. });
        pair.events(CLIENT, conn).filter(answer).count() == 2
    };
    pair.must("answered", SECONDS(1), answered);
    assert_eq!(pair.now() - began, MILLIS(20), "within the first round trip");
    pair.must("up", SECONDS(1), |pair| pair.is_up(0, conn));
    assert_eq!(resumed(&pair, conn), Some(true));
    let key = (conn, pair.play(0, conn));
    pair.complete(0, key, SECONDS(30));
}

#[test]
fn without_a_ticket_a_request_has_to_wait() {
    let mut pair = Pair::new(0, options());
    let conn = pair.connect(0, Offered::V1);
    let list = pair.conn(CLIENT, conn).unwrap().list(None);
    assert!(matches!(list, Err(Misuse::WrongState { .. })), "{list:?}");
    pair.must("up", SECONDS(1), |pair| pair.is_up(0, conn));
    assert_eq!(resumed(&pair, conn), Some(false));
}

#[test]
fn a_ticket_survives_a_restart_of_the_server() {
    let mut pair = pair_with_clip(0, 50_000);
    let ticket = ticket(&mut pair, Offered::V1);
    pair.restart_server();
    let conn = pair.connect_with(0, Offered::V1, |target| target.ticket = Some(ticket));
    pair.must("up", SECONDS(5), |pair| pair.is_up(0, conn));
    assert_eq!(resumed(&pair, conn), Some(true));
}

#[test]
fn early_requests_survive_a_bad_link() {
    seeds::each(20, |seed| {
        let mut options = with_clip(50_000).over(&LinkConfig::rough(10));
        options.client.handshake_timeout = SECONDS(60);
        options.server.handshake_timeout = SECONDS(60);
        let mut pair = Pair::new(seed, options);
        let conn = pair.up(0, Offered::V1);
        pair.run_for(SECONDS(5));
        let Some(ticket) = pair.conn(CLIENT, conn).unwrap().ticket() else { return };
        let conn = pair.connect_with(0, Offered::Both, |target| target.ticket = Some(ticket));
        pair.conn(CLIENT, conn).unwrap().list(None).unwrap();
        pair.must("answered", SECONDS(60), |pair| {
            pair.events(CLIENT, conn).any(|event| matches!(event, Event::Listing(_)))
        });
        pair.must("up", SECONDS(60), |pair| pair.is_up(0, conn));
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(120));
    });
}

#[test]
fn nonsense_for_a_ticket_is_no_ticket() {
    let mut pair = pair_with_clip(0, 50_000);
    let good = ticket(&mut pair, Offered::V1);
    let mut flipped = good.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let cut = good[..good.len() / 2].to_vec();
    for bad in [Vec::new(), vec![1], vec![1; 500], vec![9; 500], flipped, cut] {
        let bad = Bytes::from(bad);
        let conn = pair.connect_with(0, Offered::V1, |target| target.ticket = Some(bad));
        pair.must("up all the same", SECONDS(5), |pair| pair.is_up(0, conn));
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(30));
    }
}

#[test]
fn a_classic_ticket_is_not_used_for_another_dialect() {
    let mut pair = pair_with_clip(0, 50_000);
    let ticket = ticket(&mut pair, Offered::Classic);
    for offered in [Offered::V1, Offered::Classic, Offered::Both] {
        let ticket = ticket.clone();
        let conn = pair.connect_with(0, offered, |target| target.ticket = Some(ticket));
        pair.must("up", SECONDS(5), |pair| pair.is_up(0, conn));
        let key = (conn, pair.play(0, conn));
        pair.complete(0, key, SECONDS(30));
    }
}

/// AB-T5: a server acts on no stream but the control stream before the handshake is complete.
#[test]
fn a_replayed_request_for_media_does_nothing() {
    let mut pair = Pair::new(0, Options { clients: 0, ..options() });
    let first = pair.add_rogue(Offered::V1);
    pair.must("up", SECONDS(5), |pair| pair.rogues[first].up);
    pair.run_for(SECONDS(1));
    let ticket = pair.rogues[first].transport.ticket().expect("a ticket");
    let early = pair.add_rogue_with(Offered::V1, |target| target.ticket = Some(ticket));
    pair.settle();
    let rogue = &mut pair.rogues[early];
    let control = rogue.open(Dir::Bidi, &super::rogue::hello(), false);
    let media = rogue.open(Dir::Bidi, &super::rogue::open_stream(true), false);
    pair.settle();
    // The first flight gets through, and nothing after it.
    pair.blackhole(early, true, false);
    pair.run_for(SECONDS(2));
    assert!(!pair.rogues[early].received(control).bytes.is_empty(), "HELLO is answered early");
    assert!(pair.rogues[early].received(media).bytes.is_empty(), "OPEN_STREAM is not");
    let media_events = |pair: &Pair| {
        let media = |told: &&(_, _, Event)| matches!(told.2, Event::Media(..));
        pair.told(Who::Server).iter().filter(media).count()
    };
    assert_eq!(media_events(&pair), 0);
    pair.blackhole(early, false, false);
    pair.run_for(SECONDS(5));
    assert!(media_events(&pair) > 0, "it is, once the handshake is complete");
    assert!(!pair.rogues[early].received(media).bytes.is_empty());
}
