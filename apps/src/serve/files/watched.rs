//! Workers that are known to be gone only when they are.

use std::sync::{Arc, Mutex, PoisonError};

use anabranch_transfers::{Key, Out, Task, Worker};

use super::Mail;

/// Those who are gone. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Gone(Arc<Mutex<Vec<Key>>>);

impl Gone {
    /// Who they are, once.
    pub(super) fn take(&self) -> Vec<Key> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A worker. When it has let go of everything, it is among those who are gone.
pub(super) struct Watched {
    worker: Option<Box<dyn Worker>>,
    key: Key,
    gone: Gone,
    mail: Mail,
}

impl Watched {
    pub(super) fn new(worker: Box<dyn Worker>, key: Key, gone: Gone, mail: Mail) -> Self {
        Self { worker: Some(worker), key, gone, mail }
    }
}

impl Worker for Watched {
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out)) {
        if let Some(worker) = &mut self.worker {
            worker.run(task, out);
        }
    }

    fn rest(&mut self, out: &mut dyn FnMut(Out)) {
        if let Some(worker) = &mut self.worker {
            worker.rest(out);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.worker.take());
        self.gone.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.key);
        self.mail.nudge();
    }
}
