//! Paths that stay inside.

use std::fmt;

/// The longest name, in bytes: what every common file system takes.
pub const MAX_NAME: usize = 255;
/// The longest path, in bytes: what Linux takes, without its end.
pub const MAX_PATH: usize = 4_095;

/// A path below a storage's root: names with `/` between them. None of them is empty, `.` or `..`,
/// contains `/` or NUL, or is too long, so that no path leads out. The empty path is the
/// root itself.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// The root.
    pub const ROOT: Self = Self(String::new());

    /// `None` if it is not a path below the root.
    #[must_use]
    pub fn new(path: &str) -> Option<Self> {
        if path.is_empty() {
            return Some(Self::ROOT);
        }
        let fits = path.len() <= MAX_PATH && path.split('/').all(Self::is_name);
        fits.then(|| Self(path.to_owned()))
    }

    fn is_name(name: &str) -> bool {
        !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME && !name.contains(['/', '\0'])
    }

    /// The path of a name in this directory. `None` if the name, or the whole, is not allowed.
    #[must_use]
    pub fn join(&self, name: &str) -> Option<Self> {
        if !Self::is_name(name) {
            return None;
        }
        if self.is_root() { Self::new(name) } else { Self::new(&format!("{}/{name}", self.0)) }
    }

    /// Whether it is the root.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory it is in, and its name there. `None` for the root.
    #[must_use]
    pub fn split(&self) -> Option<(Self, &str)> {
        if self.is_root() {
            return None;
        }
        let (dir, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        Some((Self(dir.to_owned()), name))
    }

    /// Its names, from the root on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        let long = "n".repeat(MAX_NAME + 1);
        let deep = ["d"; MAX_PATH / 2 + 2].join("/");
        let bad = ["/", "/etc", "..", "a/../b", "a/..", ".", "./a", "a//b", "a/", "a\0b"];
        for path in bad.into_iter().chain([long.as_str(), deep.as_str()]) {
            assert_eq!(RelPath::new(path), None, "{path:?}");
        }
        for name in ["", ".", "..", "a/b", "\0", long.as_str()] {
            assert_eq!(RelPath::ROOT.join(name), None, "{name:?}");
        }
        let widest = "n".repeat(MAX_NAME);
        for path in ["a", "a/b c/...", "..a", ".hidden", "ä/ö", widest.as_str()] {
            assert_eq!(RelPath::new(path).unwrap().as_str(), path);
        }
        let below = RelPath::new(&deep[..MAX_PATH - 2]).unwrap();
        assert_eq!(below.join("ab"), None, "too long together");
    }

    #[test]
    fn paths_split_and_join() {
        let path = RelPath::new("a/b/c").unwrap();
        let (dir, name) = path.split().unwrap();
        assert_eq!((dir.as_str(), name), ("a/b", "c"));
        assert_eq!(dir.join(name), Some(path.clone()));
        assert_eq!(path.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        let top = RelPath::ROOT.join("a").unwrap();
        assert_eq!(top.split(), Some((RelPath::ROOT, "a")));
        assert_eq!(RelPath::ROOT.split(), None);
        assert_eq!(RelPath::ROOT.names().count(), 0);
    }
}
