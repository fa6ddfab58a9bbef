//! What everybody does with the file system in memory.

use anabranch_storage::{
    Access, Attributes, Entry, Error, FileId, Metadata, RelPath, Replace, Status, Storage,
};

use super::super::dir::DirNode;
use super::super::file::FileNode;
use super::super::space::Space;
use super::{FileSystem, Node, Thing, merge};

impl Storage for FileSystem {
    fn create(&mut self, path: &RelPath) -> Result<FileId, Error> {
        let node = self.make(path, Thing::File(FileNode::default()))?;
        Ok(self.keep(node, Access::Write))
    }

    fn open(&mut self, path: &RelPath, access: Access) -> Result<FileId, Error> {
        let node = self.find(path)?;
        if self.is_dir(node) {
            return Err(Error::IsADirectory);
        }
        if access != Access::Read {
            self.changeable()?;
        }
        let taken = (node, Access::Alone);
        if access == Access::Alone && self.open.values().any(|open| *open == taken) {
            return Err(Error::Busy);
        }
        Ok(self.keep(node, access))
    }

    fn read_at(&mut self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let content = self.file(self.opened(file)?.0).content();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let len = buf.len().min(content.len() - from);
        buf[..len].copy_from_slice(&content[from..from + len]);
        Ok(len)
    }

    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let node = self.writable(file)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let len = self.file(node).content().len();
        let end = offset.saturating_add(bytes.len() as u64);
        let fits = self.space.fits(len, end);
        // What fits is written.
        if fits > offset {
            let start = Space::index(offset)?;
            let part = Space::index(fits - offset)?;
            self.file_mut(node).write(start, &bytes[..part]);
            self.resize(node, len);
        }
        if fits < end { Err(Error::Full) } else { Ok(()) }
    }

    fn set_len(&mut self, file: FileId, wanted: u64) -> Result<(), Error> {
        let node = self.writable(file)?;
        let len = self.file(node).content().len();
        if self.space.fits(len, wanted) < wanted {
            return Err(Error::Full);
        }
        self.file_mut(node).set_len(Space::index(wanted)?);
        self.resize(node, len);
        Ok(())
    }

    fn sync(&mut self, file: FileId) -> Result<(), Error> {
        let (node, _) = self.opened(file)?;
        self.file_mut(node).sync();
        Ok(())
    }

    fn close(&mut self, file: FileId) -> Result<(), Error> {
        self.open.remove(&file).ok_or(Error::NotOpen)?;
        self.collect();
        Ok(())
    }

    fn make_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        self.make(path, Thing::Dir(DirNode::default())).map(drop)
    }

    fn remove_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::Denied);
        }
        if !self.dir(self.find(path)?)?.names().is_empty() {
            return Err(Error::NotEmpty);
        }
        self.unlink(path)
    }

    fn sync_dir(&mut self, path: &RelPath) -> Result<(), Error> {
        let node = self.find(path)?;
        self.dir_mut(node)?.sync();
        self.collect();
        Ok(())
    }

    fn rename(&mut self, from: &RelPath, to: &RelPath, replace: Replace) -> Result<(), Error> {
        let dir = |path: &RelPath| path.split().map(|(dir, _)| dir);
        if dir(from) != dir(to) {
            return Err(Error::OtherDirectory);
        }
        let node = self.find(from)?;
        let target = match self.find(to) {
            Err(Error::NotFound) => None,
            found => Some(found?),
        };
        if self.is_dir(node) || target.is_some_and(|target| self.is_dir(target)) {
            return Err(Error::IsADirectory);
        }
        if target.is_some() && replace == Replace::No {
            return Err(Error::Exists);
        }
        self.changeable()?;
        if target != Some(node) {
            let (dir, old) = self.place(from)?;
            let (_, new) = self.place(to)?;
            let step = vec![(old.to_owned(), None), (new.to_owned(), Some(node))];
            self.dir_mut(dir)?.step(step);
            self.collect();
        }
        Ok(())
    }

    fn remove(&mut self, path: &RelPath) -> Result<(), Error> {
        if self.is_dir(self.find(path)?) {
            return Err(Error::IsADirectory);
        }
        self.unlink(path)
    }

    fn list(&mut self, path: &RelPath, max: usize) -> Result<Vec<Entry>, Error> {
        let names = self.dir(self.find(path)?)?.names().iter().take(max);
        let entry = |(name, node): (&String, &Node)| Entry {
            name: name.clone(),
            metadata: self.described(*node),
        };
        Ok(names.map(entry).collect())
    }

    fn metadata(&mut self, path: &RelPath) -> Result<Metadata, Error> {
        self.find(path).map(|node| self.described(node))
    }

    fn free_space(&mut self) -> Result<u64, Error> {
        match self.root {
            Some(_) => Ok(self.space.free()),
            None => Err(Error::NotFound),
        }
    }

    fn status(&mut self, path: &RelPath) -> Result<Status, Error> {
        self.find(path).map(|node| self.status_of(node))
    }

    fn stat(&mut self, file: FileId) -> Result<Status, Error> {
        self.opened(file).map(|(node, _)| self.status_of(node))
    }

    fn set_attributes(&mut self, path: &RelPath, attributes: Attributes) -> Result<(), Error> {
        let node = self.find(path)?;
        self.changeable()?;
        match self.things.get_mut(&node) {
            Some(Thing::File(file)) => file.set_attributes(attributes),
            Some(Thing::Dir(dir)) => merge(&mut dir.attributes, attributes),
            None => {}
        }
        Ok(())
    }

    fn sync_all(&mut self) -> Result<(), Error> {
        for thing in self.things.values_mut() {
            match thing {
                Thing::File(file) => file.sync(),
                Thing::Dir(dir) => dir.sync(),
            }
        }
        self.collect();
        Ok(())
    }
}
