//! A disk, as a machine without input or output.
//!
//! Operations go in with [`Disk::submit`] and are done when [`Disk::poll`] says so, in virtual time
//! and with whatever faults the configuration asks for. Operations that run at the same time
//! may be done in any order, as with threads. Underneath is a [`FileSystem`] that
//! knows what of its content would survive a crash, and [`Disk::crash`] lets the seed choose among
//! everything that POSIX permits.

mod config;
mod dir;
mod file;
mod files;
mod shared;
mod space;

use std::collections::BTreeMap;
use std::time::Duration;

use anabranch_core::Instant;
use anabranch_core::rng::Rng;
use anabranch_storage::{Answer, Error, Op, RelPath, perform};

pub use config::{DiskConfig, Order};
pub use files::FileSystem;
pub use shared::{Death, Shared};

/// An operation that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An operation that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which.
    pub ticket: Ticket,
    /// What it was.
    pub op: Op,
    /// What came of it.
    pub result: Result<Answer, Error>,
}

/// What a disk has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Operations submitted.
    pub submitted: u64,
    /// Operations done, failed ones included.
    pub done: u64,
    /// Operations that failed, for whatever reason.
    pub failed: u64,
    /// Of them: reads that the disk failed.
    pub read_errors: u64,
    /// Of them: changes that the disk failed.
    pub write_errors: u64,
    /// Of them: syncs that the disk failed.
    pub sync_errors: u64,
    /// Operations that took much longer than usual.
    pub stalled: u64,
    /// Crashes.
    pub crashes: u64,
    /// Operations that were running when the disk crashed.
    pub interrupted: u64,
}

/// A disk.
#[derive(Debug)]
pub struct Disk {
    config: DiskConfig,
    rng: Rng,
    files: FileSystem,
    running: BTreeMap<(Instant, Ticket), Op>,
    next: u64,
    counts: DiskCounts,
}

/// A system's code for an input or output error.
const EIO: Error = Error::Failed(Some(5));

/// What an operation does to the disk, for its faults.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    Nothing,
    Read,
    Change,
    Sync,
}

const fn touch(op: &Op) -> Touch {
    match op {
        Op::Close(_) | Op::FreeSpace => Touch::Nothing,
        Op::ReadAt { .. }
        | Op::List(..)
        | Op::Metadata(_)
        | Op::Status(_)
        | Op::Stat(_)
        | Op::Open(..) => Touch::Read,
        Op::Create(_)
        | Op::WriteAt { .. }
        | Op::SetLen(..)
        | Op::MakeDir(_)
        | Op::RemoveDir(_)
        | Op::Rename { .. }
        | Op::SetAttributes(..)
        | Op::Remove(_) => Touch::Change,
        Op::Sync(_) | Op::SyncDir(_) | Op::SyncAll => Touch::Sync,
    }
}

impl Disk {
    /// An empty disk. Give each disk a generator of its own, from a named stream of the seed.
    #[must_use]
    pub fn new(config: DiskConfig, rng: Rng) -> Self {
        let mut disk = Self {
            config: config.clone(),
            rng,
            files: FileSystem::new(config.capacity),
            running: BTreeMap::new(),
            next: 0,
            counts: DiskCounts::default(),
        };
        disk.configure(config);
        disk
    }

    /// Changes its behaviour: how long operations take that are submitted from now on, and
    /// everything else for operations that are done from now on.
    pub fn configure(&mut self, config: DiskConfig) {
        self.files.set_capacity(config.capacity);
        self.files.set_read_only(config.read_only);
        self.config = config;
    }

    /// How it behaves.
    #[must_use]
    pub const fn config(&self) -> &DiskConfig {
        &self.config
    }

    /// What it has done so far.
    #[must_use]
    pub const fn counts(&self) -> DiskCounts {
        self.counts
    }

    /// Its content, without faults and without delay: to prepare it, and to judge it.
    pub const fn files(&mut self) -> &mut FileSystem {
        &mut self.files
    }

    /// Starts an operation.
    pub fn submit(&mut self, now: Instant, op: Op) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.counts.submitted += 1;
        let (jitter, stall) = (self.rng.next_u64(), self.rng.next_u64());
        let nanos = u64::try_from(self.config.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(jitter % nanos.saturating_add(1).max(1));
        let mut takes = self.config.latency + jitter;
        if self.config.stall.holds(stall) {
            self.counts.stalled += 1;
            takes += self.config.stall_for;
        }
        self.running.insert((now + takes, ticket), op);
        ticket
    }

    /// The next operation that is done by now.
    pub fn poll(&mut self, now: Instant) -> Option<Done> {
        let entry = self.running.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (_, ticket) = *entry.key();
        let op = entry.remove();
        let result = self.carry_out(&op);
        self.counts.done += 1;
        self.counts.failed += u64::from(result.is_err());
        Some(Done { ticket, op, result })
    }

    /// When the next operation is done.
    #[must_use]
    pub fn next_time(&self) -> Option<Instant> {
        self.running.first_key_value().map(|((at, _), _)| *at)
    }

    /// The machine loses power, or its operating system dies. Operations that were running are
    /// done or not, nobody is told, and no file is open any more.
    pub fn crash(&mut self) {
        self.counts.crashes += 1;
        for op in std::mem::take(&mut self.running).into_values() {
            self.counts.interrupted += 1;
            if self.rng.chance(1, 2) {
                // Whether it succeeds is of no interest to anybody any more.
                let _ = perform(&mut self.files, &op);
            }
        }
        self.files.crash(self.config.order, &mut self.rng);
    }

    /// The program dies, and the operating system does not: no file is open any more, and
    /// everything that was written stays. Operations that were running are done or not.
    pub fn kill(&mut self) {
        for op in std::mem::take(&mut self.running).into_values() {
            self.counts.interrupted += 1;
            if self.rng.chance(1, 2) {
                let _ = perform(&mut self.files, &op);
            }
        }
        self.files.close_all();
    }

    /// A directory and everything below it are gone at once, and stay so.
    ///
    /// # Errors
    /// If it is not there.
    pub fn vanish(&mut self, path: &RelPath) -> Result<(), Error> {
        self.files.vanish(path)
    }

    fn carry_out(&mut self, op: &Op) -> Result<Answer, Error> {
        // All dice of one operation, so that one fault does not disturb another.
        let (fail, part) = (self.rng.next_u64(), self.rng.next_u64());
        let fails = match touch(op) {
            Touch::Nothing => false,
            Touch::Read => self.config.read_error.holds(fail),
            Touch::Change => self.config.write_error.holds(fail),
            Touch::Sync => self.config.sync_error.holds(fail),
        };
        if !fails {
            return perform(&mut self.files, op);
        }
        match op {
            // A part of it may have been written.
            Op::WriteAt { file, offset, bytes } => {
                let len = usize::try_from(part % (bytes.len() as u64 + 1)).unwrap_or(0);
                perform(
                    &mut self.files,
                    &Op::WriteAt { file: *file, offset: *offset, bytes: bytes[..len].to_vec() },
                )?;
            }
            Op::Sync(file) => self.files.fail_sync(*file, &mut self.rng)?,
            Op::SyncAll => self.files.fail_sync_all(&mut self.rng),
            _ => {}
        }
        *match touch(op) {
            Touch::Nothing | Touch::Read => &mut self.counts.read_errors,
            Touch::Change => &mut self.counts.write_errors,
            Touch::Sync => &mut self.counts.sync_errors,
        } += 1;
        Err(EIO)
    }
}

#[cfg(test)]
mod tests;
