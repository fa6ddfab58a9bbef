//! A few threads for what waits for a disk and is over soon.

use std::fmt;
use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// The threads.
pub(super) struct Pool {
    jobs: SyncSender<Job>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    /// So many threads, for which at most `waiting` jobs wait.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(threads: usize, waiting: usize) -> io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(waiting);
        let queue = Arc::new(Mutex::new(queue));
        for n in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("answers-{n}")).spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// Has something done. False: too much waits already.
    #[must_use]
    pub(super) fn give(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.try_send(Box::new(job)).is_ok()
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_and_too_many_are_refused() {
        let pool = Pool::start(1, 2).unwrap();
        let (begun, has_begun) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let (done, all) = mpsc::channel();
        let first = done.clone();
        assert!(pool.give(move || {
            begun.send(()).unwrap();
            let _ = gate.recv();
            first.send(0).unwrap();
        }));
        has_begun.recv().unwrap();
        for n in 1..=2 {
            let done = done.clone();
            assert!(pool.give(move || done.send(n).unwrap()));
        }
        assert!(!pool.give(|| {}));
        go.send(()).unwrap();
        assert_eq!(all.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
