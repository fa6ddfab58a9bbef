//! Every kind of entry is read as it was written.

use std::collections::BTreeSet;

use super::super::codec::{Field as _, Source, Writer};
use super::*;
use crate::rng::Rng;
use crate::wire::varint::Cursor;

/// The number of the last kind.
const LAST: u8 = 21;

/// Bytes that are often something: small numbers, short texts.
fn bytes(rng: &mut Rng, kind: u8) -> Vec<u8> {
    let mut out = vec![kind];
    // Every variant of what is inside is as likely as the others.
    let mut any = |most: u64| u8::try_from(rng.below(most)).unwrap();
    match kind {
        14 => match any(2) {
            0 => out.extend([0, 0, any(9)]),
            _ => out.extend([0, 0, 8, any(3), any(21)]),
        },
        10 => out.push(any(9)),
        11 => out.extend([any(3), any(2), any(19)]),
        12 => out.extend([1, any(6)]),
        19 => out.extend([0, 0, any(17)]),
        _ => out.push(any(6)),
    }
    let kinds_of_pieces = if rng.chance(1, 2) { 12 } else { 40 };
    for _ in 0..rng.below(60) {
        match rng.below(kinds_of_pieces) {
            0 => out.push(rng.array::<1>()[0] & 0x3f),
            1 => out.extend(b"\x03abc"),
            2 => out.extend([4, 127, 0, 0, 1, 0, 80]),
            3 => out.extend([0, 4, 127, 0, 0, 1, 0, 80, 4, 127, 0, 0, 1, 0, 81]),
            4..8 => out.push(rng.array::<1>()[0] & 0x07),
            8..12 => out.push(rng.array::<1>()[0] & 0x01),
            _ => out.push(0),
        }
    }
    out
}

fn parse(bytes: &[u8], now: Instant) -> Option<(Entry, usize)> {
    let mut from = Source { cursor: Cursor::new(bytes), now, paths: &mut Vec::new() };
    let entry = Entry::get(&mut from).ok()?;
    let left = from.cursor.rest().len();
    Some((entry, bytes.len() - left))
}

/// The numbers of variants an entry is made of, two deep.
fn variant(entry: &Entry) -> String {
    let text = format!("{entry:?}");
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
    let inner = match entry {
        Entry::Stack(call) => name(&format!("{call:?}")),
        Entry::Transport(_, Call::Signal(signal)) => {
            format!("Signal {}", name(&format!("{signal:?}")))
        }
        Entry::Transport(_, call) => name(&format!("{call:?}")),
        Entry::Event(_, crate::Event::Media(_, event)) => {
            format!("Media {}", name(&format!("{event:?}")))
        }
        Entry::Event(_, crate::Event::Files(_, event)) => {
            format!("Files {}", name(&format!("{event:?}")))
        }
        Entry::Event(_, event) => name(&format!("{event:?}")),
        Entry::Command(command) => name(&format!("{command:?}")),
        Entry::Session { command: crate::session::Command::Media(command), .. } => {
            name(&format!("{command:?}"))
        }
        Entry::Session { command: crate::session::Command::Files(command), .. } => {
            format!("Files {}", name(&format!("{command:?}")))
        }
        Entry::Answer { result: Ok(answer), .. } => name(&format!("{answer:?}")),
        _ => String::new(),
    };
    format!("{} {inner}", name(&text))
}

#[test]
fn every_kind_of_entry_round_trips() {
    let mut rng = Seed::from_u64(1).stream("kinds");
    let mut seen = BTreeSet::new();
    let now = at(1_000_000_000_000);
    for round in 0..600_000u32 {
        let kind = u8::try_from(round % (u32::from(LAST) + 1)).unwrap();
        let bytes = bytes(&mut rng, kind);
        let Some((entry, _)) = parse(&bytes, now) else { continue };
        seen.insert(variant(&entry));
        let mut writer = Writer::new();
        writer.now = now;
        entry.put(&mut writer);
        assert_eq!(parse(&writer.out, now), Some((entry.clone(), writer.out.len())));
        for cut in 0..writer.out.len() {
            assert_eq!(parse(&writer.out[..cut], now), None, "{entry:?} cut to {cut}");
        }
        assert!(!entry.to_string().is_empty());
    }
    assert_eq!(seen.len(), 120, "kinds of entries that occurred: {seen:#?}");
}

#[test]
fn there_is_no_other_kind() {
    for kind in LAST + 1..64 {
        assert_eq!(parse(&[kind, 0, 0, 0, 0, 0, 0, 0, 0, 0], at(0)), None);
    }
}

#[test]
fn numbers_and_times_at_their_edges_come_back() {
    let max = crate::wire::varint::MAX;
    for value in [0, 1, 63, 64, max - 1, max, max + 1, u64::MAX] {
        let entry = Entry::WallClock(crate::UnixMillis(value));
        let mut writer = Writer::new();
        entry.put(&mut writer);
        assert_eq!(parse(&writer.out, at(0)).map(|found| found.0), Some(entry));
        for now in [0, 1, value, u64::MAX] {
            let why = crate::time::Reason::Pacing;
            let entry = Entry::Wait(Some(crate::Deadline { at: at(value), why }));
            let mut writer = Writer::new();
            writer.now = at(now);
            entry.put(&mut writer);
            assert_eq!(parse(&writer.out, at(now)).map(|found| found.0), Some(entry));
        }
    }
}
