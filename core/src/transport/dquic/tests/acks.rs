use std::time::Duration;

use super::raw::{Raw, encode, params};
use crate::transport::dquic::frame::Frame;
use crate::transport::dquic::packet::Packet;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;

/// What goes out when the connection has a PING to send.
fn prodded(raw: &mut Raw) -> String {
    raw.conn.ping();
    raw.frames().join(" ")
}

#[test]
fn an_acknowledgement_is_repeated_until_it_is_known_to_have_arrived() {
    let mut raw = Raw::server();
    raw.datagrams();
    raw.say(&[Frame::Ping, Frame::PathResponse([0; 8])]);
    raw.say(&[Frame::Ping]);
    let first = raw.frames();
    assert!(first.iter().any(|frame| frame.contains("Ack")), "{first:?}");
    // That packet may be lost, and nobody would know.
    let again = prodded(&mut raw);
    assert!(again.contains("Ack") && again.contains("Ping"), "{again}");
    // The peer acknowledges every packet up to the newest.
    let mut newest = 0;
    raw.conn.ping();
    for datagram in raw.datagrams() {
        if let Some(Packet::Data { number, .. }) = Packet::read(&datagram) {
            newest = u8::try_from(number).unwrap();
        }
    }
    raw.say_bytes(&[2, newest, 0, 0, newest]);
    let quiet = prodded(&mut raw);
    assert!(quiet.contains("Ping") && !quiet.contains("Ack"), "{quiet}");
}

#[test]
fn only_a_prompt_answer_to_welcome_measures_the_round_trip() {
    // The client's first packet, or one that was sent again after others.
    for (number, rtt) in [(0, 40), (3, 100)] {
        let mut raw = Raw::asked(&encode(&params(b"anabranch/1")));
        let welcome = raw.datagrams().remove(0);
        let Some(Packet::Welcome { header, .. }) = Packet::read(&welcome) else { panic!() };
        (raw.dcid, raw.number) = (header.scid, number);
        raw.now = raw.now + MILLIS(40);
        raw.say(&[Frame::Ping]);
        assert_eq!(raw.conn.stats().rtt, MILLIS(rtt), "packet {number}");
    }
}
