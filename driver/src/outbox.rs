//! What is on its way to the sockets: the run that is being sent, and those that wait for their
//! pacing time.

use std::collections::BTreeMap;

use anabranch_core::{Instant, Transmit, limits};

use crate::counters::Counters;
use crate::port::{Datagrams, Muted, Port};

/// Runs that may wait for their time. One more, and the first of them goes out early.
const MAX_HELD: usize = 64;

/// Whether everything that had to go is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Yes.
    All,
    /// A socket is full. Nothing more may be put in until [`Outbox::flush`] answers `All`.
    Blocked,
}

/// A run that is partly sent.
struct Run {
    transmit: Transmit,
    done: usize,
}

/// The way out.
pub(crate) struct Outbox {
    /// Where the endpoint writes. Holds `current`, if there is one.
    buffer: Vec<u8>,
    current: Option<Run>,
    held: BTreeMap<(Instant, u64), (Transmit, Vec<u8>)>,
    /// Makes the keys of `held` unique and keeps runs of the same time in order.
    order: u64,
    /// Buffers of runs that are gone.
    spare: Vec<Vec<u8>>,
    trouble: Muted,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; limits::MAX_SEGMENTED],
            current: None,
            held: BTreeMap::new(),
            order: 0,
            spare: Vec::new(),
            trouble: Muted::default(),
        }
    }

    /// Where the endpoint writes its next run. Only while nothing is blocked.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        debug_assert!(self.current.is_none(), "a blocked run would be overwritten");
        &mut self.buffer
    }

    /// When the first of the held runs is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    /// Nothing is left to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_none() && self.held.is_empty()
    }

    /// Sends what the endpoint has written to the buffer, or holds it until its time.
    pub(crate) fn put<S: Datagrams>(
        &mut self,
        now: Instant,
        transmit: Transmit,
        ports: &mut [Port<S>],
        counters: &mut Counters,
    ) -> Sent {
        match transmit.at {
            Some(at) if at > now => {
                self.hold(at, transmit);
                counters.paced += 1;
                if self.held.len() > MAX_HELD {
                    self.take_first();
                    return self.push(now, ports, counters);
                }
                Sent::All
            }
            Some(_) | None => {
                self.current = Some(Run { transmit, done: 0 });
                self.push(now, ports, counters)
            }
        }
    }

    /// Sends the blocked run, if there is one, and the held runs that are due.
    pub(crate) fn flush<S: Datagrams>(
        &mut self,
        now: Instant,
        ports: &mut [Port<S>],
        counters: &mut Counters,
    ) -> Sent {
        loop {
            if self.push(now, ports, counters) == Sent::Blocked {
                return Sent::Blocked;
            }
            if self.due().is_none_or(|at| at > now) {
                return Sent::All;
            }
            self.take_first();
        }
    }

    fn hold(&mut self, at: Instant, transmit: Transmit) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(&self.buffer[..transmit.len]);
        self.order += 1;
        self.held.insert((at, self.order), (transmit, bytes));
    }

    /// Makes the first held run the current one.
    fn take_first(&mut self) {
        if let Some((_, (transmit, bytes))) = self.held.pop_first() {
            self.buffer[..bytes.len()].copy_from_slice(&bytes);
            self.spare.push(bytes);
            self.current = Some(Run { transmit, done: 0 });
        }
    }

    fn push<S: Datagrams>(
        &mut self,
        now: Instant,
        ports: &mut [Port<S>],
        counters: &mut Counters,
    ) -> Sent {
        let Some(mut run) = self.current.take() else { return Sent::All };
        let bytes = &self.buffer[..run.transmit.len.min(self.buffer.len())];
        let path = run.transmit.path;
        let best = ports
            .iter_mut()
            .filter_map(|port| port.suits(path.local).map(|rank| (rank, port)))
            .min_by_key(|(rank, _)| *rank);
        let Some((_, port)) = best.filter(|_| path.remote.port() != 0) else {
            counters.send_errors += 1;
            self.trouble.say(now, || format!("no socket can send on {path:?}"));
            return Sent::All;
        };
        if !port.is_blocked() {
            run.done = port.send(now, &run.transmit, bytes, run.done, counters);
        }
        if run.done < bytes.len() {
            self.current = Some(run);
            return Sent::Blocked;
        }
        Sent::All
    }
}

#[cfg(test)]
mod tests;
