use super::*;
use crate::limits::{MAX_TOKEN, MIN_INITIAL_DATAGRAM};

fn id(len: usize) -> CidBytes {
    CidBytes::new(&[0xab; MAX_ID][..len]).unwrap()
}

fn header(version: u32) -> Header {
    Header { version, dcid: id(8), scid: id(17) }
}

fn data(dcid: &[u8], number: u64, frames: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 1_500];
    let mut out = Out::new(&mut packet);
    assert!(begin_data(&mut out, dcid, number) && out.put(frames));
    let len = out.len();
    let len = seal(&mut packet, len);
    packet.truncate(len);
    packet
}

fn made(write: impl FnOnce(&mut Vec<u8>) -> usize) -> Vec<u8> {
    let mut out = vec![9, 9];
    let len = write(&mut out);
    assert_eq!(out.len(), 2 + len);
    out.split_off(2)
}

/// One of each.
fn every() -> Vec<Vec<u8>> {
    vec![
        made(|out| hello(out, &header(VERSION), b"token", b"params")),
        made(|out| retry(out, &header(VERSION), b"token")),
        made(|out| version(out, &header(7))),
        made(|out| welcome(out, &header(VERSION), b"params")),
        made(|out| reset(out, &[5; 16])),
        data(&[1; 17], 12_345, b"frames"),
    ]
}

/// Any bytes with a good tag.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut packet = bytes.to_vec();
    packet.resize(bytes.len() + TAG, 0);
    seal(&mut packet, bytes.len());
    packet
}

#[test]
fn every_packet_is_read_as_it_was_written() {
    let mine = header(VERSION);
    let answer = Header { version: 0, dcid: id(17), scid: id(8) };
    let packets = every();
    let expected = [
        Packet::Hello { header: mine, token: b"token", params: b"params" },
        Packet::Retry { header: mine, token: b"token" },
        Packet::Version { header: answer, versions: &VERSION.to_be_bytes() },
        Packet::Welcome { header: mine, params: b"params" },
        Packet::Reset { token: [5; 16] },
        Packet::Data { dcid: &[1; 17], number: 12_345, frames: b"frames" },
    ];
    for (bytes, expected) in packets.iter().zip(expected) {
        assert_eq!(Packet::read(bytes), Some(expected));
        assert_eq!(bytes[0] & 0xc0, 0, "QUIC has one of these bits");
        assert!(![3, 6].contains(&bytes[0]), "classic DQUIC");
    }
    assert_eq!(packets[0].len(), MIN_INITIAL_DATAGRAM);
    assert_eq!(packets[4].len(), RESET_LEN);
    assert_eq!(data_id(&packets[5]), Some(&[1; 17][..]));
    assert!(packets[..5].iter().all(|packet| data_id(packet).is_none()));
}

#[test]
fn damage_of_any_kind_is_seen() {
    for packet in every() {
        for bit in 0..packet.len() * 8 {
            let mut bent = packet.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Packet::read(&bent), None, "bit {bit}");
        }
        for len in 0..packet.len() {
            assert_eq!(Packet::read(&packet[..len]), None, "{len} bytes");
        }
        assert_eq!(Packet::read(&[&packet[..], &[0]].concat()), None);
    }
}

#[test]
fn packets_cut_short_under_a_good_tag_are_none() {
    for packet in every() {
        let body = &packet[..packet.len() - TAG];
        let is_hello = body[0] == kind::HELLO;
        // Padding, params and frames end where the packet ends.
        let least = match body[0] {
            kind::HELLO => 1 + 4 + 9 + 18 + 6 + 7,
            kind::DATA => 2 + 17 + 2,
            kind::VERSION => body.len(),
            _ => body.len(),
        };
        for len in 0..body.len() {
            let cut = sealed(&body[..len]);
            assert_eq!(Packet::read(&cut).is_some(), len >= least, "{:#x}, {len}", body[0]);
        }
        assert!(is_hello || Packet::read(&sealed(&body[..least])).is_some());
    }
}

#[test]
fn fields_that_cannot_be() {
    let long_id = [0; MAX_ID + 1];
    let with = |kind: u8, version: u32, rest: &[u8]| {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(rest);
        sealed(&bytes)
    };
    let mut long_dcid = vec![kind::WELCOME];
    long_dcid.extend_from_slice(&VERSION.to_be_bytes());
    long_dcid.push(21);
    long_dcid.extend_from_slice(&long_id);
    long_dcid.extend_from_slice(&[0, 0]);
    let mut token = Vec::new();
    varint::put_bytes(&mut token, &[0; MAX_TOKEN + 1]);
    let cases: [(&str, Vec<u8>); 11] = [
        ("an unknown type", sealed(&[0x16, 0, 0, 0])),
        ("a classic packet", sealed(&[3, 0, 0, 0, 0])),
        ("a long id", sealed(&long_dcid)),
        ("a long id of a DATA packet", data(&long_id, 0, b"x")),
        ("a HELLO of version 0", with(kind::HELLO, 0, &[0, 0])),
        ("a WELCOME of another version", with(kind::WELCOME, 2, &[0])),
        ("a RETRY of another version", with(kind::RETRY, 2, &[1, 1])),
        ("a RETRY without a token", with(kind::RETRY, VERSION, &[0])),
        ("a long token", with(kind::RETRY, VERSION, &token)),
        ("a list of no versions", with(kind::VERSION, 0, &[])),
        ("half a version", with(kind::VERSION, 0, &[0, 0])),
    ];
    for (what, packet) in cases {
        assert_eq!(Packet::read(&packet), None, "{what}");
    }
    assert_eq!(Packet::read(&sealed(&[kind::RESET, 0, 0])), None);
    assert_eq!(Packet::read(&[]), None);
}

#[test]
fn a_hello_of_another_version_is_read_as_far_as_versions_agree() {
    let mut bytes = every().remove(0);
    bytes.truncate(bytes.len() - TAG);
    bytes[1..5].copy_from_slice(&9u32.to_be_bytes());
    bytes[32..].fill(0xff);
    assert_eq!(Packet::read(&sealed(&bytes)), Some(Packet::OtherVersion(header(9))));
}

#[test]
fn there_is_no_room_for_a_packet_in_too_little() {
    let mut small = [0; 20];
    assert!(!begin_data(&mut Out::new(&mut small), &[1; 17], 1 << 40));
    const { assert!(DATA_OVERHEAD >= 2 + 17 + 8 + TAG) };
}
