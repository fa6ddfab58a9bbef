//! The boundary at which data is stored.
//!
//! [`Storage`] is what a program that receives files and keeps a journal needs of a file system,
//! and no more: positioned reads and writes, lengths, renaming within a directory, and
//! the two kinds of `sync` without which nothing survives a crash. [`Folder`] implements it on a
//! folder of the operating system. [`Op`] and [`Answer`] are the same as data, for
//! programs that let a thread do it, and for simulations in which it takes time.
//!
//! What survives a crash, as POSIX has it:
//! * A file's content and length: as of the last [`Storage::sync`], and any part of what came
//!   after it, down to single sectors, the length apart from the content.
//! * A name in a directory: as of the last [`Storage::sync_dir`] of that directory, and any part of
//!   what came after it. To sync a file is not to sync its name.
//! * After a sync that failed, what it should have written may be lost, even if a later sync
//!   succeeds: write it again.
#![forbid(unsafe_code)]

mod error;
mod folder;
mod op;
mod path;

pub use error::Error;
pub use folder::Folder;
pub use op::{Answer, Op, perform};
pub use path::{MAX_NAME, MAX_PATH, RelPath};

/// The longest file, in bytes: far beyond what any system takes, and small enough to add to.
pub const MAX_LEN: u64 = 1 << 62;

/// An open file. Never used twice by one storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// What an open file may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
    /// Reading and writing, as the only one who has opened it like this: [`Error::Busy`] otherwise,
    /// whichever program the other one is.
    Alone,
}

/// What to do with a file that has the new name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It is gone, at the very moment at which the other gets its name.
    Yes,
    /// [`Error::Exists`].
    No,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// Something else: a symbolic link, a device. Not ours.
    Other,
}

/// What is known about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metadata {
    /// What it stands for.
    pub kind: Kind,
    /// A file's length in bytes, otherwise 0.
    pub len: u64,
}

/// When something was last modified, since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Modified {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// And so many nanoseconds, below 1 000 000 000.
    pub nanos: u32,
}

/// Everything that is known about a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub metadata: Metadata,
    /// Permission bits, the lowest twelve.
    pub mode: u16,
    /// When its content was last modified.
    pub modified: Modified,
    /// Which file it is: another number than that of every other one that is there.
    pub id: u64,
}

/// What of it can be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, the lowest twelve.
    pub mode: Option<u16>,
    /// When its content was last modified.
    pub modified: Option<Modified>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub metadata: Metadata,
}

/// Writes to an open file from another thread.
pub trait Writer: Send + Sync {
    /// Writes all bytes to a place in the file, as [`Storage::write_at`].
    ///
    /// # Errors
    /// As [`Storage::write_at`].
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error>;
}

/// A place for files. All paths are relative to its root, which nothing leads out of.
///
/// Calls block for as long as the storage takes. Object-safe.
pub trait Storage {
    /// Makes a file of length 0, open for writing.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken, and the environment's errors.
    fn create(&mut self, path: &RelPath) -> Result<FileId, Error>;

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::IsADirectory`], and the environment's errors.
    fn open(&mut self, path: &RelPath, access: Access) -> Result<FileId, Error>;

    /// Reads from a place in a file until the buffer is full or the file ends. Says how much.
    ///
    /// # Errors
    /// The environment's. The buffer's content is then arbitrary.
    fn read_at(&mut self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<usize, Error>;

    /// Writes all bytes to a place in a file, which grows as necessary.
    ///
    /// # Errors
    /// [`Error::Full`], also for places beyond [`MAX_LEN`], and the environment's others. Some of
    /// the bytes may then be written.
    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// A way to write to an open file from another thread, if there is one. It stays usable, and
    /// a lock on the file stays, until it is dropped, even if the file is closed.
    ///
    /// # Errors
    /// As [`Storage::write_at`], for a file that cannot be written; the environment's.
    fn writer(&mut self, file: FileId) -> Result<Option<Box<dyn Writer>>, Error> {
        let _ = file;
        Ok(None)
    }

    /// Cuts a file off, or fills it up with zeros.
    ///
    /// # Errors
    /// The environment's.
    fn set_len(&mut self, file: FileId, len: u64) -> Result<(), Error>;

    /// The content and the length of a file will survive a crash. Its name is another matter:
    /// [`Storage::sync_dir`].
    ///
    /// # Errors
    /// The environment's. What was written since the last success may then be lost for good,
    /// whatever later syncs say.
    fn sync(&mut self, file: FileId) -> Result<(), Error>;

    /// The file is not used any more. Nothing is synced.
    ///
    /// # Errors
    /// [`Error::NotOpen`].
    fn close(&mut self, file: FileId) -> Result<(), Error>;

    /// Makes a directory.
    ///
    /// # Errors
    /// [`Error::Exists`], and the environment's errors.
    fn make_dir(&mut self, path: &RelPath) -> Result<(), Error>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::NotADirectory`], and the environment's errors.
    fn remove_dir(&mut self, path: &RelPath) -> Result<(), Error>;

    /// The names in a directory, and what they stand for, will survive a crash.
    ///
    /// # Errors
    /// The environment's.
    fn sync_dir(&mut self, path: &RelPath) -> Result<(), Error>;

    /// Gives a file another name in the same directory.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken and not to be replaced, [`Error::OtherDirectory`],
    /// [`Error::IsADirectory`] if either is one, and the environment's errors.
    fn rename(&mut self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), Error>;

    /// Removes a file. Whoever has it open keeps it.
    ///
    /// # Errors
    /// [`Error::IsADirectory`], and the environment's errors.
    fn remove(&mut self, path: &RelPath) -> Result<(), Error>;

    /// At most `max` of the names in a directory, in any order. Names that no [`RelPath`] can have
    /// are left out.
    ///
    /// # Errors
    /// [`Error::NotADirectory`], and the environment's errors.
    fn list(&mut self, path: &RelPath, max: usize) -> Result<Vec<Entry>, Error>;

    /// What a name stands for.
    ///
    /// # Errors
    /// [`Error::NotFound`], and the environment's errors.
    fn metadata(&mut self, path: &RelPath) -> Result<Metadata, Error>;

    /// How many bytes more can be written, more or less.
    ///
    /// # Errors
    /// The environment's.
    fn free_space(&mut self) -> Result<u64, Error>;

    /// Everything about what a name stands for.
    ///
    /// # Errors
    /// [`Error::NotFound`], and the environment's errors.
    fn status(&mut self, path: &RelPath) -> Result<Status, Error>;

    /// Everything about an open file.
    ///
    /// # Errors
    /// [`Error::NotOpen`], and the environment's errors.
    fn stat(&mut self, file: FileId) -> Result<Status, Error>;

    /// Sets attributes of a file or a directory. They survive a crash as its content does.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAFile`], and the environment's errors.
    fn set_attributes(&mut self, path: &RelPath, attributes: Attributes) -> Result<(), Error>;

    /// Everything that was written, and every name, will survive a crash: cheaper than
    /// [`Storage::sync`] of many files.
    ///
    /// # Errors
    /// The environment's. As with [`Storage::sync`], what was written may then be lost.
    fn sync_all(&mut self) -> Result<(), Error>;
}
