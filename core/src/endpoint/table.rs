//! The connections of an endpoint: slots, timers, and who has something to do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slab::Slab;

use crate::conn::Connection;
use crate::id::ConnId;
use crate::time::{Deadline, Instant};

/// A connection and its place in the queues.
pub(crate) struct Slot {
    pub(crate) id: ConnId,
    pub(crate) conn: Connection,
    /// As entered in the timer set.
    timer: Option<Deadline>,
    /// Is in the queue of those that have something to do.
    ready: bool,
}

/// All connections. Nothing in it costs more for connections that are idle.
#[derive(Default)]
pub(crate) struct Table {
    slots: Slab<Slot>,
    /// How often each slot has been used.
    generations: BTreeMap<usize, u32>,
    timers: BTreeSet<(Instant, usize)>,
    ready: VecDeque<usize>,
}

impl Table {
    /// The number of connections.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The id that the next connection will have.
    pub(crate) fn next_id(&self) -> ConnId {
        let key = self.slots.vacant_key();
        let generation = self.generations.get(&key).copied().unwrap_or(0);
        // Slots are bounded by the limit of connections, far below 2^32.
        ConnId { slot: u32::try_from(key).unwrap_or(u32::MAX), generation }
    }

    /// Enters a connection that was made with [`Table::next_id`].
    pub(crate) fn insert(&mut self, id: ConnId, conn: Connection) {
        debug_assert_eq!(id, self.next_id());
        let key = self.slots.insert(Slot { id, conn, timer: None, ready: false });
        *self.generations.entry(key).or_default() = id.generation.wrapping_add(1);
        self.wake(key);
    }

    /// The slot of a connection that is still there.
    pub(crate) fn get(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.slots.get_mut(id.slot as usize).filter(|slot| slot.id == id)
    }

    /// A connection that is still there, to look at.
    pub(crate) fn peek(&self, id: ConnId) -> Option<&Connection> {
        self.slots.get(id.slot as usize).filter(|slot| slot.id == id).map(|slot| &slot.conn)
    }

    /// A connection has something to do.
    pub(crate) fn wake(&mut self, key: usize) {
        if let Some(slot) = self.slots.get_mut(key)
            && !slot.ready
        {
            slot.ready = true;
            self.ready.push_back(key);
        }
    }

    /// The next connection that has something to do.
    pub(crate) fn next_ready(&mut self) -> Option<(usize, &mut Slot)> {
        loop {
            let key = self.ready.pop_front()?;
            // A slot can be emptied, and even used again, while its key is in the queue.
            if self.slots.get(key).is_some_and(|slot| slot.ready) {
                let slot = &mut self.slots[key];
                slot.ready = false;
                return Some((key, slot));
            }
        }
    }

    /// Nobody has anything to do.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ready.is_empty()
    }

    /// Enters the deadline of a connection, in place of its earlier one.
    pub(crate) fn set_timer(&mut self, key: usize, deadline: Option<Deadline>) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if slot.timer.map(|d| d.at) != deadline.map(|d| d.at) {
            if let Some(old) = slot.timer {
                self.timers.remove(&(old.at, key));
            }
            if let Some(new) = deadline {
                self.timers.insert((new.at, key));
            }
        }
        slot.timer = deadline;
    }

    /// The earliest deadline of all.
    pub(crate) fn first_deadline(&self) -> Option<Deadline> {
        let (_, key) = self.timers.first()?;
        self.slots.get(*key)?.timer
    }

    /// Takes a connection whose deadline has come; its timer is cleared.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<(usize, &mut Slot)> {
        let (at, key) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        let slot = self.slots.get_mut(key)?;
        slot.timer = None;
        Some((key, slot))
    }

    /// Drops a connection.
    pub(crate) fn remove(&mut self, key: usize) {
        self.set_timer(key, None);
        self.slots.try_remove(key);
    }

    /// The keys of all connections.
    pub(crate) fn keys(&self) -> Vec<usize> {
        self.slots.iter().map(|(key, _)| key).collect()
    }

    /// The slot with this key.
    pub(crate) fn by_key(&mut self, key: usize) -> Option<&mut Slot> {
        self.slots.get_mut(key)
    }
}
