//! A file system in memory that knows what would survive a crash.

mod storage;

use std::collections::{BTreeMap, BTreeSet};

use anabranch_core::rng::Rng;
use anabranch_storage::{Access, Attributes, Error, FileId, Kind, Metadata, RelPath, Status};

use super::Order;
use super::dir::{DirNode, Node};
use super::file::FileNode;
use super::space::Space;

/// A file or a directory.
#[derive(Debug)]
enum Thing {
    File(FileNode),
    Dir(DirNode),
}

/// A file system in memory. Without faults of its own: those are the disk's.
#[derive(Debug)]
pub struct FileSystem {
    things: BTreeMap<Node, Thing>,
    /// `None`: it is gone.
    root: Option<Node>,
    next_node: Node,
    open: BTreeMap<FileId, (Node, Access)>,
    next_file: u64,
    space: Space,
    read_only: bool,
}

const ROOT: Node = 0;

impl FileSystem {
    /// An empty one, for so many bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            things: [(ROOT, Thing::Dir(DirNode::default()))].into(),
            root: Some(ROOT),
            next_node: ROOT + 1,
            open: BTreeMap::new(),
            next_file: 0,
            space: Space::new(capacity),
            read_only: false,
        }
    }

    pub(super) const fn set_capacity(&mut self, capacity: u64) {
        self.space.capacity = capacity;
    }

    pub(super) const fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    pub(super) fn close_all(&mut self) {
        self.open.clear();
        self.collect();
    }

    pub(super) fn crash(&mut self, order: Order, rng: &mut Rng) {
        for thing in self.things.values_mut() {
            match thing {
                Thing::File(file) => file.crash(rng),
                Thing::Dir(dir) => dir.crash(order, rng),
            }
        }
        self.close_all();
    }

    pub(super) fn fail_sync(&mut self, file: FileId, rng: &mut Rng) -> Result<(), Error> {
        let (node, _) = self.opened(file)?;
        self.file_mut(node).fail_sync(rng);
        Ok(())
    }

    pub(super) fn fail_sync_all(&mut self, rng: &mut Rng) {
        for thing in self.things.values_mut() {
            if let Thing::File(file) = thing {
                file.fail_sync(rng);
            }
        }
    }

    pub(super) fn vanish(&mut self, path: &RelPath) -> Result<(), Error> {
        self.find(path)?;
        match path.split() {
            None => self.root = None,
            Some((dir, name)) => {
                let dir = self.find(&dir)?;
                self.dir_mut(dir)?.vanish(name);
            }
        }
        self.collect();
        Ok(())
    }

    fn find(&self, path: &RelPath) -> Result<Node, Error> {
        let mut node = self.root.ok_or(Error::NotFound)?;
        for name in path.names() {
            node = *self.dir(node)?.names().get(name).ok_or(Error::NotFound)?;
        }
        Ok(node)
    }

    fn dir(&self, node: Node) -> Result<&DirNode, Error> {
        match &self.things[&node] {
            Thing::Dir(dir) => Ok(dir),
            Thing::File(_) => Err(Error::NotADirectory),
        }
    }

    fn dir_mut(&mut self, node: Node) -> Result<&mut DirNode, Error> {
        match self.things.get_mut(&node) {
            Some(Thing::Dir(dir)) => Ok(dir),
            Some(Thing::File(_)) | None => Err(Error::NotADirectory),
        }
    }

    /// The directory that a path is in, and its name there.
    fn place<'a>(&self, path: &'a RelPath) -> Result<(Node, &'a str), Error> {
        // The root has no place, and it is never there to be made.
        let (dir, name) = path.split().ok_or(Error::Exists)?;
        let dir = self.find(&dir)?;
        self.dir(dir)?;
        Ok((dir, name))
    }

    fn is_dir(&self, node: Node) -> bool {
        matches!(self.things[&node], Thing::Dir(_))
    }

    fn opened(&self, file: FileId) -> Result<(Node, Access), Error> {
        self.open.get(&file).copied().ok_or(Error::NotOpen)
    }

    fn file(&self, node: Node) -> &FileNode {
        match &self.things[&node] {
            Thing::File(file) => file,
            Thing::Dir(_) => unreachable!("only files are opened"),
        }
    }

    fn file_mut(&mut self, node: Node) -> &mut FileNode {
        match self.things.get_mut(&node) {
            Some(Thing::File(file)) => file,
            Some(Thing::Dir(_)) | None => unreachable!("only files are opened"),
        }
    }

    /// A file that is open for writing, on a disk that can be written to.
    fn writable(&self, file: FileId) -> Result<Node, Error> {
        let (node, access) = self.opened(file)?;
        match access {
            Access::Write | Access::Alone => self.changeable().map(|()| node),
            Access::Read => Err(Error::Denied),
        }
    }

    const fn changeable(&self) -> Result<(), Error> {
        if self.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }

    fn make(&mut self, path: &RelPath, thing: Thing) -> Result<Node, Error> {
        let (dir, name) = self.place(path)?;
        if self.dir(dir)?.names().contains_key(name) {
            return Err(Error::Exists);
        }
        self.changeable()?;
        let node = self.next_node;
        self.next_node += 1;
        self.things.insert(node, thing);
        self.dir_mut(dir)?.step(vec![(name.to_owned(), Some(node))]);
        Ok(node)
    }

    fn keep(&mut self, node: Node, access: Access) -> FileId {
        let file = FileId(self.next_file);
        self.next_file += 1;
        self.open.insert(file, (node, access));
        file
    }

    /// A name stands for nothing any more.
    fn unlink(&mut self, path: &RelPath) -> Result<(), Error> {
        self.changeable()?;
        let (dir, name) = self.place(path)?;
        self.dir_mut(dir)?.step(vec![(name.to_owned(), None)]);
        self.collect();
        Ok(())
    }

    /// Forgets what nothing can lead to any more, and frees the space of what is not seen: files
    /// that only a crash could bring back take none.
    fn collect(&mut self) {
        let seen = self.reach(|dir| dir.names().values().copied().collect());
        let kept = self.reach(|dir| dir.refers_to().collect());
        self.things.retain(|node, _| kept.contains(node));
        let len = |node: &Node| match &self.things[node] {
            Thing::File(file) => file.content().len() as u64,
            Thing::Dir(_) => 0,
        };
        self.space.used = seen.iter().map(len).sum();
    }

    /// Whatever the root and open files lead to.
    fn reach(&self, through: impl Fn(&DirNode) -> Vec<Node>) -> BTreeSet<Node> {
        let mut found = BTreeSet::new();
        let mut todo: Vec<Node> = self.open.values().map(|(node, _)| *node).collect();
        todo.extend(self.root);
        while let Some(node) = todo.pop() {
            if found.insert(node)
                && let Some(Thing::Dir(dir)) = self.things.get(&node)
            {
                todo.extend(through(dir));
            }
        }
        found
    }

    fn described(&self, node: Node) -> Metadata {
        match &self.things[&node] {
            Thing::File(file) => Metadata { kind: Kind::File, len: file.content().len() as u64 },
            Thing::Dir(_) => Metadata { kind: Kind::Dir, len: 0 },
        }
    }

    fn status_of(&self, node: Node) -> Status {
        let attributes = match &self.things[&node] {
            Thing::File(file) => file.attributes(),
            Thing::Dir(dir) => dir.attributes,
        };
        Status {
            metadata: self.described(node),
            mode: attributes.mode.unwrap_or(0o644),
            modified: attributes.modified.unwrap_or_default(),
            id: node,
        }
    }

    fn resize(&mut self, node: Node, from: usize) {
        let to = self.file(node).content().len();
        self.space.change(from, to);
    }
}

/// What is set replaces what was.
pub(super) fn merge(old: &mut Attributes, new: Attributes) {
    old.mode = new.mode.or(old.mode);
    old.modified = new.modified.or(old.modified);
}
