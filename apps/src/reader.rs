//! Reads media files on a few threads, so that the protocol loop never waits for a disk.
//!
//! Each session belongs to one thread, so its pieces come in the order they were asked for.
//! Memory is bounded: pieces on their way to the loop together hold at most [`IN_FLIGHT`] bytes
//! (and one piece for each thread), and sessions ask for no more than the core's limits allow.

mod cached;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anabranch_core::{ConnId, SessionId, limits};
use bytes::Bytes;

use crate::catalogue::Source;

/// Bytes read and not yet taken by the loop.
pub const IN_FLIGHT: usize = 64 << 20;
/// Buffers kept for later, of each class.
const POOLED: usize = 64;
/// Buffers of these sizes, so that a slow session does not hold a large one.
const CLASSES: [usize; 3] = [16 << 10, 128 << 10, limits::MAX_WANTED];

/// Whose bytes.
pub type Key = (ConnId, SessionId);

/// Bytes to read.
#[derive(Clone, Debug)]
pub struct Job {
    /// For whom.
    pub key: Key,
    /// From which file.
    pub source: Source,
    /// From this byte.
    pub offset: u64,
    /// So many.
    pub len: usize,
}

/// Bytes that were read.
#[derive(Debug)]
pub struct Done {
    /// For whom.
    pub key: Key,
    /// From this byte.
    pub offset: u64,
    /// The bytes, and whether they are the last ones of the file.
    pub outcome: io::Result<(Bytes, bool)>,
    /// The open file, for [`Readers::read_cached`].
    pub file: Option<Arc<File>>,
    permit: Permit,
}

impl Done {
    /// Takes the bytes, and makes room for others.
    pub fn take(self) -> (Key, u64, io::Result<(Bytes, bool)>) {
        drop(self.permit);
        (self.key, self.offset, self.outcome)
    }
}

enum Order {
    Read(Job),
    Forget(Key),
}

/// The threads.
#[derive(Debug)]
pub struct Readers {
    lanes: Vec<mpsc::Sender<Order>>,
    pool: Arc<Pool>,
}

impl Readers {
    /// Starts `threads` threads, which hand what they have read to `deliver` (which may block).
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start<F>(threads: usize, deliver: F) -> io::Result<Self>
    where
        F: Fn(Done) + Send + Clone + 'static,
    {
        let (pool, gate) = (Arc::new(Pool::default()), Arc::new(Gate::default()));
        let mut lanes = Vec::new();
        for index in 0..threads.max(1) {
            let (sender, orders) = mpsc::channel();
            let lane =
                Lane { files: BTreeMap::new(), pool: Arc::clone(&pool), gate: Arc::clone(&gate) };
            let deliver = deliver.clone();
            thread::Builder::new()
                .name(format!("reader-{index}"))
                .spawn(move || lane.run(&orders, &deliver))?;
            lanes.push(sender);
        }
        Ok(Self { lanes, pool })
    }

    /// Asks for bytes.
    pub fn read(&self, job: Job) {
        let lane = self.lane(job.key);
        // A thread is gone only if the process is ending.
        drop(lane.send(Order::Read(job)));
    }

    /// The session is over: its file can be closed.
    pub fn forget(&self, key: Key) {
        drop(self.lane(key).send(Order::Forget(key)));
    }

    fn lane(&self, (conn, session): Key) -> &mpsc::Sender<Order> {
        let spread = conn.slot.wrapping_mul(7).wrapping_add(session.0) as usize;
        &self.lanes[spread % self.lanes.len()]
    }
}

struct Lane {
    files: BTreeMap<Key, Arc<File>>,
    pool: Arc<Pool>,
    gate: Arc<Gate>,
}

impl Lane {
    fn run<F: Fn(Done)>(mut self, orders: &mpsc::Receiver<Order>, deliver: &F) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Read(job) => {
                    let permit = Gate::pass(&self.gate, job.len);
                    let outcome = self.read(&job);
                    let file = self.files.get(&job.key).cloned();
                    deliver(Done { key: job.key, offset: job.offset, outcome, file, permit });
                }
                Order::Forget(key) => drop(self.files.remove(&key)),
            }
        }
    }

    fn read(&mut self, job: &Job) -> io::Result<(Bytes, bool)> {
        let left = job.source.size.checked_sub(job.offset).ok_or_else(shrunk)?;
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(job.len);
        let file = match self.files.entry(job.key) {
            std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(Arc::new(File::open(&job.source.path)?))
            }
        };
        let mut buffer = Pool::get(&self.pool, want);
        file.read_exact_at(&mut buffer.bytes[..want], job.offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof { shrunk() } else { error }
        })?;
        buffer.len = want;
        Ok((Bytes::from_owner(buffer), want as u64 == left))
    }
}

fn shrunk() -> io::Error {
    io::Error::other("the file is shorter than when the catalogue was read")
}

/// Locks that survive a panic of another thread: the data are plain numbers and buffers.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Buffers to use again.
#[derive(Debug, Default)]
struct Pool {
    free: [Mutex<Vec<Box<[u8]>>>; CLASSES.len()],
}

impl Pool {
    fn get(this: &Arc<Self>, len: usize) -> Buffer {
        let class = CLASSES.iter().position(|size| len <= *size);
        let kept = class.and_then(|class| lock(&this.free[class]).pop());
        let size = class.map_or(len, |class| CLASSES[class]);
        let bytes = kept.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        Buffer { bytes, len: 0, pool: Arc::clone(this) }
    }
}

struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(class) = CLASSES.iter().position(|size| self.bytes.len() == *size) else { return };
        let mut free = lock(&self.pool.free[class]);
        if free.len() < POOLED {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Bounds what is on its way.
#[derive(Debug, Default)]
struct Gate {
    bytes: Mutex<usize>,
    room: Condvar,
}

#[derive(Debug)]
struct Permit {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Gate {
    fn pass(this: &Arc<Self>, bytes: usize) -> Permit {
        let held = lock(&this.bytes);
        let mut held = this
            .room
            .wait_while(held, |held| *held > 0 && *held + bytes > IN_FLIGHT)
            .unwrap_or_else(PoisonError::into_inner);
        *held += bytes;
        Permit { gate: Arc::clone(this), bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *lock(&self.gate.bytes) -= self.bytes;
        self.gate.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn key(n: u32) -> Key {
        (ConnId { slot: n, generation: 0 }, SessionId(1))
    }

    fn start(threads: usize) -> (Readers, mpsc::Receiver<Done>) {
        let (sender, done) = mpsc::channel();
        let deliver = move |piece| drop(sender.send(piece));
        (Readers::start(threads, deliver).unwrap(), done)
    }

    fn source(bytes: &[u8]) -> (tempfile::NamedTempFile, Source) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let source = Source { path: file.path().to_owned(), size: bytes.len() as u64 };
        (file, source)
    }

    #[test]
    fn pieces_of_a_session_come_in_order_and_the_last_is_marked() {
        let bytes: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let (_file, source) = source(&bytes);
        let (readers, done) = start(3);
        let sessions = 5;
        for offset in (0..bytes.len()).step_by(1000) {
            for n in 0..sessions {
                let job =
                    Job { key: key(n), source: source.clone(), offset: offset as u64, len: 1000 };
                readers.read(job);
            }
        }
        let mut got: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        let mut ended = 0;
        while ended < sessions {
            let (key, offset, outcome) = done.recv().unwrap().take();
            let (piece, end) = outcome.unwrap();
            let all = got.entry(key).or_default();
            assert_eq!(all.len() as u64, offset);
            all.extend_from_slice(&piece);
            ended += u32::from(end);
        }
        assert!(got.values().all(|all| *all == bytes));
    }

    #[test]
    fn a_file_that_shrinks_or_goes_is_an_error_and_one_that_grows_is_cut() {
        let (file, source) = source(&[7; 100]);
        let (readers, done) = start(1);
        let ask = |offset, len| {
            readers.read(Job { key: key(1), source: source.clone(), offset, len });
            done.recv().unwrap().take().2
        };
        file.as_file().set_len(200).unwrap();
        let (piece, end) = ask(90, 50).unwrap();
        assert_eq!((piece.len(), end), (10, true));
        let (piece, end) = ask(100, 50).unwrap();
        assert_eq!((piece.len(), end), (0, true));
        file.as_file().set_len(50).unwrap();
        assert!(ask(40, 50).is_err());
        assert!(ask(101, 1).is_err());
        readers.forget(key(1));
        drop(file);
        assert_eq!(ask(0, 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let (_file, source) = source(&[1; 10]);
        let (readers, done) = start(1);
        let len = IN_FLIGHT / 2;
        for n in 0..3 {
            readers.read(Job { key: key(n), source: source.clone(), offset: 0, len });
        }
        let first = done.recv().unwrap();
        let second = done.recv().unwrap();
        assert!(matches!(done.try_recv(), Err(mpsc::TryRecvError::Empty)));
        drop(first);
        let third = done.recv().unwrap();
        assert!(third.take().2.is_ok() && second.take().2.is_ok());
    }

    #[test]
    fn buffers_are_used_again() {
        let pool = Arc::new(Pool::default());
        let first = Pool::get(&pool, 1000);
        let at = first.bytes.as_ptr();
        drop(first);
        assert_eq!(Pool::get(&pool, 2000).bytes.as_ptr(), at);
    }
}
