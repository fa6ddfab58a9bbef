//! Storage in a folder of the operating system.

mod resolve;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps,
};
use rustix::io::Errno;

use crate::{
    Access, Attributes, Entry, Error, FileId, Kind, MAX_LEN, Metadata, Modified, RelPath, Replace,
    Status, Storage, Writer,
};
use resolve::Place;

/// A folder. Everything happens below it: no symbolic link is followed, neither at the end of a
/// path nor on the way.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    follow: bool,
    open: BTreeMap<FileId, (File, Access)>,
    next: u64,
}

impl Folder {
    /// A folder that exists.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), follow: false, open: BTreeMap::new(), next: 0 }
    }

    /// A folder that exists, in which symbolic links are followed, wherever they lead: for people
    /// who send files of their own.
    #[must_use]
    pub fn following(root: impl Into<PathBuf>) -> Self {
        Self { follow: true, ..Self::new(root) }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
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
            Some((file, Access::Write | Access::Alone)) => Ok(file),
            Some((_, Access::Read)) => Err(Error::Denied),
            None => Err(Error::NotOpen),
        }
    }

    /// Never waits for the other end of a pipe.
    fn flags(&self) -> OFlags {
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
        if self.follow { flags } else { flags | OFlags::NOFOLLOW }
    }

    fn looking(&self) -> AtFlags {
        if self.follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW }
    }

    fn place<'a>(&self, path: &'a RelPath) -> Result<Place<'a>, Error> {
        resolve::place(&self.root, path, self.follow)
    }

    fn look(&self, path: &RelPath) -> Result<Stat, Error> {
        let place = self.place(path)?;
        rustix::fs::statat(&place.dir, place.name, self.looking()).map_err(failed)
    }

    fn open_at(&self, path: &RelPath, flags: OFlags, mode: Mode) -> Result<File, Error> {
        let place = self.place(path)?;
        let flags = flags | self.flags();
        let file = rustix::fs::openat(&place.dir, place.name, flags, mode).map_err(failed)?;
        Ok(File::from(file))
    }
}

fn failed(errno: Errno) -> Error {
    io::Error::from(errno).into()
}

const fn kind(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        _ => Kind::Other,
    }
}

fn described(stat: &Stat) -> Metadata {
    let kind = kind(stat);
    let len = if kind == Kind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
    Metadata { kind, len }
}

fn status(stat: &Stat) -> Status {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Status {
        metadata: described(stat),
        mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
        modified: Modified { seconds: stat.st_mtime, nanos },
        id: stat.st_ino ^ stat.st_dev.rotate_left(32),
    }
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
fn rename_to_free(from: &Place<'_>, to: &Place<'_>) -> Result<(), Error> {
    use rustix::fs::{linkat, renameat_with, unlinkat};
    match renameat_with(&from.dir, from.name, &to.dir, to.name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A file system that cannot do that can give a second name to the file.
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(&from.dir, from.name, &to.dir, to.name, AtFlags::empty()).map_err(failed)?;
            unlinkat(&from.dir, from.name, AtFlags::empty()).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_at(file: &File, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    check_len(offset.saturating_add(bytes.len() as u64))?;
    Ok(file.write_all_at(bytes, offset)?)
}

/// An open file that another thread writes to.
struct Handle(File);

impl Writer for Handle {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        write_at(&self.0, offset, bytes)
    }
}

impl Storage for Folder {
    fn create(&mut self, path: &RelPath) -> Result<FileId, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = self.open_at(path, flags, Mode::from_raw_mode(0o666))?;
        Ok(self.keep(file, Access::Write))
    }

    fn open(&mut self, path: &RelPath, access: Access) -> Result<FileId, Error> {
        let flags = if access == Access::Read { OFlags::RDONLY } else { OFlags::RDWR };
        let file = self.open_at(path, flags, Mode::empty())?;
        match described(&rustix::fs::fstat(&file).map_err(failed)?).kind {
            Kind::File => {}
            Kind::Dir => return Err(Error::IsADirectory),
            Kind::Other => return Err(Error::NotAFile),
        }
        if access == Access::Alone {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(Error::Busy),
                // A file system without locks: nothing can be done about that.
                Err(_) => {}
            }
        }
        Ok(self.keep(file, access))
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
        write_at(file, offset, bytes)
    }

    fn writer(&mut self, file: FileId) -> Result<Option<Box<dyn Writer>>, Error> {
        Ok(Some(Box::new(Handle(self.writable(file)?.try_clone()?))))
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
        let place = self.place(path)?;
        let mode = Mode::from_raw_mode(0o777);
        rustix::fs::mkdirat(&place.dir, place.name, mode).map_err(failed)
    }

    fn remove_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::Denied);
        }
        let place = self.place(path)?;
        rustix::fs::unlinkat(&place.dir, place.name, AtFlags::REMOVEDIR).map_err(failed)
    }

    fn sync_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok(self.open_at(path, flags, Mode::empty())?.sync_all()?)
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
        let (from, to) = (self.place(from)?, self.place(to)?);
        match replace {
            Replace::Yes => {
                rustix::fs::renameat(&from.dir, from.name, &to.dir, to.name).map_err(failed)
            }
            Replace::No => rename_to_free(&from, &to),
        }
    }

    fn remove(&mut self, path: &RelPath) -> Result<(), Error> {
        no_directory(self.metadata(path)?)?;
        let place = self.place(path)?;
        rustix::fs::unlinkat(&place.dir, place.name, AtFlags::empty()).map_err(failed)
    }

    fn list(&mut self, path: &RelPath, max: usize) -> Result<Vec<Entry>, Error> {
        let dir = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&dir).map_err(failed)? {
            if entries.len() >= max {
                break;
            }
            let entry = entry.map_err(failed)?;
            let Ok(name) = std::str::from_utf8(entry.file_name().to_bytes()) else { continue };
            if path.join(name).is_none() {
                continue;
            }
            match rustix::fs::statat(dir.as_fd(), name, self.looking()) {
                Ok(stat) => {
                    entries.push(Entry { name: name.to_owned(), metadata: described(&stat) });
                }
                // Gone since it was listed, or a link to nowhere.
                Err(Errno::NOENT | Errno::LOOP) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(entries)
    }

    fn metadata(&mut self, path: &RelPath) -> Result<Metadata, Error> {
        Ok(described(&self.look(path)?))
    }

    fn free_space(&mut self) -> Result<u64, Error> {
        let all = rustix::fs::statvfs(&self.root).map_err(failed)?;
        Ok(all.f_bavail.saturating_mul(all.f_frsize))
    }

    fn status(&mut self, path: &RelPath) -> Result<Status, Error> {
        Ok(status(&self.look(path)?))
    }

    fn stat(&mut self, file: FileId) -> Result<Status, Error> {
        Ok(status(&rustix::fs::fstat(self.file(file)?).map_err(failed)?))
    }

    fn set_attributes(&mut self, path: &RelPath, attributes: Attributes) -> Result<(), Error> {
        if kind(&self.look(path)?) == Kind::Other {
            return Err(Error::NotAFile);
        }
        if let Some(modified) = attributes.modified {
            let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
            let stamps = Timestamps {
                last_access: time(0, rustix::fs::UTIME_OMIT),
                last_modification: time(modified.seconds, modified.nanos.into()),
            };
            let place = self.place(path)?;
            rustix::fs::utimensat(&place.dir, place.name, &stamps, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed)?;
        }
        if let Some(mode) = attributes.mode {
            let file = self.open_at(path, OFlags::RDONLY, Mode::empty())?;
            let mode = Mode::from_raw_mode(u32::from(mode & 0o7777));
            rustix::fs::fchmod(&file, mode).map_err(failed)?;
        }
        Ok(())
    }

    fn sync_all(&mut self) -> Result<(), Error> {
        let root = File::open(&self.root)?;
        rustix::fs::syncfs(&root).map_err(failed)
    }
}
