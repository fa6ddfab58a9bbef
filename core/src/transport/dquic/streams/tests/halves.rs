//! The parts of a stream on their own: every small case, and long histories against models.

use std::ops::Range;

use super::super::buffer::SendBuffer;
use super::super::reassembly::{Reassembly, TooManyGaps};
use super::*;
use crate::limits::DQUIC_MAX_GAPS;
use crate::machine;
use crate::rng::{Rng, Seed};

/// The byte at an offset of a stream.
fn byte(offset: u64) -> u8 {
    u8::try_from(offset % 251).unwrap()
}

fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

#[test]
fn the_machines_are_sound() {
    machine::check::<send_state::State>().unwrap();
    machine::check::<recv_state::State>().unwrap();
}

#[test]
fn every_pair_of_pieces_is_put_together_with_every_third() {
    let pieces = || (0..=4u64).flat_map(|a| (a..=4).map(move |b| a..b));
    for (a, b) in pieces().flat_map(|a| pieces().map(move |b| (a.clone(), b))) {
        for c in pieces() {
            for reads_between in [false, true] {
                let mut data = Reassembly::default();
                let mut there = [false; 5];
                let mut got: Vec<u8> = Vec::new();
                for piece in [&a, &b, &c] {
                    data.insert(piece.start, &bytes(piece.clone())).unwrap();
                    piece.clone().for_each(|n| there[usize::try_from(n).unwrap()] = true);
                    let front = there.iter().take_while(|there| **there).count();
                    assert_eq!(data.read_so_far() + data.readable(), front as u64);
                    if reads_between {
                        let mut buf = [0; 2];
                        let len = data.read(&mut buf);
                        got.extend(&buf[..len]);
                    }
                }
                let mut buf = [0; 9];
                let len = data.read(&mut buf);
                got.extend(&buf[..len]);
                let front = there.iter().take_while(|there| **there).count() as u64;
                assert_eq!(got, bytes(0..front), "{a:?} {b:?} {c:?}");
            }
        }
    }
}

#[test]
fn what_was_there_first_stays() {
    let mut data = Reassembly::default();
    data.insert(1, b"BC").unwrap();
    data.insert(0, b"abcd").unwrap();
    let mut buf = [0; 4];
    assert_eq!(data.read(&mut buf), 4);
    assert_eq!(&buf, b"aBCd");
}

#[test]
fn pieces_in_any_order_and_of_any_size_make_the_stream() {
    for seed in 0..200 {
        let mut rng = Seed::from_u64(seed).stream("reassembly");
        let size = rng.below(60_000);
        let longest = 1 + rng.below(9_000);
        let mut data = Reassembly::default();
        let mut missing = super::super::super::recovery::ranges::RangeSet::default();
        missing.insert(0..size);
        let mut got = 0;
        while got < size {
            // Mostly something new, sometimes anything.
            let some = missing.iter().nth(usize::try_from(rng.below(3)).unwrap());
            let start = match some {
                Some(range) if rng.chance(3, 4) => range.start + rng.below(range.end - range.start),
                _ => rng.below(size),
            };
            let end = (start + 1 + rng.below(longest)).min(size);
            data.insert(start, &bytes(start..end)).unwrap();
            missing.remove(start..end);
            if rng.chance(1, 3) {
                let mut buf = vec![0; usize::try_from(1 + rng.below(20_000)).unwrap()];
                let len = data.read(&mut buf) as u64;
                let front = missing.first().map_or(size, |first| first.start);
                assert_eq!(len, (front - got).min(buf.len() as u64), "seed {seed}");
                let range = got..got + len;
                assert!(buf.iter().zip(range.clone()).all(|(b, n)| *b == byte(n)), "seed {seed}");
                got = range.end;
            }
        }
        assert_eq!(data.readable(), 0);
    }
}

#[test]
fn gaps_are_limited_and_filling_them_helps() {
    let mut data = Reassembly::default();
    for n in 0..DQUIC_MAX_GAPS as u64 {
        data.insert(2 * n + 1, b"x").unwrap();
    }
    assert_eq!(data.insert(1 << 20, b"x"), Err(TooManyGaps));
    let mut data = Reassembly::default();
    for n in 0..DQUIC_MAX_GAPS as u64 {
        data.insert(2 * n + 1, b"x").unwrap();
    }
    data.insert(0, b"xxx").unwrap();
    data.insert(1 << 20, b"x").unwrap();
}

/// What a naive sender would know: the state of each byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Byte {
    Unsent,
    OnItsWay,
    Lost,
    Acked,
}

struct Model {
    buffer: SendBuffer,
    bytes: Vec<Byte>,
    flight: Vec<Range<u64>>,
}

impl Model {
    fn set(&mut self, range: Range<u64>, from: &[Byte], to: Byte) {
        for n in range {
            let byte = &mut self.bytes[usize::try_from(n).unwrap()];
            if from.contains(byte) {
                *byte = to;
            }
        }
    }

    /// The first run of bytes in a state.
    fn first(&self, state: Byte) -> Option<Range<u64>> {
        let start = self.bytes.iter().position(|byte| *byte == state)?;
        let len = self.bytes[start..].iter().take_while(|byte| **byte == state).count();
        Some(start as u64..(start + len) as u64)
    }

    fn send(&mut self, rng: &mut Rng) {
        let expected = self.first(Byte::Lost).or_else(|| self.first(Byte::Unsent));
        assert_eq!(self.buffer.next(), expected);
        let Some(next) = expected else { return };
        let range = next.start..next.start + 1 + rng.below(next.end - next.start);
        let mut buf = vec![0; usize::try_from(range.end - range.start).unwrap()];
        assert!(self.buffer.copy(range.clone(), &mut Out::new(&mut buf)));
        assert_eq!(buf, bytes(range.clone()));
        self.buffer.on_sent(range.clone());
        self.set(range.clone(), &[Byte::Lost, Byte::Unsent], Byte::OnItsWay);
        self.flight.push(range);
    }

    fn answer(&mut self, rng: &mut Rng) {
        if self.flight.is_empty() {
            return;
        }
        let place = usize::try_from(rng.below(self.flight.len() as u64)).unwrap();
        // Some are given for lost and arrive nevertheless.
        let range = self.flight[place].clone();
        if rng.chance(1, 2) {
            self.flight.swap_remove(place);
            let before = self.buffer.held();
            let freed = self.buffer.on_acked(range.clone());
            assert_eq!(self.buffer.held(), before - freed);
            let all = [Byte::OnItsWay, Byte::Lost];
            self.set(range, &all, Byte::Acked);
        } else {
            self.buffer.on_lost(range.clone());
            self.set(range, &[Byte::OnItsWay], Byte::Lost);
        }
        let acked = self.bytes.iter().take_while(|byte| **byte == Byte::Acked).count();
        assert_eq!(self.buffer.held(), (self.bytes.len() - acked) as u64);
        assert_eq!(self.buffer.is_all_acked(), acked == self.bytes.len());
    }
}

/// One history of a sending buffer, compared at every step with the state of each byte.
fn history(seed: u64) {
    let mut rng = Seed::from_u64(seed).stream("buffer");
    let mut model = Model { buffer: SendBuffer::default(), bytes: vec![], flight: vec![] };
    for _ in 0..300 {
        match rng.below(8) {
            0 => {
                let start = model.bytes.len() as u64;
                let end = start + rng.below(30);
                model.buffer.push(bytes(start..end).into());
                model.bytes.resize(usize::try_from(end).unwrap(), Byte::Unsent);
                assert_eq!(model.buffer.end(), end);
            }
            1..5 => model.send(&mut rng),
            _ => model.answer(&mut rng),
        }
    }
    while !model.buffer.is_all_acked() {
        model.send(&mut rng);
        model.answer(&mut rng);
    }
    let sent = model.buffer.sent();
    model.buffer.push(Bytes::from_static(b"unsent"));
    assert_eq!(model.buffer.abandon(), (6, 6), "seed {seed}");
    assert_eq!((model.buffer.end(), model.buffer.next()), (sent, None));
}

#[test]
fn exactly_what_was_lost_is_sent_again() {
    (0..300).for_each(history);
}

#[cfg(feature = "planted")]
#[test]
fn a_range_that_is_one_byte_short_is_found() {
    crate::planted::choose(Some(crate::planted::Bug::RetransmitRange));
    let found = std::panic::catch_unwind(|| history(0));
    crate::planted::choose(None);
    assert!(found.is_err());
}
