//! Storage in a folder of the operating system.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with, statvfs};
use rustix::io::Errno;

use crate::{Access, Entry, Error, FileId, Kind, MAX_LEN, Metadata, RelPath, Replace, Storage};

/// A folder. Everything happens below it; a symbolic link at the end of a path is not followed.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    open: BTreeMap<FileId, (File, Access)>,
    next: u64,
}

impl Folder {
    /// A folder that exists.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), open: BTreeMap::new(), next: 0 }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn below(&self, path: &RelPath) -> PathBuf {
        path.below(&self.root)
    }

    fn keep(&mut self, file: File, access: Access) -> FileId {
        let id = FileId(self.next);
        self.next += 1;
        self.open.insert(id, (file, access));
        id
    }

    fn file(&self, id: FileId) -> Result<&File, Error> {
        self.open.get(&id).map(|(file, _)| file).ok_or(Error::NotOpen)
    }

    fn writable(&self, id: FileId) -> Result<&File, Error> {
        match self.open.get(&id) {
            Some((file, Access::Write)) => Ok(file),
            Some((_, Access::Read)) => Err(Error::Denied),
            None => Err(Error::NotOpen),
        }
    }
}

/// Never waits for the other end of a pipe, never follows a link.
fn flags() -> i32 {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or(0)
}

fn described(metadata: &fs::Metadata) -> Metadata {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Dir,
        _ => Kind::Other,
    };
    Metadata { kind, len: if kind == Kind::File { metadata.len() } else { 0 } }
}

const fn check_len(len: u64) -> Result<(), Error> {
    if len > MAX_LEN { Err(Error::Full) } else { Ok(()) }
}

/// For names that must not be directories.
fn no_directory(metadata: Metadata) -> Result<(), Error> {
    match metadata.kind {
        Kind::Dir => Err(Error::IsADirectory),
        Kind::File | Kind::Other => Ok(()),
    }
}

/// Renames, or fails if the new name is taken, in one step.
fn rename_to_free(from: &Path, to: &Path) -> Result<(), Error> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A file system that cannot do that can give a second name to the file.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            Ok(fs::remove_file(from)?)
        }
        Err(error) => Err(io::Error::from(error).into()),
    }
}

impl Storage for Folder {
    fn create(&mut self, path: &RelPath) -> Result<FileId, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).custom_flags(flags());
        let file = options.open(self.below(path))?;
        Ok(self.keep(file, Access::Write))
    }

    fn open(&mut self, path: &RelPath, access: Access) -> Result<FileId, Error> {
        let write = access == Access::Write;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(write).custom_flags(flags()).open(self.below(path))?;
        match described(&file.metadata()?).kind {
            Kind::File => Ok(self.keep(file, access)),
            Kind::Dir => Err(Error::IsADirectory),
            Kind::Other => Err(Error::NotAFile),
        }
    }

    fn read_at(&mut self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let file = self.file(file)?;
        let mut read = 0;
        // The system takes such places for mistakes. No file gets there.
        if offset > MAX_LEN {
            return Ok(0);
        }
        while read < buf.len() {
            match file.read_at(&mut buf[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let file = self.writable(file)?;
        check_len(offset.saturating_add(bytes.len() as u64))?;
        Ok(file.write_all_at(bytes, offset)?)
    }

    fn set_len(&mut self, file: FileId, len: u64) -> Result<(), Error> {
        let file = self.writable(file)?;
        check_len(len)?;
        Ok(file.set_len(len)?)
    }

    fn sync(&mut self, file: FileId) -> Result<(), Error> {
        Ok(self.file(file)?.sync_all()?)
    }

    fn close(&mut self, file: FileId) -> Result<(), Error> {
        self.open.remove(&file).map(drop).ok_or(Error::NotOpen)
    }

    fn make_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        Ok(fs::create_dir(self.below(path))?)
    }

    fn remove_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::Denied);
        }
        Ok(fs::remove_dir(self.below(path))?)
    }

    fn sync_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        let mut options = OpenOptions::new();
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
        Ok(options.open(self.below(path))?.sync_all()?)
    }

    fn rename(&mut self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), Error> {
        let dir = |path: &RelPath| path.split().map(|(dir, _)| dir);
        if dir(from) != dir(to) {
            return Err(Error::OtherDirectory);
        }
        no_directory(self.metadata(from)?)?;
        match self.metadata(to) {
            Ok(metadata) => no_directory(metadata)?,
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        let (from, to) = (self.below(from), self.below(to));
        match replace {
            Replace::Yes => Ok(fs::rename(from, to)?),
            Replace::No => rename_to_free(&from, &to),
        }
    }

    fn remove(&mut self, path: &RelPath) -> Result<(), Error> {
        no_directory(self.metadata(path)?)?;
        Ok(fs::remove_file(self.below(path))?)
    }

    fn list(&mut self, path: &RelPath, max: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.below(path))? {
            if entries.len() >= max {
                break;
            }
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if path.join(&name).is_none() {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => entries.push(Entry { name, metadata: described(&metadata) }),
                // Gone since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(entries)
    }

    fn metadata(&mut self, path: &RelPath) -> Result<Metadata, Error> {
        Ok(described(&fs::symlink_metadata(self.below(path))?))
    }

    fn free_space(&mut self) -> Result<u64, Error> {
        let all = statvfs(&self.root).map_err(io::Error::from)?;
        Ok(all.f_bavail.saturating_mul(all.f_frsize))
    }
}
