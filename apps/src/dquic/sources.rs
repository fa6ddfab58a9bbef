//! The files that are sent, read piece by piece.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// Regular files that are open at once; others are opened again when their turn comes.
const MAX_OPEN: usize = 128;

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Its size, of a regular file.
    pub(super) size: Option<u64>,
    open: Option<BufReader<File>>,
    /// Where the reader is.
    at: u64,
}

impl Source {
    fn new(path: &Path) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::reading(path, &error);
        let file = File::open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        if meta.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        let size = meta.is_file().then_some(meta.len());
        Ok(Self { path: path.to_owned(), size, open: Some(BufReader::new(file)), at: 0 })
    }

    /// Can be opened again where it was left.
    const fn is_regular(&self) -> bool {
        self.size.is_some()
    }

    /// At most `len` bytes from `offset` on; fewer only at the end.
    fn read(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let reader = match &mut self.open {
            Some(reader) => reader,
            None => {
                self.at = 0;
                self.open.insert(BufReader::new(File::open(&self.path)?))
            }
        };
        if offset != self.at {
            reader.seek(SeekFrom::Start(offset))?;
            self.at = offset;
        }
        let mut piece = Vec::with_capacity(len);
        let read = reader.by_ref().take(len as u64).read_to_end(&mut piece)?;
        self.at += read as u64;
        Ok(piece)
    }
}

/// All files, by stream.
#[derive(Debug)]
pub(super) struct Sources {
    first: u32,
    list: Vec<Source>,
}

impl Sources {
    /// Looks at every file, before anything is sent.
    ///
    /// # Errors
    /// The first file that cannot be read, or more streams than have numbers.
    pub(super) fn open(paths: &[PathBuf], first: u32) -> Result<Self, Failure> {
        let numbers = u32::try_from(paths.len()).ok().and_then(|len| first.checked_add(len - 1));
        if numbers.is_none() {
            let what = format!("{} files from stream {first} on: no numbers left", paths.len());
            return Err(Failure::new(Exit::Usage, what));
        }
        let mut sources = Self { first, list: Vec::new() };
        for path in paths {
            sources.list.push(Source::new(path)?);
            sources.close_some();
        }
        Ok(sources)
    }

    /// Every file with its stream.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Source)> {
        (self.first..=u32::MAX).zip(&self.list)
    }

    /// Their size, if that is known of all.
    pub(super) fn total(&self) -> Option<u64> {
        self.list.iter().map(|source| source.size).sum()
    }

    /// Reads a piece of a stream.
    ///
    /// # Errors
    /// If that does not work.
    pub(super) fn read(
        &mut self,
        stream: u32,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, Failure> {
        let at = stream.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(source) = at.and_then(|at| self.list.get_mut(at)) else {
            return Err(Failure::new(Exit::Internal, format!("stream {stream} has no file")));
        };
        let piece = source.read(offset, len);
        let piece = piece.map_err(|error| Failure::reading(&source.path, &error));
        self.close_some();
        piece
    }

    /// Keeps within the number of files that may be open.
    fn close_some(&mut self) {
        let open = |source: &&mut Source| source.is_regular() && source.open.is_some();
        if self.list.iter_mut().filter(open).count() > MAX_OPEN {
            self.list.iter_mut().filter(open).for_each(|source| source.open = None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_files_than_may_be_open_are_read_to_their_ends() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..MAX_OPEN + 70).map(|n| dir.path().join(n.to_string())).collect();
        for (n, path) in paths.iter().enumerate() {
            std::fs::write(path, vec![n as u8; 10 + n]).unwrap();
        }
        let mut sources = Sources::open(&paths, 5).unwrap();
        assert_eq!(sources.total(), Some((0..paths.len()).map(|n| 10 + n as u64).sum()));
        for offset in [0, 7] {
            for (n, stream) in (5..).enumerate().take(paths.len()) {
                let piece = sources.read(stream, offset, 7).unwrap();
                assert_eq!(piece, vec![n as u8; (10 + n - offset as usize).min(7)]);
            }
        }
        assert!(sources.list.iter().filter(|source| source.open.is_some()).count() <= MAX_OPEN);
        let again = sources.read(5, 0, 100).unwrap();
        assert_eq!(again, [0; 10], "a peer may go back");
    }

    #[test]
    fn what_cannot_be_read_is_named_before_anything_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_owned();
        for (path, first) in [(folder.clone(), 1), (folder.join("none"), 1)] {
            let failure = Sources::open(&[path], first).unwrap_err();
            assert_eq!(failure.exit, Exit::NoInput, "{failure}");
        }
        let file = folder.join("file");
        std::fs::write(&file, "x").unwrap();
        let failure = Sources::open(&[file.clone(), file.clone()], u32::MAX).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let sources = Sources::open(&[file], u32::MAX).unwrap();
        assert_eq!(sources.iter().map(|(stream, _)| stream).collect::<Vec<_>>(), [u32::MAX]);
    }
}
