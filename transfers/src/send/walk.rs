//! Through files and folders, in the order of their names.

use anabranch_core::files::{self, Entry, name};
use anabranch_core::{Code, limits};
use anabranch_storage::{self as storage, Kind, RelPath, Status};

use super::{Send, Source};
use crate::trouble::Trouble;

/// Names in one folder, at most.
const WIDEST: usize = 1_000_000;

/// Where an entry is.
#[derive(Clone, Debug)]
pub(crate) struct At {
    /// In which source.
    pub(crate) source: usize,
    /// There; of a pipe: nowhere.
    pub(crate) path: RelPath,
    /// What it was when it was found.
    pub(crate) status: Option<Status>,
}

/// What the walk comes upon.
pub(super) enum Found {
    Entry(Entry, At),
    /// It cannot be sent, and nobody expects it.
    Ignored {
        path: String,
        reason: String,
    },
    /// It should be sent, and cannot be.
    Failed {
        path: String,
        trouble: Trouble,
    },
}

/// A folder that the walk is in.
#[derive(Debug)]
struct Level {
    path: RelPath,
    /// What it is called at the receiver's; empty for nothing.
    name: String,
    /// What is still to come, the next one at the end.
    names: Vec<storage::Entry>,
}

/// A walk.
#[derive(Debug)]
pub(super) struct Walk {
    send: Send,
    sources: usize,
    source: usize,
    levels: Vec<Level>,
}

impl Walk {
    pub(super) const fn new(sources: usize, send: Send) -> Self {
        Self { send, sources, source: 0, levels: Vec::new() }
    }

    /// The next thing.
    pub(super) fn next(&mut self, sources: &mut [Source]) -> Option<Found> {
        loop {
            let Some(level) = self.levels.last_mut() else {
                if self.source >= self.sources {
                    return None;
                }
                let found = self.begin(sources);
                if self.levels.is_empty() {
                    self.source += 1;
                }
                match found {
                    Some(found) => return Some(found),
                    None => continue,
                }
            };
            let Some(next) = level.names.pop() else {
                self.levels.pop();
                if self.levels.is_empty() {
                    self.source += 1;
                }
                continue;
            };
            let name = if level.name.is_empty() {
                next.name.clone()
            } else {
                format!("{}/{}", level.name, next.name)
            };
            let Some(path) = level.path.join(&next.name) else {
                let trouble = Trouble::new(Code::BadName, "its path is too long");
                return Some(Found::Failed { path: name, trouble });
            };
            if crate::receive::is_private(&next.name) {
                continue;
            }
            return Some(self.look(sources, path, name));
        }
    }

    /// The next source.
    fn begin(&mut self, sources: &mut [Source]) -> Option<Found> {
        let source = &mut sources[self.source];
        let name = source.name.clone();
        let Some((_, path)) = source.disk() else {
            let at = At { source: self.source, path: RelPath::ROOT, status: None };
            return Some(match checked(&name) {
                Ok(()) => Found::Entry(self.cut(Entry::file(&name, None)), at),
                Err(trouble) => Found::Failed { path: name, trouble },
            });
        };
        let path = path.clone();
        if !name.is_empty() {
            return Some(self.look(sources, path, name));
        }
        self.enter(sources, &path, &name).err().map(|trouble| {
            let path = path.to_string();
            Found::Failed { path, trouble }
        })
    }

    fn look(&mut self, sources: &mut [Source], path: RelPath, name: String) -> Found {
        let source = self.source;
        let Some((disk, _)) = sources[source].disk() else {
            let trouble = Trouble::new(Code::Internal, "a pipe has no names");
            return Found::Failed { path: name, trouble };
        };
        let status = match disk.status(&path) {
            Ok(status) => status,
            Err(error) => return Found::Failed { path: name, trouble: Trouble::reading(error) },
        };
        if let Err(trouble) = checked(&name) {
            return Found::Failed { path: name, trouble };
        }
        let entry = match status.metadata.kind {
            Kind::File => self.cut(Entry::file(&name, Some(status.metadata.len))),
            Kind::Dir => {
                if let Err(trouble) = self.enter(sources, &path, &name) {
                    return Found::Failed { path: name, trouble };
                }
                Entry::folder(&name)
            }
            Kind::Other => {
                let reason = "a link or a device".to_owned();
                return Found::Ignored { path: name, reason };
            }
        };
        let modified =
            files::Modified { seconds: status.modified.seconds, nanos: status.modified.nanos };
        let entry = Entry {
            mode: self.send.modes.then_some(status.mode),
            modified: self.send.times.then_some(modified),
            ..entry
        };
        Found::Entry(entry, At { source, path, status: Some(status) })
    }

    /// Into pieces of the size that is wished for.
    fn cut(&self, entry: Entry) -> Entry {
        let wished = self.send.piece.filter(|piece| {
            let pieces = entry.size.unwrap_or(0).div_ceil(u64::from(*piece).max(1));
            let sizes = limits::MIN_PIECE..=limits::MAX_PIECE;
            piece.is_power_of_two() && sizes.contains(piece) && pieces <= limits::MAX_PIECES
        });
        Entry { piece: wished.unwrap_or(entry.piece), ..entry }
    }

    fn enter(&mut self, sources: &mut [Source], path: &RelPath, name: &str) -> Result<(), Trouble> {
        let Some((disk, _)) = sources[self.source].disk() else { return Ok(()) };
        let mut names = disk.list(path, WIDEST + 1).map_err(Trouble::reading)?;
        if names.len() > WIDEST {
            return Err(Trouble::new(Code::TooLarge, format!("more than {WIDEST} names")));
        }
        names.sort_by(|a, b| b.name.cmp(&a.name));
        self.levels.push(Level { path: path.clone(), name: name.to_owned(), names });
        Ok(())
    }
}

fn checked(name: &str) -> Result<(), Trouble> {
    name::check_native(name).map_err(|why| Trouble::new(Code::BadName, why.to_string()))
}
