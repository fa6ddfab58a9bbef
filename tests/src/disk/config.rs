//! How a disk behaves.

use std::time::Duration;

use crate::link::Ratio;

/// What survives a crash of the changes to a directory that were not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Those up to some point: a file system with a journal.
    #[default]
    Kept,
    /// Any of them, though of those to one name those up to some point: all that POSIX promises.
    Any,
}

/// How a disk behaves. The default has no faults, and takes 100 µs for each operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// How many bytes all files together can have.
    pub capacity: u64,
    /// How long an operation takes, at least.
    pub latency: Duration,
    /// At most so much longer, evenly distributed.
    pub jitter: Duration,
    /// How often an operation takes much longer ...
    pub stall: Ratio,
    /// ... by so much.
    pub stall_for: Duration,
    /// How often the disk fails to read.
    pub read_error: Ratio,
    /// How often the disk fails a change. Of a write, a part may be done.
    pub write_error: Ratio,
    /// How often a sync fails. What it should have written may be lost for good then.
    pub sync_error: Ratio,
    /// Nothing can be changed.
    pub read_only: bool,
    /// What survives a crash.
    pub order: Order,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            capacity: 1 << 30,
            latency: Duration::from_micros(100),
            jitter: Duration::ZERO,
            stall: Ratio::NEVER,
            stall_for: Duration::from_secs(1),
            read_error: Ratio::NEVER,
            write_error: Ratio::NEVER,
            sync_error: Ratio::NEVER,
            read_only: false,
            order: Order::Kept,
        }
    }
}

impl DiskConfig {
    /// A bad disk: so many per cent of everything fail, and some of it takes long.
    #[must_use]
    pub fn failing(percent: u64) -> Self {
        Self {
            jitter: Duration::from_millis(5),
            stall: Ratio::percent(percent),
            read_error: Ratio::percent(percent),
            write_error: Ratio::percent(percent),
            sync_error: Ratio::percent(percent),
            order: Order::Any,
            ..Self::default()
        }
    }
}
