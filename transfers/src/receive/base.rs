//! What has the name of a file already: pieces of it that are right are not sent again.

use std::collections::BTreeMap;

use anabranch_core::Code;
use anabranch_core::files::Hash;
use anabranch_storage::Access;

use super::incoming::Where;
use super::{Keeper, Tell};
use crate::trouble::Trouble;
use crate::{Out, Report, journal};

/// Bytes between two reports of checking.
const CHECKED: u64 = 64 << 20;

impl Keeper {
    /// Reads and hashes the pieces of what has the name, as far as they are not in the partial
    /// file.
    pub(super) fn look_at_present(&mut self, file: u32, out: Tell<'_>) -> Result<(), Trouble> {
        let Some(incoming) = self.files.get(&file) else { return Ok(()) };
        let (Some(status), Some(size)) = (incoming.present, incoming.entry.size) else {
            return Ok(());
        };
        let (entry, path) = (incoming.entry.clone(), incoming.path.clone());
        // Pieces that both have: whole ones, and the last one only if both end with it.
        let total = status.metadata.len;
        let common = if total == size {
            entry.pieces().unwrap_or(0)
        } else {
            total.min(size) / u64::from(entry.piece)
        };
        if common == 0 {
            return Ok(());
        }
        let failed = |error| Trouble::storing("reading the file that is there", error);
        let id = self.disk.open(&path, Access::Read).map_err(failed)?;
        let mut buf = vec![0; entry.piece as usize];
        let mut hashes = BTreeMap::new();
        for piece in 0..common {
            let Some((offset, len)) = entry.span(piece) else { break };
            if offset.is_multiple_of(CHECKED) {
                out(Out::Report(Report::Checking { file, done: offset, total }));
            }
            let buf = &mut buf[..len as usize];
            let read = self.disk.read_at(id, offset, buf);
            if read != Ok(buf.len()) {
                break;
            }
            hashes.insert(piece, *blake3::hash(buf).as_bytes());
        }
        self.disk.close(id).map_err(failed)?;
        let Some(incoming) = self.files.get_mut(&file) else { return Ok(()) };
        // Where the partial file has nothing else, it is not needed.
        let same = |(piece, at): (&u64, &(Where, Hash))| hashes.get(piece) == Some(&at.1);
        let all = total == size && hashes.len() as u64 == common && incoming.found.iter().all(same);
        for (piece, hash) in hashes {
            if all || !incoming.found.contains_key(&piece) {
                incoming.found.insert(piece, (Where::Base, hash));
            }
        }
        Ok(())
    }

    /// Whether a complete file is what has the name already, untouched since it was looked at.
    pub(super) fn is_present(&mut self, file: u32, size: u64) -> bool {
        let Some(incoming) = self.files.get(&file) else { return false };
        let Some(status) = incoming.present else { return false };
        let same = |at: &(Where, Hash)| at.0 == Where::Base;
        incoming.entry.size == Some(size)
            && status.metadata.len == size
            && !incoming.has_changed
            && incoming.found.len() as u64 == incoming.entry.pieces().unwrap_or(0)
            && incoming.found.values().all(same)
            && self.disk.status(&incoming.path) == Ok(status)
    }

    /// Copies pieces of what has the name into the partial file.
    pub(super) fn copy_base(&mut self, file: u32) -> Result<(), Trouble> {
        let Some(incoming) = self.files.get(&file) else { return Ok(()) };
        let of_base = incoming.found.iter().filter(|(_, at)| at.0 == Where::Base);
        let pieces: Vec<_> = of_base.map(|(piece, at)| (*piece, at.1)).collect();
        if pieces.is_empty() {
            return Ok(());
        }
        let (entry, path) = (incoming.entry.clone(), incoming.path.clone());
        let handles = self.handles(file)?;
        let failed = |error| Trouble::storing("copying from the file that is there", error);
        let base = self.disk.open(&path, Access::Read).map_err(failed)?;
        let mut buf = vec![0; entry.piece as usize];
        for (piece, hash) in pieces {
            let Some((offset, len)) = entry.span(piece) else { continue };
            let buf = &mut buf[..len as usize];
            let read = self.disk.read_at(base, offset, buf).map_err(failed)?;
            if read != buf.len() || *blake3::hash(buf).as_bytes() != hash {
                self.disk.close(base).map_err(failed)?;
                let reason = "the file that is there has changed under way";
                return Err(Trouble::new(Code::Io, reason));
            }
            self.disk.write_at(handles.part, offset, buf).map_err(failed)?;
            self.note(file, |entry| journal::stored(entry, piece, &hash))?;
            if let Some(incoming) = self.files.get_mut(&file) {
                incoming.found.insert(piece, (Where::Part, hash));
            }
        }
        self.disk.close(base).map_err(failed)
    }
}
