//! What files are called while they are received.

use anabranch_storage::{MAX_NAME, RelPath};

const PART: &str = ".anab-part";
const STATE: &str = ".anab-state";

/// Whether this is what the partial file or the journal of another file is called.
#[must_use]
pub fn is_private(name: &str) -> bool {
    name.starts_with('.') && (name.ends_with(PART) || name.ends_with(STATE))
}

/// The partial file of a file. `None`: of the root.
#[must_use]
pub fn part(path: &RelPath) -> Option<RelPath> {
    beside(path, PART)
}

/// The journal of a file. `None`: of the root.
#[must_use]
pub fn state(path: &RelPath) -> Option<RelPath> {
    beside(path, STATE)
}

fn beside(path: &RelPath, suffix: &str) -> Option<RelPath> {
    let (dir, name) = path.split()?;
    if name.len() + 1 + suffix.len() <= MAX_NAME {
        return dir.join(&format!(".{name}{suffix}"));
    }
    // Too long together: a name that stands for it.
    let hash = blake3::hash(name.as_bytes()).to_hex();
    dir.join(&format!(".{}{suffix}", &hash[..32]))
}

/// Another name for a file: the `n`th, from 1 on.
pub(super) fn other(path: &RelPath, n: u32) -> Option<RelPath> {
    let (dir, name) = path.split()?;
    // An extension is what follows the last dot, unless the name begins with it.
    let cut = name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 16);
    let (stem, extension) = name.split_at(cut.unwrap_or(name.len()));
    let number = format!(" ({n})");
    let mut end = stem.len().min(MAX_NAME.saturating_sub(number.len() + extension.len()));
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    dir.join(&format!("{}{number}{extension}", &stem[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn private_names_are_beside_the_file_and_told_from_others() {
        assert_eq!(part(&path("a/b.txt")), Some(path("a/.b.txt.anab-part")));
        assert_eq!(state(&path("b")), Some(path(".b.anab-state")));
        assert_eq!(part(&RelPath::ROOT), None);
        let long = path(&format!("d/{}", "n".repeat(MAX_NAME)));
        let (part, state) = (part(&long).unwrap(), state(&long).unwrap());
        for hidden in [&part, &state] {
            assert!(is_private(hidden.split().unwrap().1), "{hidden}");
        }
        assert_ne!(part, state);
        for name in ["b", ".b", "b.anab-part", ".anab-parts"] {
            assert!(!is_private(name), "{name}");
        }
    }

    #[test]
    fn other_names_keep_the_extension_and_fit() {
        for (name, second) in [
            ("a.txt", "a (2).txt"),
            ("d/a", "d/a (2)"),
            (".profile", ".profile (2)"),
            ("a.tar.gz", "a.tar (2).gz"),
            ("a.not an extension", "a.not an extension (2)"),
        ] {
            assert_eq!(other(&path(name), 2), Some(path(second)));
        }
        let long = path(&"ü".repeat(127));
        let other = other(&long, 10).unwrap();
        assert!(other.as_str().ends_with("ü (10)") && other.as_str().len() <= MAX_NAME);
    }
}
