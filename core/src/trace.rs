//! Traces: everything that crosses one of two seams, written down in the order in which it
//! happens, so that a run can be read as a story and run again.
//!
//! *Seam A* is the endpoint's: every input and command, every output, every step of a state
//! machine. *Seam B* is between the sessions and what carries them: every call of a
//! [`crate::transport::Stack`] and its transports, with the answer. With both, a trace replays
//! without sockets and without cryptography ([`Replay`]).
//!
//! The core writes and reads bytes; files are the application's. The format is documented in
//! `docs/traces.md`. [`crate::Endpoint::recorded`] begins a recording.

mod call;
mod codec;
mod data;
mod decoder;
mod entry;
mod error;
mod file;
mod recorder;
mod replay;
mod run_hash;
mod scan;
mod show;
mod story;
mod tap;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::time::Instant;

pub use call::{Call, StackCall};
pub use data::{Data, Part};
pub use decoder::{Decoder, entries, header};
pub use entry::{Aim, Cause, Class, Entry, Record, Step, Trusting};
pub use error::TraceError;
pub use file::{About, Contents, Header, MAGIC, VERSION, seal};
pub use recorder::{Recorder, Room, Status, write};
pub use replay::{Counts, Divergence, Replay, Unfit, Verdict};
pub use run_hash::RunHash;
pub(crate) use story::Story;
pub(crate) use tap::tap;

/// Where entries go: to a recording, or to a replay that compares them with one.
pub(crate) trait Sink: Send + Sync {
    /// The endpoint's time is this now.
    fn advance(&self, now: Instant);

    /// This has happened.
    fn take(&self, entry: Entry);
}

/// An endpoint's recording, if there is one. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Trace(Option<(Arc<dyn Sink>, Contents)>);

impl Trace {
    /// To this sink.
    pub(crate) fn new(sink: Arc<dyn Sink>, contents: Contents) -> Self {
        Self(Some((sink, contents)))
    }

    /// The endpoint's time is this now.
    pub(crate) fn advance(&self, now: Instant) {
        if let Some((sink, _)) = &self.0 {
            sink.advance(now);
        }
    }

    /// What is recorded.
    pub(crate) fn contents(&self) -> Contents {
        self.0.as_ref().map(|(_, contents)| *contents).unwrap_or_default()
    }

    /// This has happened. It is put together only if somebody wants to know.
    pub(crate) fn say(&self, entry: impl FnOnce(Contents) -> Entry) {
        if let Some((sink, contents)) = &self.0 {
            sink.take(entry(*contents));
        }
    }

    /// This has happened, if it is worth telling.
    fn say_if(&self, entry: impl FnOnce() -> Option<Entry>) {
        if let Some((sink, _)) = &self.0
            && let Some(entry) = entry()
        {
            sink.take(entry);
        }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Trace(on)" } else { "Trace(off)" })
    }
}
