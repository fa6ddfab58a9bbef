//! What this machine remembers of transfers that are not complete: a file for each in
//! `$XDG_STATE_HOME/anabranch/transfers`, and a lock on it while a process is at work.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anabranch_core::files::Token;
use serde::{Deserialize, Serialize};

use crate::cli::files::token;
use crate::dial::{self, Place};
use crate::known_hosts::replace;

/// Longer files are none of ours.
const MAX_RECORD: u64 = 1 << 20;
/// Records that are looked at, at most.
const MAX_RECORDS: usize = 4_096;

/// One transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its token, in hexadecimal digits.
    pub token: String,
    /// What it is, as a hash over the server, what is sent or fetched, and where to.
    pub key: String,
    /// The server.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
    /// For people: what it is.
    pub label: String,
    /// The arguments of the command that goes on with it.
    pub arguments: Vec<String>,
    /// The folder to run it in.
    pub folder: PathBuf,
    /// Bytes that the receiver has, as far as is known.
    pub bytes: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
    /// When it was begun (RFC 3339).
    pub begun: String,
}

impl Record {
    /// The command line that goes on with it.
    #[must_use]
    pub fn command(&self) -> String {
        let words: Vec<String> = self.arguments.iter().map(|word| quoted(word)).collect();
        format!("cd {} && anabranch {}", quoted(&self.folder.to_string_lossy()), words.join(" "))
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The folder of records.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

/// A record in the hands of this process. Dropped, it stays for later.
#[derive(Debug)]
pub struct Held {
    records: Records,
    record: Record,
    /// The lock goes with the file.
    _lock: File,
}

impl Records {
    /// Those of the user. `None`: there is no home directory to keep them in.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        dial::folder(Place::State).map(|folder| Self::new(folder.join("transfers")))
    }

    /// Records in this folder, which need not exist.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, token: &str) -> PathBuf {
        self.folder.join(format!("{token}.json"))
    }

    fn lock(&self, token: &str) -> io::Result<Option<File>> {
        let path = self.folder.join(format!("{token}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// All of them, the oldest first, and whether a process is at work on each.
    #[must_use]
    pub fn all(&self) -> Vec<(Record, bool)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.take(2 * MAX_RECORDS).flatten().map(|entry| entry.path());
        let mut records: Vec<(Record, bool)> = names
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| read(&path))
            .map(|record| {
                let busy = matches!(self.lock(&record.token), Ok(None));
                (record, busy)
            })
            .collect();
        records.sort_by(|(a, _), (b, _)| (&a.begun, &a.token).cmp(&(&b.begun, &b.token)));
        records
    }

    /// The one whose token begins so, if there is exactly one, and whether a process is at work
    /// on it.
    #[must_use]
    pub fn find(&self, start: &str) -> Option<(Record, bool)> {
        let mut found = self.all();
        found.retain(|(record, _)| record.token.starts_with(&start.to_ascii_lowercase()));
        if start.is_empty() || found.len() > 1 { None } else { found.pop() }
    }

    /// Takes up the record of an earlier transfer with the same key, unless a process is at work
    /// on it.
    #[must_use]
    pub fn earlier(&self, key: &str) -> Option<Held> {
        let found = self.all().into_iter().filter(|(record, busy)| record.key == key && !busy);
        found.map(|(record, _)| record).find_map(|record| self.hold(&record))
    }

    /// Takes up a record.
    fn hold(&self, record: &Record) -> Option<Held> {
        let lock = self.lock(&record.token).ok().flatten()?;
        // Whoever had it may have completed it just now.
        let record = read(&self.file(&record.token))?;
        Some(Held { records: self.clone(), record, _lock: lock })
    }

    /// Makes a record.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&self, record: Record) -> io::Result<Held> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let lock = self.lock(&record.token)?;
        let lock = lock.ok_or(io::ErrorKind::WouldBlock)?;
        let held = Held { records: self.clone(), record, _lock: lock };
        held.write()?;
        Ok(held)
    }

    /// Forgets one.
    pub fn forget(&self, token: &str) {
        for path in [self.file(token), self.folder.join(format!("{token}.lock"))] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                log::warn!("cannot remove {}: {error}", path.display());
            }
        }
    }
}

fn read(path: &Path) -> Option<Record> {
    use io::Read as _;
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_RECORD).read_to_string(&mut text).ok()?;
    let record: Record = serde_json::from_str(&text).ok()?;
    // The token becomes part of a path.
    let fits = token(&record.token).is_some()
        && path.file_stem().is_some_and(|stem| *stem == *record.token);
    fits.then_some(record)
}

impl Held {
    /// Which transfer it is.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        token(&self.record.token)
    }

    /// What is remembered.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// So far it has come.
    pub fn update(&mut self, bytes: u64, total: Option<u64>) {
        if (self.record.bytes, self.record.total) == (bytes, total) {
            return;
        }
        (self.record.bytes, self.record.total) = (bytes, total);
        if let Err(error) = self.write() {
            log::info!("the record of {} is not up to date: {error}", self.record.token);
        }
    }

    /// Nothing is left to be done.
    pub fn forget(self) {
        self.records.forget(&self.record.token);
    }

    fn write(&self) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.record)?;
        replace(&self.records.file(&self.record.token), &self.records.folder, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(token: u8, key: &str) -> Record {
        Record {
            token: Token([token; 16]).to_string(),
            key: key.into(),
            host: "h".into(),
            port: 1,
            label: "a".into(),
            arguments: ["send", "it's here", "b.txt"].map(String::from).into(),
            folder: "/tmp/x y".into(),
            bytes: 0,
            total: Some(5),
            begun: format!("2026-01-0{token}"),
        }
    }

    #[test]
    fn a_record_is_there_until_it_is_forgotten_and_one_process_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path().join("transfers"));
        assert!(records.all().is_empty() && records.earlier("k").is_none());
        let mut held = records.begin(record(1, "k")).unwrap();
        held.update(3, Some(5));
        assert!(records.earlier("k").is_none(), "it is busy");
        assert!(records.begin(record(1, "k")).is_err());
        assert_eq!(records.all().iter().map(|(r, busy)| (r.bytes, *busy)).next(), Some((3, true)));
        drop(held);
        assert!(records.earlier("other").is_none());
        let held = records.earlier("k").unwrap();
        assert_eq!((held.token(), held.record().bytes), (Some(Token([1; 16])), 3));
        held.forget();
        assert_eq!(fs::read_dir(dir.path().join("transfers")).unwrap().count(), 0);
    }

    #[test]
    fn the_first_letters_of_a_token_are_enough_if_they_are_of_one() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path().to_owned());
        for token in [0x12, 0x13] {
            drop(records.begin(record(token, "k")).unwrap());
        }
        assert!(records.find("1").is_none() && records.find("").is_none());
        assert!(records.find("5").is_none());
        assert_eq!(records.find("13").unwrap().0.token, Token([0x13; 16]).to_string());
    }

    #[test]
    fn what_is_no_record_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path().to_owned());
        let evil = Record { token: "../../evil".into(), ..record(1, "k") };
        let text = serde_json::to_vec(&evil).unwrap();
        fs::write(dir.path().join("evil.json"), text).unwrap();
        let other = serde_json::to_vec(&record(1, "k")).unwrap();
        fs::write(records.file(&Token([2; 16]).to_string()), other).unwrap();
        fs::write(dir.path().join("x.json"), "{").unwrap();
        assert!(records.all().is_empty());
    }

    #[test]
    fn the_command_can_be_pasted() {
        let want = r"cd '/tmp/x y' && anabranch send 'it'\''s here' b.txt";
        assert_eq!(record(1, "k").command(), want);
        assert_eq!(quoted(""), "''");
    }
}
