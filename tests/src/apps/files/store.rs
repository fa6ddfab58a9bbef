//! The receiving half of the application.

use std::ops::Range;

use anabranch_core::files::{self, Command, Entry, Hash, Kind, Pulled};
use anabranch_core::{Code, Endpoint, Instant, Misuse};

use super::{Due, FilesApp};
use crate::oracle::Key;

impl FilesApp {
    pub(super) fn on_entries(&mut self, key: Key, entries: &[(u32, Entry)]) -> Vec<Command> {
        entries.iter().map(|(file, entry)| self.on_entry(key, *file, entry)).collect()
    }

    fn on_entry(&mut self, key: Key, file: u32, entry: &Entry) -> Command {
        self.session(key).incoming.insert(file, entry.clone());
        if self.habits.skips.as_ref() == Some(&entry.name) {
            return Command::Skip { file };
        }
        if self.habits.unwritable.as_ref() == Some(&entry.name) {
            let reason = "read-only".to_owned();
            return Command::Fail { file, code: Code::Denied, reason };
        }
        if entry.kind == Kind::Folder {
            self.disk.folders.push(entry.name.clone());
            return Command::Take { file, haves: Vec::new() };
        }
        let haves = self.haves(entry);
        if !self.disk.is_of(entry) {
            self.repeats.remove(&entry.name);
        }
        if entry.size.is_some() {
            let repeats = self.repeats.entry(entry.name.clone()).or_default();
            (repeats.taken, repeats.piece) = (repeats.taken + 1, u64::from(entry.piece));
        }
        self.disk.open(entry, self.habits.trusting);
        Command::Take { file, haves }
    }

    pub(super) fn stale(&mut self, key: Key, file: u32, pieces: Range<u64>) {
        let Some(entry) = self.session(key).incoming.get(&file).cloned() else { return };
        if let Some(partial) = self.disk.files.get_mut(&entry.name) {
            partial.journal.retain(|piece, _| !pieces.contains(piece));
        }
    }

    pub(super) fn commit(&mut self, key: Key, file: u32, size: u64, root: Hash) -> Vec<Command> {
        let entry = self.session(key).incoming[&file].clone();
        if !self.disk.is_of(&entry) {
            // Another transfer has begun with another version.
            let reason = "another version".to_owned();
            return vec![Command::Fail { file, code: Code::Exists, reason }];
        }
        self.disk.commit(&entry, size, root);
        vec![Command::Committed { file }]
    }

    pub(super) fn pull(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        channel: files::Channel,
    ) {
        let mut buf = [0; 20_011];
        loop {
            let pulled = endpoint
                .conn(now, key.0)
                .and_then(|mut conn| conn.files(key.1)?.pull(channel, &mut buf));
            let (file, piece, offset, len, last) = match pulled {
                Ok(Pulled::Bytes { file, piece, offset, len, last }) => {
                    (file, piece, offset, len, last)
                }
                Ok(Pulled::Blocked) | Err(Misuse::Gone) => return,
                Err(misuse) => panic!("{key:?}: pull: {misuse}"),
            };
            let entry = self.session(key).incoming[&file].clone();
            if !self.disk.is_of(&entry) {
                continue;
            }
            self.disk.write(&entry.name, offset, &buf[..len]);
            if last {
                self.store(now, key, file, piece, offset + len as u64, &entry);
            }
        }
    }

    fn store(&mut self, now: Instant, key: Key, file: u32, piece: u64, end: u64, entry: &Entry) {
        let start = piece * u64::from(entry.piece);
        let mut hash = files::hash::piece(self.disk.read(&entry.name, start..end));
        match self.habits.damaged.get_mut(&(entry.name.clone(), piece)) {
            Some(times) if *times > 0 => {
                *times -= 1;
                hash[0] ^= 1;
            }
            Some(_) | None => {
                let partial = self.disk.files.get_mut(&entry.name).expect("an open file");
                let before = partial.journal.insert(piece, hash);
                let repeats = self.repeats.get_mut(&entry.name).filter(|_| before.is_some());
                if let Some(repeats) = repeats {
                    repeats.bytes += end - start;
                }
            }
        }
        let command = Command::Stored { file, piece, hash };
        self.due.push_back(Due { at: now + self.habits.store_delay, key, command });
    }
}
