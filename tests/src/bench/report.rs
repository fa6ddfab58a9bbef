//! Tables in Markdown, printed and kept in `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::Path;

use super::{Outcome, machine};

/// What one benchmark found.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// Tables and sentences, in Markdown.
    pub text: String,
}

/// A table in Markdown; the first column is text, the others are numbers.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()];
    let rule = |n: usize| if n == 0 { "---".to_owned() } else { "---:".to_owned() };
    lines.push((0..head.len()).map(rule).collect());
    lines.extend(rows.iter().cloned());
    lines.iter().fold(String::new(), |text, line| text + "| " + &line.join(" | ") + " |\n")
}

/// Everything as one text.
#[must_use]
pub fn whole(sections: &[Section], command: &str) -> String {
    let mut text = format!("Machine: {}.\n\nCommand: `{command}`\n", machine::facts());
    for Section { title, text: body } in sections {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n### {title}\n\n{body}");
    }
    text
}

/// Puts the text between the two marker lines of a file.
///
/// # Errors
/// The file cannot be read or written, or has no markers.
pub fn update(file: &Path, text: &str) -> Outcome<()> {
    let old = std::fs::read_to_string(file)?;
    let new = replace(&old, text).ok_or("the file has no markers for the numbers")?;
    Ok(std::fs::write(file, new)?)
}

const BEGIN: &str = "<!-- numbers: begin -->\n";
const END: &str = "<!-- numbers: end -->";

fn replace(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_markdown() {
        let text = table(&["what", "n"], &[vec!["a".into(), "1".into()]]);
        assert_eq!(text, "| what | n |\n| --- | ---: |\n| a | 1 |\n");
    }

    #[test]
    fn numbers_are_replaced_and_the_rest_stays() {
        let old = format!("top\n{BEGIN}old\n{END}\nbottom\n");
        let new = replace(&old, "new\n").unwrap();
        assert_eq!(new, format!("top\n{BEGIN}\nnew\n\n{END}\nbottom\n"));
        assert_eq!(replace(&new, "new").unwrap(), new);
        assert_eq!(replace("nothing", "new"), None);
    }
}
