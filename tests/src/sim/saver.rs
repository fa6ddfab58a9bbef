//! A client's application that keeps what it receives: on a disk that may be slow, full or
//! broken, and that loses what was not synced when its machine dies.
//!
//! It promises only what a sync has confirmed. What was promised has to be there after every crash,
//! and a new process asks the server for the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use anabranch_core::Instant;
use anabranch_storage::{Access, Answer, Error, FileId, Op, RelPath, Storage as _};

use crate::content::Clip;
use crate::disk::{Disk, Done, Ticket};
use crate::oracle::Key;

/// Bytes of one write.
const PIECE: u64 = 48 << 10;
/// Bytes that are written before they are synced.
const SYNC_EVERY: u64 = 150_000;
/// Clips that a host keeps.
const MOST: usize = 8;
/// After a failure.
const AGAIN: Duration = Duration::from_millis(300);

/// A clip that is being kept. Its bytes are at the same places in the file as in the clip.
#[derive(Clone, Debug)]
struct Keeping {
    clip: Clip,
    path: RelPath,
    /// The session it comes from, while that runs.
    session: Option<Key>,
    file: Option<FileId>,
    /// Where that session began.
    start: u64,
    /// Bytes received.
    got: u64,
    /// Bytes written since it was opened, or promised before.
    written: u64,
    /// Bytes that were written when the running sync began.
    syncing: u64,
    /// Bytes that a sync has confirmed.
    promised: u64,
    /// There is a file of that name.
    made: bool,
    /// Its name will survive a crash.
    named: bool,
    /// Nothing before then.
    after: Instant,
}

/// All clips that a host keeps, on its disk.
#[derive(Debug)]
pub(super) struct Saver {
    disk: Disk,
    keeping: Vec<Keeping>,
    running: BTreeMap<Ticket, usize>,
}

impl Saver {
    /// With nothing on the disk.
    pub(super) const fn new(disk: Disk) -> Self {
        Self { disk, keeping: Vec::new(), running: BTreeMap::new() }
    }

    /// The disk, to change how it behaves.
    pub(super) const fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Something that was begun and is not complete: which clip, and from where it is wanted.
    pub(super) fn unfinished(&self) -> Option<(Clip, u64)> {
        let open = |k: &&Keeping| k.session.is_none() && k.promised < k.clip.len;
        let found = self.keeping.iter().filter(|k| k.promised > 0).find(open)?;
        Some((found.clip.clone(), found.promised))
    }

    /// A session plays a clip from `start` on; it is kept.
    pub(super) fn keep(&mut self, now: Instant, session: Key, clip: &Clip, start: u64) {
        let fits = |k: &&mut Keeping| k.session.is_none() && k.clip == *clip && k.promised == start;
        if let Some(old) = self.keeping.iter_mut().filter(|_| start > 0).find(fits) {
            (old.session, old.start, old.got, old.written) = (Some(session), start, start, start);
            return;
        }
        if start > 0 || self.keeping.len() == MOST {
            return;
        }
        let path = RelPath::new(&format!("{} {}", clip.name, self.keeping.len()));
        self.keeping.push(Keeping {
            clip: clip.clone(),
            path: path.expect("a good name"),
            session: Some(session),
            file: None,
            start,
            got: start,
            written: start,
            syncing: 0,
            promised: 0,
            made: false,
            named: false,
            after: now,
        });
    }

    /// A session has received so many bytes.
    pub(super) fn received(&mut self, session: Key, bytes: u64) {
        for keeping in self.keeping.iter_mut().filter(|k| k.session == Some(session)) {
            keeping.got = keeping.start + bytes;
        }
    }

    /// A session is over. What it gave is still written.
    pub(super) fn ended(&mut self, session: Key) {
        for keeping in self.keeping.iter_mut().filter(|k| k.session == Some(session)) {
            keeping.session = None;
        }
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = (0..self.keeping.len()).filter(|n| !self.is_running(*n));
        let wanted = waiting.filter(|n| self.keeping[*n].is_wanting());
        wanted.map(|n| self.keeping[n].after).chain(self.disk.next_time()).min()
    }

    /// Takes what the disk has done, and has it do more.
    pub(super) fn turn(&mut self, now: Instant) {
        while let Some(done) = self.disk.poll(now) {
            if let Some(n) = self.running.remove(&done.ticket) {
                self.keeping[n].done(now, done);
            }
        }
        for n in 0..self.keeping.len() {
            if self.is_running(n) || self.keeping[n].after > now {
                continue;
            }
            if self.keeping[n].is_wanting() {
                self.keeping[n].syncing = self.keeping[n].written;
                let ticket = self.disk.submit(now, self.keeping[n].op());
                self.running.insert(ticket, n);
            }
        }
    }

    fn is_running(&self, n: usize) -> bool {
        self.running.values().any(|running| *running == n)
    }

    /// The process is dead, and with `power` the machine was too.
    ///
    /// # Panics
    /// If something is missing that was promised.
    pub(super) fn crash(&mut self, now: Instant, power: bool) {
        match power {
            true => self.disk.crash(),
            false => self.disk.kill(),
        }
        self.running.clear();
        for keeping in &mut self.keeping {
            (keeping.session, keeping.file, keeping.after) = (None, None, now);
            (keeping.got, keeping.written) = (keeping.promised, keeping.promised);
            keeping.made = keeping.named;
        }
        self.check();
    }

    /// Everything that was promised is there.
    ///
    /// # Panics
    /// If it is not.
    pub(super) fn check(&mut self) {
        for keeping in self.keeping.iter().filter(|k| k.promised > 0) {
            let name = keeping.path.as_str();
            let files = self.disk.files();
            let file = files.open(&keeping.path, Access::Read).unwrap_or_else(|error| {
                panic!("disk: {name} was promised, and cannot be opened: {error:?}")
            });
            let mut bytes = vec![0; usize::try_from(keeping.promised).expect("small")];
            let read = files.read_at(file, 0, &mut bytes).expect("a file to judge");
            files.close(file).expect("an open file");
            assert_eq!(read, bytes.len(), "disk: {name} is shorter than was promised");
            let wrong = keeping.clip.first_difference(0, &bytes);
            assert_eq!(wrong, None, "disk: a byte of {name} that was promised is wrong");
        }
    }

    /// Clips that were received and are not safe yet.
    pub(super) fn unsafe_yet(&self) -> usize {
        self.keeping.iter().filter(|k| k.promised < k.got).count()
    }
}

impl Keeping {
    /// Whether there is something to do.
    fn is_wanting(&self) -> bool {
        let whole = self.session.is_none() || self.is_much();
        let received = self.got != self.promised;
        received && (self.file.is_none() || !self.named || self.written < self.got || whole)
    }

    /// Enough has been written to be worth a sync.
    const fn is_much(&self) -> bool {
        self.written.saturating_sub(self.promised) >= SYNC_EVERY
    }

    /// What to do next, if there is something.
    fn op(&self) -> Op {
        let Some(file) = self.file else {
            return match self.made {
                true => Op::Open(self.path.clone(), Access::Write),
                false => Op::Create(self.path.clone()),
            };
        };
        if !self.named {
            return Op::SyncDir(RelPath::ROOT);
        }
        if self.is_much() || self.written >= self.got {
            return Op::Sync(file);
        }
        let len = usize::try_from(PIECE.min(self.got - self.written)).expect("small");
        Op::WriteAt { file, offset: self.written, bytes: self.clip.read(self.written, len) }
    }

    /// The disk has done, or not done, what was wanted.
    fn done(&mut self, now: Instant, done: Done) {
        match (done.op, done.result) {
            (Op::Create(_) | Op::Open(..), Ok(Answer::Opened(file))) => {
                (self.file, self.made) = (Some(file), true);
            }
            // An earlier try has made it.
            (Op::Create(_), Err(Error::Exists)) => self.made = true,
            (Op::SyncDir(_), Ok(_)) => self.named = true,
            (Op::WriteAt { bytes, .. }, Ok(_)) => self.written += bytes.len() as u64,
            (Op::Sync(_), Ok(_)) => self.promised = self.syncing,
            (Op::Sync(_), Err(_)) => {
                // What was written since the last success may be lost, whatever later syncs say.
                self.written = self.promised;
                self.after = now + AGAIN;
            }
            (_, _) => self.after = now + AGAIN,
        }
    }
}
