//! The bytes of what is sent, and their hashes.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};

use anabranch_core::Code;
use anabranch_core::files::{self, Hash};
use anabranch_storage::{Access, FileId};
use bytes::Bytes;

use super::{Cache, Item, Origin, Source, changed};
use crate::Buffers;
use crate::trouble::Trouble;

/// Files that are open, at most.
const OPEN: usize = 64;
/// Pieces of a pipe that can be read once more: more than are on their way.
const KEPT: usize = 80;

/// Reads pieces.
#[derive(Debug)]
pub(super) struct Reader {
    buffers: Buffers,
    cache: Option<Cache>,
    /// Open files, and how they were used: the last one at the end.
    open: BTreeMap<u32, (usize, FileId)>,
    used: Vec<u32>,
    pipes: BTreeMap<u32, Pipe>,
}

/// How far a pipe was read.
#[derive(Debug, Default)]
struct Pipe {
    next: u64,
    is_over: bool,
    kept: VecDeque<(u64, Bytes, Hash)>,
}

impl Reader {
    pub(super) fn new(buffers: Buffers) -> Self {
        let (open, used, pipes) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { buffers, cache: None, open, used, pipes }
    }

    pub(super) fn share(&mut self, cache: Cache) {
        self.cache = Some(cache);
    }

    /// A piece and its hash.
    pub(super) fn piece(
        &mut self,
        sources: &mut [Source],
        file: u32,
        item: &Item,
        piece: u64,
        offset: u64,
        len: u32,
    ) -> Result<(Bytes, Hash), Trouble> {
        if let Origin::Pipe(pipe) = &mut sources[item.at.source].origin {
            let state = self.pipes.entry(file).or_default();
            return state.piece(&self.buffers, pipe.as_mut(), piece, len as usize);
        }
        if let Some(found) = self.cache.as_ref().and_then(|cache| cache.get(file, piece)) {
            return Ok(found);
        }
        let mut buffer = self.buffers.take(len as usize);
        if let Err(trouble) = self.read(sources, file, item, offset, &mut buffer) {
            self.buffers.give_back(buffer);
            return Err(trouble);
        }
        let hash = files::hash::piece(&buffer);
        let bytes = self.buffers.lend(buffer, len as usize);
        if let Some(cache) = &self.cache {
            cache.put(file, piece, bytes.clone(), hash);
        }
        if item.entry.pieces().is_some_and(|pieces| pieces <= 1) {
            self.close(sources, file);
        }
        Ok((bytes, hash))
    }

    /// The hash of a piece.
    pub(super) fn hash(
        &mut self,
        sources: &mut [Source],
        file: u32,
        item: &Item,
        piece: u64,
    ) -> Result<Hash, Trouble> {
        let none = || Trouble::new(Code::Internal, "no such piece");
        let (offset, len) = item.entry.span(piece).ok_or_else(none)?;
        self.piece(sources, file, item, piece, offset, len).map(|(_, hash)| hash)
    }

    fn read(
        &mut self,
        sources: &mut [Source],
        file: u32,
        item: &Item,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), Trouble> {
        let id = self.handle(sources, file, item)?;
        let Some((disk, _)) = sources[item.at.source].disk() else { return Ok(()) };
        let read = disk.read_at(id, offset, buffer).map_err(Trouble::reading)?;
        let now = disk.stat(id).map_err(Trouble::reading)?;
        let Some(then) = item.at.status else { return Ok(()) };
        if now.metadata.len < then.metadata.len || read < buffer.len() {
            return Err(changed("it has shrunk"));
        }
        if now.metadata.len > then.metadata.len {
            return Err(changed("it has grown"));
        }
        if now.modified != then.modified || now.id != then.id {
            return Err(changed("it has changed"));
        }
        Ok(())
    }

    fn handle(
        &mut self,
        sources: &mut [Source],
        file: u32,
        item: &Item,
    ) -> Result<FileId, Trouble> {
        self.used.retain(|other| *other != file);
        if let Some((_, id)) = self.open.get(&file) {
            self.used.push(file);
            return Ok(*id);
        }
        if self.used.len() >= OPEN {
            let oldest = self.used[0];
            self.close(sources, oldest);
        }
        let Some((disk, _)) = sources[item.at.source].disk() else {
            return Err(Trouble::new(Code::Internal, "a pipe is not opened"));
        };
        let id = disk.open(&item.at.path, Access::Read).map_err(Trouble::reading)?;
        self.open.insert(file, (item.at.source, id));
        self.used.push(file);
        Ok(id)
    }

    /// A file is not needed any more.
    pub(super) fn close(&mut self, sources: &mut [Source], file: u32) {
        self.used.retain(|other| *other != file);
        self.pipes.remove(&file);
        if let Some((source, id)) = self.open.remove(&file)
            && let Some((disk, _)) = sources[source].disk()
            && let Err(error) = disk.close(id)
        {
            log::warn!("closing a file that was sent: {error}");
        }
    }

    /// Nothing is needed any more.
    pub(super) fn close_all(&mut self, sources: &mut [Source]) {
        for file in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(sources, file);
        }
    }
}

impl Pipe {
    /// A piece: the next one, or one that was read not long ago. It is shorter than wanted, or
    /// empty, where the pipe ends.
    fn piece(
        &mut self,
        buffers: &Buffers,
        pipe: &mut dyn Read,
        piece: u64,
        len: usize,
    ) -> Result<(Bytes, Hash), Trouble> {
        if let Some((_, bytes, hash)) = self.kept.iter().find(|kept| kept.0 == piece) {
            return Ok((bytes.clone(), *hash));
        }
        if piece < self.next {
            let reason = "what came from a pipe cannot be read again";
            return Err(Trouble::new(Code::SourceFailed, reason));
        }
        while self.next <= piece {
            let mut buffer = buffers.take(len);
            let read = if self.is_over { Ok(0) } else { fill(pipe, &mut buffer) };
            let read = read.map_err(|error| {
                Trouble::new(Code::SourceFailed, format!("the pipe cannot be read: {error}"))
            })?;
            self.is_over |= read < len;
            let hash = files::hash::piece(&buffer[..read]);
            self.kept.push_back((self.next, buffers.lend(buffer, read), hash));
            if self.kept.len() > KEPT {
                self.kept.pop_front();
            }
            self.next += 1;
        }
        match self.kept.back() {
            Some((_, bytes, hash)) => Ok((bytes.clone(), *hash)),
            None => Err(Trouble::new(Code::Internal, "nothing was read")),
        }
    }
}

/// Reads until the buffer is full or the pipe ends.
fn fill(pipe: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match pipe.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
