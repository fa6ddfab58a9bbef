//! The steps of state machines, told to a recording.

use std::fmt::Debug;

use super::Trace;
use super::entry::{Entry, Step};
use crate::id::{ConnId, SessionId};
use crate::machine::{self, Machine};

/// What a connection or session tells of its state machine.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    trace: Trace,
    conn: ConnId,
    session: Option<SessionId>,
}

impl Story {
    /// Of a connection.
    pub(crate) const fn new(trace: Trace, conn: ConnId) -> Self {
        Self { trace, conn, session: None }
    }

    /// Of a session of the connection.
    pub(crate) fn of_session(&self, session: SessionId) -> Self {
        Self { session: Some(session), ..self.clone() }
    }

    /// The recording.
    pub(crate) const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The machine with this name took an input. What changes nothing is not told.
    pub(crate) fn step<M: Machine>(&self, machine: &'static str, from: M, input: M::Input) {
        self.trace.say_if(|| {
            let to = match from.next(input) {
                machine::Step::Go(to) if to == from => return None,
                machine::Step::Stay => return None,
                machine::Step::Go(to) => Some(text(to)),
                machine::Step::Illegal => None,
            };
            Some(Entry::Step(Step {
                conn: self.conn,
                session: self.session,
                machine: machine.to_owned(),
                from: text(from),
                input: text(input),
                to,
            }))
        });
    }
}

fn text(value: impl Debug) -> String {
    format!("{value:?}")
}
