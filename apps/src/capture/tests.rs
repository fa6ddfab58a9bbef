use std::net::SocketAddr;

use super::testing::{Pcapng, fragments, frame, packet, pcap, vlan};
use super::*;
use crate::exit::Exit;

type Seen = (u64, SocketAddr, SocketAddr, Vec<u8>, usize);

fn seen(bytes: &[u8]) -> Result<(Vec<Seen>, Notes), Failure> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("capture");
    std::fs::write(&path, bytes).unwrap();
    let mut seen = Vec::new();
    let notes = read(&path, &mut |datagram| {
        let Datagram { time, from, to, payload, length } = datagram;
        seen.push((time, from, to, payload.to_vec(), length));
    })?;
    Ok((seen, notes))
}

fn v4() -> (SocketAddr, SocketAddr) {
    ("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:9999".parse().unwrap())
}

fn v6() -> (SocketAddr, SocketAddr) {
    ("[fe80::1]:4000".parse().unwrap(), "[fe80::2]:9999".parse().unwrap())
}

#[test]
fn every_link_type_carries_both_versions_of_ip() {
    for link in [0, 1, 101, 108, 113, 276] {
        for (from, to) in [v4(), v6()] {
            // Ethernet pads short frames.
            let mut bytes = frame(link, &packet(from, to, b"hello"));
            bytes.extend([0; 9]);
            let want = (1_000_000_007_000, from, to, b"hello".to_vec(), 5);
            let (old, notes) = seen(&pcap(link, false, &[(want.0, bytes.clone())])).unwrap();
            assert_eq!(old, std::slice::from_ref(&want), "pcap, link type {link}");
            assert_eq!((notes.packets, notes.datagrams), (1, 1));
            for big_endian in [false, true] {
                let mut file = Pcapng::new(big_endian);
                file.interface(u16::try_from(link).unwrap(), None, None);
                file.packet(0, 1_000_000_007, &bytes, bytes.len());
                assert_eq!(
                    seen(&file.bytes).unwrap().0,
                    std::slice::from_ref(&want),
                    "link type {link}"
                );
            }
        }
    }
}

#[test]
fn vlan_tags_are_looked_through() {
    let (from, to) = v4();
    let (found, _) = seen(&pcap(1, true, &[(5, vlan(&packet(from, to, b"tagged")))])).unwrap();
    assert_eq!(found, [(5, from, to, b"tagged".to_vec(), 6)]);
}

#[test]
fn each_interface_has_its_own_link_type_and_clock() {
    let (from, to) = v4();
    let ip = packet(from, to, b"x");
    for big_endian in [false, true] {
        let mut file = Pcapng::new(big_endian);
        file.interface(1, Some(9), None);
        file.interface(101, Some(0x80 | 10), Some(100));
        file.packet(1, 3 << 10, &ip, ip.len());
        file.packet(0, 7, &frame(1, &ip), ip.len() + 14);
        let mut second = Pcapng::new(big_endian);
        second.interface(276, None, None);
        second.packet(0, 9, &frame(276, &ip), ip.len() + 20);
        second.simple(&frame(276, &ip));
        file.bytes.extend(second.bytes);
        let (found, notes) = seen(&file.bytes).unwrap();
        let times: Vec<u64> = found.iter().map(|(time, ..)| *time).collect();
        assert_eq!(times, [103_000_000_000, 7, 9_000, 9_000], "big endian: {big_endian}");
        assert_eq!(notes.warnings(), [""; 0]);
    }
}

#[test]
fn fragments_are_put_together_in_any_order() {
    for (from, to) in [v4(), v6()] {
        let payload: Vec<u8> = (0..5_000_u32).map(|n| n as u8).collect();
        let mut parts = fragments(from, to, 7, &payload, 1_480);
        parts.rotate_left(1);
        let parts: Vec<_> = parts.iter().map(|part| (1, frame(1, part))).collect();
        let (found, notes) = seen(&pcap(1, true, &parts)).unwrap();
        assert_eq!(found, [(1, from, to, payload, 5_000)]);
        assert_eq!((notes.reassembled, notes.fragments), (1, 0));
    }
}

#[test]
fn fragments_without_the_rest_are_told_of() {
    let (from, to) = v4();
    let mut parts = fragments(from, to, 7, &[1; 3_000], 1_480);
    parts.remove(1);
    let mut packets: Vec<_> = parts.iter().map(|part| (1, frame(1, part))).collect();
    // The same number a minute after is of another packet.
    let late = fragments(from, to, 7, &[2; 3_000], 1_480);
    packets.extend(late.iter().map(|part| (60_000_000_000, frame(1, part))));
    let (found, notes) = seen(&pcap(1, true, &packets)).unwrap();
    assert_eq!(found, [(60_000_000_000, from, to, vec![2; 3_000], 3_000)]);
    assert_eq!(notes.fragments, 2);
    assert!(notes.warnings()[0].contains("2 IP fragments left out"), "{:?}", notes.warnings());
}

#[test]
fn waiting_fragments_are_limited() {
    let (from, to) = v4();
    let first = |id| frame(1, &fragments(from, to, id, &[1; 3_000], 1_480)[0]);
    let mut packets: Vec<_> = (0..1_025).map(|id| (u64::from(id), first(id))).collect();
    for id in [0, 1_024] {
        let parts = fragments(from, to, id, &[1; 3_000], 1_480);
        packets.extend(parts[1..].iter().map(|part| (2_000, frame(1, part))));
    }
    let (found, notes) = seen(&pcap(1, true, &packets)).unwrap();
    assert_eq!(found.len(), 1, "the first packet had to make place for the last one");
    assert_eq!(notes.fragments, 1_023 + 3);
}

#[test]
fn a_snapshot_length_and_strangers_are_told_of() {
    let (from, to) = v4();
    let ip = packet(from, to, &[7; 500]);
    let mut file = Pcapng::new(false);
    file.interface(101, None, None);
    file.interface(147, None, None);
    file.packet(0, 1, &ip[..96], ip.len());
    file.packet(1, 1, &ip, ip.len());
    file.packet(2, 1, &ip, ip.len());
    file.packet(0, 1, &frame(1, &ip)[..60], 60);
    file.block(2, &[0; 40]);
    let (found, notes) = seen(&file.bytes).unwrap();
    assert_eq!(found, [(1_000, from, to, vec![7; 96 - 28], 500)]);
    let warnings = notes.warnings().join("\n");
    for text in ["1 datagram cut off", "link type 147", "2 packets left out: no interface"] {
        assert!(warnings.contains(text), "{text} in\n{warnings}");
    }
    assert_eq!(notes.other, 1);
}

#[test]
fn files_that_are_not_captures_are_refused() {
    for (bytes, words) in [
        (&b""[..], "is empty"),
        (b"\x0a\x0d\x0d\x0a", "neither"),
        (b"GIF89a, not a capture, and longer than any header", "neither"),
    ] {
        let failure = seen(bytes).unwrap_err();
        assert_eq!(failure.exit, Exit::Data);
        assert!(failure.what.contains(words), "{failure}");
    }
    let missing = read(Path::new("/nowhere/at/all"), &mut |_| {}).unwrap_err();
    assert_eq!(missing.exit, Exit::NoInput);
}

/// Whatever is done to a file, it is read to the end or refused.
#[test]
fn damaged_files_are_read_as_far_as_possible() {
    let (from, to) = v4();
    let mut file = Pcapng::new(false);
    file.interface(1, Some(9), None);
    for time in 0..3 {
        let bytes = frame(1, &packet(from, to, b"some bytes"));
        file.packet(0, time, &bytes, bytes.len());
    }
    let packets = vec![(1, frame(1, &packet(from, to, b"x"))); 3];
    for whole in [file.bytes, pcap(1, true, &packets)] {
        let (all, notes) = seen(&whole).unwrap();
        assert_eq!((all.len(), notes.damage), (3, None));
        let mut cut_off = 0;
        for end in 0..whole.len() {
            if let Ok((found, notes)) = seen(&whole[..end]) {
                assert_eq!(found, all[..found.len()]);
                cut_off += usize::from(notes.damage.is_some_and(|damage| damage.cut_off));
            }
        }
        assert!(cut_off > 50, "{cut_off}");
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let _ = seen(&bytes);
            }
        }
    }
}

#[test]
fn a_block_longer_than_the_buffer_is_read() {
    let (from, to) = v4();
    let mut file = Pcapng::new(false);
    file.interface(101, None, None);
    file.block(0xbad, &vec![0; 3 << 20]);
    let ip = packet(from, to, b"after it");
    file.packet(0, 1, &ip, ip.len());
    let (found, notes) = seen(&file.bytes).unwrap();
    assert_eq!((found.len(), notes.damage), (1, None));
    // No block is that long.
    let mut bytes = file.bytes;
    let at = bytes.len() - ip.len().next_multiple_of(4) - 32 + 4;
    bytes[at..at + 4].copy_from_slice(&0x7fff_fffc_u32.to_le_bytes());
    let damage = seen(&bytes).unwrap().1.damage;
    assert!(damage.is_some(), "{damage:?}");
}
