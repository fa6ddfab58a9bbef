//! What clients see: several folders as one tree.

use std::path::PathBuf;

use anabranch_storage::{
    Access, Attributes, Entry, Error, FileId, Folder, Kind, Metadata, Modified, RelPath, Replace,
    Status, Storage, Writer,
};
use anabranch_transfers::is_private;

/// Which folders there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// The one that is at the top.
    pub(super) dir: Option<PathBuf>,
    /// Those that are seen under a name there, which hides the one in `dir` that has it too.
    pub(super) shares: Vec<(String, PathBuf)>,
    /// The one in `dir` that only some may look into.
    pub(super) inbox: Option<String>,
}

/// For whom a view is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// The inbox is there.
    pub(super) inbox: bool,
    /// Partial files and journals are there.
    pub(super) private: bool,
    /// Files can be written in `dir`.
    pub(super) write: bool,
}

impl Tree {
    pub(super) fn view(&self, sight: Sight) -> View {
        let shares = self.shares.iter().map(|(name, dir)| (name.clone(), Folder::new(dir)));
        View {
            top: self.dir.as_ref().map(Folder::new),
            shares: shares.collect(),
            hidden: self.inbox.clone().filter(|_| !sight.inbox),
            sight,
        }
    }

    /// Whether a path is in a folder into which nobody writes.
    pub(super) fn is_shared(&self, path: &RelPath) -> bool {
        let first = path.names().next();
        self.shares.iter().any(|(name, _)| Some(name.as_str()) == first)
    }

    /// Whether a path is the inbox, or in it.
    pub(super) fn is_in_inbox(&self, path: &RelPath) -> bool {
        self.inbox.is_some() && path.names().next() == self.inbox.as_deref()
    }
}

/// The tree, as somebody sees it. What they do not see is [`Error::NotFound`], what they cannot
/// write is [`Error::ReadOnly`].
#[derive(Debug)]
pub(super) struct View {
    top: Option<Folder>,
    shares: Vec<(String, Folder)>,
    hidden: Option<String>,
    sight: Sight,
}

/// The tree's own top, where no folder is there.
const BARE: Status = Status {
    metadata: Metadata { kind: Kind::Dir, len: 0 },
    mode: 0o755,
    modified: Modified { seconds: 0, nanos: 0 },
    id: 0,
};

impl View {
    /// Which of the folders a path is in, and where there. `None`: it is the bare top.
    fn find(&self, path: &RelPath) -> Result<Option<(usize, RelPath)>, Error> {
        let mut names = path.names();
        let Some(first) = names.next() else {
            return Ok(self.top.is_some().then_some((0, RelPath::ROOT)));
        };
        if !self.sight.private && path.names().any(is_private) {
            return Err(Error::NotFound);
        }
        if let Some(at) = self.shares.iter().position(|(name, _)| name == first) {
            let rest: Vec<&str> = names.collect();
            let rest = RelPath::new(&rest.join("/")).ok_or(Error::NotFound)?;
            return Ok(Some((at + 1, rest)));
        }
        if self.top.is_none() || self.hidden.as_deref() == Some(first) {
            return Err(Error::NotFound);
        }
        Ok(Some((0, path.clone())))
    }

    fn folder(&mut self, at: usize) -> Result<&mut Folder, Error> {
        match at.checked_sub(1) {
            None => self.top.as_mut(),
            Some(share) => self.shares.get_mut(share).map(|(_, folder)| folder),
        }
        .ok_or(Error::NotFound)
    }

    /// A folder to read in.
    fn at(&mut self, path: &RelPath) -> Result<Option<(usize, &mut Folder, RelPath)>, Error> {
        let Some((at, path)) = self.find(path)? else { return Ok(None) };
        self.folder(at).map(|folder| Some((at, folder, path)))
    }

    /// The folder to write in.
    fn writable(&mut self, path: &RelPath) -> Result<(&mut Folder, RelPath), Error> {
        match self.find(path)? {
            Some((0, path)) if self.sight.write => Ok((self.folder(0)?, path)),
            Some(_) | None => Err(Error::ReadOnly),
        }
    }

    /// The folder of an open file, whose number there is the other one.
    fn opened(&mut self, file: FileId) -> Result<(&mut Folder, FileId), Error> {
        let count = self.shares.len() as u64 + 1;
        let at = usize::try_from(file.0 % count).unwrap_or(0);
        self.folder(at).map(|folder| (folder, FileId(file.0 / count)))
    }

    /// The number of an open file of one of the folders.
    fn number(&self, at: usize, file: FileId) -> FileId {
        FileId(file.0 * (self.shares.len() as u64 + 1) + at as u64)
    }

    fn is_seen(&self, name: &str) -> bool {
        let shared = self.shares.iter().any(|(share, _)| share == name);
        !shared && self.hidden.as_deref() != Some(name)
    }
}

impl Storage for View {
    fn create(&mut self, path: &RelPath) -> Result<FileId, Error> {
        let (folder, path) = self.writable(path)?;
        let file = folder.create(&path)?;
        Ok(self.number(0, file))
    }

    fn open(&mut self, path: &RelPath, access: Access) -> Result<FileId, Error> {
        match access {
            Access::Read => {}
            Access::Write | Access::Alone => drop(self.writable(path)?),
        }
        let (at, folder, path) = self.at(path)?.ok_or(Error::IsADirectory)?;
        let file = folder.open(&path, access)?;
        Ok(self.number(at, file))
    }

    fn read_at(&mut self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let (folder, file) = self.opened(file)?;
        folder.read_at(file, offset, buf)
    }

    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let (folder, file) = self.opened(file)?;
        folder.write_at(file, offset, bytes)
    }

    fn writer(&mut self, file: FileId) -> Result<Option<Box<dyn Writer>>, Error> {
        let (folder, file) = self.opened(file)?;
        folder.writer(file)
    }

    fn set_len(&mut self, file: FileId, len: u64) -> Result<(), Error> {
        let (folder, file) = self.opened(file)?;
        folder.set_len(file, len)
    }

    fn sync(&mut self, file: FileId) -> Result<(), Error> {
        let (folder, file) = self.opened(file)?;
        folder.sync(file)
    }

    fn close(&mut self, file: FileId) -> Result<(), Error> {
        let (folder, file) = self.opened(file)?;
        folder.close(file)
    }

    fn make_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        let (folder, path) = self.writable(path)?;
        folder.make_dir(&path)
    }

    fn remove_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        let (folder, path) = self.writable(path)?;
        folder.remove_dir(&path)
    }

    fn sync_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        let (folder, path) = self.writable(path)?;
        folder.sync_dir(&path)
    }

    fn rename(&mut self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), Error> {
        let (_, to) = self.writable(to)?;
        let (folder, from) = self.writable(from)?;
        folder.rename(&from, &to, replace)
    }

    fn remove(&mut self, path: &RelPath) -> Result<(), Error> {
        let (folder, path) = self.writable(path)?;
        folder.remove(&path)
    }

    fn list(&mut self, path: &RelPath, max: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = match self.at(path)? {
            Some((_, folder, at)) => folder.list(&at, max)?,
            None => Vec::new(),
        };
        if !self.sight.private {
            entries.retain(|entry| !is_private(&entry.name));
        }
        if path.is_root() {
            entries.retain(|entry| self.is_seen(&entry.name));
            let share = |(name, _): &(String, Folder)| Entry {
                name: name.clone(),
                metadata: BARE.metadata,
            };
            entries.extend(self.shares.iter().map(share));
            entries.truncate(max);
        }
        Ok(entries)
    }

    fn metadata(&mut self, path: &RelPath) -> Result<Metadata, Error> {
        self.status(path).map(|status| status.metadata)
    }

    fn free_space(&mut self) -> Result<u64, Error> {
        self.top.as_mut().ok_or(Error::ReadOnly)?.free_space()
    }

    fn status(&mut self, path: &RelPath) -> Result<Status, Error> {
        let Some((_, folder, path)) = self.at(path)? else { return Ok(BARE) };
        folder.status(&path)
    }

    fn stat(&mut self, file: FileId) -> Result<Status, Error> {
        let (folder, file) = self.opened(file)?;
        folder.stat(file)
    }

    fn set_attributes(&mut self, path: &RelPath, attributes: Attributes) -> Result<(), Error> {
        let (folder, path) = self.writable(path)?;
        folder.set_attributes(&path, attributes)
    }

    fn sync_all(&mut self) -> Result<(), Error> {
        self.top.as_mut().ok_or(Error::ReadOnly)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn tree(root: &std::path::Path) -> Tree {
        for name in ["top/in", "top/docs", "docs/deep"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let files = ["top/a", "top/in/secret", "top/docs/hidden", "docs/d", "docs/deep/e", "out"];
        for name in files.into_iter().chain(["top/.a.anab-part", "top/.a.anab-state"]) {
            fs::write(root.join(name), name).unwrap();
        }
        for (to, from) in [("../../out", "top/in/link"), ("..", "docs/up"), ("/", "top/root")] {
            std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        }
        Tree {
            dir: Some(root.join("top")),
            shares: vec![("docs".to_owned(), root.join("docs"))],
            inbox: Some("in".to_owned()),
        }
    }

    fn names(view: &mut View, folder: &str) -> Vec<String> {
        let mut names: Vec<String> =
            view.list(&path(folder), 99).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    fn read(view: &mut View, name: &str) -> Result<String, Error> {
        let file = view.open(&path(name), Access::Read)?;
        let mut bytes = vec![0; 64];
        let len = view.read_at(file, 0, &mut bytes)?;
        assert_eq!(view.stat(file)?.metadata.len, len as u64);
        view.close(file)?;
        Ok(String::from_utf8(bytes[..len].to_vec()).unwrap())
    }

    #[test]
    fn readers_see_their_part_of_the_tree() {
        let root = tempfile::tempdir().unwrap();
        let mut view = tree(root.path()).view(Sight::default());
        assert_eq!(names(&mut view, ""), ["a", "docs", "root"]);
        assert_eq!(names(&mut view, "docs"), ["d", "deep", "up"]);
        assert_eq!(read(&mut view, "a").unwrap(), "top/a");
        assert_eq!(read(&mut view, "docs/deep/e").unwrap(), "docs/deep/e");
        let gone = ["in", "in/secret", ".a.anab-part", "docs/hidden", "docs/.x.anab-state", "b"];
        for name in gone {
            assert_eq!(view.status(&path(name)), Err(Error::NotFound), "{name}");
            assert_eq!(read(&mut view, name), Err(Error::NotFound), "{name}");
        }
        for name in ["docs/up/out", "docs/up/top/in/secret", "root/etc/passwd"] {
            assert!(read(&mut view, name).is_err(), "{name} leads out");
        }
        let mut all = tree_again(root.path()).view(Sight { inbox: true, ..Sight::default() });
        assert_eq!(read(&mut all, "in/secret").unwrap(), "top/in/secret");
        assert!(read(&mut all, "in/link").is_err());
    }

    /// The same without making it.
    fn tree_again(root: &std::path::Path) -> Tree {
        Tree {
            dir: Some(root.join("top")),
            shares: vec![("docs".to_owned(), root.join("docs"))],
            inbox: Some("in".to_owned()),
        }
    }

    #[test]
    fn nothing_is_written_but_at_the_top_and_by_those_who_may() {
        let root = tempfile::tempdir().unwrap();
        let tree = tree(root.path());
        let writing = Sight { inbox: true, private: true, write: true };
        for (sight, name) in [(Sight::default(), "new"), (writing, "docs/new"), (writing, "docs")] {
            let mut view = tree.view(sight);
            let (new, a) = (path(name), path("a"));
            let all = [
                view.create(&new).map(drop),
                view.make_dir(&new),
                view.remove(&new),
                view.remove_dir(&new),
                view.rename(&a, &new, Replace::Yes),
                view.rename(&new, &a, Replace::Yes),
                view.open(&new, Access::Write).map(drop),
                view.open(&new, Access::Alone).map(drop),
                view.set_attributes(&new, Attributes::default()),
            ];
            assert_eq!(all, [Err(Error::ReadOnly); 9], "{name}");
        }
        let mut view = tree.view(writing);
        let file = view.create(&path("in/new")).unwrap();
        view.write_at(file, 0, b"hello").unwrap();
        view.sync(file).unwrap();
        view.close(file).unwrap();
        view.rename(&path("in/new"), &path("in/newer"), Replace::No).unwrap();
        assert_eq!(read(&mut view, "in/newer").unwrap(), "hello");
        assert!(names(&mut view, "").contains(&".a.anab-part".to_owned()));
    }

    #[test]
    fn shares_alone_have_a_top_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let mut view = Tree { dir: None, inbox: None, ..tree(root.path()) }.view(Sight::default());
        assert_eq!(names(&mut view, ""), ["docs"]);
        assert_eq!(view.status(&RelPath::ROOT).unwrap().metadata.kind, Kind::Dir);
        assert_eq!(read(&mut view, "docs/d").unwrap(), "docs/d");
        assert_eq!(view.open(&RelPath::ROOT, Access::Read), Err(Error::IsADirectory));
        assert_eq!(view.status(&path("a")), Err(Error::NotFound));
    }
}
