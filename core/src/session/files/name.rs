//! Names of files on the wire: relative paths that stay below the folder they are meant for
//! (`docs/protocol.md`, rules AB-F7 and AB-F8). Pure: nothing here looks at a file system.

use std::fmt;

use crate::limits;

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// The component, shortened, with control characters escaped; empty for the whole path.
    pub component: String,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What can be wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It is empty, or has an empty component.
    Empty,
    /// It starts at a root or at a drive.
    Absolute,
    /// It has a component `.` or `..`.
    Dots,
    /// It is longer than [`limits::MAX_PATH`], or a component than
    /// [`limits::MAX_PATH_COMPONENT`].
    TooLong,
    /// It has more than [`limits::MAX_PATH_DEPTH`] components.
    TooDeep,
    /// It holds a NUL or another control character, or one that changes the direction of text.
    Control,
    /// It holds a character that separates or selects on some system: `\ : < > " | ? *`.
    Special,
    /// It ends with a dot or a space.
    Trailing,
    /// It is the name of a device on some system (`CON`, `aux.txt`).
    Device,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.flaw {
            Flaw::Empty => "is empty",
            Flaw::Absolute => "is absolute",
            Flaw::Dots => "leads out of its folder",
            Flaw::TooLong => "is too long",
            Flaw::TooDeep => "has too many components",
            Flaw::Control => "holds a control character",
            Flaw::Special => "holds a character that is special on some systems",
            Flaw::Trailing => "ends with a dot or a space",
            Flaw::Device => "is the name of a device on some systems",
        };
        if self.component.is_empty() {
            return write!(f, "the name {why}");
        }
        write!(f, "\"{}\" {why}", self.component)
    }
}

impl std::error::Error for BadName {}

/// Which names a receiver takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    /// Names that every common system can have. Others are refused.
    #[default]
    Portable,
    /// Any name that stays below its folder on a Unix system and holds no control character.
    /// Others are refused.
    Native,
    /// Others than portable ones are changed by [`make_safe`].
    MakeSafe,
}

/// Checks that a name is one that every common system can have, below the folder it is put into.
///
/// # Errors
/// The first component that is not, and why.
pub fn check_portable(path: &str) -> Result<(), BadName> {
    check_native(path)?;
    for component in path.split('/') {
        let flaw = if component.contains(is_special) {
            Flaw::Special
        } else if component.ends_with(['.', ' ']) {
            Flaw::Trailing
        } else if is_device(component) {
            Flaw::Device
        } else {
            continue;
        };
        return Err(bad(component, flaw));
    }
    Ok(())
}

/// Checks that a name stays below the folder it is put into on a Unix system. A name that does
/// not is never sent.
///
/// # Errors
/// The first component that leads elsewhere, and why.
pub fn check_native(path: &str) -> Result<(), BadName> {
    if path.is_empty() {
        return Err(bad("", Flaw::Empty));
    }
    if path.len() > limits::MAX_PATH {
        return Err(bad("", Flaw::TooLong));
    }
    if path.starts_with('/') || has_drive(path) {
        return Err(bad(path, Flaw::Absolute));
    }
    for (depth, component) in path.split('/').enumerate() {
        let flaw = if depth >= limits::MAX_PATH_DEPTH {
            Flaw::TooDeep
        } else if component.is_empty() {
            Flaw::Empty
        } else if matches!(component, "." | "..") {
            Flaw::Dots
        } else if component.len() > limits::MAX_PATH_COMPONENT {
            Flaw::TooLong
        } else if component.contains(is_control) {
            Flaw::Control
        } else {
            continue;
        };
        return Err(bad(component, flaw));
    }
    Ok(())
}

/// A name like this one that [`check_portable`] takes. Names that it takes stay as they are.
/// Different names can become one: the receiver has to look.
#[must_use]
pub fn make_safe(path: &str) -> String {
    if check_portable(path).is_ok() {
        return path.to_owned();
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let spare = parts.len().saturating_sub(limits::MAX_PATH_DEPTH);
    let mut safe: Vec<String> = parts.into_iter().skip(spare).map(safe_component).collect();
    // The end of a path says more than its beginning.
    while safe.iter().map(|part| part.len() + 1).sum::<usize>() > limits::MAX_PATH + 1 {
        safe.remove(0);
    }
    if safe.is_empty() { "_".to_owned() } else { safe.join("/") }
}

fn safe_component(component: &str) -> String {
    let replace = |c: char| if is_control(c) || is_special(c) { '_' } else { c };
    let mut safe: String = component.chars().map(replace).collect();
    let kept = safe.trim_end_matches(['.', ' ']).len();
    let trailing = safe.chars().count() - safe[..kept].chars().count();
    safe.truncate(kept);
    safe.extend(std::iter::repeat_n('_', trailing));
    if is_device(&safe) {
        safe.insert(0, '_');
    }
    if safe.len() > limits::MAX_PATH_COMPONENT {
        // The mark keeps long names apart that begin alike.
        let mark = &blake3::hash(component.as_bytes()).to_hex()[..16];
        let mut cut = limits::MAX_PATH_COMPONENT - mark.len() - 1;
        while !safe.is_char_boundary(cut) {
            cut -= 1;
        }
        safe.truncate(cut);
        safe.push('~');
        safe.push_str(mark);
    }
    safe
}

fn bad(component: &str, flaw: Flaw) -> BadName {
    const SHOWN: usize = 64;
    let mut shown: String = component.chars().flat_map(escape).take(SHOWN).collect();
    if component.chars().count() > SHOWN {
        shown.push('…');
    }
    BadName { component: shown, flaw }
}

/// Shows control characters instead of sending them to a terminal.
fn escape(c: char) -> Vec<char> {
    if is_control(c) { c.escape_unicode().collect() } else { vec![c] }
}

fn is_control(c: char) -> bool {
    // Beyond the controls: marks that change the direction or the order in which text is shown,
    // and line and paragraph separators.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_special(c: char) -> bool {
    matches!(c, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*')
}

/// `C:` and `C:\Users`, but not `C: notes` deeper down.
fn has_drive(path: &str) -> bool {
    let mut chars = path.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.next() == Some(':')
        && matches!(chars.next(), None | Some('\\' | '/'))
}

/// Reserved with any extension and in any case.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let stem = stem.to_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let Some(number) = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")) else {
        return false;
    };
    matches!(number, "¹" | "²" | "³") || number.len() == 1 && number.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    fn flaw(path: &str) -> Option<Flaw> {
        check_portable(path).err().map(|bad| bad.flaw)
    }

    #[test]
    fn good_names_pass_and_stay_as_they_are() {
        for path in
            ["a", "a/b/c.txt", ".hidden", "..a", "a..b", "ünï/码/😀", "com", "com10", "auxi"]
        {
            assert_eq!((flaw(path), make_safe(path).as_str()), (None, path));
        }
    }

    #[test]
    fn every_flaw_is_found_and_names_its_component() {
        let long = "x".repeat(limits::MAX_PATH_COMPONENT + 1);
        let path = "y/".repeat(limits::MAX_PATH / 2) + "zz";
        let deep = vec!["d"; limits::MAX_PATH_DEPTH + 1].join("/");
        let cases: &[(&str, Flaw, &str)] = &[
            ("", Flaw::Empty, ""),
            ("a//b", Flaw::Empty, ""),
            ("a/", Flaw::Empty, ""),
            ("/etc/passwd", Flaw::Absolute, "/etc/passwd"),
            ("C:\\Windows", Flaw::Absolute, "C:\\Windows"),
            ("c:", Flaw::Absolute, "c:"),
            ("a/../b", Flaw::Dots, ".."),
            ("..", Flaw::Dots, ".."),
            ("./a", Flaw::Dots, "."),
            ("a/b\\..\\c", Flaw::Special, "b\\..\\c"),
            ("file:stream", Flaw::Special, "file:stream"),
            ("a\0b", Flaw::Control, "a\\u{0}b"),
            ("a/b\u{1b}[2J", Flaw::Control, "b\\u{1b}[2J"),
            ("gpj\u{202e}exe", Flaw::Control, "gpj\\u{202e}exe"),
            ("a /b", Flaw::Trailing, "a "),
            ("a/b.", Flaw::Trailing, "b."),
            ("a/nul", Flaw::Device, "nul"),
            ("Aux.c", Flaw::Device, "Aux.c"),
            ("com1.tar.gz", Flaw::Device, "com1.tar.gz"),
            ("LPT²", Flaw::Device, "LPT²"),
            (&deep, Flaw::TooDeep, "d"),
            (&path, Flaw::TooLong, ""),
        ];
        for (path, flaw, component) in cases {
            let bad = check_portable(path).unwrap_err();
            assert_eq!((bad.flaw, bad.component.as_str()), (*flaw, *component), "{path:.40}");
        }
        assert_eq!(flaw(&long), Some(Flaw::TooLong));
        assert!(check_portable(&long).unwrap_err().to_string().chars().count() < 100);
    }

    #[test]
    fn what_is_only_not_portable_is_native() {
        for path in ["aux.c", "12:30.log", "a.", "a\\b", "what?"] {
            assert!(check_native(path).is_ok() && check_portable(path).is_err(), "{path}");
        }
    }

    #[test]
    fn whatever_is_made_safe_is_portable() {
        let mut rng = Seed::from_u64(11).stream("names");
        let parts = ["..", ".", "", "/", "\\", "a", "con", ".", " ", ":", "\0", "ü", "\u{202e}"];
        for _ in 0..20_000 {
            let len = rng.below(12);
            let mut path = String::new();
            for _ in 0..len {
                path.push_str(parts[rng.below(parts.len() as u64) as usize]);
            }
            let safe = make_safe(&path);
            assert_eq!(check_portable(&safe), Ok(()), "{path:?} became {safe:?}");
            assert_eq!(make_safe(&safe), safe);
        }
        let long = format!("{}/{}", "x/".repeat(3_000), "ü".repeat(400));
        assert_eq!(check_portable(&make_safe(&long)), Ok(()));
        let (a, b) = ("ü".repeat(400) + "a", "ü".repeat(400) + "b");
        assert_ne!(make_safe(&a), make_safe(&b));
    }
}
