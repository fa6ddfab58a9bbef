//! Reading what is in memory already: no thread is asked, no wake-up is waited for, and the bytes
//! are in the cache of the processor that encrypts them next.

use std::fs::File;
use std::io::IoSliceMut;

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};

use super::{Pool, Readers};
use crate::catalogue::Source;

impl Readers {
    /// The bytes, and whether they are the last of the file, if all of them are in the page cache.
    /// Never waits for a disk. `None`: a thread has to read them (which also says what is wrong).
    #[must_use]
    pub fn read_cached(
        &self,
        file: &File,
        source: &Source,
        offset: u64,
        len: usize,
    ) -> Option<(Bytes, bool)> {
        let left = source.size.checked_sub(offset)?;
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(len);
        let mut buffer = Pool::get(&self.pool, want);
        let room = &mut [IoSliceMut::new(&mut buffer.bytes[..want])];
        let got = preadv2(file, room, offset, ReadWriteFlags::NOWAIT).ok()?;
        if got != want {
            return None;
        }
        buffer.len = want;
        Some((Bytes::from_owner(buffer), want as u64 == left))
    }
}
