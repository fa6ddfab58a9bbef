//! The files that streams become.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::generate::create;

/// Files of one run. A sender could otherwise fill the folder with them.
const MAX_FILES: usize = 4_096;
/// Files that are open at once; others are opened again when something comes for them.
const MAX_OPEN: usize = 128;

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Who sends it.
    pub(super) peer: SocketAddr,
    /// Of which connection of that address. A classic one has none: 0.
    pub(super) connection: u32,
    /// Its number.
    pub(super) stream: u32,
}

impl Key {
    /// A stream of a classic sender.
    pub(super) const fn classic(peer: SocketAddr, stream: u32) -> Self {
        Self { peer, connection: 0, stream }
    }
}

/// A folder of streams.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    force: bool,
    paths: BTreeMap<Key, PathBuf>,
    used: BTreeSet<PathBuf>,
    open: BTreeMap<Key, File>,
}

impl Files {
    /// A folder, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or has files of streams in it and nothing is to be written over.
    pub(super) fn new(dir: &Path, force: bool) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| Failure::creating(dir, &error))?;
        if !force
            && let Some(old) = any_stream(dir).map_err(|error| Failure::reading(dir, &error))?
        {
            let what = format!("{} is there already", old.display());
            let hint = "give another folder with --out, or use --force to write over such files";
            return Err(Failure::new(Exit::CantCreate, what).hint(hint));
        }
        let (dir, paths) = (dir.to_owned(), BTreeMap::new());
        Ok(Self { dir, force, paths, used: BTreeSet::new(), open: BTreeMap::new() })
    }

    /// Where a stream is written to, once something of it has come.
    pub(super) fn path(&self, key: Key) -> Option<&Path> {
        self.paths.get(&key).map(PathBuf::as_path)
    }

    /// Writes what comes next of a stream, into a new file at the first time.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub(super) fn write(&mut self, key: Key, data: &[u8]) -> Result<(), Failure> {
        if !self.open.contains_key(&key) {
            let file = self.open(key)?;
            if self.open.len() >= MAX_OPEN {
                self.open.clear();
            }
            self.open.insert(key, file);
        }
        let (Some(file), Some(path)) = (self.open.get_mut(&key), self.paths.get(&key)) else {
            return Err(Failure::new(Exit::Internal, "a stream without a file"));
        };
        let written = file.write_all(data);
        written.map_err(|error| Failure::writing(&path.display().to_string(), &error))
    }

    fn open(&mut self, key: Key) -> Result<File, Failure> {
        if let Some(path) = self.paths.get(&key) {
            let file = File::options().append(true).open(path);
            return file.map_err(|error| Failure::creating(path, &error));
        }
        if self.used.len() >= MAX_FILES {
            let what = format!("more than {MAX_FILES} streams have come");
            return Err(Failure::new(Exit::CantCreate, what));
        }
        let path = self.name(key);
        let file = create(&path, self.force)?;
        self.used.insert(path.clone());
        self.paths.insert(key, path);
        Ok(file)
    }

    /// The stream is over: what comes of it again goes on in its file.
    pub(super) fn close(&mut self, key: Key) {
        self.open.remove(&key);
    }

    /// The stream's count is gone: what comes of it again is another stream.
    pub(super) fn forget(&mut self, key: Key) {
        self.open.remove(&key);
        self.paths.remove(&key);
    }

    /// The first one who sends a stream of a number gets the plain name.
    fn name(&self, key: Key) -> PathBuf {
        let Key { peer, stream, .. } = key;
        let from = peer.to_string().replace([':', '[', ']', '%'], "-");
        let plain = format!("stream-{stream}.bin");
        let full = format!("stream-{stream}.from-{from}.bin");
        let again = (2..).map(|n| format!("stream-{stream}.from-{from}.{n}.bin"));
        let mut names = [plain, full].into_iter().chain(again).map(|name| self.dir.join(name));
        // There are endless names, and few of them are used.
        names.find(|name| !self.used.contains(name)).unwrap_or_default()
    }
}

/// A file of a stream in the folder.
fn any_stream(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("stream-") && name.ends_with(".bin") {
            found.push(path);
        }
    }
    Ok(found.into_iter().min())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16, stream: u32) -> Key {
        Key::classic(SocketAddr::from(([127, 0, 0, 1], port)), stream)
    }

    #[test]
    fn peers_and_streams_that_begin_again_have_files_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::new(dir.path(), false).unwrap();
        for (port, data) in [(1, "a"), (2, "b"), (1, "c")] {
            files.write(key(port, 7), data.as_bytes()).unwrap();
        }
        files.close(key(1, 7));
        files.write(key(1, 7), b"d").unwrap();
        files.forget(key(1, 7));
        files.write(key(1, 7), b"e").unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("stream-7.bin"), "acd");
        assert_eq!(read("stream-7.from-127.0.0.1-2.bin"), "b");
        assert_eq!(read("stream-7.from-127.0.0.1-1.bin"), "e");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn nothing_is_written_over_without_force() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("stream-3.bin"), "old").unwrap();
        let failure = Files::new(dir.path(), false).unwrap_err();
        assert_eq!(failure.exit, Exit::CantCreate);
        assert!(failure.to_string().contains("stream-3.bin"), "{failure}");
        let mut files = Files::new(dir.path(), true).unwrap();
        files.write(key(1, 3), b"new").unwrap();
        assert_eq!(std::fs::read(dir.path().join("stream-3.bin")).unwrap(), b"new");
        let mut late = Files::new(&dir.path().join("sub"), false).unwrap();
        std::fs::write(dir.path().join("sub/stream-4.bin"), "old").unwrap();
        assert_eq!(late.write(key(1, 4), b"x").unwrap_err().exit, Exit::CantCreate);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_named_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("stream-1.bin")).unwrap();
        let mut files = Files::new(dir.path(), true).unwrap();
        let failure = files.write(key(1, 1), b"x").unwrap_err();
        assert_eq!(failure.exit, Exit::Io);
        let words = failure.to_string();
        assert!(words.contains("stream-1.bin") && words.contains("make room"), "{words}");
    }

    #[test]
    fn files_are_limited_in_number_and_few_are_open() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::new(dir.path(), false).unwrap();
        for stream in 0..u32::try_from(MAX_FILES).unwrap() {
            files.write(key(1, stream), b"x").unwrap();
            assert!(files.open.len() <= MAX_OPEN);
        }
        files.write(key(1, 0), b"y").unwrap();
        assert_eq!(std::fs::read(dir.path().join("stream-0.bin")).unwrap(), b"xy");
        let failure = files.write(key(1, u32::MAX), b"x").unwrap_err();
        assert!(failure.to_string().contains("4096 streams"), "{failure}");
    }
}
