//! Operations and their answers as data.

use crate::{
    Access, Attributes, Entry, Error, FileId, Metadata, RelPath, Replace, Status, Storage,
};

/// One call of [`Storage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// [`Storage::create`].
    Create(RelPath),
    /// [`Storage::open`].
    Open(RelPath, Access),
    /// [`Storage::read_at`]: at most `len` bytes.
    ReadAt {
        /// The file.
        file: FileId,
        /// From where.
        offset: u64,
        /// How many bytes at most. They are allocated.
        len: usize,
    },
    /// [`Storage::write_at`].
    WriteAt {
        /// The file.
        file: FileId,
        /// To where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// [`Storage::set_len`].
    SetLen(FileId, u64),
    /// [`Storage::sync`].
    Sync(FileId),
    /// [`Storage::close`].
    Close(FileId),
    /// [`Storage::make_dir`].
    MakeDir(RelPath),
    /// [`Storage::remove_dir`].
    RemoveDir(RelPath),
    /// [`Storage::sync_dir`].
    SyncDir(RelPath),
    /// [`Storage::rename`].
    Rename {
        /// The present path.
        from: RelPath,
        /// The new one.
        to: RelPath,
        /// What to do with what is there.
        replace: Replace,
    },
    /// [`Storage::remove`].
    Remove(RelPath),
    /// [`Storage::list`]: at most so many names.
    List(RelPath, usize),
    /// [`Storage::metadata`].
    Metadata(RelPath),
    /// [`Storage::free_space`].
    FreeSpace,
    /// [`Storage::status`].
    Status(RelPath),
    /// [`Storage::stat`].
    Stat(FileId),
    /// [`Storage::set_attributes`].
    SetAttributes(RelPath, Attributes),
    /// [`Storage::sync_all`].
    SyncAll,
}

/// What a call of [`Storage`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The file is open.
    Opened(FileId),
    /// What was read.
    Read(Vec<u8>),
    /// The names in a directory.
    Listed(Vec<Entry>),
    /// What a name stands for.
    Is(Metadata),
    /// Bytes that are free.
    Free(u64),
    /// Everything about a file or a directory.
    Status(Status),
}

/// Carries out an operation.
///
/// # Errors
/// The operation's.
pub fn perform(storage: &mut dyn Storage, op: &Op) -> Result<Answer, Error> {
    let done = |()| Answer::Done;
    match op {
        Op::Create(path) => storage.create(path).map(Answer::Opened),
        Op::Open(path, access) => storage.open(path, *access).map(Answer::Opened),
        Op::ReadAt { file, offset, len } => {
            let mut bytes = vec![0; *len];
            let read = storage.read_at(*file, *offset, &mut bytes)?;
            bytes.truncate(read);
            Ok(Answer::Read(bytes))
        }
        Op::WriteAt { file, offset, bytes } => storage.write_at(*file, *offset, bytes).map(done),
        Op::SetLen(file, len) => storage.set_len(*file, *len).map(done),
        Op::Sync(file) => storage.sync(*file).map(done),
        Op::Close(file) => storage.close(*file).map(done),
        Op::MakeDir(path) => storage.make_dir(path).map(done),
        Op::RemoveDir(path) => storage.remove_dir(path).map(done),
        Op::SyncDir(path) => storage.sync_dir(path).map(done),
        Op::Rename { from, to, replace } => storage.rename(from, to, *replace).map(done),
        Op::Remove(path) => storage.remove(path).map(done),
        Op::List(path, max) => storage.list(path, *max).map(Answer::Listed),
        Op::Metadata(path) => storage.metadata(path).map(Answer::Is),
        Op::FreeSpace => storage.free_space().map(Answer::Free),
        Op::Status(path) => storage.status(path).map(Answer::Status),
        Op::Stat(file) => storage.stat(*file).map(Answer::Status),
        Op::SetAttributes(path, attributes) => storage.set_attributes(path, *attributes).map(done),
        Op::SyncAll => storage.sync_all().map(done),
    }
}
