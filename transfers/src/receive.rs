//! Receiving.

mod aides;
mod base;
mod claims;
mod commit;
mod incoming;
mod names;
mod partial;
mod plan;
mod printer;

use std::collections::{BTreeMap, BTreeSet};

use anabranch_core::Code;
use anabranch_core::files::{self, Command, Existing};
use anabranch_storage::{Attributes, RelPath, Storage};

use crate::trouble::Trouble;
use crate::{Out, Quota, Report, Task, Worker};
use aides::{Aides, Made};
use incoming::Incoming;

pub use claims::Claims;
pub use names::{is_private, part, state};
pub use printer::Printer;

/// How files are received.
#[derive(Clone, Debug)]
pub struct Receive {
    /// Where the entries go, below the root of the storage. It is made if it is not there.
    pub folder: RelPath,
    /// What the first component of each entry's name is here.
    pub top: Option<String>,
    /// What becomes of files that are there, with other content.
    pub existing: Existing,
    /// Permission bits are taken over: the lowest nine.
    pub modes: bool,
    /// Times of modification are taken over.
    pub times: bool,
    /// A file is durable before it gets its name.
    pub sync: bool,
    /// How much may be stored.
    pub quota: Option<Quota>,
    /// Bytes of the disk that stay free.
    pub reserve: u64,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            folder: RelPath::ROOT,
            top: None,
            existing: Existing::default(),
            modes: true,
            times: true,
            sync: true,
            quota: None,
            reserve: 0,
        }
    }
}

/// Receives into a folder.
pub struct Keeper {
    disk: Box<dyn Storage + Send>,
    claims: Claims,
    receive: Receive,
    files: BTreeMap<u32, Incoming>,
    /// Files that have handles open, the one used last at the end.
    open: Vec<u32>,
    /// Complete files that wait to get their names, with their sizes.
    complete: Vec<(u32, u64)>,
    /// Folders in which names have changed, and journals that are not needed when they are
    /// durable.
    changed: BTreeSet<RelPath>,
    spent: Vec<RelPath>,
    /// Folders of the transfer, which get their attributes at the end.
    folders: Vec<(RelPath, Attributes)>,
    /// Folders that are known to be there.
    made: BTreeSet<RelPath>,
    /// Nothing more can be stored.
    dead: bool,
    aides: Aides,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("receive", &self.receive).finish_non_exhaustive()
    }
}

/// Complete files that wait, at most: they are made durable together.
const TOGETHER: usize = 256;
/// Folders and journals that are remembered, at most.
const REMEMBERED: usize = 1_024;

type Tell<'a> = &'a mut dyn FnMut(Out);

impl Keeper {
    /// Receives one transfer.
    #[must_use]
    pub fn new(disk: Box<dyn Storage + Send>, claims: Claims, receive: Receive) -> Self {
        Self {
            disk,
            claims,
            receive,
            files: BTreeMap::new(),
            open: Vec::new(),
            complete: Vec::new(),
            changed: BTreeSet::new(),
            spent: Vec::new(),
            folders: Vec::new(),
            made: BTreeSet::new(),
            dead: false,
            aides: Aides::new(),
        }
    }

    fn on_event(&mut self, event: files::Event, out: Tell<'_>) {
        match event {
            files::Event::Entries { entries } => {
                for (file, entry) in entries {
                    self.on_entry(file, entry, out);
                }
            }
            files::Event::Unusable { file, name, why } => {
                let (code, reason) = match why {
                    Some(why) => (Code::BadName, why.to_string()),
                    None => (Code::Unsupported, "neither a file nor a folder".to_owned()),
                };
                let file = Some(file);
                out(Out::Report(Report::Failed { file, name, code, reason, by_peer: false }));
            }
            files::Event::Stale { file, first, count } => {
                self.on_stale(file, first..first.saturating_add(count), out);
            }
            files::Event::Wrong { file, piece } => self.on_stale(file, piece..piece + 1, out),
            files::Event::Complete { file, size, root: _ } => {
                self.complete.push((file, size));
                if self.complete.len() >= TOGETHER {
                    self.commit(out);
                }
            }
            // What was given up here has been reported.
            files::Event::Failed { file, .. } if !self.files.contains_key(&file) => {}
            files::Event::Failed { file, code, reason, by_peer } => {
                let name = self.name_of(file);
                self.let_go(file);
                let file = Some(file);
                out(Out::Report(Report::Failed { file, name, code, reason, by_peer }));
            }
            files::Event::Finishing => self.finish(out),
            files::Event::Ended(_) => self.let_all_go(),
            // What a sender hears, and what is for people only.
            files::Event::Offered(_)
            | files::Event::Requested { .. }
            | files::Event::Accepted
            | files::Event::WantedEntries { .. }
            | files::Event::Wanted { .. }
            | files::Event::Check { .. }
            | files::Event::Readable { .. }
            | files::Event::Done { .. }
            | files::Event::Skipped { .. }
            | files::Event::Paused { .. }
            | files::Event::Resumed
            | files::Event::Asked(_)
            | files::Event::Replied(_) => {}
        }
    }

    fn name_of(&self, file: u32) -> String {
        self.files.get(&file).map(|file| file.entry.name.clone()).unwrap_or_default()
    }

    fn on_piece(&mut self, at: (u32, u64, u64), bytes: Vec<u8>, out: Tell<'_>) {
        let (file, piece, offset) = at;
        let bytes = match self.hand_over(at, bytes) {
            Ok(None) => return,
            Ok(Some(bytes)) => bytes,
            Err(trouble) => return self.give_up(file, trouble, out),
        };
        if self.files.contains_key(&file) {
            let hash = files::hash::piece(&bytes);
            match self.store(file, piece, offset, &bytes, &hash) {
                Ok(()) => out(Out::Command(Command::Stored { file, piece, hash })),
                Err(trouble) => self.give_up(file, trouble, out),
            }
        }
        out(Out::Buffer(bytes));
    }

    /// Somebody else has written a piece.
    fn on_made(&mut self, made: Made, out: Tell<'_>) {
        let Made { file, piece, bytes, hash, wrote, is_noted, .. } = made;
        out(Out::Buffer(bytes));
        if self.dead || !self.files.contains_key(&file) {
            return;
        }
        let noted = wrote
            .map_err(|error| Trouble::storing("writing", error))
            .and_then(|()| if is_noted { Ok(()) } else { self.note_piece(file, piece, &hash) });
        match noted {
            Ok(()) => out(Out::Command(Command::Stored { file, piece, hash })),
            Err(trouble) => self.give_up(file, trouble, out),
        }
    }

    /// A file cannot be received, or nothing more can.
    fn give_up(&mut self, file: u32, trouble: Trouble, out: Tell<'_>) {
        let name = self.name_of(file);
        self.let_go(file);
        let Trouble { code, reason, general } = trouble;
        out(Out::Report(Report::Failed {
            file: Some(file),
            name: name.clone(),
            code,
            reason: reason.clone(),
            by_peer: false,
        }));
        if general {
            self.dead = true;
            let reason = format!("{name}: {reason}");
            out(Out::Command(Command::Cancel { code, reason }));
        } else {
            out(Out::Command(Command::Fail { file, code, reason }));
        }
    }
}

impl Worker for Keeper {
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out)) {
        match task {
            Task::Event(event @ files::Event::Ended(_)) => self.on_event(event, out),
            Task::Event(_) if self.dead => {}
            Task::Event(event) => self.on_event(event, out),
            Task::Piece { bytes, .. } if self.dead => out(Out::Buffer(bytes)),
            Task::Piece { file, piece, offset, bytes } => {
                self.on_piece((file, piece, offset), bytes, out);
            }
        }
        while let Some(made) = self.aides.take() {
            self.on_made(made, out);
        }
    }

    fn rest(&mut self, out: &mut dyn FnMut(Out)) {
        while let Some(made) = self.aides.wait() {
            self.on_made(made, out);
        }
        if !self.dead {
            self.commit(out);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.let_all_go();
    }
}
