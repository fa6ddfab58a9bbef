//! Files and folders in a list.

use anabranch_core::files::{Entry, Kind, Listed};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::report::Report;
use crate::units::{clean, show_size};

/// One entry, with the path that `anabranch get` takes.
pub(super) struct Row {
    path: String,
    listed: Listed,
}

/// The entries of a folder; empty: the top.
pub(super) fn rows(folder: &str, entries: Vec<Listed>) -> Vec<Row> {
    let path = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let row = |listed| Row { path: path(crate::questions::name(&listed)), listed };
    entries.into_iter().map(row).collect()
}

impl Row {
    fn entry(&self) -> Option<&Entry> {
        match &self.listed {
            Listed::Entry(entry) => Some(entry),
            Listed::Other(_) => None,
        }
    }

    const fn kind(&self) -> &'static str {
        match &self.listed {
            Listed::Entry(Entry { kind: Kind::File, .. }) => "file",
            Listed::Entry(Entry { kind: Kind::Folder, .. }) => "folder",
            Listed::Other(_) => "other",
        }
    }

    fn size(&self) -> Option<u64> {
        self.entry().filter(|entry| entry.kind == Kind::File)?.size
    }

    /// When it was modified.
    fn modified(&self) -> Option<Timestamp> {
        let modified = self.entry()?.modified?;
        Timestamp::new(modified.seconds, i32::try_from(modified.nanos).ok()?).ok()
    }

    /// Folders end with a slash.
    fn shown(&self) -> String {
        let slash = if self.kind() == "folder" { "/" } else { "" };
        clean(&self.path) + slash
    }

    /// For programs that read events.
    pub(super) fn tell(&self, report: &Report) {
        let mode = self.entry().and_then(|entry| entry.mode);
        let modified = self.modified().map(|at| at.to_string());
        report.event(
            "entry",
            json!({
                "name": self.path, "size": self.size(), "kind": self.kind(),
                "mode": mode, "modified": modified,
            }),
        );
    }
}

/// For people.
pub(super) fn table(rows: &[Row], zone: &TimeZone) -> String {
    if rows.is_empty() {
        return "The folder is empty.\n".to_owned();
    }
    let head = ["NAME", "SIZE", "MODIFIED"].map(String::from);
    let shown = rows.iter().map(|row| {
        let at = row.modified().map(|at| at.to_zoned(zone.clone()));
        let at = at.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string());
        [
            row.shown(),
            row.size().map_or_else(|| "-".into(), show_size),
            at.unwrap_or_else(|| "-".into()),
        ]
    });
    let rows: Vec<[String; 3]> = [head].into_iter().chain(shown).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (name, size) = (width(0), width(1));
    rows.iter().map(|[a, b, c]| format!("{a:<name$}  {b:>size$}  {c}\n")).collect()
}

/// For programs: name, bytes, nothing, and what it is, with tabs between, as media have them.
pub(super) fn lines(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let size = row.size().map(|size| size.to_string()).unwrap_or_default();
        format!("{}\t{size}\t\t{}\n", row.shown(), row.kind())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use anabranch_core::files::Modified;

    use super::*;

    fn entries() -> Vec<Row> {
        let modified = Some(Modified { seconds: 86_400, nanos: 5 });
        let file = Entry { modified, ..Entry::file("long\x1bname", Some(2048)) };
        let entries =
            [Listed::Entry(Entry::folder("d")), Listed::Entry(file), Listed::Other("pipe".into())];
        rows("top", entries.into())
    }

    #[test]
    fn people_get_columns() {
        let want = "NAME              SIZE  MODIFIED\n\
                    top/d/               -  -\n\
                    top/long\u{fffd}name  2.0 KiB  1970-01-02 00:00\n\
                    top/pipe             -  -\n";
        assert_eq!(table(&entries(), &TimeZone::UTC), want);
        assert!(table(&[], &TimeZone::UTC).contains("empty"));
    }

    #[test]
    fn programs_get_tabs() {
        let want = "top/d/\t\t\tfolder\ntop/long\u{fffd}name\t2048\t\tfile\ntop/pipe\t\t\tother\n";
        assert_eq!(lines(&entries()), want);
    }
}
