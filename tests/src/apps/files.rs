//! An application that sends and receives files in memory: sources made from numbers, and a disk
//! that is a map. It survives connections, as a disk does.

mod disk;
mod send;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anabranch_core::files::{Command, Ended, Entry, Event as Files, Have, Offer, Query, Token};
use anabranch_core::{Code, ConnId, Endpoint, Event, Instant, Misuse, files};

use crate::oracle::Key;
pub use disk::{Disk, Partial};
pub use send::Source;

/// What the application does otherwise than at once and right.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// A piece is supplied after so long.
    pub read_delay: Duration,
    /// A piece is stored after so long.
    pub store_delay: Duration,
    /// So many times, this piece of this file arrives wrong.
    pub damaged: BTreeMap<(String, u64), u32>,
    /// Pieces of a partial file are said to be there, whatever version they are of.
    pub trusting: bool,
    /// An entry with this name is not wanted.
    pub skips: Option<String>,
    /// An entry with this name cannot be written.
    pub unwritable: Option<String>,
    /// Offers, requests and questions are refused.
    pub refuses: Option<Code>,
    /// How offers are accepted.
    pub accept: files::Accept,
    /// Nothing is answered to offers and requests.
    pub silent: bool,
    /// Nothing is pulled.
    pub idle: bool,
    /// The end is not confirmed.
    pub never_finishes: bool,
}

/// One side of a transfer.
#[derive(Debug, Default)]
struct Session {
    /// What is sent.
    outgoing: Vec<Entry>,
    next: usize,
    /// What is received, by number.
    incoming: BTreeMap<u32, Entry>,
    unpulled: Vec<files::Channel>,
}

/// Pieces of one version of a file that were received twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// Transfers in which the file was taken.
    pub taken: u64,
    /// The size of a piece.
    pub piece: u64,
    /// Bytes of pieces that were there.
    pub bytes: u64,
}

/// Something that is done later.
#[derive(Debug)]
struct Due {
    at: Instant,
    key: Key,
    command: Command,
}

/// The application.
#[derive(Debug, Default)]
pub struct FilesApp {
    /// What it can send.
    pub sources: BTreeMap<String, Source>,
    /// What it has received.
    pub disk: Disk,
    /// How it behaves.
    pub habits: Habits,
    /// Everything it was told, but for the bulk of it.
    pub told: Vec<(Key, Files)>,
    /// How sessions ended.
    pub ended: BTreeMap<Key, Ended>,
    /// Pieces that were wanted of it.
    pub wanted: u64,
    /// What came again although it was stored, by the name of the file.
    pub repeats: BTreeMap<String, Repeats>,
    sessions: BTreeMap<Key, Session>,
    due: VecDeque<Due>,
}

impl FilesApp {
    /// Can send these.
    #[must_use]
    pub fn with(sources: Vec<Source>) -> Self {
        let sources = sources.into_iter().map(|source| (source.entry.name.clone(), source));
        Self { sources: sources.collect(), ..Self::default() }
    }

    /// It has offered what the names stand for.
    pub fn offered(&mut self, key: Key, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let outgoing = self.select(&names);
        self.sessions.insert(key, Session { outgoing, ..Session::default() });
    }

    /// It has asked for files.
    pub fn requested(&mut self, key: Key) {
        self.sessions.insert(key, Session::default());
    }

    /// Its process ends: what it has on disk stays.
    pub fn restart(&mut self) {
        self.sessions.clear();
        self.due.clear();
    }

    fn select(&self, names: &[String]) -> Vec<Entry> {
        let wanted = |source: &&Source| names.iter().any(|name| source.is_below(name));
        let sources = self.sources.values().filter(wanted);
        sources.map(|source| source.entry.clone()).collect()
    }

    /// The endpoint has told this.
    ///
    /// # Panics
    /// If it is told something that it must not be told.
    pub fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, conn: ConnId, event: &Event) {
        let Event::Files(session, event) = event else { return };
        let key = (conn, *session);
        let bulk =
            matches!(event, Files::Wanted { .. } | Files::Readable { .. } | Files::Entries { .. });
        if !bulk {
            self.told.push((key, event.clone()));
        }
        self.react(endpoint, now, key, event);
        self.on_time(endpoint, now);
    }

    fn react(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key, event: &Files) {
        let commands = match event {
            Files::Offered(_) | Files::Requested { .. } if self.habits.silent => Vec::new(),
            Files::Offered(_) if self.sessions.contains_key(&key) => Vec::new(),
            Files::Offered(_) => self.on_offer(key),
            Files::Requested { token, names } => self.on_request(key, *token, names),
            Files::WantedEntries { most } => self.more_entries(key, *most),
            Files::Wanted { file, piece, offset, len } => {
                self.read(now, key, (*file, *piece), *offset, *len);
                Vec::new()
            }
            Files::Check { file, first, count } => self.check(key, *file, *first, *count),
            Files::Entries { entries } => self.on_entries(key, entries),
            Files::Readable { channel } => {
                if self.habits.idle {
                    self.session(key).unpulled.push(*channel);
                } else {
                    self.pull(endpoint, now, key, *channel);
                }
                Vec::new()
            }
            Files::Stale { file, first, count } => {
                self.stale(key, *file, *first..*first + *count);
                Vec::new()
            }
            Files::Complete { file, size, root } => self.commit(key, *file, *size, *root),
            Files::Finishing if !self.habits.never_finishes => vec![Command::Finish],
            Files::Asked(query) => vec![self.on_question(query)],
            Files::Ended(ended) => {
                let before = self.ended.insert(key, (**ended).clone());
                assert_eq!(before, None, "{key:?} ended twice");
                self.sessions.remove(&key);
                self.due.retain(|due| due.key != key);
                Vec::new()
            }
            Files::Accepted
            | Files::Unusable { .. }
            | Files::Wrong { .. }
            | Files::Done { .. }
            | Files::Skipped { .. }
            | Files::Failed { .. }
            | Files::Paused { .. }
            | Files::Resumed
            | Files::Finishing
            | Files::Replied(_) => Vec::new(),
        };
        for command in commands {
            give(endpoint, now, key, command);
        }
    }

    fn session(&mut self, key: Key) -> &mut Session {
        self.sessions.entry(key).or_default()
    }

    fn on_offer(&mut self, key: Key) -> Vec<Command> {
        if let Some(code) = self.habits.refuses {
            return vec![Command::Cancel { code, reason: "not here".to_owned() }];
        }
        self.session(key);
        vec![Command::Accept(self.habits.accept)]
    }

    fn on_request(&mut self, key: Key, token: Token, names: &[String]) -> Vec<Command> {
        let outgoing = self.select(names);
        if let Some(code) = self.habits.refuses.or(outgoing.is_empty().then_some(Code::NotFound)) {
            return vec![Command::Cancel { code, reason: "not here".to_owned() }];
        }
        self.session(key).outgoing = outgoing;
        vec![Command::Offer(Offer::new(token))]
    }

    fn on_question(&self, query: &Query) -> Command {
        match self.habits.refuses {
            Some(code) => Command::Cancel { code, reason: "not here".to_owned() },
            None => Command::Reply(self.answer(query)),
        }
    }

    /// Transfers that have not ended.
    #[must_use]
    pub fn running(&self) -> Vec<Key> {
        self.sessions.keys().copied().collect()
    }

    /// When it does something next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Does what is due.
    pub fn on_time(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let (ready, later) = self.due.drain(..).partition(|due: &Due| due.at <= now);
        self.due = later;
        let ready: VecDeque<Due> = ready;
        for due in ready {
            give(endpoint, now, due.key, due.command);
        }
    }

    /// Pulls what it has not pulled.
    pub fn start_pulling(&mut self, endpoint: &mut Endpoint, now: Instant) {
        self.habits.idle = false;
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            for channel in std::mem::take(&mut self.session(key).unpulled) {
                self.pull(endpoint, now, key, channel);
            }
        }
        self.on_time(endpoint, now);
    }

    /// How many files failed, and why.
    #[must_use]
    pub fn failures(&self) -> Vec<(u32, Code, bool)> {
        let failure = |(_, event): &(Key, Files)| match event {
            Files::Failed { file, code, by_peer, .. } => Some((*file, *code, *by_peer)),
            _ => None,
        };
        self.told.iter().filter_map(failure).collect()
    }

    fn haves(&self, entry: &Entry) -> Vec<Have> {
        self.disk.haves(entry, self.habits.trusting)
    }

    fn answer(&self, query: &Query) -> files::Reply {
        let page = |entries: Vec<files::Listed>, most: u32| {
            let more = entries.len() > most as usize;
            let entries = entries.into_iter().take(most as usize).collect();
            files::Reply::Listing { entries, more }.fit()
        };
        match query {
            Query::List { folder, after, most } => {
                let entries = self.select(std::slice::from_ref(folder)).into_iter();
                let behind = entries.filter(|entry| entry.name > *after);
                page(behind.map(files::Listed::Entry).collect(), *most)
            }
            Query::Remove { .. } | Query::Transfers { .. } | Query::Order { .. } => {
                files::Reply::Refused { code: Code::Denied, reason: "read-only".to_owned() }
            }
        }
    }
}

/// Gives a command. It may come too late: the session or the file has ended meanwhile.
fn give(endpoint: &mut Endpoint, now: Instant, key: Key, command: Command) {
    let text = format!("{command:.200?}");
    let done =
        endpoint.conn(now, key.0).and_then(|mut conn| conn.files(key.1)?.apply(command, &mut []));
    match done {
        Ok(_) | Err(Misuse::Gone | Misuse::NotWanted { .. } | Misuse::WrongState { .. }) => {}
        Err(misuse) => panic!("{key:?}: {misuse}: {text}"),
    }
}
