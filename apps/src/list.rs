//! `anabranch ls`.

mod files;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use anabranch_core::event::Entry;
use anabranch_core::files::{Query, Reply};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::cli::client::Ls;
use crate::dial::{self, Executor, Interrupts, Link};
use crate::exit::{Exit, Failure};
use crate::questions;
use crate::report::Report;
use crate::units::{clean, show_bitrate, show_size};

/// Pages taken from a server, which might never stop sending them.
const MAX_PAGES: usize = 2_048;

/// Lists what a server has.
///
/// # Errors
/// Whatever is in the way.
pub async fn run(
    args: &Ls,
    report: &Arc<Report>,
    interrupts: &Interrupts,
    executor: &Executor,
) -> Result<(), Failure> {
    let link = dial::dial(&args.server, report, interrupts, executor).await?;
    let listed = dial::unless(interrupts, everything(&link, args.path.as_deref())).await;
    link.close().await;
    let (media, files) = listed?;
    if report.is_json() {
        for Entry { name, size, bitrate, kind } in media.iter().flatten() {
            report.event(
                "entry",
                json!({
                    "name": name, "size": size, "bitrate": bitrate, "type": kind, "kind": "media",
                }),
            );
        }
        files.iter().flatten().for_each(|row| row.tell(report));
    } else {
        let text = if io::stdout().is_terminal() {
            for_people(media.as_deref(), files.as_deref())
        } else {
            lines(media.as_deref().unwrap_or_default())
                + &files::lines(files.as_deref().unwrap_or_default())
        };
        let written = io::stdout().lock().write_all(text.as_bytes());
        written.map_err(|error| Failure::writing("standard output", &error))?;
    }
    let entries = media.map_or(0, |media| media.len()) + files.map_or(0, |files| files.len());
    report.event("summary", json!({"entries": entries}));
    Ok(())
}

/// What a server has: media, unless a folder of files is asked for, and files, if there are any.
async fn everything(
    link: &Link,
    path: Option<&str>,
) -> Result<(Option<Vec<Entry>>, Option<Vec<files::Row>>), Failure> {
    let Some(path) = path else {
        let media = all(link).await?;
        let files = match top_is_there(link).await? {
            true => Some(files::rows("", questions::folder(link, "").await?)),
            false => None,
        };
        return Ok((Some(media), files));
    };
    let folder = path.trim_matches('/');
    Ok((None, Some(files::rows(folder, questions::folder(link, folder).await?))))
}

/// Whether the server has files at all. One that has none refuses every question.
async fn top_is_there(link: &Link) -> Result<bool, Failure> {
    let query = Query::List { folder: String::new(), after: String::new(), most: 1 };
    let reply = link.connection.ask_files(query).await;
    let reply = reply.map_err(|error| dial::request(&error, &link.name))?;
    Ok(!matches!(reply, Reply::Refused { .. }))
}

fn for_people(media: Option<&[Entry]>, files: Option<&[files::Row]>) -> String {
    let zone = TimeZone::system();
    match (media, files) {
        (Some(media), None) => table(media),
        (Some([]) | None, Some(files)) => files::table(files, &zone),
        (Some(media), Some(files)) => {
            format!("Media\n{}\nFiles\n{}", table(media), files::table(files, &zone))
        }
        (None, None) => String::new(),
    }
}

async fn all(link: &Link) -> Result<Vec<Entry>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = link.connection.list(after.as_deref()).await;
        let page = page.map_err(|error| dial::request(&error, &link.name))?;
        entries.extend(page.entries);
        match page.next {
            // A page that does not go on would be asked for again and again.
            Some(next) if after.as_ref().is_none_or(|after| next > *after) => after = Some(next),
            Some(_) => break,
            None => return Ok(entries),
        }
    }
    Err(Failure::new(Exit::Protocol, format!("{} sends a list without an end", link.name)))
}

/// For people.
fn table(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "The server has no media.\n".to_owned();
    }
    let rows: Vec<[String; 4]> = entries.iter().map(shown).collect();
    let head = ["NAME", "SIZE", "BITRATE", "TYPE"].map(String::from);
    let width = |column: usize| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let (name, size, bitrate) = (width(0), width(1), width(2));
    [&head].into_iter().chain(&rows).fold(String::new(), |mut text, [a, b, c, d]| {
        let row = format!("{a:<name$}  {b:>size$}  {c:>bitrate$}  {d}");
        text.push_str(row.trim_end());
        text.push('\n');
        text
    })
}

fn shown(entry: &Entry) -> [String; 4] {
    [
        clean(&entry.name),
        entry.size.map_or_else(|| "-".into(), show_size),
        entry.bitrate.map_or_else(|| "-".into(), |rate| show_bitrate(u64::from(rate))),
        clean(&entry.kind),
    ]
}

/// For programs: name, bytes, bit/s and type, with tabs between.
fn lines(entries: &[Entry]) -> String {
    let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
    entries.iter().fold(String::new(), |mut text, entry| {
        let (size, bitrate) = (number(entry.size), number(entry.bitrate.map(u64::from)));
        let (name, kind) = (clean(&entry.name), clean(&entry.kind));
        text.push_str(&format!("{name}\t{size}\t{bitrate}\t{kind}\n"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |name: &str, size, bitrate, kind: &str| Entry {
            name: name.into(),
            size,
            bitrate,
            kind: kind.into(),
        };
        vec![
            entry("a.wav", Some(64_044), Some(256_000), "audio/wav"),
            entry("long\x1bname", None, None, ""),
        ]
    }

    #[test]
    fn people_get_columns() {
        let want = "NAME           SIZE     BITRATE  TYPE\n\
                    a.wav      62.5 KiB  256 kbit/s  audio/wav\n\
                    long\u{fffd}name         -           -\n";
        assert_eq!(table(&entries()), want);
        assert!(table(&[]).contains("no media"));
    }

    #[test]
    fn programs_get_tabs() {
        let want = "a.wav\t64044\t256000\taudio/wav\nlong\u{fffd}name\t\t\t\n";
        assert_eq!(lines(&entries()), want);
    }
}
