//! What to do with an entry: where it goes, and what of it is there.

use std::collections::BTreeMap;

use anabranch_core::Code;
use anabranch_core::files::{Command, Entry, Existing, Kind};
use anabranch_storage::{Attributes, Error, Kind as What, Modified, RelPath, Status};

use super::incoming::Incoming;
use super::{Keeper, REMEMBERED, Tell, names};
use crate::trouble::Trouble;
use crate::{How, Out, Report};

impl Keeper {
    pub(super) fn on_entry(&mut self, file: u32, entry: Entry, out: Tell<'_>) {
        let (name, kind, size) = (entry.name.clone(), entry.kind, entry.size);
        out(Out::Report(Report::Entry { file, name: name.clone(), kind, size }));
        let planned = self.target(&name).and_then(|path| match kind {
            Kind::Folder => self.take_folder(file, &entry, &path, out),
            Kind::File => self.take_file(file, entry, path, out),
        });
        if let Err(trouble) = planned {
            if self.files.contains_key(&file) {
                self.give_up(file, trouble, out);
                return;
            }
            let Trouble { code, reason, general } = trouble;
            let cancel = format!("{name}: {reason}");
            out(Out::Report(Report::Failed {
                file: Some(file),
                name,
                code,
                reason: reason.clone(),
                by_peer: false,
            }));
            if general {
                self.dead = true;
                out(Out::Command(Command::Cancel { code, reason: cancel }));
            } else {
                out(Out::Command(Command::Fail { file, code, reason }));
            }
        }
    }

    /// Where an entry goes.
    fn target(&self, name: &str) -> Result<RelPath, Trouble> {
        let bad = |why: &str| Trouble::new(Code::BadName, why);
        let renamed = match (&self.receive.top, name.split_once('/')) {
            (Some(top), Some((_, rest))) => format!("{top}/{rest}"),
            (Some(top), None) => top.clone(),
            (None, _) => name.to_owned(),
        };
        let mut path = self.receive.folder.clone();
        for component in renamed.split('/') {
            if names::is_private(component) {
                return Err(bad("this name is for partial files"));
            }
            path = path.join(component).ok_or_else(|| bad("too long, or leads elsewhere"))?;
        }
        Ok(path)
    }

    fn take_folder(
        &mut self,
        file: u32,
        entry: &Entry,
        path: &RelPath,
        out: Tell<'_>,
    ) -> Result<(), Trouble> {
        let how = if self.make_folder(path)? { How::New } else { How::Same };
        if self.folders.len() < REMEMBERED * REMEMBERED {
            self.folders.push((path.clone(), self.attributes(entry)));
        }
        out(Out::Command(Command::Take { file, haves: Vec::new() }));
        out(Out::Report(Report::Placed { file, path: path.to_string(), size: 0, how }));
        Ok(())
    }

    /// Makes a folder, and those above it. Answers whether it is new.
    pub(super) fn make_folder(&mut self, path: &RelPath) -> Result<bool, Trouble> {
        if path.is_root() || self.made.contains(path) {
            return Ok(false);
        }
        let made = match self.disk.make_dir(path) {
            Err(Error::NotFound) => {
                let Some((above, _)) = path.split() else { return Ok(false) };
                if above.is_root() {
                    let gone = Trouble::storing("the folder for received files", Error::NotFound);
                    return Err(gone);
                }
                self.make_folder(&above)?;
                self.disk.make_dir(path)
            }
            made => made,
        };
        let is_new = match made {
            Ok(()) => {
                let above = path.split().map(|(above, _)| above).unwrap_or_default();
                self.changed.insert(above);
                true
            }
            Err(Error::Exists) => match self.disk.metadata(path).map(|metadata| metadata.kind) {
                Ok(What::Dir) => false,
                Ok(What::File | What::Other) => {
                    let reason = format!("{path} is there, and is no folder");
                    return Err(Trouble::new(Code::Exists, reason));
                }
                Err(error) => return Err(Trouble::storing("its folder", error)),
            },
            Err(error) => return Err(Trouble::storing("its folder cannot be made", error)),
        };
        if self.made.len() >= REMEMBERED {
            self.made.clear();
        }
        self.made.insert(path.clone());
        Ok(is_new)
    }

    fn take_file(
        &mut self,
        file: u32,
        entry: Entry,
        path: RelPath,
        out: Tell<'_>,
    ) -> Result<(), Trouble> {
        let present = self.present(&path)?;
        match (self.receive.existing, &present) {
            (Existing::Skip, Some(_)) => {
                out(Out::Command(Command::Skip { file }));
                out(Out::Report(Report::Skipped { file, name: entry.name }));
                return Ok(());
            }
            (Existing::Refuse, Some(status)) if entry.size != Some(status.metadata.len) => {
                return Err(exists());
            }
            _ => {}
        }
        let busy = || Trouble::storing("", Error::Busy);
        let claim = self.claims.claim(&path).ok_or_else(busy)?;
        if let Some((above, _)) = path.split() {
            self.make_folder(&above)?;
        }
        let bad = || Trouble::new(Code::BadName, "no name for the partial file");
        let incoming = Incoming {
            part: names::part(&path).ok_or_else(bad)?,
            state: names::state(&path).ok_or_else(bad)?,
            path,
            present,
            found: BTreeMap::new(),
            has_part: false,
            journal_len: 0,
            is_fresh: false,
            handles: None,
            writer: None,
            id: None,
            has_changed: false,
            written: 0,
            share: None,
            entry,
            _claim: claim,
        };
        self.files.insert(file, incoming);
        self.look_for_part(file, out)?;
        self.look_at_present(file, out)?;
        self.make_room(file)?;
        let Some(incoming) = self.files.get_mut(&file) else { return Ok(()) };
        let haves = incoming.haves();
        incoming.keep_told(&haves);
        let bytes = incoming.found_bytes();
        if bytes > 0 {
            out(Out::Report(Report::Resumed { file, bytes }));
        }
        out(Out::Command(Command::Take { file, haves }));
        Ok(())
    }

    fn present(&mut self, path: &RelPath) -> Result<Option<Status>, Trouble> {
        match self.disk.status(path) {
            Ok(status) => match status.metadata.kind {
                What::File => Ok(Some(status)),
                What::Dir => Err(Trouble::new(Code::Exists, "a folder has this name")),
                What::Other => {
                    Err(Trouble::new(Code::Exists, "something that is no file has this name"))
                }
            },
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(Trouble::storing("its name cannot be looked at", error)),
        }
    }

    /// Sees to it that there is room for what will be sent.
    fn make_room(&mut self, file: u32) -> Result<(), Trouble> {
        let Some(incoming) = self.files.get_mut(&file) else { return Ok(()) };
        let needed = incoming.needed();
        if needed == 0 {
            return Ok(());
        }
        if let Some(quota) = &self.receive.quota {
            let full = || {
                let left = quota.limit().saturating_sub(quota.used());
                let reason = format!("the quota has {left} bytes left, {needed} are needed");
                Trouble::new(Code::NoSpace, reason)
            };
            incoming.share = Some(quota.take(needed).ok_or_else(full)?);
        }
        let free = self.disk.free_space();
        let free = free.map_err(|error| Trouble::storing("the free space", error))?;
        if free.saturating_sub(self.receive.reserve) < needed {
            let reason = format!("{free} bytes are free on the disk, {needed} are needed");
            return Err(Trouble::new(Code::NoSpace, reason));
        }
        Ok(())
    }

    /// What of an entry's attributes is taken over.
    pub(super) fn attributes(&self, entry: &Entry) -> Attributes {
        let modified = entry.modified.filter(|_| self.receive.times);
        Attributes {
            // Nothing runs as somebody else because a peer says so.
            mode: entry.mode.filter(|_| self.receive.modes).map(|mode| mode & 0o777),
            modified: modified.map(|at| Modified { seconds: at.seconds, nanos: at.nanos }),
        }
    }
}

/// A file is there, and must not be replaced.
pub(super) fn exists() -> Trouble {
    Trouble::new(Code::Exists, "a file with other content has this name")
}
