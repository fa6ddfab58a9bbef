//! Answers to questions about files, by looking at the disk.

use anabranch_core::Code;
use anabranch_core::files::{Entry, Kind, Listed, Modified, Reply, name};
use anabranch_storage::{self as storage, Error, RelPath, Storage};
use anabranch_transfers::{Claims, Quota, is_private, part, state};

use super::limits::{MAX_NAMES, MAX_PAGE};

/// A path as clients write it, with or without slashes around it. Empty: the top.
///
/// # Errors
/// Why it is none.
pub(super) fn path(text: &str) -> Result<RelPath, Refusal> {
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Ok(RelPath::ROOT);
    }
    let bad = |why: String| Refusal { code: Code::BadName, reason: why };
    name::check_native(text).map_err(|why| bad(why.to_string()))?;
    if text.split('/').any(is_private) {
        return Err(bad("partial files have no names of their own".to_owned()));
    }
    RelPath::new(text).ok_or_else(|| bad("the path is too long".to_owned()))
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For the program.
    pub(super) code: Code,
    /// For people.
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Of something that the disk has said about a path.
    pub(super) fn disk(what: &str, error: Error) -> Self {
        Self::new(code(error), format!("{what}: {error}"))
    }
}

impl From<Refusal> for Reply {
    fn from(Refusal { code, reason }: Refusal) -> Self {
        Self::Refused { code, reason }
    }
}

fn code(error: Error) -> Code {
    match error {
        Error::NotFound | Error::NotADirectory => Code::NotFound,
        Error::Denied | Error::ReadOnly => Code::Denied,
        Error::NotEmpty | Error::Busy => Code::Refused,
        Error::NotAFile | Error::IsADirectory => Code::Unsupported,
        Error::Full => Code::NoSpace,
        Error::Exists | Error::OtherDirectory | Error::NotOpen | Error::Failed(_) => Code::Io,
    }
}

/// What is in a folder, from a name on. The answer is cut to what fits when it is sent.
pub(super) fn list(disk: &mut dyn Storage, folder: &str, after: &str, most: u32) -> Reply {
    page(disk, folder, after, most).unwrap_or_else(Reply::from)
}

fn page(disk: &mut dyn Storage, folder: &str, after: &str, most: u32) -> Result<Reply, Refusal> {
    let path = path(folder)?;
    let shown = if path.is_root() { "/" } else { path.as_str() };
    let failed = |error| Refusal::disk(shown, error);
    let mut names = disk.list(&path, MAX_NAMES + 1).map_err(failed)?;
    if names.len() > MAX_NAMES {
        let reason = format!("{shown}: more than {MAX_NAMES} names");
        return Err(Refusal::new(Code::TooLarge, reason));
    }
    // What cannot be sent cannot be asked for either.
    names.retain(|entry| entry.name.as_str() > after && name::check_native(&entry.name).is_ok());
    names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let most = usize::try_from(most).unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let more = names.len() > most;
    names.truncate(most);
    let entries = names.into_iter().filter_map(|entry| {
        let status = disk.status(&path.join(&entry.name)?).ok()?;
        Some(listed(entry.name, status))
    });
    Ok(Reply::Listing { entries: entries.collect(), more })
}

fn listed(name: String, status: storage::Status) -> Listed {
    let entry = match status.metadata.kind {
        storage::Kind::File => Entry::file(&name, Some(status.metadata.len)),
        storage::Kind::Dir => Entry { kind: Kind::Folder, ..Entry::folder(&name) },
        storage::Kind::Other => return Listed::Other(name),
    };
    let storage::Modified { seconds, nanos } = status.modified;
    Listed::Entry(Entry {
        mode: Some(status.mode),
        modified: Some(Modified { seconds, nanos }),
        ..entry
    })
}

/// What is needed to remove files.
#[derive(Debug)]
pub(super) struct Remover {
    /// A view with partial files and the right to write.
    pub(super) disk: super::view::View,
    pub(super) claims: Claims,
    pub(super) quota: Option<Quota>,
}

impl Remover {
    /// Removes these.
    pub(super) fn remove(&mut self, names: &[String]) -> Reply {
        let one = |name: &String| match path(name).map(|path| self.remove_one(&path)) {
            Ok(Ok(())) => Code::None,
            Ok(Err(error)) => code(error),
            Err(refusal) => refusal.code,
        };
        Reply::Removed { codes: names.iter().map(one).collect() }
    }

    /// A file, with what there is of a newer version of it; an empty folder; or what there is of a
    /// file that never became complete.
    fn remove_one(&mut self, path: &RelPath) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::Denied);
        }
        if self.claims.holds_below(path) {
            return Err(Error::Busy);
        }
        match self.disk.metadata(path).map(|metadata| metadata.kind) {
            Ok(storage::Kind::Dir) => self.remove_folder(path),
            Ok(storage::Kind::File | storage::Kind::Other) => {
                self.remove_file(path)?;
                self.remove_part(path).map(drop)
            }
            Err(Error::NotFound) => match self.remove_part(path) {
                Ok(true) => Ok(()),
                Ok(false) => Err(Error::NotFound),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn remove_folder(&mut self, path: &RelPath) -> Result<(), Error> {
        let names = self.disk.list(path, MAX_NAMES)?;
        if names.iter().any(|entry| !is_private(&entry.name)) {
            return Err(Error::NotEmpty);
        }
        for entry in names {
            if let Some(private) = path.join(&entry.name) {
                self.remove_file(&private)?;
            }
        }
        self.disk.remove_dir(path)
    }

    fn remove_part(&mut self, path: &RelPath) -> Result<bool, Error> {
        let mut any = false;
        for private in [state(path), part(path)].into_iter().flatten() {
            match self.remove_file(&private) {
                Ok(()) => any = true,
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }

    fn remove_file(&mut self, path: &RelPath) -> Result<(), Error> {
        let bytes = self.disk.metadata(path)?.len;
        self.disk.remove(path)?;
        if let Some(quota) = &self.quota {
            quota.give_back(bytes);
        }
        Ok(())
    }
}

/// How many bytes there are in a folder and all that is in it.
///
/// # Errors
/// The disk's. Folders that cannot be looked into count as empty.
pub(super) fn measure(disk: &mut dyn Storage) -> Result<u64, Error> {
    let mut bytes = 0_u64;
    let mut folders = vec![RelPath::ROOT];
    while let Some(folder) = folders.pop() {
        let names = match disk.list(&folder, usize::MAX) {
            Ok(names) => names,
            Err(error) if folder.is_root() => return Err(error),
            Err(error) => {
                log::warn!("{folder}: does not count for the quota: {error}");
                continue;
            }
        };
        for entry in names {
            bytes = bytes.saturating_add(entry.metadata.len);
            if entry.metadata.kind == storage::Kind::Dir {
                folders.extend(folder.join(&entry.name));
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::view::{Sight, Tree};
    use super::*;

    fn tree(dir: &Path) -> Tree {
        Tree { dir: Some(dir.to_owned()), ..Tree::default() }
    }

    fn names(reply: Reply) -> (Vec<String>, bool) {
        let Reply::Listing { entries, more } = reply else { panic!("{reply:?}") };
        let name = |entry: Listed| match entry {
            Listed::Entry(Entry { name, kind: Kind::Folder, .. }) => format!("{name}/"),
            Listed::Entry(Entry { name, .. }) => name,
            Listed::Other(name) => format!("{name}?"),
        };
        (entries.into_iter().map(name).collect(), more)
    }

    #[test]
    fn paths_of_clients_stay_below_the_top() {
        for (text, is) in [("", ""), ("/", ""), ("a/b", "a/b"), ("/a/", "a"), ("ä", "ä")] {
            assert_eq!(path(text).unwrap().as_str(), is);
        }
        let long = ["d"; 600].join("/");
        for text in ["..", "/../a", "a/../../b", "a//b", ".", "C:/x", "a\0", long.as_str()] {
            assert_eq!(path(text).unwrap_err().code, Code::BadName, "{text:?}");
        }
        assert_eq!(path("a/.b.anab-part").unwrap_err().code, Code::BadName);
    }

    #[test]
    fn folders_are_listed_page_by_page_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..5 {
            fs::write(dir.path().join(format!("f{n}")), [0; 3]).unwrap();
        }
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join(".f9.anab-part"), "x").unwrap();
        fs::write(dir.path().join("bad\nname"), "x").unwrap();
        std::os::unix::fs::symlink("f1", dir.path().join("link")).unwrap();
        let mut view = tree(dir.path()).view(Sight::default());
        let mut page = |after: &str, most| names(list(&mut view, "/", after, most));
        assert_eq!(page("", 3), (["f0", "f1", "f2"].map(String::from).into(), true));
        assert_eq!(page("f2", 3), (["f3", "f4", "link?"].map(String::from).into(), true));
        assert_eq!(page("link", u32::MAX), (vec!["sub/".to_owned()], false));
        assert_eq!(page("z", 1), (vec![], false));
        let mut refused = |folder: &str| match list(&mut view, folder, "", 1) {
            Reply::Refused { code, .. } => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("gone"), Code::NotFound);
        assert_eq!(refused("f1"), Code::NotFound);
        assert_eq!(refused("../x"), Code::BadName);
    }

    #[test]
    fn files_and_empty_folders_are_removed_with_what_is_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["full", "empty", "half"] {
            fs::create_dir(at(folder)).unwrap();
        }
        for name in ["a", ".a.anab-part", "full/b", "half/.c.anab-part", ".d.anab-part", "e"] {
            fs::write(at(name), [0; 10]).unwrap();
        }
        fs::write(at(".d.anab-state"), [0; 5]).unwrap();
        std::os::unix::fs::symlink("full", at("link")).unwrap();
        let mut remover = Remover {
            disk: tree(dir.path()).view(Sight { inbox: true, private: true, write: true }),
            claims: Claims::default(),
            quota: Some(Quota::new(1000, 100)),
        };
        let mut remove = |name: &str| match remover.remove(&[name.to_owned()]) {
            Reply::Removed { codes } => codes[0],
            other => panic!("{other:?}"),
        };
        for name in ["a", "empty", "half", "d", "/link"] {
            assert_eq!(remove(name), Code::None, "{name}");
        }
        assert_eq!(remove("full"), Code::Refused);
        assert_eq!(remove("gone"), Code::NotFound);
        assert_eq!(remove("a"), Code::NotFound);
        assert_eq!(remove("full/../e"), Code::BadName);
        assert_eq!(remove("/"), Code::Denied);
        assert_eq!(remove(".d.anab-part"), Code::BadName);
        let quota = remover.quota.unwrap();
        assert_eq!(quota.used(), 100 - 10 - 10 - 10 - 15);
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["e", "full"]);
        assert_eq!(fs::read(at("full/b")).unwrap().len(), 10);
    }

    #[test]
    fn everything_counts_but_what_is_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for (name, bytes) in [("x", 1), ("a/y", 20), ("a/b/.z.anab-part", 300)] {
            fs::write(dir.path().join(name), vec![0; bytes]).unwrap();
        }
        std::os::unix::fs::symlink("/usr", dir.path().join("a/usr")).unwrap();
        let mut disk = anabranch_storage::Folder::new(dir.path());
        assert_eq!(measure(&mut disk), Ok(321));
        let mut gone = anabranch_storage::Folder::new(dir.path().join("gone"));
        assert_eq!(measure(&mut gone), Err(Error::NotFound));
    }
}
