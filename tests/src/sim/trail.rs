//! The last things that happened, for when something goes wrong.

use std::collections::VecDeque;
use std::fmt;

use anabranch_core::{ConnId, Event, Instant, Path};

use super::world::HostId;

/// Steps that are kept.
const KEPT: usize = 60;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A host sent a datagram of so many bytes.
    Sent(HostId, Path, usize),
    /// A datagram reached a host.
    Arrived(HostId, Path, usize),
    /// A host's deadline came.
    Woke(HostId),
    /// A host told its application this.
    Told(HostId, ConnId, Event),
    /// An application did this.
    Did(HostId, String),
    /// The world did this.
    Fault(String),
}

/// The last steps.
#[derive(Debug, Default)]
pub(super) struct Trail {
    steps: VecDeque<(Instant, Step)>,
    /// Print each step as it comes.
    pub(super) loud: bool,
}

impl Trail {
    /// One more step.
    pub(super) fn push(&mut self, now: Instant, step: Step) {
        if self.loud {
            eprintln!("{}", Line(now, &step));
        }
        if self.steps.len() == KEPT {
            self.steps.pop_front();
        }
        self.steps.push_back((now, step));
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|(now, step)| writeln!(f, "    {}", Line(*now, step)))
    }
}

struct Line<'a>(Instant, &'a Step);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.0)?;
        match self.1 {
            Step::Sent(host, path, len) => write!(f, "h{host} sends {len} bytes, {path:?}"),
            Step::Arrived(host, path, len) => write!(f, "h{host} gets {len} bytes, {path:?}"),
            Step::Woke(host) => write!(f, "h{host} wakes"),
            Step::Told(host, conn, event) => write!(f, "h{host} {conn} tells {event:?}"),
            Step::Did(host, what) => write!(f, "h{host} {what}"),
            Step::Fault(what) => write!(f, "world: {what}"),
        }
    }
}
