//! What is sent.

use std::io::Read;
use std::path::{Path, PathBuf};

use anabranch_storage::{Error, Folder, RelPath, Storage};

/// Something to send.
pub struct Source {
    /// What it is called at the receiver's: the first component of the names of its entries, or
    /// several. Empty: the content of a folder goes without the folder itself.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
}

/// Where something is.
pub enum Origin {
    /// A file or folder.
    Disk {
        /// On this disk.
        storage: Box<dyn Storage + Send>,
        /// Here.
        path: RelPath,
    },
    /// A pipe: it can be read once, and nobody knows how much there is.
    Pipe(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// A file or folder, by its path. A link that the path itself ends with is followed; those
    /// within a folder only if `follow` says so.
    ///
    /// # Errors
    /// It is not there, cannot be looked at, or has no name that can be sent.
    pub fn at(path: &Path, follow: bool) -> Result<Self, Error> {
        // `.`, `..` and links have names only where they lead.
        let named = path.file_name().filter(|name| *name != ".").map(PathBuf::from);
        let real = path.canonicalize()?;
        let name = named.as_deref().or_else(|| real.file_name().map(Path::new));
        let name = name.and_then(Path::to_str).ok_or(Error::NotAFile)?.to_owned();
        let folder = real.parent().unwrap_or(&real);
        let last = real.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or("");
        let path = RelPath::new(last).ok_or(Error::NotAFile)?;
        let storage = if follow { Folder::following(folder) } else { Folder::new(folder) };
        Ok(Self { name, origin: Origin::Disk { storage: Box::new(storage), path } })
    }

    pub(super) fn disk(&mut self) -> Option<(&mut dyn Storage, &RelPath)> {
        match &mut self.origin {
            Origin::Disk { storage, path } => Some((storage.as_mut(), path)),
            Origin::Pipe(_) => None,
        }
    }
}
