//! Complete files get their names; what must be durable is made so.

use anabranch_core::files::{Command, Existing};
use anabranch_storage::{Attributes, Error, RelPath, Replace};

use super::plan::exists;
use super::{Keeper, REMEMBERED, Tell, names};
use crate::trouble::Trouble;
use crate::{How, Out, Report};

/// From so many files on, everything is made durable at once instead of one after another.
const MANY: usize = 4;
/// Other names that are tried for a file whose name is taken.
const OTHER_NAMES: u32 = 10_000;

impl Keeper {
    /// The files that are complete get their names.
    pub(super) fn commit(&mut self, out: Tell<'_>) {
        let complete = std::mem::take(&mut self.complete);
        let mut ready = Vec::new();
        for (file, size) in complete {
            if self.is_present(file, size) {
                self.keep_present(file, size, out);
                continue;
            }
            match self.make_whole(file, size) {
                Ok(()) => ready.push((file, size)),
                Err(trouble) => self.give_up(file, trouble, out),
            }
            if self.dead {
                return;
            }
        }
        if self.receive.sync {
            ready = self.make_durable(ready, out);
        }
        for (file, size) in ready {
            match self.give_name(file) {
                Ok((path, how)) => {
                    out(Out::Command(Command::Committed { file }));
                    out(Out::Report(Report::Placed { file, path: path.to_string(), size, how }));
                }
                Err(trouble) => self.give_up(file, trouble, out),
            }
            if self.dead {
                return;
            }
        }
        if self.spent.len() + self.changed.len() > REMEMBERED
            && let Err(error) = self.settle()
        {
            self.fail_all(error, out);
        }
    }

    /// The same file is there already.
    fn keep_present(&mut self, file: u32, size: u64, out: Tell<'_>) {
        let Some(incoming) = self.files.get(&file) else { return };
        let (path, attributes) = (incoming.path.clone(), self.attributes(&incoming.entry));
        let set = self.disk.set_attributes(&path, attributes);
        if let Err(error) = set {
            log::info!("{path}: its attributes stay as they are: {error}");
        }
        self.drop_part(file);
        self.release(file);
        out(Out::Command(Command::Committed { file }));
        let how = How::Same;
        out(Out::Report(Report::Placed { file, path: path.to_string(), size, how }));
    }

    /// The partial file has every byte, its length, and its attributes.
    fn make_whole(&mut self, file: u32, size: u64) -> Result<(), Trouble> {
        let failed = |error| Trouble::storing("writing", error);
        self.copy_base(file)?;
        let Some(incoming) = self.files.get(&file) else { return Ok(()) };
        let (is_small, part) = (incoming.handles.is_none(), incoming.part.clone());
        let attributes = self.attributes(&incoming.entry);
        if size == 0 || !is_small {
            let handles = self.handles(file)?;
            let len = self.disk.stat(handles.part).map_err(failed)?.metadata.len;
            if len != size {
                self.disk.set_len(handles.part, size).map_err(failed)?;
            }
        }
        if attributes != Attributes::default() {
            let set = self.disk.set_attributes(&part, attributes);
            set.map_err(|error| Trouble::storing("its attributes", error))?;
        }
        Ok(())
    }

    /// The bytes of these files survive whatever happens. Answers with those of which they do.
    fn make_durable(&mut self, ready: Vec<(u32, u64)>, out: Tell<'_>) -> Vec<(u32, u64)> {
        if ready.len() > MANY {
            return match self.disk.sync_all() {
                Ok(()) => ready,
                Err(error) => {
                    for (file, _) in ready {
                        self.distrust(file, error, out);
                    }
                    Vec::new()
                }
            };
        }
        let mut durable = Vec::new();
        for (file, size) in ready {
            let synced = match self.handles(file) {
                Ok(handles) => self.disk.sync(handles.part),
                Err(trouble) => {
                    self.give_up(file, trouble, out);
                    continue;
                }
            };
            match synced {
                Ok(()) => durable.push((file, size)),
                Err(error) => self.distrust(file, error, out),
            }
        }
        durable
    }

    /// Something that was written may be lost, and nobody can tell what: the file begins anew.
    fn distrust(&mut self, file: u32, error: Error, out: Tell<'_>) {
        self.drop_part(file);
        self.give_up(file, Trouble::storing("making it durable", error), out);
    }

    fn drop_part(&mut self, file: u32) {
        self.close(file);
        let Some(incoming) = self.files.get_mut(&file) else { return };
        if !incoming.has_part {
            return;
        }
        incoming.has_part = false;
        for path in [incoming.state.clone(), incoming.part.clone()] {
            match self.disk.remove(&path) {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => log::warn!("{path}: cannot be removed: {error}"),
            }
        }
    }

    /// A whole file gets its name, in one step.
    fn give_name(&mut self, file: u32) -> Result<(RelPath, How), Trouble> {
        self.close(file);
        let Some(incoming) = self.files.get(&file) else { return Err(exists()) };
        let (part, path) = (incoming.part.clone(), incoming.path.clone());
        let replace = match self.receive.existing {
            Existing::Overwrite => Replace::Yes,
            Existing::Refuse | Existing::Skip | Existing::Rename => Replace::No,
        };
        let mut how = match (&incoming.present, replace) {
            (Some(_), Replace::Yes) => How::Replaced,
            (Some(_) | None, Replace::Yes | Replace::No) => How::New,
        };
        let mut name = path.clone();
        let mut renamed = self.disk.rename(&part, &name, replace);
        let most = if self.receive.existing == Existing::Rename { OTHER_NAMES } else { 0 };
        for n in 1..=most {
            if renamed != Err(Error::Exists) {
                break;
            }
            let Some(other) = names::other(&path, n) else { break };
            (name, how) = (other, How::New);
            renamed = self.disk.rename(&part, &name, replace);
        }
        match renamed {
            Ok(()) => {}
            Err(Error::Exists) => return Err(exists()),
            Err(error) => return Err(Trouble::storing("giving it its name", error)),
        }
        self.named(file, &name);
        Ok((name, how))
    }

    fn named(&mut self, file: u32, name: &RelPath) {
        if let Some((above, _)) = name.split() {
            self.changed.insert(above);
        }
        let Some(incoming) = self.files.get_mut(&file) else { return };
        if incoming.journal_len > 0 && incoming.is_journaled() {
            self.spent.push(incoming.state.clone());
        }
        if let Some(share) = incoming.share.take() {
            share.keep();
        }
        if let (Some(quota), Some(old)) = (&self.receive.quota, incoming.present)
            && self.receive.existing == Existing::Overwrite
        {
            quota.give_back(old.metadata.len);
        }
        self.release(file);
    }

    /// Names are durable, and journals of files that have them are gone.
    fn settle(&mut self) -> Result<(), Error> {
        let changed = std::mem::take(&mut self.changed);
        if !self.receive.sync {
        } else if changed.len() > MANY {
            self.disk.sync_all()?;
        } else {
            for folder in changed {
                self.disk.sync_dir(&folder)?;
            }
        }
        for state in std::mem::take(&mut self.spent) {
            match self.disk.remove(&state) {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => log::warn!("{state}: cannot be removed: {error}"),
            }
        }
        Ok(())
    }

    fn fail_all(&mut self, error: Error, out: Tell<'_>) {
        self.dead = true;
        let Trouble { code, reason, .. } = Trouble::storing("making names durable", error);
        let (file, name) = (None, String::new());
        let by_peer = false;
        out(Out::Report(Report::Failed { file, name, code, reason: reason.clone(), by_peer }));
        out(Out::Command(Command::Cancel { code, reason }));
    }

    /// Every entry was dealt with.
    pub(super) fn finish(&mut self, out: Tell<'_>) {
        self.commit(out);
        // The deepest first: what changes in a folder changes its time.
        let mut folders = std::mem::take(&mut self.folders);
        folders.sort_by(|a, b| b.0.cmp(&a.0));
        if let Err(error) = self.settle() {
            self.fail_all(error, out);
        }
        for (path, attributes) in folders {
            if attributes == Attributes::default() {
                continue;
            }
            if let Err(error) = self.disk.set_attributes(&path, attributes) {
                log::warn!("{path}: its attributes cannot be set: {error}");
            }
        }
        if !self.dead {
            out(Out::Command(Command::Finish));
        }
    }

    /// A file is done with, or given up: what is there of it stays, if it is of use.
    pub(super) fn let_go(&mut self, file: u32) {
        self.complete.retain(|(other, _)| *other != file);
        let Some(incoming) = self.files.get(&file) else { return };
        if !incoming.is_journaled() {
            self.drop_part(file);
        }
        self.release(file);
    }

    fn release(&mut self, file: u32) {
        self.close(file);
        if let Some(mut incoming) = self.files.remove(&file)
            && incoming.has_part
            && incoming.is_journaled()
            && let Some(share) = incoming.share.take()
        {
            // A partial file takes room as well.
            share.keep_some(incoming.written);
        }
    }

    /// The transfer is over.
    pub(super) fn let_all_go(&mut self) {
        for file in self.files.keys().copied().collect::<Vec<_>>() {
            self.let_go(file);
        }
        // Journals of files that have their names are of no use; but they may be the only sign of
        // a file whose name is not durable.
        if let Err(error) = self.settle() {
            log::warn!("making names durable: {error}");
        }
    }
}
