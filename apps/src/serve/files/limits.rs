//! How much of everything there can be.

use std::time::Duration;

/// Transfers at once. Each has up to four threads, and a window of bytes in memory.
pub(super) const MAX_TRANSFERS: usize = 64;
/// Of these, from one address.
pub(super) const MAX_TRANSFERS_PER_PEER: usize = 16;
/// Questions and requests that wait for a disk. More are refused.
pub(super) const MAX_QUESTIONS: usize = 256;
/// Threads that answer them.
pub(super) const ANSWERING: usize = 4;
/// Names in one folder that can be listed.
pub(super) const MAX_NAMES: usize = 1_000_000;
/// Entries in one page of a list: more than fit into an answer.
pub(super) const MAX_PAGE: usize = 1_024;
/// Transfers that are remembered. The oldest of those that do not run are forgotten first.
pub(super) const MAX_RECORDS: usize = 4_096;
/// How long a transfer is remembered after something has happened to it.
pub(super) const MAX_AGE: Duration = Duration::from_secs(30 * 86_400);
/// How often what a transfer has done is noted.
pub(super) const NOTED: Duration = Duration::from_secs(1);

const _: () = assert!(MAX_TRANSFERS_PER_PEER <= MAX_TRANSFERS && MAX_TRANSFERS <= MAX_RECORDS);
