//! What tests do with files: push, pull, and look how it ended.

use std::time::Duration;

use anabranch_core::files::{self, Ended, Entry, Offer, Request, Token};
use anabranch_core::{ConnId, Files, Misuse};

use super::Pair;
use crate::apps::FilesApp;
use crate::oracle::{Key, Who};

impl Pair {
    /// What a host's application does with files.
    pub fn files(&mut self, who: Who) -> &mut FilesApp {
        match who {
            Who::Server => &mut self.server_files,
            Who::Client(n) => &mut self.client_files[n],
        }
    }

    /// A host offers all its sources whose names begin like this.
    ///
    /// # Panics
    /// If the endpoint refuses.
    pub fn push(&mut self, who: Who, conn: ConnId, name: &str) -> Key {
        let offer = Offer::new(Token([7; 16]));
        let offered = self.conn(who, conn).and_then(|mut conn| conn.offer_files(&offer));
        let key = (conn, offered.expect("a transfer can be offered"));
        self.files(who).offered(key, &[name]);
        key
    }

    /// A host asks for all of the peer's sources whose names begin like this.
    ///
    /// # Panics
    /// If the endpoint refuses.
    pub fn pull(&mut self, who: Who, conn: ConnId, name: &str) -> Key {
        let accept = self.files(who).habits.accept;
        let request = Request { token: Token([8; 16]), names: vec![name.to_owned()], accept };
        let asked = self.conn(who, conn).and_then(|mut conn| conn.request_files(&request));
        let key = (conn, asked.expect("files can be asked for"));
        self.files(who).requested(key);
        key
    }

    /// Does something with a transfer.
    ///
    /// # Errors
    /// What the command gives.
    pub fn with_files<T>(
        &mut self,
        who: Who,
        key: Key,
        act: impl FnOnce(&mut Files<'_>) -> Result<T, Misuse>,
    ) -> Result<T, Misuse> {
        let mut conn = self.conn(who, key.0)?;
        let mut files = conn.files(key.1)?;
        act(&mut files)
    }

    /// Numbers of a transfer.
    ///
    /// # Panics
    /// If it is over.
    pub fn file_stats(&mut self, who: Who, key: Key) -> files::Stats {
        self.with_files(who, key, |files| Ok(files.stats())).expect("a transfer that runs")
    }

    /// Runs until a transfer has ended on a host.
    ///
    /// # Panics
    /// If that takes longer.
    #[track_caller]
    pub fn file_end(&mut self, who: Who, key: Key, limit: Duration) -> Ended {
        self.must("the transfer ends", limit, |pair| pair.ended_files(who).contains_key(&key));
        self.files(who).ended[&key].clone()
    }

    fn ended_files(&self, who: Who) -> &std::collections::BTreeMap<Key, Ended> {
        match who {
            Who::Server => &self.server_files.ended,
            Who::Client(n) => &self.client_files[n].ended,
        }
    }

    /// Whether every file of `from` is complete and the same at `to`.
    ///
    /// # Panics
    /// If it is not.
    pub fn compare(&mut self, from: Who, to: Who) {
        let sources: Vec<_> = self.files(from).sources.values().cloned().collect();
        let disk = &self.files(to).disk;
        for source in sources {
            let Entry { name, kind, .. } = &source.entry;
            if *kind == files::Kind::Folder {
                assert!(disk.folders.contains(name), "{name} is missing");
                continue;
            }
            let file = disk.files.get(name).unwrap_or_else(|| panic!("{name} is missing"));
            let placed = file.placed.as_ref();
            let placed = placed.unwrap_or_else(|| panic!("{name} is not complete"));
            assert!(*placed == source.bytes(), "{name} is another file");
        }
    }
}
