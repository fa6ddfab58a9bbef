//! Workers on threads: one for each transfer, so that a slow disk holds up nobody else, and
//! everything of one transfer happens in the order it was asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use anabranch_core::{ConnId, SessionId};

use crate::{Out, Task, Worker};

/// Which transfer.
pub type Key = (ConnId, SessionId);

/// What a worker has done.
#[derive(Debug)]
pub struct Done {
    /// For which transfer.
    pub key: Key,
    /// What came of it, in order.
    pub out: Vec<Out>,
}

/// Tasks done before their results are handed over, at most.
const BATCH: usize = 32;

type Deliver = Arc<dyn Fn(Done) + Send + Sync>;

/// The threads.
pub struct Crew {
    deliver: Deliver,
    lanes: BTreeMap<Key, Sender<Task>>,
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl Crew {
    /// Nobody yet. What workers do is handed to `deliver`, on their threads; it may block.
    pub fn new(deliver: impl Fn(Done) + Send + Sync + 'static) -> Self {
        Self { deliver: Arc::new(deliver), lanes: BTreeMap::new() }
    }

    /// Puts a worker on a thread.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn hire(&mut self, key: Key, worker: Box<dyn Worker>) -> io::Result<()> {
        let (sender, tasks) = mpsc::channel();
        let deliver = Arc::clone(&self.deliver);
        let name = format!("transfer-{}", key.1.0);
        thread::Builder::new().name(name).spawn(move || work(key, worker, &tasks, &*deliver))?;
        self.lanes.insert(key, sender);
        Ok(())
    }

    /// Gives a transfer's worker something to do. False: there is none.
    pub fn give(&self, key: Key, task: Task) -> bool {
        self.lanes.get(&key).is_some_and(|lane| lane.send(task).is_ok())
    }

    /// Lets a transfer's worker go, when it has done what it was given.
    pub fn dismiss(&mut self, key: Key) {
        self.lanes.remove(&key);
    }

    /// How many transfers have a worker.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// No transfer has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

/// The life of a thread.
fn work(
    key: Key,
    mut worker: Box<dyn Worker>,
    tasks: &Receiver<Task>,
    deliver: &(dyn Fn(Done) + Send + Sync),
) {
    let mut out = Vec::new();
    while let Ok(task) = tasks.recv() {
        worker.run(task, &mut |given| out.push(given));
        for _ in 1..BATCH {
            match tasks.try_recv() {
                Ok(task) => worker.run(task, &mut |given| out.push(given)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                    worker.rest(&mut |given| out.push(given));
                    break;
                }
            }
        }
        if !out.is_empty() {
            deliver(Done { key, out: std::mem::take(&mut out) });
        }
    }
}
