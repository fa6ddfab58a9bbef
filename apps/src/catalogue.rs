//! What a server has to offer: one file, or the files of a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anabranch_core::event::Entry;
use anabranch_core::{MediaId, limits};

use crate::exit::{Exit, Failure};
use crate::probe;

/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 16;

/// A file that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its length when the catalogue was read; not more is served.
    pub size: u64,
}

/// A catalogue, as it was when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Entries in order of name.
    pub entries: Vec<(MediaId, Entry)>,
    /// The files behind them.
    pub sources: BTreeMap<MediaId, Source>,
    /// What a client gets that asks for no name.
    pub default: Option<String>,
    next: u32,
}

impl Catalogue {
    /// Reads the file or folder at `root`, if there is to be one. Files that `before` had keep
    /// their numbers, so that what is being served goes on.
    ///
    /// # Errors
    /// If there is nothing at `root`, or it cannot be read.
    pub fn read(root: Option<&Path>, before: &Self) -> Result<Self, Failure> {
        let Some(root) = root else { return Ok(Self::build(Vec::new(), None, before)) };
        let missing = |error: &io::Error| {
            Failure::reading(root, error).hint("give a media file or a folder with --media")
        };
        let meta = fs::metadata(root).map_err(|error| missing(&error))?;
        let mut files = Vec::new();
        let mut default = None;
        if meta.is_dir() {
            let real = fs::canonicalize(root).map_err(|error| missing(&error))?;
            collect(&real, &real, "", 0, &mut files).map_err(|error| missing(&error))?;
        } else {
            let name = root.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.filter(|name| name.len() <= limits::MAX_NAME);
            let name = name.unwrap_or_else(|| "media".to_owned());
            File::open(root).map_err(|error| missing(&error))?;
            default = Some(name.clone());
            files.push((name, root.to_owned()));
        }
        files.sort();
        if files.len() > limits::MAX_CATALOGUE {
            let what =
                format!("{} holds more than {} files", root.display(), limits::MAX_CATALOGUE);
            return Err(Failure::new(Exit::Config, what).hint("give a smaller folder with --media"));
        }
        Ok(Self::build(files, default, before))
    }

    fn build(files: Vec<(String, PathBuf)>, default: Option<String>, before: &Self) -> Self {
        let known: BTreeMap<&Path, MediaId> =
            before.sources.iter().map(|(id, source)| (source.path.as_path(), *id)).collect();
        let mut this = Self { default, next: before.next, ..Self::default() };
        for (name, path) in files {
            let (size, bitrate) = match look(&path) {
                Ok(found) => found,
                Err(error) => {
                    log::warn!("{} is left out: {error}", path.display());
                    continue;
                }
            };
            let id = known.get(path.as_path()).copied().unwrap_or_else(|| {
                this.next += 1;
                MediaId(this.next)
            });
            let kind = probe::media_type(&path).to_owned();
            this.entries.push((id, Entry { name, size: Some(size), bitrate, kind }));
            this.sources.insert(id, Source { path, size });
        }
        this
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sources.values().map(|source| source.size).sum()
    }
}

/// Size and bitrate of a file that can be read.
fn look(path: &Path) -> io::Result<(u64, Option<u32>)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut head = Vec::with_capacity(probe::HEAD);
    file.take(probe::HEAD as u64).read_to_end(&mut head)?;
    if is_private_key(&head) {
        return Err(io::Error::other("a private key is not served"));
    }
    Ok((meta.len(), probe::bitrate(&head, meta.len())))
}

/// The server's own key may lie in the folder, and is the last thing to give away.
fn is_private_key(head: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    head.windows(MARK.len()).any(|window| window == MARK)
}

/// Collects `(name, path)` of the files below `folder`. Hidden files, links that lead out of
/// `root` and names that the protocol cannot carry are left out.
fn collect(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    out: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let item = item?;
        let file_name = item.file_name();
        let Some(own) = file_name.to_str().filter(|name| is_sound(name)) else { continue };
        let name = format!("{prefix}{own}");
        // Follows links: what they lead to has to be inside.
        let Ok(real) = fs::canonicalize(item.path()) else { continue };
        if !real.starts_with(root) {
            log::warn!("{} leads out of the media folder and is left out", item.path().display());
            continue;
        }
        let Ok(meta) = fs::metadata(&real) else { continue };
        if meta.is_dir() {
            // A linked folder could be its own parent, so only real ones are looked into.
            let linked = item.file_type().is_ok_and(|kind| kind.is_symlink());
            if !linked && depth < MAX_DEPTH {
                collect(root, &item.path(), &format!("{name}/"), depth + 1, out)?;
            }
        } else if meta.is_file() {
            if name.len() > limits::MAX_NAME {
                log::warn!("{} is left out: its name is too long", item.path().display());
            } else if out.len() <= limits::MAX_CATALOGUE {
                out.push((name, real));
            }
        }
    }
    Ok(())
}

fn is_sound(name: &str) -> bool {
    !name.starts_with('.') && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(catalogue: &Catalogue) -> Vec<&str> {
        catalogue.entries.iter().map(|(_, entry)| entry.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_listed_in_order_without_what_does_not_belong() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        for name in ["z.wav", "a.mp4", "b/deep/c.txt", ".hidden", "bad\nname"] {
            fs::write(at(name), name).unwrap();
        }
        symlink(outside.path(), at("out")).unwrap();
        symlink(at("a.mp4"), at("in.mp4")).unwrap();
        symlink(dir.path(), at("b/loop")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        let catalogue = Catalogue::read(Some(dir.path()), &Catalogue::default()).unwrap();
        assert_eq!(names(&catalogue), ["a.mp4", "b/deep/c.txt", "in.mp4", "z.wav"]);
        assert_eq!(catalogue.default, None);
        let entry = &catalogue.entries[0].1;
        assert_eq!((entry.size, entry.kind.as_str()), (Some(5), "video/mp4"));
    }

    #[test]
    fn private_keys_are_never_served() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        crate::cert::load_or_make(&crate::cert::Files { cert: at("c"), key: at("k") }).unwrap();
        let catalogue = Catalogue::read(Some(dir.path()), &Catalogue::default()).unwrap();
        assert_eq!(names(&catalogue), ["c"]);
    }

    #[test]
    fn a_file_alone_is_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tone.wav");
        let format = probe::wav::Format { channels: 1, rate: 8000, bits: 16 };
        fs::write(&path, probe::wav::header(format, 0)).unwrap();
        let catalogue = Catalogue::read(Some(&path), &Catalogue::default()).unwrap();
        assert_eq!(catalogue.default.as_deref(), Some("tone.wav"));
        assert_eq!(catalogue.entries[0].1.bitrate, Some(128_000));
    }

    #[test]
    fn numbers_stay_when_it_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("m"), "1").unwrap();
        let first = Catalogue::read(Some(dir.path()), &Catalogue::default()).unwrap();
        fs::write(dir.path().join("a"), "1").unwrap();
        let second = Catalogue::read(Some(dir.path()), &first).unwrap();
        let id = |catalogue: &Catalogue, name: &str| {
            catalogue.entries.iter().find(|(_, entry)| entry.name == name).map(|(id, _)| *id)
        };
        assert_eq!(id(&first, "m"), id(&second, "m"));
        assert_ne!(id(&second, "a"), id(&second, "m"));
        fs::remove_file(dir.path().join("m")).unwrap();
        let third = Catalogue::read(Some(dir.path()), &second).unwrap();
        fs::write(dir.path().join("new"), "1").unwrap();
        let fourth = Catalogue::read(Some(dir.path()), &third).unwrap();
        assert!(!second.sources.contains_key(&id(&fourth, "new").unwrap()), "no number twice");
    }

    #[test]
    fn nothing_there_is_said_with_the_path() {
        let failure =
            Catalogue::read(Some(Path::new("/nonexistent/x")), &Catalogue::default()).unwrap_err();
        assert_eq!(failure.exit, Exit::NoInput);
        assert!(failure.what.contains("/nonexistent/x"));
    }
}
