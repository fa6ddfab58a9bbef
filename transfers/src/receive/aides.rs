//! Threads that hash and write pieces beside the transfer's own. One thread alone does not keep a
//! fast network busy, least of all while the system finds memory for what is written.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anabranch_core::files::{self, Hash};
use anabranch_storage::{Error, Writer};

/// Threads of one transfer, at most.
const MOST: usize = 3;
/// Pieces that one of them has to do at once, at most.
const LOAD: usize = 2;

/// A piece to be written.
pub(super) struct Job {
    pub(super) file: u32,
    pub(super) piece: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) writer: Arc<dyn Writer>,
}

/// A piece that was written, or could not be.
pub(super) struct Made {
    aide: usize,
    pub(super) file: u32,
    pub(super) piece: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) hash: Hash,
    pub(super) wrote: Result<(), Error>,
    /// It is in the journal.
    pub(super) is_noted: bool,
}

struct Aide {
    jobs: Sender<Job>,
    load: usize,
}

/// The threads; none before there is something for them.
pub(super) struct Aides {
    aides: Vec<Aide>,
    most: usize,
    /// What is being done.
    under_way: Vec<u32>,
    tell: Sender<Made>,
    told: Receiver<Made>,
    /// Done, and not looked at.
    made: VecDeque<Made>,
}

impl Aides {
    /// As many as the machine has use for.
    pub(super) fn new() -> Self {
        let (tell, told) = mpsc::channel();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let most = (cores - 1).min(MOST);
        let (aides, under_way, made) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { aides, most, under_way, tell, told, made }
    }

    /// Somebody can take a piece.
    pub(super) fn are_free(&self) -> bool {
        self.aides.len() < self.most || self.aides.iter().any(|aide| aide.load < LOAD)
    }

    /// Gives somebody a piece to write. It comes back if nobody takes it.
    pub(super) fn give(&mut self, job: Job) -> Result<(), Job> {
        let idle = self.aides.iter().any(|aide| aide.load == 0);
        if !idle && self.aides.len() < self.most && !self.hire() {
            // The system has no thread to give: those that are there have to do.
            self.most = self.aides.len();
        }
        let Some(aide) = self.aides.iter_mut().min_by_key(|aide| aide.load) else {
            return Err(job);
        };
        let file = job.file;
        aide.jobs.send(job).map_err(|mpsc::SendError(job)| job)?;
        aide.load += 1;
        self.under_way.push(file);
        Ok(())
    }

    fn hire(&mut self) -> bool {
        let (jobs, todo) = mpsc::channel();
        let (aide, tell) = (self.aides.len(), self.tell.clone());
        let name = format!("aide-{aide}");
        let thread = thread::Builder::new().name(name).spawn(move || work(aide, &todo, &tell));
        if thread.is_ok() {
            self.aides.push(Aide { jobs, load: 0 });
        }
        thread.is_ok()
    }

    /// A piece that is done, if one is.
    pub(super) fn take(&mut self) -> Option<Made> {
        while let Ok(made) = self.told.try_recv() {
            self.note(made);
        }
        self.made.pop_front()
    }

    /// The next piece that is done. `None`: nothing is under way.
    pub(super) fn wait(&mut self) -> Option<Made> {
        let made = self.take();
        if made.is_some() || self.under_way.is_empty() {
            return made;
        }
        self.hear();
        self.made.pop_front()
    }

    /// Waits until nothing is under way of a file.
    pub(super) fn settle(&mut self, file: u32) {
        while self.under_way.contains(&file) {
            self.hear();
        }
    }

    /// Pieces of a file that were written, and are not in its journal.
    pub(super) fn written(&mut self, file: u32) -> impl Iterator<Item = &mut Made> {
        let is_new = |made: &&mut Made| !made.is_noted && made.wrote.is_ok();
        self.made.iter_mut().filter(move |made| made.file == file).filter(is_new)
    }

    fn hear(&mut self) {
        // There is always somebody who could tell: this, at least.
        if let Ok(made) = self.told.recv() {
            self.note(made);
        }
    }

    fn note(&mut self, made: Made) {
        self.aides[made.aide].load -= 1;
        if let Some(at) = self.under_way.iter().position(|file| *file == made.file) {
            self.under_way.swap_remove(at);
        }
        self.made.push_back(made);
    }
}

/// The life of a thread.
fn work(aide: usize, todo: &Receiver<Job>, tell: &Sender<Made>) {
    while let Ok(Job { file, piece, offset, bytes, writer }) = todo.recv() {
        let hash = files::hash::piece(&bytes);
        let wrote = writer.write_at(offset, &bytes);
        // Before anybody learns of it: it keeps the file locked.
        drop(writer);
        if tell.send(Made { aide, file, piece, bytes, hash, wrote, is_noted: false }).is_err() {
            return;
        }
    }
}
