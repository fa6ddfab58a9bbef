//! What has been changed, cut off or made by a newer version is recognised, and what came before
//! it is still read.

use super::super::file::{BLOCK_HEAD, PREAMBLE, put_block};
use super::*;

/// A trace of several blocks.
fn trace() -> Vec<u8> {
    let recorder = Recorder::new(&header(), Room::default());
    let mut out = Vec::new();
    for block in 0..4 {
        for n in 0..5 {
            recorder.advance(at(block * 1_000 + n));
            Sink::take(&recorder, Entry::Handle(CONN));
            Sink::take(&recorder, Entry::Command(crate::conn::Command::Ping));
        }
        recorder.take(&mut out);
    }
    recorder.finish();
    recorder.take(&mut out);
    out
}

/// Where each block begins, and the end.
fn blocks(bytes: &[u8]) -> Vec<usize> {
    let mut at = PREAMBLE;
    let mut out = vec![at];
    while at < bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        at += BLOCK_HEAD + len as usize;
        out.push(at);
    }
    out
}

#[test]
fn a_whole_trace_is_read_in_pieces_of_any_size() {
    let bytes = trace();
    let (whole, end) = read(&bytes);
    assert_eq!((whole.len(), end), (41, Ok(())));
    assert_eq!(whole[40].entry, Entry::End { entries: 40 });
    assert_eq!(whole[39].at, at(3_004));
    for size in [1, 2, 3, 7, 100] {
        let mut decoder = Decoder::default();
        let mut records = Vec::new();
        for piece in bytes.chunks(size) {
            decoder.push(piece);
            while let Some(record) = decoder.next().unwrap() {
                records.push(record);
            }
        }
        assert_eq!((records, decoder.end()), (whole.clone(), Ok(())));
    }
}

#[test]
fn every_flipped_bit_is_found_and_what_came_before_is_good() {
    let bytes = trace();
    let blocks = blocks(&bytes);
    let (whole, _) = read(&bytes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let (records, end) = read(&bytes);
            assert_eq!(records, whole[..records.len()], "byte {at}");
            let error = end.expect_err("it was changed");
            let block = blocks.partition_point(|begin| *begin <= at).wrapping_sub(1);
            match error {
                TraceError::NotATrace => assert!(at < PREAMBLE),
                TraceError::Newer { version } => assert!(at < PREAMBLE && version > VERSION),
                TraceError::Damaged { offset, block: number } => {
                    assert_eq!((offset, number), (blocks[block] as u64, block as u64));
                }
                // Only the length itself can say so.
                TraceError::BlockLength { offset, .. } | TraceError::CutOff { offset } => {
                    assert_eq!(offset, blocks[block] as u64);
                    assert!(at < blocks[block] + 4);
                }
                TraceError::Malformed { .. } | TraceError::AfterEnd { .. } => {
                    panic!("byte {at}, bit {bit}: {error}")
                }
            }
            assert!(error.to_string().len() > 20);
        }
    }
}

#[test]
fn every_cut_is_found_and_named() {
    let bytes = trace();
    let blocks = blocks(&bytes);
    let (whole, _) = read(&bytes);
    for cut in 0..bytes.len() {
        let (records, end) = read(&bytes[..cut]);
        assert_eq!(records, whole[..records.len()]);
        let whole_up_to = blocks.iter().rev().find(|begin| **begin <= cut).copied();
        let offset = whole_up_to.unwrap_or(0) as u64;
        assert_eq!(end, Err(TraceError::CutOff { offset }), "cut at {cut}");
    }
}

#[test]
fn another_file_and_a_newer_version_are_told_apart() {
    let mut bytes = trace();
    assert_eq!(read(b"#!/bin/sh\necho").1, Err(TraceError::NotATrace));
    assert_eq!(read(&[0; 100]).1, Err(TraceError::NotATrace));
    bytes[PREAMBLE - 1] = 2;
    assert_eq!(read(&bytes).1, Err(TraceError::Newer { version: 2 }));
    assert_eq!(super::super::header(&bytes), Err(TraceError::Newer { version: 2 }));
    let text = TraceError::Newer { version: 2 }.to_string();
    assert!(text.contains("version 2"), "{text}");
}

#[test]
fn nothing_may_follow_the_end() {
    let mut bytes = trace();
    let offset = bytes.len() as u64;
    bytes.push(0);
    assert_eq!(read(&bytes).1, Err(TraceError::AfterEnd { offset }));
    let end = (at(0), Entry::End { entries: 0 });
    let two = write(&header(), [end.clone(), end]);
    assert!(matches!(read(&two).1, Err(TraceError::AfterEnd { .. })));
}

/// A trace whose only block holds these bytes.
fn with_body(body: &[u8]) -> Vec<u8> {
    let mut bytes = write(&header(), []);
    put_block(&mut bytes, 1, body);
    bytes
}

#[test]
fn what_is_whole_and_makes_no_sense_is_malformed_there() {
    let base = write(&header(), []).len() + BLOCK_HEAD;
    // A timeout (length, time, kind), and then each time something else.
    let cases: [(&[u8], &str); 7] = [
        (&[0x40], "an entry ends behind its block"),
        (&[5, 0, 1], "an entry ends behind its block"),
        (&[2, 0, 63], "unknown variant of Entry"),
        (&[3, 0, 1, 0], "an entry is longer than its fields"),
        (&[3, 0, 3, 2], "neither yes nor no"),
        (&[1, 0], "a field ends early"),
        (&[3, 0, 20, 7], "the number of entries is another one"),
    ];
    for (wrong, why) in cases {
        let bytes = with_body(&[&[2, 0, 1], wrong].concat());
        let (records, end) = read(&bytes);
        assert_eq!(records.len(), 1, "{why}");
        assert_eq!(end, Err(TraceError::Malformed { offset: base as u64 + 3, why }));
    }
}

#[test]
fn an_error_stays() {
    let mut decoder = Decoder::default();
    decoder.push(b"no trace");
    for _ in 0..2 {
        assert_eq!(decoder.next(), Err(TraceError::NotATrace));
    }
    decoder.push(&trace());
    assert_eq!(decoder.next(), Err(TraceError::NotATrace));
    assert_eq!(decoder.end(), Err(TraceError::NotATrace));
}
