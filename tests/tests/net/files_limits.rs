//! Peers that take more of files than the limits allow.

use anabranch_core::files::block::Head;
use anabranch_core::files::message::Message;
use anabranch_core::files::{End, Event, hash};
use anabranch_core::id::{Dir, StreamId};
use anabranch_core::wire::varint;
use anabranch_core::{Code, Violation, limits};

use super::files::{PIECE, SECONDS};
use super::files_rogue::{encode, ends, entry, offer, page, receiving, request, rogue, say};

#[test]
fn a_sender_that_opens_too_many_data_streams_is_stopped() {
    let (mut pair, control) = receiving();
    let mut prefix = Vec::new();
    varint::put(&mut prefix, 4);
    varint::put(&mut prefix, control.0);
    let ids: Vec<StreamId> = (0..=limits::MAX_DATA_STREAMS)
        .map(|_| pair.rogues[0].open(Dir::Uni, &prefix, false))
        .collect();
    pair.run_for(SECONDS(1));
    let last = ids[limits::MAX_DATA_STREAMS];
    pair.rogues[0].write_on(last, &[0]);
    let stopped = pair.rogues[0].stopped.get(&last).copied();
    assert_eq!(stopped, Some(anabranch_core::transport::StreamEnd::ByPeer(Code::Limit)));
    pair.rogues[0].write_on(ids[0], &[0]);
    assert_eq!(pair.rogues[0].stopped.get(&ids[0]), None);
}

#[test]
fn entries_are_announced_only_so_far_ahead() {
    let mut pair = rogue();
    let id = say(&mut pair, &[offer()]);
    let mut first = 0u32;
    while first as usize <= limits::MAX_OPEN_ENTRIES {
        let entries = (first..first + 128).map(|n| entry(&format!("{n}"), 1)).collect();
        pair.rogues[0].write(id, &page(first, false, entries).encode(), false);
        first += 128;
    }
    let how = ends(&mut pair, "too many entries");
    assert_eq!(how, End::Violation(Violation::FileLimit("entries")));
}

#[test]
fn pieces_are_sent_only_so_far_ahead_of_their_acknowledgement() {
    let mut pair = rogue();
    pair.server_files.habits.store_delay = SECONDS(1_000);
    let id = say(&mut pair, &[offer()]);
    let count = limits::MAX_OPEN_PIECES as u32 + 1;
    // Of one file, since there are not so many entries at once.
    let size = u64::from(count) * PIECE;
    pair.rogues[0].write(id, &page(0, true, vec![entry("a", size)]).encode(), false);
    pair.run_for(SECONDS(1));
    let bytes = vec![0; 64 << 10];
    let mut stream = Vec::new();
    varint::put(&mut stream, 4);
    varint::put(&mut stream, id.0);
    let data = pair.rogues[0].open(Dir::Uni, &stream, false);
    // 64 MiB and a piece are reached before there are so many pieces.
    let enough = (limits::MAX_FILE_WINDOW + u64::from(limits::MAX_PIECE)) / PIECE + 1;
    for piece in 0..enough {
        let mut one = Vec::new();
        let hash = hash::piece(&bytes);
        Head { file: 0, piece, len: 64 << 10, hash }.encode(&mut one);
        one.extend_from_slice(&bytes);
        pair.rogues[0].write(data, &one, false);
        if piece % 16 == 0 {
            pair.run_for(std::time::Duration::from_millis(30));
        }
    }
    let how = ends(&mut pair, "too many pieces");
    assert_eq!(how, End::Violation(Violation::FileLimit("pieces that are not stored")));
}

#[test]
fn so_many_pieces_may_wait_to_be_stored() {
    let mut pair = rogue();
    pair.server_files.habits.store_delay = SECONDS(1_000);
    let id = say(&mut pair, &[offer()]);
    // Last pieces are small: many of them fit a window.
    let count = u32::try_from(limits::MAX_OPEN_ENTRIES).unwrap();
    for first in (0..count).step_by(128) {
        let entries = (first..first + 128).map(|n| entry(&format!("{n}"), PIECE + 1)).collect();
        pair.rogues[0].write(id, &page(first, first + 128 == count, entries).encode(), false);
    }
    pair.run_for(SECONDS(1));
    let mut stream = Vec::new();
    varint::put(&mut stream, 4);
    varint::put(&mut stream, id.0);
    for file in 0..count {
        Head { file, piece: 1, len: 1, hash: hash::piece(&[0]) }.encode(&mut stream);
        stream.push(0);
    }
    let data = pair.rogues[0].open(Dir::Uni, &stream, false);
    pair.run_for(SECONDS(1));
    assert!(pair.server_files.ended.is_empty(), "{:?}", pair.server_files.ended);
    let bytes = vec![0; 64 << 10];
    let mut one = Vec::new();
    Head { file: 0, piece: 0, len: 64 << 10, hash: hash::piece(&bytes) }.encode(&mut one);
    pair.rogues[0].write(data, &[one, bytes].concat(), false);
    let how = ends(&mut pair, "one piece more");
    assert_eq!(how, End::Violation(Violation::FileLimit("pieces that are not stored")));
}

#[test]
fn so_many_streams_in_one_direction_are_open_at_once() {
    let mut pair = rogue();
    let mut opened = 0;
    while let Some(id) = pair.rogues[0].transport.open(Dir::Uni) {
        pair.rogues[0].write(id, &[0xc0, 0], false);
        opened += 1;
    }
    assert_eq!(opened, limits::MAX_PEER_UNI_STREAMS);
    // Those that are refused make room for others.
    pair.run_for(SECONDS(1));
    assert_eq!(pair.rogues[0].down, None);
}

#[test]
fn a_peer_that_never_reads_or_never_answers_stops_only_itself() {
    // It asks for everything, and says nothing more.
    let mut pair = rogue();
    for _ in 0..limits::MAX_TRANSFERS {
        pair.rogues[0].open_typed(3, &request(&["s"], 1 << 20).encode(), false);
    }
    let more = pair.rogues[0].open_typed(3, &request(&["s"], 1 << 20).encode(), false);
    pair.run_for(SECONDS(2));
    assert_eq!(pair.rogues[0].received(more).end, Some(Err(Code::Limit)));
    assert_eq!(pair.server_files.ended.len(), 0);
    // Pauses and resumes by the thousand are events, and no more than fit.
    let mut pair = rogue();
    let id = pair.rogues[0].open_typed(3, &request(&["s"], 1 << 20).encode(), false);
    let flood: Vec<Message> = (0..20_000)
        .map(|n| if n % 2 == 0 { Message::Pause { reason: "x".into() } } else { Message::Resume })
        .collect();
    pair.rogues[0].write(id, &encode(&flood), false);
    pair.run_for(SECONDS(5));
    let pauses = pair.server_files.told.iter().filter(|(_, event)| *event == Event::Resumed);
    assert_eq!(pauses.count(), 10_000);
    assert_eq!(pair.rogues[0].down, None);
}
