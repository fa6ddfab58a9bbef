//! The workspace's own files, for tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the workspace.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to the root of the workspace, with slashes.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// The lines in front of the file's test module, with their numbers from 1. None for files
    /// that are tests as a whole.
    pub fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let test_files = ["/tests.rs", "/testing.rs"];
        let is_test = ["/tests/", "/testing/"].iter().any(|folder| self.name.contains(folder))
            || test_files.iter().any(|name| self.name.ends_with(name));
        let lines = if is_test { "" } else { &self.text };
        (1..).zip(lines.lines()).take_while(|(_, line)| *line != "#[cfg(test)]")
    }
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file of the workspace below a folder (`""` for all), in order of name.
///
/// # Panics
/// If a folder cannot be read.
#[must_use]
pub fn rust_files(below: &str) -> Vec<File> {
    let mut files = Vec::new();
    visit(&root().join(below), below, &mut files);
    assert!(!files.is_empty(), "no Rust files below {below:?}");
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn visit(folder: &Path, name: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder entry");
        let own = entry.file_name().into_string().expect("a name in UTF-8");
        let full = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() && own != "target" && !own.starts_with('.') {
            visit(&entry.path(), &full, files);
        } else if kind.is_file() && own.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("text in UTF-8");
            files.push(File { name: full, text });
        }
    }
}

/// The rule numbers (`AB-` with a letter and digits) in a text.
pub fn rules(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("AB-").filter_map(|(at, _)| {
        let rest = &text[at + 3..];
        let letter = rest.chars().next().filter(char::is_ascii_uppercase)?;
        let digits = rest[letter.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then(|| &text[at..at + 4 + digits])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_numbers_are_found() {
        let text = "(AB-M12), AB-C4; AB-M* and AB- are none, AB-T1.";
        assert_eq!(rules(text).collect::<Vec<_>>(), ["AB-M12", "AB-C4", "AB-T1"]);
    }

    #[test]
    fn test_modules_are_left_out() {
        let file = |name: &str| File {
            name: name.to_owned(),
            text: "a\n#[cfg(test)]\nmod tests {}\n".to_owned(),
        };
        let lines = |name| file(name).shipped_lines().count();
        assert_eq!((lines("core/src/a.rs"), lines("core/src/a/tests.rs")), (1, 0));
    }
}
