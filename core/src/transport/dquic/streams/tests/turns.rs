//! Whose data goes into a packet.

use super::*;
use crate::transport::dquic::recovery::Item;

const WIDE: Credit = Credit {
    max_data: 1 << 30,
    max_stream_data: 1 << 20,
    max_streams_bidi: 20,
    max_streams_uni: 2,
};

/// A client with streams of these ranks, each with this much to send.
fn client_with(ranks: &[u8], bytes: usize) -> (Streams, Vec<StreamId>) {
    let mut client = end_with(Side::Client, WIDE);
    client.set_budget(1 << 24);
    let open = |rank: &u8| {
        let id = client.open(Dir::Bidi).unwrap();
        client.prioritize(id, *rank);
        assert_eq!(write(&mut client, id, &vec![0; bytes], true), bytes);
        id
    };
    let ids = ranks.iter().map(open).collect();
    (client, ids)
}

/// Stream and bytes of each STREAM frame of the next packet.
fn next(client: &mut Streams) -> Vec<(StreamId, u64)> {
    let Some((_, carried)) = packet(client, Instant::ZERO, MTU) else { return Vec::new() };
    let streams = carried.items.iter().filter_map(|item| match item {
        Item::Stream { id, range, .. } => Some((*id, range.end - range.start)),
        _ => None,
    });
    streams.collect()
}

#[test]
fn equal_ranks_share_to_a_packet() {
    let (mut client, ids) = client_with(&[5; 7], 100_000);
    let mut sent = BTreeMap::new();
    for _ in 0..7 * 40 + 3 {
        for (id, len) in next(&mut client) {
            *sent.entry(id).or_insert(0) += len;
        }
    }
    let (low, high) = (sent.values().min().unwrap(), sent.values().max().unwrap());
    assert_eq!(sent.len(), ids.len());
    assert!(high - low <= MTU as u64, "{sent:?}");
}

#[test]
fn a_lower_rank_goes_first_whatever_was_written_before() {
    let (mut client, ids) = client_with(&[9, 3, 9, 3, 6], 3_000);
    let mut order = Vec::new();
    loop {
        let packet = next(&mut client);
        if packet.is_empty() {
            break;
        }
        order.extend(packet.into_iter().map(|(id, _)| client_rank(&ids, id)));
    }
    assert!(order.is_sorted(), "{order:?}");
    // What comes in between goes first as well.
    let (mut client, ids) = client_with(&[9, 9], 30_000);
    next(&mut client);
    let chat = client.open(Dir::Bidi).unwrap();
    client.prioritize(chat, 1);
    write(&mut client, chat, b"now", true);
    let packet = next(&mut client);
    assert_eq!(packet[0], (chat, 3));
    assert!(ids.contains(&packet[1].0), "and the packet is filled up");
}

fn client_rank(ids: &[StreamId], id: StreamId) -> u8 {
    let place = ids.iter().position(|other| *other == id).unwrap();
    [9, 3, 9, 3, 6][place]
}

#[test]
fn a_rank_can_change_while_data_waits() {
    let (mut client, ids) = client_with(&[5, 5], 30_000);
    client.prioritize(ids[0], 6);
    assert!((0..5).all(|_| next(&mut client)[0].0 == ids[1]));
    client.prioritize(ids[0], 4);
    assert!((0..5).all(|_| next(&mut client)[0].0 == ids[0]));
}

#[test]
fn blocked_writers_are_woken_by_rank_and_in_the_order_of_waiting() {
    let (mut client, ids) = client_with(&[5, 7, 5, 3], 0);
    let mut ids = ids;
    for (id, rank) in ids.iter_mut().zip([5, 7, 5, 3]) {
        *id = client.open(Dir::Bidi).unwrap();
        client.prioritize(*id, rank);
    }
    client.set_budget(0);
    for id in &ids {
        write(&mut client, *id, &vec![0; 1 << 16], false);
    }
    client.set_budget(1 << 20);
    let woken = [3, 0, 2, 1].map(|n| Signal::Writable(ids[n]));
    assert_eq!(signals(&mut client), woken);
}

#[test]
fn one_packet_carries_many_small_streams() {
    let (mut client, ids) = client_with(&[5; 10], 50);
    let packet = next(&mut client);
    assert_eq!(packet, ids.iter().map(|id| (*id, 50)).collect::<Vec<_>>());
    assert!(!client.wants_to_send());
}

#[test]
fn a_packet_is_filled_to_the_last_byte_and_never_beyond() {
    for room in 0..300 {
        let (mut client, _) = client_with(&[5, 5], 150);
        let mut total = 0;
        let mut packets = 0;
        while let Some((payload, carried)) = packet(&mut client, Instant::ZERO, room) {
            assert!(payload.len() <= room);
            packets += 1;
            for item in &carried.items {
                let Item::Stream { range, .. } = item else { panic!("{item:?}") };
                total += range.end - range.start;
            }
            if client.wants_to_send() {
                assert!(payload.len() + 40 > room, "{} of {room}", payload.len());
            }
        }
        if client.wants_to_send() {
            assert!(room < 40, "{room} bytes would have been enough");
        } else {
            assert_eq!(total, 300, "{room}");
            assert!(packets <= 12, "{packets} packets of {room}");
        }
    }
}
