//! Everything is bounded: what a recording holds, what a trace may claim.

use super::super::codec::{Field as _, Source, Writer};
use super::super::file::{BLOCK_HEAD, put_block};
use super::*;
use crate::event;
use crate::id::MediaId;
use crate::io::{Path, Transmit};
use crate::limits;
use crate::wire::varint::Cursor;

fn datagram(n: u32, data: Data) -> Entry {
    let local = std::net::SocketAddr::from(([192, 0, 2, 1], 9_000));
    let [_, a, b, c] = n.to_be_bytes();
    let remote = std::net::SocketAddr::from(([10, a, b, c], 1));
    Entry::Datagram { path: Path { local, remote }, ecn: None, data }
}

fn kept(len: usize) -> Data {
    Data::new(&vec![7; len], true)
}

#[test]
fn a_recording_that_nobody_takes_away_ends_with_a_mark_within_its_room() {
    let room = Room { buffer: 200_000, ..Room::default() };
    let recorder = Recorder::new(&header(), room);
    let mut given = 0;
    while recorder.status() == Status::Recording {
        Sink::take(&recorder, datagram(given, kept(1_000)));
        given += 1;
        assert!(recorder.waiting() <= room.buffer);
    }
    assert_eq!(recorder.status(), Status::Truncated(Cause::Buffer));
    assert!((100..200).contains(&given), "{given} datagrams of 1 000 bytes");
    let mut bytes = Vec::new();
    recorder.take(&mut bytes);
    for _ in 0..1_000 {
        Sink::take(&recorder, datagram(0, kept(1_000)));
    }
    recorder.finish();
    assert_eq!((recorder.waiting(), recorder.status()), (0, Status::Truncated(Cause::Buffer)));
    let (records, end) = read(&bytes);
    assert_eq!(end, Ok(()));
    assert_eq!(records.len() as u32, given, "the last one is the mark");
    assert_eq!(records.last().unwrap().entry, Entry::Truncated(Cause::Buffer));
}

#[test]
fn a_recording_that_is_taken_away_goes_on_to_its_length() {
    let room = Room { buffer: 200_000, length: 1_000_000 };
    let recorder = Recorder::new(&header(), room);
    let mut bytes = Vec::new();
    for n in 0.. {
        if recorder.status() != Status::Recording {
            break;
        }
        Sink::take(&recorder, datagram(n, kept(1_000)));
        recorder.take(&mut bytes);
    }
    assert_eq!(recorder.status(), Status::Truncated(Cause::Length));
    assert!((900_000..=1_000_000).contains(&bytes.len()), "{} bytes", bytes.len());
    let (records, end) = read(&bytes);
    assert_eq!((end, &records.last().unwrap().entry), (Ok(()), &Entry::Truncated(Cause::Length)));
}

#[test]
fn the_room_by_default_is_what_the_limits_say() {
    let room = Room::default();
    assert_eq!(room.buffer, limits::TRACE_BUFFER);
    assert_eq!(room.length, limits::MAX_TRACE_LENGTH);
}

#[test]
fn the_largest_catalogue_fits_into_a_block() {
    let entry = |n: usize| {
        let mut name = format!("{n:08}");
        name.extend(std::iter::repeat_n('n', limits::MAX_NAME - name.len()));
        let kind = "k".repeat(limits::MAX_KIND);
        event::Entry { name, size: Some(u64::MAX), bitrate: Some(u32::MAX), kind }
    };
    let entries = (0..limits::MAX_CATALOGUE).map(|n| (MediaId(u32::MAX), entry(n))).collect();
    let catalogue = Entry::Catalogue { entries, default: None };
    let bytes = write(&header(), [(at(0), Entry::Timeout), (at(0), catalogue.clone())]);
    let (records, _) = read(&bytes);
    assert_eq!(records[1].entry, catalogue);
    assert!(bytes.len() > limits::MAX_TRACE_BLOCK * 3 / 4);
}

#[test]
fn a_block_that_claims_more_than_there_is_takes_no_memory() {
    let mut bytes = write(&header(), []);
    let offset = bytes.len() as u64;
    let len = u32::try_from(limits::MAX_TRACE_BLOCK).unwrap() + 1;
    bytes.extend(len.to_be_bytes());
    bytes.extend([0; 8]);
    assert_eq!(read(&bytes).1, Err(TraceError::BlockLength { offset, len }));
}

#[test]
fn what_is_longer_than_a_limit_is_written_only_so_far() {
    let reason = "é".repeat(limits::MAX_TRACE_TEXT);
    let close = |reason| Entry::Transport(CONN, Call::Close { code: crate::Code::None, reason });
    let bytes = write(&header(), [(at(0), close(reason.clone()))]);
    let cut = close(reason[..limits::MAX_TRACE_TEXT].to_owned());
    assert_eq!(read(&bytes).0[0].entry, cut);
    assert_eq!(
        Data::new(&vec![0; limits::MAX_TRACE_DATA + 5], false).len(),
        limits::MAX_TRACE_DATA
    );
    let mut header = header();
    header.about.settings = vec![1; limits::MAX_TRACE_SETTINGS + 1];
    let back = super::super::header(&write(&header, [])).unwrap();
    assert_eq!(back.about.settings.len(), limits::MAX_TRACE_SETTINGS);
}

fn parse(bytes: &[u8]) -> Result<Entry, &'static str> {
    let mut from = Source { cursor: Cursor::new(bytes), now: at(0), paths: &mut Vec::new() };
    Entry::get(&mut from)
}

#[test]
fn what_claims_more_than_a_limit_is_refused() {
    let long = |entry: Entry, from: &[u8], to: &[u8]| {
        let mut writer = Writer::new();
        entry.put(&mut writer);
        let at = writer.out.windows(from.len()).position(|window| window == from).unwrap();
        writer.out.splice(at..at + from.len(), to.iter().copied());
        parse(&writer.out)
    };
    let number = |value: usize| {
        let mut writer = Writer::new();
        value.put(&mut writer);
        writer.out
    };
    // One byte that was kept: one part, 2 * 1 + 1, and the byte.
    let one = || datagram(0, kept(1));
    let parts = [number(limits::MAX_TRACE_PARTS + 2), vec![3, 7]].concat();
    assert_eq!(long(one(), &[1, 3, 7], &parts), Err("a length is beyond its limit"));
    let bytes = [vec![1], number(2 * (limits::MAX_TRACE_DATA + 1)), vec![0; 8]].concat();
    assert_eq!(long(one(), &[1, 3, 7], &bytes), Err("more bytes than any call can have"));
    let text = [number(limits::MAX_TRACE_TEXT + 1), vec![b'x'; limits::MAX_TRACE_TEXT + 1]];
    let close =
        Entry::Transport(CONN, Call::Close { code: crate::Code::None, reason: "xyz".to_owned() });
    assert_eq!(long(close, b"\x03xyz", &text.concat()), Err("a text is too long"));
}

#[test]
fn paths_beyond_the_limit_are_written_out() {
    let count = u32::try_from(limits::MAX_TRACE_PATHS).unwrap() + 10;
    let twice = || (0..count).chain(0..count);
    let given: Vec<_> = twice().map(|n| (at(0), datagram(n, Data::default()))).collect();
    let bytes = write(&header(), given.clone());
    let (records, _) = read(&bytes);
    assert!(records.into_iter().map(|record| record.entry).eq(given.into_iter().map(|g| g.1)));
    // Known by number, a path takes two bytes instead of sixteen.
    let known = limits::MAX_TRACE_PATHS;
    assert!(bytes.len() < known * 22 + known * 8 + 20 * 30 + 200, "{} bytes", bytes.len());
    let mut unknown = write(&header(), []);
    put_block(&mut unknown, 1, &[4, 0, 0, 9, 0]);
    let offset = (unknown.len() - 5) as u64;
    let why = "a path that was not named before";
    assert_eq!(read(&unknown).1, Err(TraceError::Malformed { offset, why }));
}

#[test]
fn blocks_are_closed_when_they_are_full_or_taken_away() {
    let recorder = Recorder::new(&header(), Room::default());
    let mut bytes = Vec::new();
    recorder.take(&mut bytes);
    recorder.take(&mut bytes);
    let start = bytes.len();
    let path = Path { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() };
    let transmit = Transmit { path, ecn: None, len: 1, segment: None, at: None };
    for _ in 0..3 {
        Sink::take(&recorder, Entry::Transmit { transmit, data: kept(60_000) });
    }
    recorder.take(&mut bytes);
    let len = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let second = start + BLOCK_HEAD + len(start);
    assert!(len(start) > 120_000 && len(second) > 60_000);
    assert_eq!(bytes.len(), second + BLOCK_HEAD + len(second));
}
