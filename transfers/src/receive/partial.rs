//! The partial file and its journal.

use std::ops::Range;
use std::sync::Arc;

use anabranch_core::files::Hash;
use anabranch_storage::{Access, Error, FileId, RelPath};

use super::aides::Job;
use super::incoming::{Handles, Where};
use super::plan::exists;
use super::{Keeper, Tell};
use crate::trouble::Trouble;
use crate::{Out, Report, journal};

/// Files that have handles open, at most.
const OPEN: usize = 48;
/// Pieces that are worth being given to another thread.
const LARGE: usize = 64 << 10;
/// Bytes between two reports of checking.
const CHECKED: u64 = 64 << 20;

impl Keeper {
    /// Looks for a partial file of an earlier time, and reads what is to be believed of it.
    pub(super) fn look_for_part(&mut self, file: u32, out: Tell<'_>) -> Result<(), Trouble> {
        let Some(incoming) = self.files.get(&file) else { return Ok(()) };
        let failed = |error| Trouble::storing("the partial file", error);
        let (part, state) = (incoming.part.clone(), incoming.state.clone());
        let entry = incoming.entry.clone();
        let status = match self.disk.status(&part) {
            Ok(status) => status,
            Err(Error::NotFound) => return self.drop_state(&state).map_err(failed),
            Err(error) => return Err(failed(error)),
        };
        let contents = self.read_journal(&state, journal::longest(&entry)).map_err(failed)?;
        let contents = contents.and_then(|bytes| journal::read(&entry, &bytes));
        let Some(contents) = contents.filter(|_| entry.pieces().is_some_and(|n| n > 1)) else {
            // Another transfer may be at it at this moment.
            self.open_alone(&part).and_then(|id| self.disk.close(id)).map_err(failed)?;
            self.disk.remove(&part).map_err(failed)?;
            self.drop_state(&state).map_err(failed)?;
            if status.metadata.len > 0 {
                out(Out::Report(Report::Outdated { file, name: entry.name }));
            }
            return Ok(());
        };
        if let Some(incoming) = self.files.get_mut(&file) {
            incoming.has_part = true;
            incoming.journal_len = contents.len as u64;
        }
        let handles = self.handles(file)?;
        let total = contents.pieces.len() as u64 * u64::from(entry.piece);
        let mut buf = vec![0; entry.piece as usize];
        for (n, (piece, hash)) in contents.pieces.into_iter().enumerate() {
            let done = n as u64 * u64::from(entry.piece);
            if done.is_multiple_of(CHECKED) {
                out(Out::Report(Report::Checking { file, done, total }));
            }
            let Some((offset, len)) = entry.span(piece) else { continue };
            let buf = &mut buf[..len as usize];
            let read = self.disk.read_at(handles.part, offset, buf).map_err(failed)?;
            let is_right = read == buf.len() && *blake3::hash(buf).as_bytes() == hash;
            if is_right && let Some(incoming) = self.files.get_mut(&file) {
                incoming.found.insert(piece, (Where::Part, hash));
            }
        }
        Ok(())
    }

    fn drop_state(&mut self, state: &RelPath) -> Result<(), Error> {
        match self.disk.remove(state) {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads a journal. `None`: there is none, or it is longer than it can be.
    fn read_journal(&mut self, state: &RelPath, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let id = match self.disk.open(state, Access::Read) {
            Ok(id) => id,
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = self.read_whole(id, most);
        self.disk.close(id)?;
        read
    }

    fn read_whole(&mut self, id: FileId, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let len = usize::try_from(self.disk.stat(id)?.metadata.len).unwrap_or(usize::MAX);
        if len > most {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        let read = self.disk.read_at(id, 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    fn open_alone(&mut self, path: &RelPath) -> Result<FileId, Error> {
        match self.disk.open(path, Access::Alone) {
            Err(Error::NotFound) => {
                let id = self.disk.create(path)?;
                self.disk.close(id)?;
                self.disk.open(path, Access::Alone)
            }
            opened => opened,
        }
    }

    /// The open files of a file. A file that was not used for long may be closed instead.
    pub(super) fn handles(&mut self, file: u32) -> Result<Handles, Trouble> {
        self.open.retain(|other| *other != file);
        self.open.push(file);
        if let Some(handles) = self.files.get(&file).and_then(|incoming| incoming.handles) {
            return Ok(handles);
        }
        if self.open.len() > OPEN {
            let oldest = self.open[0];
            self.close(oldest);
        }
        let opened = self.open_files(file);
        if opened.is_err() {
            self.close(file);
        }
        opened.map_err(|error| Trouble::storing("the partial file", error))
    }

    fn open_files(&mut self, file: u32) -> Result<Handles, Error> {
        let Some(incoming) = self.files.get(&file) else { return Err(Error::NotOpen) };
        let (path, state) = (incoming.part.clone(), incoming.state.clone());
        let (id, has_part, len) = (incoming.id, incoming.has_part, incoming.journal_len);
        let journaled = incoming.is_journaled();
        let header = journal::header(&incoming.entry);
        let part = self.open_alone(&path)?;
        let mut handles = Handles { part, journal: None };
        self.note_handles(file, handles);
        let status = self.disk.stat(part)?;
        if id.is_some_and(|id| id != status.id) {
            // Somebody has put another file there.
            return Err(Error::Busy);
        }
        if !has_part && status.metadata.len > 0 {
            self.disk.set_len(part, 0)?;
        }
        if journaled {
            let journal = match self.disk.open(&state, Access::Write) {
                Err(Error::NotFound) => self.disk.create(&state)?,
                opened => opened?,
            };
            handles.journal = Some(journal);
            self.note_handles(file, handles);
            self.disk.set_len(journal, len)?;
            if len == 0 {
                self.disk.write_at(journal, 0, &header)?;
            }
        }
        if let Some(incoming) = self.files.get_mut(&file) {
            incoming.is_fresh |= !has_part;
            incoming.has_part = true;
            incoming.id = Some(status.id);
            incoming.journal_len = incoming.journal_len.max(header.len() as u64);
        }
        Ok(handles)
    }

    fn note_handles(&mut self, file: u32, handles: Handles) {
        if let Some(incoming) = self.files.get_mut(&file) {
            incoming.handles = Some(handles);
        }
    }

    /// Closes the open files of a file.
    pub(super) fn close(&mut self, file: u32) {
        self.aides.settle(file);
        self.note_written(file);
        self.open.retain(|other| *other != file);
        let Some(incoming) = self.files.get_mut(&file) else { return };
        incoming.writer = None;
        if let Some(Handles { part, journal }) = incoming.handles.take() {
            for id in [Some(part), journal].into_iter().flatten() {
                if let Err(error) = self.disk.close(id) {
                    log::warn!("closing a partial file: {error}");
                }
            }
        }
    }

    /// Has a large piece of a large file written by somebody else, and gives back any other.
    pub(super) fn hand_over(
        &mut self,
        (file, piece, offset): (u32, u64, u64),
        bytes: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let is_large =
            bytes.len() >= LARGE && self.files.get(&file).is_some_and(|file| file.is_journaled());
        if !is_large || !self.aides.are_free() {
            return Ok(Some(bytes));
        }
        let handles = self.handles(file)?;
        let Some(incoming) = self.files.get_mut(&file) else { return Ok(Some(bytes)) };
        if incoming.is_hole(offset, &bytes) {
            return Ok(Some(bytes));
        }
        if incoming.writer.is_none() {
            let made = self.disk.writer(handles.part);
            let made = made.map_err(|error| Trouble::storing("writing", error))?;
            incoming.writer = made.map(Arc::from);
        }
        let Some(writer) = incoming.writer.clone() else { return Ok(Some(bytes)) };
        let len = bytes.len();
        match self.aides.give(Job { file, piece, offset, bytes, writer }) {
            Ok(()) => {
                incoming.changes(piece, len);
                Ok(None)
            }
            Err(job) => Ok(Some(job.bytes)),
        }
    }

    /// Pieces that others have written are in the journal before the file is closed, or they would
    /// be sent again.
    fn note_written(&mut self, file: u32) {
        if self.files.get(&file).is_none_or(|incoming| incoming.handles.is_none()) {
            return;
        }
        let written = self.aides.written(file).map(|made| {
            made.is_noted = true;
            (made.piece, made.hash)
        });
        for (piece, hash) in written.collect::<Vec<_>>() {
            if let Err(trouble) = self.note_piece(file, piece, &hash) {
                log::warn!("a piece is there and will be sent again: {}", trouble.reason);
            }
        }
    }

    /// Stores a piece.
    pub(super) fn store(
        &mut self,
        file: u32,
        piece: u64,
        offset: u64,
        bytes: &[u8],
        hash: &Hash,
    ) -> Result<(), Trouble> {
        if self.files.get(&file).is_some_and(|incoming| incoming.entry.size.is_none()) {
            self.grow_share(file, bytes.len() as u64)?;
        }
        let handles = self.handles(file)?;
        let failed = |error| Trouble::storing("writing", error);
        let Some(incoming) = self.files.get_mut(&file) else { return Ok(()) };
        incoming.changes(piece, bytes.len());
        let is_small = !incoming.is_journaled() && incoming.entry.size.is_some();
        if incoming.is_hole(offset, bytes) {
            // Nobody may write beyond it now: that would be cut off.
            self.aides.settle(file);
            let end = offset + bytes.len() as u64;
            let len = self.disk.stat(handles.part).map_err(failed)?.metadata.len;
            if len < end {
                self.disk.set_len(handles.part, end).map_err(failed)?;
            }
        } else {
            self.disk.write_at(handles.part, offset, bytes).map_err(failed)?;
        }
        self.note_piece(file, piece, hash)?;
        if is_small {
            self.close(file);
        }
        Ok(())
    }

    /// A piece has been written.
    pub(super) fn note_piece(&mut self, file: u32, piece: u64, hash: &Hash) -> Result<(), Trouble> {
        self.note(file, |entry| journal::stored(entry, piece, hash))
    }

    /// Appends to a journal, if there is one.
    pub(super) fn note(
        &mut self,
        file: u32,
        record: impl FnOnce(&anabranch_core::files::Entry) -> Vec<u8>,
    ) -> Result<(), Trouble> {
        let handles = self.handles(file)?;
        let Some(incoming) = self.files.get_mut(&file) else { return Ok(()) };
        let Some(journal) = handles.journal else { return Ok(()) };
        let record = record(&incoming.entry);
        let written = self.disk.write_at(journal, incoming.journal_len, &record);
        written.map_err(|error| Trouble::storing("writing its journal", error))?;
        incoming.journal_len += record.len() as u64;
        Ok(())
    }

    fn grow_share(&mut self, file: u32, bytes: u64) -> Result<(), Trouble> {
        let (Some(quota), Some(incoming)) = (&self.receive.quota, self.files.get_mut(&file)) else {
            return Ok(());
        };
        let full = || Trouble::new(anabranch_core::Code::NoSpace, "the quota is used up");
        let more = quota.take(bytes).ok_or_else(full)?;
        match &mut incoming.share {
            Some(share) => share.join(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Pieces that are here are others at the sender's, and will be sent.
    pub(super) fn on_stale(&mut self, file: u32, pieces: Range<u64>, out: Tell<'_>) {
        let Some(incoming) = self.files.get_mut(&file) else { return };
        let refuses = self.receive.existing == anabranch_core::files::Existing::Refuse;
        let at: Vec<(u64, Where)> =
            incoming.found.range(pieces.clone()).map(|(piece, at)| (*piece, at.0)).collect();
        incoming.found.retain(|piece, _| !pieces.contains(piece));
        let of_base = at.iter().any(|(_, place)| *place == Where::Base);
        if of_base && refuses {
            self.give_up(file, exists(), out);
            return;
        }
        // What arrived in this transfer and was wrong is not in `found`, but may be in the journal.
        let journaled = incoming.has_part && incoming.is_journaled();
        let gone: Vec<u64> = if at.is_empty() && pieces.end - pieces.start == 1 {
            vec![pieces.start]
        } else {
            let of_part = at.iter().filter(|(_, place)| *place == Where::Part);
            of_part.map(|(piece, _)| *piece).collect()
        };
        for piece in gone {
            if !journaled {
                break;
            }
            if let Err(trouble) = self.note(file, |entry| journal::gone(entry, piece)) {
                self.give_up(file, trouble, out);
                return;
            }
        }
    }
}
