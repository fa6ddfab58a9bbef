//! From a path to an open directory and a name in it, without leaving the root.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::{Error, RelPath};

/// Where a name is.
pub(super) struct Place<'a> {
    /// The directory, open.
    pub(super) dir: OwnedFd,
    /// The name in it; `.` for the root.
    pub(super) name: &'a str,
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn failed(errno: Errno) -> Error {
    io::Error::from(errno).into()
}

/// Finds the place of a path. Unless links are followed, one on the way to it is
/// [`Error::NotADirectory`].
pub(super) fn place<'a>(root: &Path, path: &'a RelPath, follow: bool) -> Result<Place<'a>, Error> {
    let root = openat(CWD, root, DIRECTORY, Mode::empty()).map_err(failed)?;
    let Some((dir, name)) = split(path) else { return Ok(Place { dir: root, name: "." }) };
    if dir.is_empty() {
        return Ok(Place { dir: root, name });
    }
    if follow {
        let dir = openat(&root, dir, DIRECTORY, Mode::empty()).map_err(failed)?;
        return Ok(Place { dir, name });
    }
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(&root, dir, DIRECTORY, Mode::empty(), beneath) {
        Ok(dir) => Ok(Place { dir, name }),
        Err(Errno::LOOP) => Err(Error::NotADirectory),
        // Older systems, and sandboxes that do not know the call: one name after another.
        Err(Errno::NOSYS | Errno::PERM) => Ok(Place { dir: walk(root, dir)?, name }),
        Err(error) => Err(failed(error)),
    }
}

fn split(path: &RelPath) -> Option<(&str, &str)> {
    if path.is_root() {
        return None;
    }
    Some(path.as_str().rsplit_once('/').unwrap_or(("", path.as_str())))
}

fn walk(root: OwnedFd, dir: &str) -> Result<OwnedFd, Error> {
    let mut at = root;
    for name in dir.split('/') {
        at = openat(at.as_fd(), name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            .map_err(failed)?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn one_name_after_another_leads_where_the_call_does_and_past_no_link() {
        let root = std::env::temp_dir().join(format!("anabranch-resolve-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        // A second run with the same number may find it there.
        let _ = std::os::unix::fs::symlink("/etc", root.join("a/out"));
        let open = || File::open(&root).unwrap().into();
        let there = walk(open(), "a/b").unwrap();
        let path = RelPath::new("a/b/c").unwrap();
        let same = place(&root, &path, false).unwrap();
        let number = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        assert_eq!(number(&there), number(&same.dir));
        let out = RelPath::new("a/out/passwd").unwrap();
        assert_eq!(walk(open(), "a/out").unwrap_err(), Error::NotADirectory);
        assert_eq!(place(&root, &out, false).err(), Some(Error::NotADirectory));
        assert!(place(&root, &out, true).is_ok());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
