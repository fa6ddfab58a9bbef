//! Where transfers are remembered: a database in one file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anabranch_core::files::Token;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError};
use redb::{TableDefinition, TableError};

use super::register::Record;
use crate::exit::{Exit, Failure, plain};

/// By token: a [`Record`] in JSON.
const TRANSFERS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("transfers 1");
/// Time between two writes.
const PAUSE: Duration = Duration::from_secs(1);

type Changes = BTreeMap<Token, Option<Record>>;

/// What waits to be written.
#[derive(Debug, Default)]
struct Pending {
    changes: Changes,
    /// Those who wait until they are written, or cannot be.
    waiting: Vec<Sender<bool>>,
    /// Nothing more comes: what is there is written, and the thread ends.
    closing: bool,
}

impl Pending {
    fn is_urgent(&self) -> bool {
        self.closing || !self.waiting.is_empty()
    }
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    news: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The database, and the thread that writes to it. Dropping it writes what is left.
#[derive(Debug)]
pub(super) struct Store {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens or makes the file, and reads what is in it.
    ///
    /// # Errors
    /// The file is of something else, damaged, in use, or cannot be made.
    pub(super) fn open(path: &Path) -> Result<(Self, BTreeMap<Token, Record>), Failure> {
        // Of some damage, the database says so by a panic.
        let (database, records) =
            std::panic::catch_unwind(|| read(path)).unwrap_or_else(|_| Err(damaged(path, &"")))?;
        let shared = Arc::<Shared>::default();
        let name = path.display().to_string();
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new().name("transfers".to_owned());
        let writer = writer.spawn(move || write_all(&database, &name, &theirs)).map_err(|e| {
            Failure::new(Exit::Temporary, format!("no thread for the list of transfers: {e}"))
        })?;
        Ok((Self { shared, writer: Some(writer) }, records))
    }

    /// Has changes written, soon. Never waits for the disk.
    pub(super) fn save(&self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        // There are never more than the register has, and what it has forgotten in a second.
        self.shared.lock().changes.extend(changes);
        self.shared.news.notify_one();
    }

    /// Has everything written that is to be, at once. The receiver learns whether it was.
    pub(super) fn flush(&self) -> Receiver<bool> {
        let (done, told) = mpsc::channel();
        self.shared.lock().waiting.push(done);
        self.shared.news.notify_one();
        told
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.news.notify_one();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            log::error!("the thread that writes the list of transfers has panicked");
        }
    }
}

fn read(path: &Path) -> Result<(Database, BTreeMap<Token, Record>), Failure> {
    let mut database = Database::create(path).map_err(|error| unusable(path, error))?;
    let damaged = |error: redb::Error| damaged(path, &format_args!(": {error}"));
    // Pages that are not used any more stay in the file until now.
    database.compact().map_err(|error| damaged(error.into()))?;
    let mut records = BTreeMap::new();
    let transaction = database.begin_read().map_err(|error| damaged(error.into()))?;
    let table = match transaction.open_table(TRANSFERS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok((database, records)),
        Err(error) => return Err(damaged(error.into())),
    };
    for row in table.iter().map_err(|error| damaged(error.into()))? {
        let (token, json) = row.map_err(|error| damaged(error.into()))?;
        let token = Token(*token.value());
        match serde_json::from_slice(json.value()) {
            Ok(record) => drop(records.insert(token, record)),
            // Of a newer version: what it means is for that one to say.
            Err(error) => log::warn!("transfer {token} cannot be understood: {error}"),
        }
    }
    Ok((database, records))
}

const AWAY: &str = "move it out of the way: only what `anabranch transfers list` shows is lost, \
                    transfers go on from their partial files";

fn unusable(path: &Path, error: DatabaseError) -> Failure {
    let name = path.display();
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            Failure::new(Exit::Unavailable, format!("the list of transfers, {name}, is in use"))
                .hint("is another anabranchd running? Give this one another --files-store")
        }
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() != io::ErrorKind::InvalidData =>
        {
            let what = format!("the list of transfers, {name}: {}", plain(&error));
            Failure::new(Exit::CantCreate, what).hint("give another --files-store FILE")
        }
        other => damaged(path, &format_args!(": {other}")),
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    let what = format!("the list of transfers, {}, is damaged, or none{why}", path.display());
    Failure::new(Exit::Config, what).hint(AWAY)
}

fn write_all(database: &Database, name: &str, shared: &Shared) {
    let mut failing = false;
    loop {
        let idle = |pending: &mut Pending| pending.changes.is_empty() && !pending.is_urgent();
        let woken = shared.news.wait_while(shared.lock(), idle);
        let mut pending = woken.unwrap_or_else(PoisonError::into_inner);
        let (changes, closing) = (std::mem::take(&mut pending.changes), pending.closing);
        let waiting = std::mem::take(&mut pending.waiting);
        drop(pending);
        let written = write(database, &changes);
        for done in waiting {
            // Whoever has gone does not need to know.
            let _ = done.send(written.is_ok());
        }
        match written {
            Ok(()) if failing => {
                log::info!("the list of transfers, {name}, is written again");
                failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                if !failing {
                    log::error!("the list of transfers, {name}, cannot be written: {error}");
                }
                failing = true;
                // Once more, unless there is something newer.
                let mut pending = shared.lock();
                for (token, record) in changes {
                    pending.changes.entry(token).or_insert(record);
                }
            }
        }
        if closing {
            return;
        }
        let may_wait = |pending: &mut Pending| !pending.is_urgent();
        drop(shared.news.wait_timeout_while(shared.lock(), PAUSE, may_wait));
    }
}

fn write(database: &Database, changes: &Changes) -> Result<(), redb::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TRANSFERS)?;
        for (token, record) in changes {
            match record {
                Some(record) => {
                    let json = serde_json::to_vec(record).map_err(io::Error::from)?;
                    table.insert(&token.0, json.as_slice())?;
                }
                None => drop(table.remove(&token.0)?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::register::{State, record};
    use super::*;

    fn token(n: u8) -> Token {
        Token([n; 16])
    }

    #[test]
    fn what_is_flushed_is_written_when_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("transfers"), dir.path().join("copy"));
        let (store, _) = Store::open(&path).unwrap();
        for n in 1..4 {
            let held = Record { held: true, ..record(State::Running, n) };
            store.save([(token(1), Some(held.clone()))].into());
            assert_eq!(store.flush().recv(), Ok(true));
            // As after a loss of power.
            std::fs::copy(&path, &copy).unwrap();
            assert_eq!(Store::open(&copy).unwrap().1, [(token(1), held)].into());
        }
        assert_eq!(store.flush().recv(), Ok(true), "there was nothing to write");
    }

    #[test]
    fn what_is_saved_is_there_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("transfers");
        let (store, records) = Store::open(&path).unwrap();
        assert!(records.is_empty());
        let held = Record { held: true, ..record(State::Running, 5) };
        store.save([(token(1), Some(record(State::Complete, 3)))].into());
        store.save([(token(2), Some(held.clone())), (token(1), None)].into());
        drop(store);
        let (store, records) = Store::open(&path).unwrap();
        assert_eq!(records, [(token(2), held)].into());
        store.save([(token(2), None)].into());
        drop(store);
        assert!(Store::open(&path).unwrap().1.is_empty());
    }

    #[test]
    fn a_store_that_is_in_use_or_no_store_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("transfers");
        let (store, _) = Store::open(&path).unwrap();
        let failure = Store::open(&path).unwrap_err();
        assert_eq!(failure.exit, Exit::Unavailable);
        assert!(failure.to_string().contains("in use"), "{failure}");
        drop(store);
        std::fs::write(&path, vec![7; 100_000]).unwrap();
        let failure = Store::open(&path).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert!(failure.to_string().contains("move it out of the way"), "{failure}");
        assert_eq!(std::fs::read(&path).unwrap(), vec![7; 100_000], "it is left alone");
        let failure = Store::open(&dir.path().join("no/transfers")).unwrap_err();
        assert_eq!(failure.exit, Exit::CantCreate);
    }

    #[test]
    fn damage_anywhere_is_an_error_or_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("transfers");
        let (store, _) = Store::open(&path).unwrap();
        let all = (0..50).map(|n| (token(n), Some(record(State::Complete, 1))));
        store.save(all.collect());
        drop(store);
        let good = std::fs::read(&path).unwrap();
        for cut in (0..good.len()).step_by(good.len() / 20) {
            std::fs::write(&path, &good[..cut]).unwrap();
            opened(&path);
            let mut bad = good.clone();
            bad[cut..].iter_mut().take(64).for_each(|byte| *byte ^= 0x55);
            std::fs::write(&path, &bad).unwrap();
            opened(&path);
        }
    }

    fn opened(path: &Path) {
        match Store::open(path) {
            Ok((_, records)) => assert!(records.len() <= 50),
            Err(failure) => assert!(failure.hint.is_some(), "{failure}"),
        }
    }
}
