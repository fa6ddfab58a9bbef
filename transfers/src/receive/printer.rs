//! Receiving into a pipe: one byte after another.

use std::collections::BTreeMap;
use std::io::Write;

use anabranch_core::Code;
use anabranch_core::files::{self, Command, Kind};

use crate::{How, Out, Report, Task, Worker};

/// Receives files one behind the other into a pipe. Pieces that come early wait, unacknowledged,
/// so that no more than a window of them is ever here.
pub struct Printer {
    write: Box<dyn Write + Send>,
    /// Files that are taken and not complete, in order.
    open: BTreeMap<u32, Open>,
    early: BTreeMap<(u32, u64), Vec<u8>>,
    /// Nothing more can be written.
    dead: bool,
}

#[derive(Debug, Default)]
struct Open {
    name: String,
    next: u64,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Printer {
    /// Receives into this.
    #[must_use]
    pub fn new(write: Box<dyn Write + Send>) -> Self {
        Self { write, open: BTreeMap::new(), early: BTreeMap::new(), dead: false }
    }

    /// Writes what has its turn.
    fn print(&mut self, out: &mut dyn FnMut(Out)) {
        while !self.dead
            && let Some((file, open)) = self.open.first_key_value()
            && let Some(bytes) = self.early.remove(&(*file, open.next))
        {
            let (file, piece) = (*file, open.next);
            let hash = files::hash::piece(&bytes);
            if let Err(error) = self.write.write_all(&bytes).and_then(|()| self.write.flush()) {
                self.dead = true;
                let reason = format!("the output: {error}");
                self.failed(file, Code::Cancelled, reason.clone(), out);
                out(Out::Command(Command::Cancel { code: Code::Cancelled, reason }));
            }
            out(Out::Buffer(bytes));
            if let Some(open) = self.open.get_mut(&file) {
                open.next += 1;
            }
            out(Out::Command(Command::Stored { file, piece, hash }));
        }
    }

    fn failed(&self, file: u32, code: Code, reason: String, out: &mut dyn FnMut(Out)) {
        let name = self.open.get(&file).map(|open| open.name.clone()).unwrap_or_default();
        let file = Some(file);
        out(Out::Report(Report::Failed { file, name, code, reason, by_peer: false }));
    }

    fn on_entry(&mut self, file: u32, entry: files::Entry, out: &mut dyn FnMut(Out)) {
        let (name, kind, size) = (entry.name, entry.kind, entry.size);
        out(Out::Report(Report::Entry { file, name: name.clone(), kind, size }));
        match kind {
            Kind::Folder => out(Out::Command(Command::Skip { file })),
            Kind::File => {
                self.open.insert(file, Open { name, ..Open::default() });
                out(Out::Command(Command::Take { file, haves: Vec::new() }));
            }
        }
    }

    fn on_event(&mut self, event: files::Event, out: &mut dyn FnMut(Out)) {
        match event {
            files::Event::Entries { entries } => {
                for (file, entry) in entries {
                    self.on_entry(file, entry, out);
                }
            }
            files::Event::Wrong { file, .. } => {
                let reason = "a piece was wrong, and is in the output".to_owned();
                self.failed(file, Code::Integrity, reason.clone(), out);
                self.dead = true;
                out(Out::Command(Command::Cancel { code: Code::Integrity, reason }));
            }
            files::Event::Complete { file, size, .. } => {
                out(Out::Command(Command::Committed { file }));
                let path = self.open.remove(&file).map(|open| open.name).unwrap_or_default();
                out(Out::Report(Report::Placed { file, path, size, how: How::New }));
                self.print(out);
            }
            files::Event::Failed { file, code, reason, by_peer } => {
                let name = self.open.remove(&file).map(|open| open.name).unwrap_or_default();
                let file = Some(file);
                out(Out::Report(Report::Failed { file, name, code, reason, by_peer }));
                self.print(out);
            }
            files::Event::Unusable { file, name, .. } => {
                let (code, reason) = (Code::BadName, "an unusable name".to_owned());
                let file = Some(file);
                out(Out::Report(Report::Failed { file, name, code, reason, by_peer: false }));
            }
            files::Event::Finishing => out(Out::Command(Command::Finish)),
            files::Event::Offered(_)
            | files::Event::Requested { .. }
            | files::Event::Accepted
            | files::Event::WantedEntries { .. }
            | files::Event::Wanted { .. }
            | files::Event::Check { .. }
            | files::Event::Stale { .. }
            | files::Event::Readable { .. }
            | files::Event::Done { .. }
            | files::Event::Skipped { .. }
            | files::Event::Paused { .. }
            | files::Event::Resumed
            | files::Event::Asked(_)
            | files::Event::Replied(_)
            | files::Event::Ended(_) => {}
        }
    }
}

impl Worker for Printer {
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out)) {
        match task {
            Task::Event(_) if self.dead => {}
            Task::Event(event) => self.on_event(event, out),
            Task::Piece { file, bytes, .. } if self.dead || !self.open.contains_key(&file) => {
                out(Out::Buffer(bytes));
            }
            Task::Piece { file, piece, bytes, .. } => {
                self.early.insert((file, piece), bytes);
                self.print(out);
            }
        }
    }

    fn rest(&mut self, _: &mut dyn FnMut(Out)) {}
}
