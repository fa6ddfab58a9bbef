use std::time::Duration;

use super::pair::{Pair, SERVER, addr, server_config, target};
use super::raw::{Raw, cid, data, encode, hello, params, written};
use crate::code::Code;
use crate::error::{Lost, Misuse, Why};
use crate::io::Path;
use crate::rng::Seed;
use crate::time::Instant;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::Frame;
use crate::transport::dquic::packet::{self, Header, Packet, VERSION};
use crate::transport::dquic::{DquicConfig, stack};
use crate::transport::{Dropped, Offered, Route, Trust};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const NO_PROTOCOL: Why = Why::Lost(Lost::NoProtocol);

#[test]
fn both_ends_agree_on_the_best_protocol() {
    let cases: [(Offered, &[u8]); 3] = [
        (Offered::Both, b"anabranch/1"),
        (Offered::V1, b"anabranch/1"),
        (Offered::Classic, b"quic-stream-proto"),
    ];
    for (offered, alpn) in cases {
        for retry in [false, true] {
            let mut pair = Pair::with(server_config(), DquicConfig::default(), offered);
            pair.retry = retry;
            pair.run(SECONDS(1));
            for (end, remote) in [(&pair.client, addr(9_000)), (&pair.server, addr(1))] {
                let facts = end.facts().expect("it is up");
                assert_eq!((facts.alpn.as_slice(), facts.remote), (alpn, remote));
                assert_eq!((facts.peer_key, facts.resumed), (None, false));
            }
            pair.exchange(100_000, SECONDS(10));
            assert!(pair.client.conn().ticket().is_none() && !pair.client.conn().is_early());
        }
    }
}

#[test]
fn every_packet_of_the_handshake_may_be_lost() {
    for retry in [false, true] {
        for lost in 0..8 {
            let mut pair = Pair::new();
            pair.retry = retry;
            let mut count = 0;
            pair.lose = Box::new(move |_| {
                count += 1;
                count == lost + 1
            });
            pair.run(SECONDS(3));
            assert!(pair.client.facts().is_some() && pair.server.facts().is_some(), "{lost}");
            pair.exchange(10_000, SECONDS(10));
        }
    }
}

#[test]
fn nothing_in_common_is_told() {
    let mut raw = Raw::asked(&encode(&params(b"h3")));
    assert_eq!(raw.conn.poll().map(|s| format!("{s:?}")), Some("Down(Lost(NoProtocol))".into()));
    let close = written(&Frame::ConnectionClose { code: 0x178, frame_type: Some(0), reason: b"" });
    let told = raw.datagrams().remove(0);
    let Some(Packet::Data { dcid, frames, .. }) = Packet::read(&told) else { panic!() };
    assert_eq!((dcid, frames), (cid(1).as_slice(), &close[..]));
    // And a client understands.
    let (mut raw, _) = Raw::dialled();
    raw.say_bytes(&close);
    assert_eq!(raw.down(), Some(&NO_PROTOCOL));
}

#[test]
fn a_server_that_picks_what_was_not_offered_is_refused() {
    for picked in [vec![], vec![b"h3".to_vec()], vec![b"anabranch/1".to_vec(), b"h3".to_vec()]] {
        let (mut raw, hello) = Raw::dialled();
        let mut params = params(b"");
        params.protocols = picked;
        let header = Header { version: VERSION, dcid: hello.scid, scid: cid(3) };
        let mut welcome = Vec::new();
        packet::welcome(&mut welcome, &header, &encode(&params));
        raw.receive(&welcome);
        assert_eq!(raw.down(), Some(&NO_PROTOCOL));
        assert!(raw.frames()[0].contains("code: 376"), "the server is told");
    }
}

#[test]
fn parameters_that_cannot_be_are_told() {
    let mut raw = Raw::asked(b"\x04\x01");
    raw.receive(&hello(b"\x04\x01"));
    raw.expect(TransportError::TransportParameter, "HELLO");
    let (mut raw, hello) = Raw::dialled();
    let header = Header { version: VERSION, dcid: hello.scid, scid: cid(3) };
    let mut welcome = Vec::new();
    packet::welcome(&mut welcome, &header, b"\x03\x01\x05");
    raw.receive(&welcome);
    raw.expect(TransportError::TransportParameter, "WELCOME");
}

#[test]
fn one_retry_is_taken_and_no_other() {
    let (mut raw, first) = Raw::dialled();
    let retry = |n: u8, dcid| {
        let header = Header { version: VERSION, dcid, scid: cid(n) };
        let mut out = Vec::new();
        packet::retry(&mut out, &header, &[n; 40]);
        out
    };
    raw.receive(&retry(9, cid(8)));
    assert!(raw.datagrams().is_empty(), "it is not for this client");
    raw.receive(&retry(3, first.scid));
    let second = raw.datagrams().remove(0);
    let Some(Packet::Hello { header, token, .. }) = Packet::read(&second) else { panic!() };
    assert_eq!((header.dcid, header.scid, token), (cid(3), first.scid, &[3; 40][..]));
    raw.receive(&retry(4, first.scid));
    assert!(raw.datagrams().is_empty());
}

#[test]
fn versions_are_negotiated_down_to_none() {
    let answer = |first: &Header, versions: &[u32]| {
        let mut out = Vec::new();
        packet::version(&mut out, first);
        out.truncate(out.len() - 4 - packet::TAG);
        versions.iter().for_each(|version| out.extend_from_slice(&version.to_be_bytes()));
        let len = out.len();
        out.resize(len + packet::TAG, 0);
        packet::seal(&mut out, len);
        out
    };
    let (mut raw, first) = Raw::dialled();
    raw.receive(&answer(&first, &[2, VERSION]));
    raw.receive(&answer(&Header { dcid: cid(7), ..first }, &[2]));
    raw.receive(&answer(&Header { scid: cid(7), ..first }, &[2]));
    assert_eq!(raw.said, [], "none of these says anything");
    raw.receive(&answer(&first, &[2, 3]));
    assert_eq!(raw.down(), Some(&Why::Lost(Lost::NoVersion)));
    assert!(raw.conn.is_finished() && raw.datagrams().is_empty());
}

#[test]
fn tokens_are_good_for_one_address_and_time() {
    let now = Instant::from_nanos(1_000_000_000);
    let path = Path { local: addr(9_000), remote: addr(7) };
    let mut stack = stack(server_config(), &Seed::from_u64(1)).unwrap();
    let first = hello(&encode(&params(b"anabranch/1")));
    let Route::New(offer) = stack.classify(now, path, &first, &mut Vec::new()) else { panic!() };
    let mut answer = Vec::new();
    stack.challenge(now, path, &offer, &mut answer);
    assert!(answer.len() * 3 < first.len());
    let Some(Packet::Retry { header, token }) = Packet::read(&answer) else { panic!() };
    let again = |token: &[u8]| {
        let header = Header { version: VERSION, dcid: header.scid, scid: cid(1) };
        let mut out = Vec::new();
        packet::hello(&mut out, &header, token, b"");
        out
    };
    let mut classify = |now, remote, bytes: &[u8]| {
        stack.classify(now, Path { remote, ..path }, bytes, &mut Vec::new())
    };
    let good = again(token);
    assert!(matches!(classify(now, addr(7), &good), Route::New(offer) if offer.validated));
    assert_eq!(classify(now, addr(8), &good), Route::Drop(Dropped::BadToken));
    assert_eq!(classify(now + SECONDS(11), addr(7), &good), Route::Drop(Dropped::BadToken));
    let foreign = again(b"somebody else's");
    assert!(matches!(classify(now, addr(7), &foreign), Route::New(offer) if !offer.validated));
}

#[test]
fn what_is_no_first_datagram_makes_no_connection() {
    let now = Instant::ZERO;
    let path = Path { local: addr(9_000), remote: addr(7) };
    let mut stack = stack(server_config(), &Seed::from_u64(1)).unwrap();
    let mut short_id = Vec::new();
    let header =
        Header { version: VERSION, dcid: crate::transport::CidBytes::empty(), scid: cid(1) };
    packet::hello(&mut short_id, &header, b"", b"");
    let mut welcome = Vec::new();
    let header = Header { version: VERSION, dcid: cid(2), scid: cid(1) };
    packet::welcome(&mut welcome, &header, b"");
    let cases = [
        ("nothing", Vec::new(), Dropped::Impossible),
        ("garbage", vec![0x10; 1_300], Dropped::Malformed),
        ("a short id", short_id, Dropped::ShortInitial),
        ("a WELCOME for nobody", welcome, Dropped::UnknownConnection),
        ("a short DATA packet", data(cid(2), 0, b"\x01"), Dropped::UnknownConnection),
    ];
    for (what, bytes, why) in cases {
        let mut out = Vec::new();
        let route = stack.classify(now, path, &bytes, &mut out);
        assert_eq!((route, out.len()), (Route::Drop(why), 0), "{what}");
    }
    let nowhere = Path { remote: addr(0), ..path };
    let route = stack.classify(now, nowhere, &hello(b""), &mut Vec::new());
    assert_eq!(route, Route::Drop(Dropped::Impossible));
}

#[test]
fn a_server_says_nothing_before_the_client_is_proved() {
    let mut raw = Raw::asked(&encode(&params(b"anabranch/1")));
    let first = raw.datagrams();
    assert_eq!(first.len(), 1);
    // A DATA packet to the id that the client drew proves nothing.
    raw.say(&[Frame::Ping]);
    assert_eq!((raw.said.len(), raw.datagrams().len()), (0, 0));
    assert_eq!(raw.conn.open(crate::id::Dir::Bidi), None);
    // Each HELLO has the same answer, until the client is heard from where WELCOME went.
    let again = hello(&encode(&params(b"anabranch/1")));
    for _ in 0..3 {
        raw.receive(&again);
        assert_eq!(raw.datagrams(), first);
    }
    let Some(Packet::Welcome { header, .. }) = Packet::read(&first[0]) else { panic!() };
    raw.dcid = header.scid;
    raw.say(&[Frame::Ping]);
    raw.receive(&again);
    assert!(raw.datagrams().iter().all(|d| matches!(Packet::read(d), Some(Packet::Data { .. }))));
}

#[test]
fn a_client_that_moves_before_it_is_proved_is_answered_where_it_is() {
    let mut raw = Raw::asked(&encode(&params(b"anabranch/1")));
    raw.datagrams();
    raw.path.remote = addr(8);
    raw.receive(&hello(&encode(&params(b"anabranch/1"))));
    let sent = raw.sent();
    let [(path, welcome)] = &sent[..] else { panic!("{} answers", sent.len()) };
    assert_eq!(*path, raw.path);
    let Some(Packet::Welcome { header, .. }) = Packet::read(welcome) else { panic!() };
    raw.dcid = header.scid;
    raw.say(&[Frame::Ping]);
    let Some(crate::transport::Signal::Up(facts)) = raw.said.first() else { panic!() };
    assert_eq!(facts.remote, addr(8));
    assert_eq!(raw.said.len(), 1, "that is no move");
}

#[test]
fn giving_up_is_told_at_any_time() {
    // A client that has no answer yet, to the id that it drew.
    let mut pair = Pair::new();
    pair.run(Duration::from_millis(5));
    let now = pair.now;
    pair.client.conn().close(now, Code::Cancelled, "no");
    pair.run(SECONDS(1));
    let why = Why::Peer(Code::Cancelled, "no".to_owned());
    assert_eq!((pair.server.down(), pair.server.facts()), (Some(&why), None));
    // A server that has not been heard.
    let mut pair = Pair::new();
    pair.run(Duration::from_millis(11));
    let now = pair.now;
    pair.server.conn().close(now, Code::GoingAway, "");
    pair.run(SECONDS(5));
    let why = Why::Peer(Code::GoingAway, String::new());
    assert_eq!(pair.client.down(), Some(&why));
    assert!(pair.client.conn().is_finished() && pair.server.conn().is_finished());
}

#[test]
fn nobody_answers() {
    let mut pair = Pair::new();
    pair.lose = Box::new(|_| true);
    pair.run(SECONDS(29));
    assert_eq!(pair.client.down(), None);
    pair.run(SECONDS(2));
    assert_eq!(pair.client.down(), Some(&Why::Lost(Lost::HandshakeTimeout)));
    assert!(pair.wire.len() < 35, "{} datagrams", pair.wire.len());
}

#[test]
fn what_cannot_work_is_misuse() {
    let seed = Seed::from_u64(1);
    let bad = [
        DquicConfig { max_datagram: 1_199, ..DquicConfig::default() },
        DquicConfig { max_datagram: 65_508, ..DquicConfig::default() },
        DquicConfig { idle_timeout: Duration::ZERO, ..DquicConfig::default() },
        DquicConfig { serves: true, ..DquicConfig::default() },
    ];
    for config in bad {
        assert!(matches!(stack(config, &seed), Err(Misuse::Config(_))));
    }
    let mut stack = stack(DquicConfig::default(), &seed).unwrap();
    let good = target(addr(1), Offered::Both);
    let mut dial = |target| stack.dial(Instant::ZERO, SERVER, &target).map(drop);
    assert_eq!(dial(good.clone()), Ok(()));
    for trust in [Trust::Pin([0; 32]), Trust::Roots([].into())] {
        let target = crate::transport::Target { trust, ..good.clone() };
        assert!(matches!(dial(target), Err(Misuse::Config(_))), "nobody proves a key");
    }
    let nowhere = crate::transport::Target { remote: addr(0), ..good.clone() };
    assert!(matches!(dial(nowhere), Err(Misuse::Config(_))));
    assert!(matches!(stack.set_identity(b"", b""), Err(Misuse::WrongRole(_))));
}
