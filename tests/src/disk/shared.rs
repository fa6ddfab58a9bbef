//! A disk that a program uses, and that dies under it: at the k-th operation, for any k.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anabranch_core::Instant;
use anabranch_storage::{
    Access, Answer, Attributes, Entry, Error, FileId, Metadata, Op, RelPath, Replace, Status,
    Storage, Writer,
};

use super::Disk;

/// How a program ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The program is killed: what was written stays.
    Kill,
    /// The machine loses power: what was not synced is lost, or torn.
    Crash,
}

/// A way to a disk. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    disk: Disk,
    /// Operations until the program dies.
    left: Option<u64>,
    is_dead: bool,
    operations: u64,
    /// Other threads may write to its files, and how often one did.
    has_writers: bool,
    helped: u64,
    /// Files that other threads are writing to.
    busy: Vec<FileId>,
}

impl Shared {
    /// A way to this disk.
    #[must_use]
    pub fn new(disk: Disk) -> Self {
        let (left, is_dead, operations) = (None, false, 0);
        let (has_writers, helped, busy) = (false, 0, Vec::new());
        let inner = Inner { disk, left, is_dead, operations, has_writers, helped, busy };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program dies in the operation after so many more.
    pub fn die_after(&self, operations: u64) {
        self.lock().left = Some(operations);
    }

    /// Whether it has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Other threads may write to its files from now on. What is done in which order is then not
    /// the same twice.
    pub fn allow_writers(&self) {
        self.lock().has_writers = true;
    }

    /// Pieces that were written by other threads.
    #[must_use]
    pub fn helped(&self) -> u64 {
        self.lock().helped
    }

    /// The disk afterwards, for another program.
    pub fn revive(&self, death: Death) {
        let mut inner = self.lock();
        match death {
            Death::Kill => inner.disk.kill(),
            Death::Crash => inner.disk.crash(),
        }
        (inner.left, inner.is_dead) = (None, false);
    }

    /// Does something with the disk itself.
    pub fn with<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        act(&mut self.lock().disk)
    }

    fn perform(&self, op: Op) -> Result<Answer, Error> {
        let mut inner = self.lock();
        if inner.is_dead {
            return Err(Error::Failed(None));
        }
        inner.operations += 1;
        let Inner { disk, left, is_dead, .. } = &mut *inner;
        disk.submit(Instant::ZERO, op);
        match left {
            Some(0) => {
                // It is in the middle of it: done, or half done, or not.
                *is_dead = true;
                Err(Error::Failed(None))
            }
            _ => {
                *left = left.map(|left| left - 1);
                let at = disk.next_time().unwrap_or(Instant::ZERO);
                disk.poll(at).map_or(Err(Error::Failed(None)), |done| done.result)
            }
        }
    }

    /// Nobody else may be writing to a file.
    fn assert_quiet(&self, file: FileId) {
        assert!(!self.lock().busy.contains(&file), "another thread is writing to it");
    }

    fn done(&self, op: Op) -> Result<(), Error> {
        self.perform(op).map(drop)
    }

    fn opened(&self, op: Op) -> Result<FileId, Error> {
        match self.perform(op)? {
            Answer::Opened(id) => Ok(id),
            other => panic!("{other:?}"),
        }
    }

    fn status_of(&self, op: Op) -> Result<Status, Error> {
        match self.perform(op)? {
            Answer::Status(status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }
}

/// An open file that another thread writes to.
struct Handle(Shared, FileId);

impl Writer for Handle {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut inner = self.0.lock();
        inner.helped += 1;
        inner.busy.push(self.1);
        drop(inner);
        // Others get their turn, as they would during a long write.
        (0..100).for_each(|_| thread::yield_now());
        let done = self.0.done(Op::WriteAt { file: self.1, offset, bytes: bytes.to_vec() });
        let mut inner = self.0.lock();
        let at = inner.busy.iter().position(|file| *file == self.1).expect("it is busy");
        inner.busy.swap_remove(at);
        done
    }
}

impl Storage for Shared {
    fn create(&mut self, path: &RelPath) -> Result<FileId, Error> {
        self.opened(Op::Create(path.clone()))
    }

    fn open(&mut self, path: &RelPath, access: Access) -> Result<FileId, Error> {
        self.opened(Op::Open(path.clone(), access))
    }

    fn read_at(&mut self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        match self.perform(Op::ReadAt { file, offset, len: buf.len() })? {
            Answer::Read(bytes) => {
                buf[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            other => panic!("{other:?}"),
        }
    }

    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.done(Op::WriteAt { file, offset, bytes: bytes.to_vec() })
    }

    fn writer(&mut self, file: FileId) -> Result<Option<Box<dyn Writer>>, Error> {
        let has_writers = self.lock().has_writers;
        Ok(has_writers.then(|| Box::new(Handle(self.clone(), file)) as Box<dyn Writer>))
    }

    fn set_len(&mut self, file: FileId, len: u64) -> Result<(), Error> {
        self.assert_quiet(file);
        self.done(Op::SetLen(file, len))
    }

    fn sync(&mut self, file: FileId) -> Result<(), Error> {
        self.assert_quiet(file);
        self.done(Op::Sync(file))
    }

    fn close(&mut self, file: FileId) -> Result<(), Error> {
        self.assert_quiet(file);
        self.done(Op::Close(file))
    }

    fn make_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        self.done(Op::MakeDir(path.clone()))
    }

    fn remove_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        self.done(Op::RemoveDir(path.clone()))
    }

    fn sync_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        self.done(Op::SyncDir(path.clone()))
    }

    fn rename(&mut self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), Error> {
        self.done(Op::Rename { from: from.clone(), to: to.clone(), replace })
    }

    fn remove(&mut self, path: &RelPath) -> Result<(), Error> {
        self.done(Op::Remove(path.clone()))
    }

    fn list(&mut self, path: &RelPath, max: usize) -> Result<Vec<Entry>, Error> {
        match self.perform(Op::List(path.clone(), max))? {
            Answer::Listed(entries) => Ok(entries),
            other => panic!("{other:?}"),
        }
    }

    fn metadata(&mut self, path: &RelPath) -> Result<Metadata, Error> {
        match self.perform(Op::Metadata(path.clone()))? {
            Answer::Is(metadata) => Ok(metadata),
            other => panic!("{other:?}"),
        }
    }

    fn free_space(&mut self) -> Result<u64, Error> {
        match self.perform(Op::FreeSpace)? {
            Answer::Free(bytes) => Ok(bytes),
            other => panic!("{other:?}"),
        }
    }

    fn status(&mut self, path: &RelPath) -> Result<Status, Error> {
        self.status_of(Op::Status(path.clone()))
    }

    fn stat(&mut self, file: FileId) -> Result<Status, Error> {
        self.status_of(Op::Stat(file))
    }

    fn set_attributes(&mut self, path: &RelPath, attributes: Attributes) -> Result<(), Error> {
        self.done(Op::SetAttributes(path.clone(), attributes))
    }

    fn sync_all(&mut self) -> Result<(), Error> {
        self.done(Op::SyncAll)
    }
}
