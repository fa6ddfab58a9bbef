//! Who may send next: the lowest rank first, equal ranks in turns.

use std::collections::{BTreeMap, VecDeque};

use crate::id::StreamId;

/// Streams that have something to send, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Schedule(BTreeMap<u8, VecDeque<StreamId>>);

impl Schedule {
    /// Nobody has anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a stream at the end of its rank. It must not be in there.
    pub(super) fn push(&mut self, rank: u8, id: StreamId) {
        self.0.entry(rank).or_default().push_back(id);
    }

    /// Takes out whose turn it is, with its rank.
    pub(super) fn pop(&mut self) -> Option<(u8, StreamId)> {
        let mut entry = self.0.first_entry()?;
        let next = entry.get_mut().pop_front().map(|id| (*entry.key(), id));
        if entry.get().is_empty() {
            entry.remove();
        }
        next
    }

    /// Puts a stream in front of its rank: its turn was not used.
    pub(super) fn put_back(&mut self, rank: u8, id: StreamId) {
        self.0.entry(rank).or_default().push_front(id);
    }

    /// Takes a stream out, if it is in there.
    pub(super) fn remove(&mut self, rank: u8, id: StreamId) {
        if let Some(queue) = self.0.get_mut(&rank) {
            queue.retain(|other| *other != id);
            if queue.is_empty() {
                self.0.remove(&rank);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_rank_first_and_turns_within_a_rank() {
        let mut schedule = Schedule::default();
        for (rank, id) in [(9, 1), (3, 2), (9, 3), (3, 4)] {
            schedule.push(rank, StreamId(id));
        }
        let mut order = Vec::new();
        for again in [true, false, false, true, false, false] {
            let (rank, id) = schedule.pop().unwrap();
            order.push((rank, id.0));
            if again {
                schedule.push(rank, id);
            }
        }
        assert_eq!(order, [(3, 2), (3, 4), (3, 2), (9, 1), (9, 3), (9, 1)]);
        assert!(schedule.is_empty() && schedule.pop().is_none());
    }

    #[test]
    fn a_turn_that_was_not_used_is_kept_and_who_leaves_leaves() {
        let mut schedule = Schedule::default();
        schedule.push(1, StreamId(1));
        schedule.push(1, StreamId(2));
        schedule.put_back(1, StreamId(3));
        schedule.remove(1, StreamId(1));
        schedule.remove(7, StreamId(1));
        assert_eq!(schedule.pop(), Some((1, StreamId(3))));
        schedule.remove(1, StreamId(2));
        assert!(schedule.is_empty());
    }
}
