//! Sending.

mod cache;
mod reading;
mod source;
mod walk;

use std::collections::BTreeMap;

use anabranch_core::Code;
use anabranch_core::files::{self, Command};

use crate::trouble::Trouble;
use crate::{Buffers, Out, Report, Task, Worker};
use reading::Reader;
use walk::Walk;

pub use cache::Cache;
pub use source::{Origin, Source};

/// How files are sent.
#[derive(Clone, Copy, Debug)]
pub struct Send {
    /// Permission bits are announced.
    pub modes: bool,
    /// Times of modification are announced.
    pub times: bool,
    /// The size of pieces in bytes, where files are not too large for it. `None`: what suits most.
    pub piece: Option<u32>,
}

impl Default for Send {
    fn default() -> Self {
        Self { modes: true, times: true, piece: None }
    }
}

/// How much there is to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Files and folders.
    pub entries: u64,
    /// Bytes. `None`: the length of a pipe is not known.
    pub bytes: Option<u64>,
}

/// Sends files, folders, and what comes from pipes.
#[derive(Debug)]
pub struct Giver {
    sources: Vec<Source>,
    walk: Walk,
    reader: Reader,
    /// Announced, and not dealt with.
    items: BTreeMap<u32, Item>,
    next: u32,
}

/// An entry that was announced.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) entry: files::Entry,
    pub(crate) at: walk::At,
}

impl Giver {
    /// Sends these, in this order. A folder's content is sent in the order of its names.
    #[must_use]
    pub fn new(sources: Vec<Source>, send: Send, buffers: Buffers) -> Self {
        let walk = Walk::new(sources.len(), send);
        let (reader, items) = (Reader::new(buffers), BTreeMap::new());
        Self { sources, walk, reader, items, next: 0 }
    }

    /// Shares what it reads with others that send the same sources, in the same order.
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.reader.share(cache);
        self
    }

    /// Counts what there is to send.
    pub fn measure(&mut self) -> Measure {
        let mut walk = Walk::new(self.sources.len(), Send::default());
        let mut measure = Measure { entries: 0, bytes: Some(0) };
        while let Some(found) = walk.next(&mut self.sources) {
            if let walk::Found::Entry(entry, _) = found {
                measure.entries += 1;
                measure.bytes = measure.bytes.zip(entry.size).map(|(sum, size)| sum + size);
            }
        }
        measure
    }

    fn on_event(&mut self, event: files::Event, out: &mut dyn FnMut(Out)) {
        match event {
            files::Event::WantedEntries { most } => self.supply_entries(most, out),
            files::Event::Wanted { file, piece, offset, len } => {
                self.supply(file, piece, offset, len, out);
            }
            files::Event::Check { file, first, count } => self.check(file, first, count, out),
            files::Event::Done { file, root: _ } => {
                if let Some(item) = self.let_go(file) {
                    let (name, size) = (item.entry.name, item.entry.size.unwrap_or(0));
                    out(Out::Report(Report::Sent { file, name, size }));
                }
            }
            files::Event::Skipped { file } => {
                if let Some(item) = self.let_go(file) {
                    out(Out::Report(Report::Skipped { file, name: item.entry.name }));
                }
            }
            files::Event::Failed { file, code, reason, by_peer } => {
                let name = self.let_go(file).map(|item| item.entry.name).unwrap_or_default();
                let file = Some(file);
                out(Out::Report(Report::Failed { file, name, code, reason, by_peer }));
            }
            files::Event::Ended(_) => self.reader.close_all(&mut self.sources),
            // What a receiver hears, and what is for people only.
            files::Event::Offered(_)
            | files::Event::Requested { .. }
            | files::Event::Accepted
            | files::Event::Entries { .. }
            | files::Event::Unusable { .. }
            | files::Event::Stale { .. }
            | files::Event::Readable { .. }
            | files::Event::Wrong { .. }
            | files::Event::Complete { .. }
            | files::Event::Paused { .. }
            | files::Event::Resumed
            | files::Event::Finishing
            | files::Event::Asked(_)
            | files::Event::Replied(_) => {}
        }
    }

    fn let_go(&mut self, file: u32) -> Option<Item> {
        self.reader.close(&mut self.sources, file);
        self.items.remove(&file)
    }

    /// Announces what comes next.
    fn supply_entries(&mut self, most: usize, out: &mut dyn FnMut(Out)) {
        let mut entries = Vec::new();
        let mut last = false;
        while entries.len() < most {
            match self.walk.next(&mut self.sources) {
                Some(walk::Found::Entry(entry, at)) => {
                    let (name, kind, size) = (entry.name.clone(), entry.kind, entry.size);
                    out(Out::Report(Report::Entry { file: self.next, name, kind, size }));
                    self.items.insert(self.next, Item { entry: entry.clone(), at });
                    self.next += 1;
                    entries.push(entry);
                }
                Some(walk::Found::Ignored { path, reason }) => {
                    out(Out::Report(Report::Ignored { path, reason }));
                }
                Some(walk::Found::Failed { path: name, trouble }) => {
                    let Trouble { code, reason, .. } = trouble;
                    let (file, by_peer) = (None, false);
                    out(Out::Report(Report::Failed { file, name, code, reason, by_peer }));
                }
                None => {
                    last = true;
                    break;
                }
            }
        }
        out(Out::Command(Command::SupplyEntries { entries, last }));
    }

    fn supply(&mut self, file: u32, piece: u64, offset: u64, len: u32, out: &mut dyn FnMut(Out)) {
        let Some(item) = self.items.get(&file) else { return };
        match self.reader.piece(&mut self.sources, file, item, piece, offset, len) {
            Ok((bytes, hash)) => out(Out::Command(Command::Supply { file, piece, bytes, hash })),
            Err(trouble) => self.give_up(file, trouble, out),
        }
    }

    /// Hashes pieces that the receiver says it has.
    fn check(&mut self, file: u32, first: u64, count: u64, out: &mut dyn FnMut(Out)) {
        let Some(item) = self.items.get(&file) else { return };
        let mut start = first;
        let mut hashes = Vec::new();
        let end = first.saturating_add(count);
        for piece in first..end {
            match self.reader.hash(&mut self.sources, file, item, piece) {
                Ok(hash) => hashes.push(hash),
                Err(trouble) => return self.give_up(file, trouble, out),
            }
            if hashes.len() == CHECKED || piece + 1 == end {
                let hashes = std::mem::take(&mut hashes);
                let first = std::mem::replace(&mut start, piece + 1);
                out(Out::Command(Command::Checked { file, first, hashes }));
            }
        }
    }

    fn give_up(&mut self, file: u32, trouble: Trouble, out: &mut dyn FnMut(Out)) {
        let name = self.let_go(file).map(|item| item.entry.name).unwrap_or_default();
        let Trouble { code, reason, .. } = trouble;
        out(Out::Command(Command::Fail { file, code, reason: reason.clone() }));
        let (file, by_peer) = (Some(file), false);
        out(Out::Report(Report::Failed { file, name, code, reason, by_peer }));
    }
}

/// Hashes that are told at once.
const CHECKED: usize = 256;

impl Worker for Giver {
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out)) {
        match task {
            Task::Event(event) => self.on_event(event, out),
            // Pieces come to receivers.
            Task::Piece { bytes, .. } => out(Out::Buffer(bytes)),
        }
    }

    fn rest(&mut self, _: &mut dyn FnMut(Out)) {}
}

/// A file is not what it was when it was announced.
pub(crate) fn changed(what: &str) -> Trouble {
    Trouble::new(Code::SourceChanged, format!("{what} while it was sent"))
}
