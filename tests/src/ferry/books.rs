//! What the core knows of a transfer: which pieces are where.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anabranch_core::files::hash::Root;
use anabranch_core::files::{Command, Entry, Event, Hash, Have, Kind};
use anabranch_transfers::Task;

use super::Outcome;

/// A file under way.
#[derive(Debug)]
struct File {
    entry: Entry,
    /// Ranges that the receiver has, and that the sender looks at.
    checks: Vec<(Have, Vec<Hash>)>,
    /// The right hashes of pieces, where they are known.
    hashes: BTreeMap<u64, Hash>,
    /// Pieces that the receiver has.
    there: BTreeSet<u64>,
    asked: bool,
    told: bool,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Books {
    files: BTreeMap<u32, File>,
    next: u32,
    last: bool,
    pub(super) finishing: bool,
}

impl Books {
    pub(super) fn is_settled(&self) -> bool {
        self.last && self.files.is_empty() && !self.finishing
    }

    /// A file is given up. False: it is unknown.
    pub(super) fn fail(&mut self, file: u32) -> bool {
        self.files.remove(&file).is_some()
    }

    pub(super) fn obey(
        &mut self,
        command: Command,
        giver: &mut VecDeque<Task>,
        keeper: &mut VecDeque<Task>,
        outcome: &mut Outcome,
    ) {
        let mut tell_giver = |event| giver.push_back(Task::Event(event));
        match command {
            Command::SupplyEntries { entries, last } => {
                let numbered = (self.next..).zip(entries).collect::<Vec<_>>();
                self.next += u32::try_from(numbered.len()).expect("few entries");
                for (file, entry) in &numbered {
                    self.files.insert(*file, new_file(entry.clone()));
                }
                self.last |= last;
                keeper.push_back(Task::Event(Event::Entries { entries: numbered }));
                if !self.last {
                    tell_giver(Event::WantedEntries { most: 16 });
                }
            }
            Command::Take { file, haves } => {
                let Some(own) = self.files.get_mut(&file) else { return };
                if own.entry.kind == Kind::Folder {
                    self.files.remove(&file);
                    tell_giver(Event::Done { file, root: None });
                    return;
                }
                for have in &haves {
                    let (first, count) = (have.first, have.hashes.len() as u64);
                    tell_giver(Event::Check { file, first, count });
                }
                own.checks = haves.into_iter().map(|have| (have, Vec::new())).collect();
                if own.checks.is_empty() {
                    self.want(file, giver, keeper);
                }
            }
            Command::Skip { file } => {
                self.files.remove(&file);
                tell_giver(Event::Skipped { file });
            }
            Command::Checked { file, first, hashes } => {
                self.checked(file, first, hashes, keeper, outcome);
                self.want(file, giver, keeper);
            }
            Command::Supply { file, piece, bytes, hash } => {
                self.supply((file, piece), &bytes, hash, giver, keeper, outcome);
            }
            Command::Stored { file, piece, hash } => {
                let Some(own) = self.files.get_mut(&file) else { return };
                assert_eq!(own.hashes.get(&piece), Some(&hash), "stored as something else");
                own.there.insert(piece);
                outcome.stored.push((file, piece));
                self.look_whole(file, keeper);
            }
            Command::Committed { file } => {
                let own = self.files.remove(&file).expect("a complete file");
                assert!(own.told, "committed before it was complete");
                tell_giver(Event::Done { file, root: Some(Hash::default()) });
            }
            other => panic!("the core takes no {other:?} here"),
        }
    }

    fn supply(
        &mut self,
        (file, piece): (u32, u64),
        bytes: &[u8],
        hash: Hash,
        giver: &mut VecDeque<Task>,
        keeper: &mut VecDeque<Task>,
        outcome: &mut Outcome,
    ) {
        let Some(own) = self.files.get_mut(&file) else { return };
        own.hashes.insert(piece, hash);
        let offset = piece * u64::from(own.entry.piece);
        if own.entry.size.is_none() {
            if (bytes.len() as u64) < u64::from(own.entry.piece) {
                own.entry.size = Some(offset + bytes.len() as u64);
            } else {
                giver.push_back(Task::Event(wanted(file, piece + 1, &own.entry)));
            }
        }
        if bytes.is_empty() {
            self.look_whole(file, keeper);
            return;
        }
        outcome.sent.push((file, piece));
        keeper.push_back(Task::Piece { file, piece, offset, bytes: bytes.to_vec() });
    }

    fn checked(
        &mut self,
        file: u32,
        first: u64,
        hashes: Vec<Hash>,
        keeper: &mut VecDeque<Task>,
        outcome: &mut Outcome,
    ) {
        let Some(own) = self.files.get_mut(&file) else { return };
        let at = own.checks.iter().position(|(have, _)| have.range().contains(&first));
        let at = at.expect("somebody asked for it");
        own.checks[at].1.extend(hashes);
        if own.checks[at].1.len() < own.checks[at].0.hashes.len() {
            return;
        }
        let (have, right) = own.checks.remove(at);
        own.hashes.extend(have.range().zip(&right).map(|(piece, hash)| (piece, *hash)));
        let count = have.hashes.len() as u64;
        if have.hashes == right {
            own.there.extend(have.range());
            outcome.kept += count;
        } else {
            let first = have.first;
            keeper.push_back(Task::Event(Event::Stale { file, first, count }));
        }
    }

    /// Everything that is missing is asked for, when every range was looked at.
    fn want(&mut self, file: u32, giver: &mut VecDeque<Task>, keeper: &mut VecDeque<Task>) {
        let Some(own) = self.files.get_mut(&file) else { return };
        if !own.checks.is_empty() || std::mem::replace(&mut own.asked, true) {
            return;
        }
        let pieces = own.entry.pieces().unwrap_or(1);
        for piece in (0..pieces).filter(|piece| !own.there.contains(piece)) {
            giver.push_back(Task::Event(wanted(file, piece, &own.entry)));
        }
        self.look_whole(file, keeper);
    }

    fn look_whole(&mut self, file: u32, keeper: &mut VecDeque<Task>) {
        let Some(own) = self.files.get_mut(&file) else { return };
        let (Some(pieces), Some(size)) = (own.entry.pieces(), own.entry.size) else { return };
        if own.there.len() as u64 == pieces && own.asked && !own.told {
            own.told = true;
            let mut root = Root::new(own.entry.piece);
            own.hashes.iter().filter(|(piece, _)| **piece < pieces).for_each(|(piece, hash)| {
                root.put(*piece, *hash);
            });
            let root = root.finish(size);
            keeper.push_back(Task::Event(Event::Complete { file, size, root }));
        }
    }
}

const fn new_file(entry: Entry) -> File {
    File {
        entry,
        checks: Vec::new(),
        hashes: BTreeMap::new(),
        there: BTreeSet::new(),
        asked: false,
        told: false,
    }
}

fn wanted(file: u32, piece: u64, entry: &Entry) -> Event {
    let offset = piece * u64::from(entry.piece);
    let len = entry.span(piece).map_or(entry.piece, |(_, len)| len);
    Event::Wanted { file, piece, offset, len }
}
