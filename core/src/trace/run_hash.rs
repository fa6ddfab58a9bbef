//! A whole run in one number.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::codec::{Field as _, Writer};
use super::entry::Entry;
use super::file::Contents;
use crate::io::Output;
use crate::time::Instant;

/// A rolling hash over the outputs of an endpoint, or of several: two runs that do the same have
/// the same hash after each output, on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunHash(u64);

impl RunHash {
    /// An endpoint put this out at `now`; of a transmit, these were the bytes (those behind its
    /// length are not looked at).
    pub fn output(&mut self, now: Instant, output: &Output, bytes: &[u8]) {
        let contents = Contents { datagrams: false, ..Contents::default() };
        self.entry(now, &Entry::output(output, bytes, contents));
    }

    /// An entry of a trace. Only outputs count, so the hash of a trace is that of the run.
    pub fn entry(&mut self, at: Instant, entry: &Entry) {
        match entry {
            Entry::Transmit { transmit, data } => {
                let (transmit, data) = (*transmit, data.digest());
                self.mix(at, &Entry::Transmit { transmit, data });
            }
            Entry::Event(..) | Entry::Wait(_) => self.mix(at, entry),
            _ => {}
        }
    }

    fn mix(&mut self, at: Instant, entry: &Entry) {
        let mut writer = Writer::new();
        at.put(&mut writer);
        entry.put(&mut writer);
        self.0 = xxh3_64_with_seed(&writer.out, self.0);
    }

    /// The hash so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for RunHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
