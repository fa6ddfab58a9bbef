use std::collections::BTreeMap;

use super::*;
use crate::error::Misuse;
use crate::limits::CLASSIC_TRIES;

/// A sender to `peer(2)` that has sent its first packet.
fn started(layout: Layout, sizes: &[(u32, usize)]) -> (Endpoint, Outputs) {
    let mut endpoint = endpoint(None);
    let out = start(&mut endpoint, layout, sizes);
    (endpoint, out)
}

fn start(endpoint: &mut Endpoint, layout: Layout, sizes: &[(u32, usize)]) -> Outputs {
    let ids: Vec<u32> = sizes.iter().map(|(id, _)| *id).collect();
    endpoint.send(at(0), peer(2), layout, &ids).unwrap();
    feed(endpoint, at(0), sizes)
}

fn only(datagrams: &[(SocketAddr, Vec<u8>)]) -> &[u8] {
    let [(to, datagram)] = datagrams else { panic!("{} datagrams", datagrams.len()) };
    assert_eq!(*to, peer(2));
    datagram
}

fn frames(layout: Layout, datagram: &[u8]) -> Vec<(u32, u64, usize)> {
    let packet = Packet::from_bytes(layout, datagram).unwrap();
    assert_eq!(packet.header.packet_type, SHORT);
    let frames = packet.frames.iter();
    frames.map(|(frame, data)| (frame.stream_id, frame.offset, data.len())).collect()
}

/// The answer of a receiver that takes everything in a packet.
fn taken(layout: Layout, datagram: &[u8]) -> Vec<u8> {
    let number = Header::from_bytes(datagram).unwrap().packet_number;
    let counts: Vec<_> = frames(layout, datagram)
        .iter()
        .map(|(stream, offset, len)| (*stream, *offset + *len as u64))
        .collect();
    ack(layout, number, &counts)
}

fn failure(events: &[Event]) -> Why {
    match events {
        [Event::Failed { why, .. }] => *why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_packet_has_a_frame_of_every_stream_that_has_bytes_left() {
    let sizes = [(1, 5_000), (2, 0), (3, 1_200), (4, 1)];
    let (mut endpoint, mut out) = started(Layout::Classic, &sizes);
    let mut drawn = BTreeMap::new();
    let mut received: BTreeMap<u32, usize> = BTreeMap::new();
    for number in 0.. {
        if out.datagrams.is_empty() {
            break;
        }
        let datagram = only(&out.datagrams).to_vec();
        assert_eq!(Header::from_bytes(&datagram).unwrap().packet_number, number);
        let left = |id: &u32, size: &usize| *size > received.get(id).copied().unwrap_or(0);
        let open: Vec<u32> =
            sizes.iter().filter(|(id, size)| left(id, size)).map(|(id, _)| *id).collect();
        let mut ids: Vec<u32> = frames(Layout::Classic, &datagram).iter().map(|f| f.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, open);
        for (id, offset, len) in frames(Layout::Classic, &datagram) {
            let size = sizes.iter().find(|(other, _)| *other == id).unwrap().1;
            assert_eq!(offset as usize, received.get(&id).copied().unwrap_or(0));
            *received.entry(id).or_default() += len;
            if received[&id] < size {
                assert_eq!(*drawn.entry(id).or_insert(len), len, "one size for each stream");
                assert!((1_000..=2_000).contains(&len), "{len}");
            }
        }
        endpoint.handle_datagram(at(0), peer(2), &taken(Layout::Classic, &datagram));
        out = feed(&mut endpoint, at(0), &sizes);
    }
    assert_eq!(received, BTreeMap::from([(1, 5_000), (3, 1_200), (4, 1)]));
    let [Event::Sent { report, .. }] = &out.events[..] else { panic!("{out:?}") };
    assert_eq!(report.bytes(), 6_201);
    assert_eq!(report.streams.len(), 3, "nothing was sent of the empty one");
    assert_eq!(endpoint.connection(&peer(2)).unwrap().stream_bytes_sent(1), 5_000);
    assert_eq!(out.wait, None);
}

#[test]
fn many_streams_take_turns_in_packets_that_fit_a_datagram() {
    for (layout, most) in [(Layout::Classic, 64), (Layout::Wide, 3)] {
        let sizes: Vec<(u32, usize)> = (0..200).map(|id| (id, 4_000)).collect();
        let (mut endpoint, mut out) = started(layout, &sizes);
        let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
        while seen.len() < sizes.len() {
            let datagram = only(&out.datagrams).to_vec();
            assert!(datagram.len() <= MAX_SEGMENTED, "{}", datagram.len());
            let frames = frames(layout, &datagram);
            assert!((3..=most).contains(&frames.len()), "{layout:?}: {}", frames.len());
            for (id, ..) in frames {
                *seen.entry(id).or_default() += 1;
            }
            endpoint.handle_datagram(at(0), peer(2), &taken(layout, &datagram));
            out = feed(&mut endpoint, at(0), &sizes);
        }
        assert!(seen.values().all(|turns| *turns <= 2), "{layout:?}: nobody goes ahead");
    }
}

#[test]
fn nothing_to_send_is_done_at_once() {
    let (endpoint, out) = started(Layout::Classic, &[(1, 0)]);
    assert!(out.datagrams.is_empty());
    assert!(matches!(&out.events[..], [Event::Sent { report, .. }] if report.bytes() == 0));
    assert!(!endpoint.connection(&peer(2)).unwrap().is_sending());
}

#[test]
fn an_unanswered_packet_is_sent_five_times_and_strays_cost_no_try() {
    let (mut endpoint, out) = started(Layout::Classic, &[(1, 10)]);
    let first = only(&out.datagrams).to_vec();
    for tries in 2..=u64::from(CLASSIC_TRIES) {
        let deadline = at((tries - 1) * 2_000);
        // Another number, another type, no header, an incomplete frame, another address.
        let mut cut = taken(Layout::Classic, &first);
        cut.pop();
        let strays = [ack(Layout::Classic, 7, &[(1, 10)]), first.clone(), vec![6], cut];
        for stray in &strays {
            endpoint.handle_datagram(deadline, peer(2), stray);
        }
        endpoint.handle_datagram(deadline, peer(3), &taken(Layout::Classic, &first));
        let before = outputs(&mut endpoint);
        assert_eq!(before.wait, Some(deadline), "the wait goes on");
        endpoint.handle_timeout(deadline);
        let out = outputs(&mut endpoint);
        assert_eq!(only(&out.datagrams), first);
    }
    assert_eq!(outputs(&mut endpoint).wait, Some(at(10_000)));
    endpoint.handle_timeout(at(10_000));
    let out = outputs(&mut endpoint);
    assert_eq!(failure(&out.events), Why::Silent { tries: 5 });
    assert!(matches!(&out.events[..], [Event::Failed { report, .. }]
        if report.repeated == 4 && report.packets == 1 && report.bytes() == 0));
    assert_eq!(out.wait, None);
}

#[test]
fn a_peer_that_has_counted_already_is_an_error() {
    let (mut endpoint, out) = started(Layout::Classic, &[(1, 5_000), (2, 5_000)]);
    let number = Header::from_bytes(only(&out.datagrams)).unwrap().packet_number;
    endpoint.handle_datagram(at(0), peer(2), &ack(Layout::Classic, number, &[(1, 777), (2, 0)]));
    let why = failure(&outputs(&mut endpoint).events);
    assert_eq!(why, Why::AlreadyThere { stream: 1, bytes: 777 });
    assert!(why.to_string().contains("already 777 bytes of stream 1 from this address"));
    assert_eq!(endpoint.connection(&peer(2)).unwrap().stream_bytes_sent(1), 777, "it is known now");
}

#[test]
fn the_same_bytes_again_are_not_taken_for_new_ones() {
    for size in [2, 1_000, 1_500, 2_000] {
        let sizes = [(1, size)];
        let (mut endpoint, out) = started(Layout::Wide, &sizes);
        let mut datagram = only(&out.datagrams).to_vec();
        loop {
            endpoint.handle_datagram(at(0), peer(2), &taken(Layout::Wide, &datagram));
            let out = feed(&mut endpoint, at(0), &sizes);
            match out.datagrams.first() {
                Some((_, next)) => datagram = next.clone(),
                None => break,
            }
        }
        let out = start(&mut endpoint, Layout::Wide, &sizes);
        let [(1, 0, len)] = frames(Layout::Wide, only(&out.datagrams))[..] else { panic!() };
        assert_ne!(len, size, "the answer to as many bytes as it has would tell nothing");
        let number = Header::from_bytes(only(&out.datagrams)).unwrap().packet_number;
        let answer = ack(Layout::Wide, number, &[(1, size as u64)]);
        endpoint.handle_datagram(at(0), peer(2), &answer);
        let why = failure(&outputs(&mut endpoint).events);
        assert_eq!(why, Why::AlreadyThere { stream: 1, bytes: size as u64 });
    }
}

#[test]
fn a_single_byte_that_the_peer_has_is_not_sent_again() {
    let (mut endpoint, out) = started(Layout::Classic, &[(1, 1)]);
    endpoint.handle_datagram(at(0), peer(2), &taken(Layout::Classic, only(&out.datagrams)));
    feed(&mut endpoint, at(0), &[(1, 1)]);
    let out = start(&mut endpoint, Layout::Classic, &[(1, 1)]);
    assert!(out.datagrams.is_empty());
    assert_eq!(failure(&out.events), Why::AlreadyThere { stream: 1, bytes: 1 });
}

#[test]
fn a_receiver_that_starts_anew_gets_everything_again() {
    let sizes = [(1, 5_000)];
    let (mut endpoint, out) = started(Layout::Classic, &sizes);
    endpoint.handle_datagram(at(0), peer(2), &taken(Layout::Classic, only(&out.datagrams)));
    let out = feed(&mut endpoint, at(0), &sizes);
    let number = Header::from_bytes(only(&out.datagrams)).unwrap().packet_number;
    endpoint.handle_datagram(at(0), peer(2), &ack(Layout::Classic, number, &[(1, 0)]));
    let out = feed(&mut endpoint, at(0), &sizes);
    assert_eq!(frames(Layout::Classic, only(&out.datagrams))[0].1, 0);
}

#[test]
fn a_peer_that_never_takes_anything_is_given_up() {
    for answers in [&[(1, 0)][..], &[], &[(9, 3)]] {
        let sizes = [(1, 5_000)];
        let (mut endpoint, mut out) = started(Layout::Classic, &sizes);
        let mut packets = 0;
        while out.events.is_empty() {
            packets += 1;
            assert!(packets < 20, "it goes on for ever");
            let number = Header::from_bytes(only(&out.datagrams)).unwrap().packet_number;
            endpoint.handle_datagram(at(0), peer(2), &ack(Layout::Classic, number, answers));
            out = feed(&mut endpoint, at(0), &sizes);
        }
        assert_eq!(failure(&out.events), Why::Stuck);
    }
}

#[test]
fn a_peer_that_goes_back_again_and_again_is_given_up() {
    let sizes = [(1, 50_000)];
    let (mut endpoint, mut out) = started(Layout::Classic, &sizes);
    for packet in 0.. {
        assert!(packet < 100, "it goes on for ever");
        if !out.events.is_empty() {
            break;
        }
        let datagram = only(&out.datagrams);
        let number = Header::from_bytes(datagram).unwrap().packet_number;
        let back = ack(Layout::Classic, number, &[(1, 0)]);
        let answer = if packet % 2 == 0 { taken(Layout::Classic, datagram) } else { back };
        endpoint.handle_datagram(at(0), peer(2), &answer);
        out = feed(&mut endpoint, at(0), &sizes);
    }
    assert_eq!(failure(&out.events), Why::Stuck);
}

#[test]
fn bytes_that_nobody_asked_for_are_misuse() {
    let mut endpoint = endpoint(None);
    let supply = |endpoint: &mut Endpoint, stream, offset, len: usize| {
        endpoint.supply(at(0), peer(2), stream, offset, vec![0; len].into())
    };
    assert_eq!(supply(&mut endpoint, 1, 0, 1), Err(Misuse::Gone));
    endpoint.send(at(0), peer(2), Layout::Classic, &[1]).unwrap();
    assert_eq!(endpoint.send(at(0), peer(2), Layout::Classic, &[1]), Err(Refused::Busy));
    assert!(matches!(supply(&mut endpoint, 2, 0, 1), Err(Misuse::WrongState { .. })));
    let elsewhere = Misuse::NotWanted { wanted: 0, supplied: 5 };
    assert_eq!(supply(&mut endpoint, 1, 5, 1), Err(elsewhere));
    assert!(matches!(supply(&mut endpoint, 1, 0, 2_001), Err(Misuse::TooMuch { .. })));
    assert_eq!(supply(&mut endpoint, 1, 0, 1), Ok(()));
    assert!(matches!(supply(&mut endpoint, 1, 0, 1), Err(Misuse::WrongState { .. })));
    outputs(&mut endpoint);
    endpoint.cancel(at(0), peer(2));
    assert_eq!(failure(&outputs(&mut endpoint).events), Why::Cancelled);
    assert_eq!(endpoint.send(at(0), peer(0), Layout::Classic, &[1]), Err(Refused::Address));
}
