//! Workers on threads: one for each transfer, so that a slow disk holds up nobody else, and
//! everything of one transfer happens in the order it was asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
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
    let hand_over = |out: &mut Vec<Out>| {
        if !out.is_empty() {
            deliver(Done { key, out: std::mem::take(out) });
        }
    };
    while let Ok(first) = tasks.recv() {
        let mut next = Some(first);
        let mut batch = 0;
        while let Some(task) = next {
            worker.run(task, &mut |given| out.push(given));
            batch += 1;
            if batch % BATCH == 0 {
                hand_over(&mut out);
            }
            next = tasks.try_recv().ok();
        }
        // Always before it waits: what was put off may be what the peer waits for.
        worker.rest(&mut |given| out.push(given));
        hand_over(&mut out);
    }
}

#[cfg(test)]
mod tests {
    use anabranch_core::files::{Command, Event};

    use super::*;

    /// Puts everything off until nothing waits.
    struct Late {
        gate: Receiver<()>,
        put_off: usize,
    }

    impl Worker for Late {
        fn run(&mut self, _: Task, _: &mut dyn FnMut(Out)) {
            if self.put_off == 0 {
                // Until all of its tasks wait.
                let _ = self.gate.recv();
            }
            self.put_off += 1;
        }

        fn rest(&mut self, out: &mut dyn FnMut(Out)) {
            for _ in 0..std::mem::take(&mut self.put_off) {
                out(Out::Command(Command::Finish));
            }
        }
    }

    #[test]
    fn nothing_stays_put_off_however_many_tasks_come_together() {
        let key = (ConnId { slot: 1, generation: 0 }, SessionId(1));
        for tasks in [1, BATCH - 1, BATCH, BATCH + 1, 8 * BATCH] {
            let (done, results) = mpsc::channel();
            let mut crew = Crew::new(move |made: Done| done.send(made.out.len()).unwrap());
            let (go, gate) = mpsc::channel();
            crew.hire(key, Box::new(Late { gate, put_off: 0 })).unwrap();
            for _ in 0..tasks {
                assert!(crew.give(key, Task::Event(Event::Resumed)));
            }
            go.send(()).unwrap();
            crew.dismiss(key);
            drop(crew);
            assert_eq!(results.iter().sum::<usize>(), tasks);
        }
    }
}
