//! IP packets put together from their fragments.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::IpNumber;
use etherparse::defrag::IpDefragBuf;

use super::link::Fragment;

/// Packets that wait for fragments at once. The oldest gives way.
const MAX_WAITING: usize = 1_024;
/// Fragments that come later than this belong to another packet, in nanoseconds: what Linux keeps
/// to (RFC 8200 section 4.5 has 60 seconds).
const PATIENCE: u64 = 30_000_000_000;

type Key = (u32, IpAddr, IpAddr, u32);

/// The packets that are not complete yet.
#[derive(Default)]
pub(super) struct Fragments {
    waiting: BTreeMap<Key, Waiting>,
    lost: u64,
}

struct Waiting {
    since: u64,
    parts: u64,
    buffer: IpDefragBuf,
}

impl Fragments {
    /// Takes a fragment. The packet's payload, once it is complete.
    pub(super) fn add(
        &mut self,
        interface: u32,
        time: u64,
        fragment: &Fragment<'_>,
    ) -> Option<Vec<u8>> {
        let key = (interface, fragment.from, fragment.to, fragment.id);
        let stale = |waiting: &Waiting| time.saturating_sub(waiting.since) > PATIENCE;
        if self.waiting.get(&key).is_some_and(stale) {
            self.drop(&key);
        }
        if fragment.cut {
            self.lost += 1;
            return None;
        }
        if !self.waiting.contains_key(&key) && self.waiting.len() >= MAX_WAITING {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.iter().for_each(|key| self.drop(key));
        }
        let waiting = self.waiting.entry(key).or_insert_with(|| Waiting {
            since: time,
            parts: 0,
            buffer: IpDefragBuf::new(IpNumber::UDP, Vec::new(), Vec::new()),
        });
        waiting.parts += 1;
        let added = waiting.buffer.add(fragment.offset, fragment.more, fragment.bytes);
        if added.is_err() {
            self.drop(&key);
            return None;
        }
        if !waiting.buffer.is_complete() {
            return None;
        }
        self.waiting.remove(&key).map(|waiting| waiting.buffer.take_bufs().0)
    }

    fn drop(&mut self, key: &Key) {
        self.lost += self.waiting.remove(key).map_or(0, |waiting| waiting.parts);
    }

    /// Fragments whose packet never became complete.
    pub(super) fn lost(&self) -> u64 {
        self.lost + self.waiting.values().map(|waiting| waiting.parts).sum::<u64>()
    }
}
