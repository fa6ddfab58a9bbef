//! The trace while it is replayed: what comes next, and whether it came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Counts, Divergence, Verdict};
use crate::id::ConnId;
use crate::io::Path;
use crate::limits;
use crate::time::Instant;
use crate::trace::data::{Data, Part};
use crate::trace::entry::{Cause, Entry, Record};
use crate::trace::error::TraceError;
use crate::trace::{Class, Sink};

/// Where the entries come from.
pub(super) type Records = Box<dyn Iterator<Item = Result<Record, TraceError>> + Send>;

/// The trace while it is replayed. Clones are the same one.
#[derive(Clone)]
pub(super) struct Tape(Arc<Mutex<Inner>>);

struct Inner {
    records: Records,
    /// Hashes of what was left out are not compared: there are zeros in its place.
    blurred: bool,
    next: Option<Record>,
    /// There are no more entries: why.
    over: Option<Over>,
    before: VecDeque<Record>,
    counts: Counts,
    divergence: Option<Box<Divergence>>,
    /// The connection that was named last.
    conn: Option<ConnId>,
    /// The datagram that came last: its path and length.
    datagram: Option<(Path, usize)>,
    /// The words of a refusal that the script has given, which the endpoint passes on.
    refusal: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Over {
    End,
    Truncated(Cause),
    Unreadable(TraceError),
}

/// What a question to the script came to: the entry as it would have been recorded here, and the
/// answer.
pub(super) type Found<T> = Option<(Entry, T)>;

impl Tape {
    pub(super) fn new(records: Records, blurred: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            records,
            blurred,
            next: None,
            over: None,
            before: VecDeque::new(),
            counts: Counts::default(),
            divergence: None,
            conn: None,
            datagram: None,
            refusal: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes next. `None`: nothing, or the replay is over.
    pub(super) fn peek(&self) -> Option<Record> {
        self.lock().peek().cloned()
    }

    /// The entry with this number must have come by now.
    pub(super) fn must_pass(&self, number: u64) {
        let mut inner = self.lock();
        if inner.peek().is_some_and(|next| next.number == number) {
            inner.diverge("nothing".to_owned());
        }
    }

    /// What comes next cannot come.
    pub(super) fn stop(&self, why: &str) {
        self.lock().diverge(why.to_owned());
    }

    /// The transport is asked something at `now`. `found` looks for the answer in what comes
    /// next; `fallback` is the answer if it is not there.
    pub(super) fn ask<T>(
        &self,
        now: Option<Instant>,
        what: impl FnOnce() -> String,
        found: impl FnOnce(&Entry) -> Found<T>,
        fallback: T,
    ) -> T {
        let mut inner = self.lock();
        let Some(next) = inner.peek() else { return fallback };
        let at = next.at;
        match found(&next.entry) {
            Some((got, answer)) if got == next.entry && now.is_none_or(|now| now == at) => {
                inner.pass();
                return answer;
            }
            Some((got, _)) if got != next.entry => inner.diverge(got.to_string()),
            Some(_) => inner.diverge(format!("{} at {now:?}", what())),
            None => inner.diverge(what()),
        }
        fallback
    }

    /// The transport is asked something whose usual answer is not recorded.
    pub(super) fn unusual<T>(&self, found: impl FnOnce(&Entry) -> Option<T>) -> Option<T> {
        let mut inner = self.lock();
        let answer = found(&inner.peek()?.entry)?;
        inner.pass();
        Some(answer)
    }

    /// The datagram that came last: its path and length.
    pub(super) fn datagram(&self) -> Option<(Path, usize)> {
        self.lock().datagram
    }

    /// The script refuses something in these words.
    pub(super) fn refuse(&self, words: &str) {
        self.lock().refusal = Some(words.to_owned());
    }

    pub(super) fn verdict(&self) -> Verdict {
        let mut inner = self.lock();
        let counts = inner.counts;
        match (inner.divergence.take(), inner.over) {
            (Some(divergence), _) => Verdict::Diverged(divergence),
            (None, Some(Over::Unreadable(error))) => Verdict::Unreadable { error, counts },
            (None, Some(Over::Truncated(cause))) => {
                Verdict::Identical { counts, truncated: Some(cause) }
            }
            (None, Some(Over::End) | None) => Verdict::Identical { counts, truncated: None },
        }
    }
}

impl Inner {
    fn peek(&mut self) -> Option<&Record> {
        if self.divergence.is_some() {
            return None;
        }
        if self.next.is_none() && self.over.is_none() {
            match self.records.next() {
                None | Some(Ok(Record { entry: Entry::End { .. }, .. })) => {
                    self.over = Some(Over::End);
                }
                Some(Ok(Record { entry: Entry::Truncated(cause), .. })) => {
                    self.over = Some(Over::Truncated(cause));
                }
                Some(Ok(record)) => self.next = Some(record),
                Some(Err(error)) => self.over = Some(Over::Unreadable(error)),
            }
        }
        self.next.as_ref()
    }

    /// What comes next has come.
    fn pass(&mut self) {
        let Some(record) = self.next.take() else { return };
        self.counts.add(record.entry.class());
        self.conn = record.entry.conn().or(self.conn);
        if let Entry::Datagram { path, data, .. } = &record.entry {
            self.datagram = Some((*path, data.len()));
        }
        if self.before.len() == limits::TRACE_CONTEXT {
            self.before.pop_front();
        }
        self.before.push_back(record);
    }

    fn diverge(&mut self, got: String) {
        if self.divergence.is_some() {
            return;
        }
        let Some(expected) = self.next.take() else { return };
        self.divergence = Some(Box::new(Divergence {
            conn: expected.entry.conn().or(self.conn),
            expected,
            got,
            before: self.before.drain(..).collect(),
            counts: self.counts,
        }));
    }

    /// Whether what has happened is what should have.
    fn is_same(&mut self, expected: &Entry, got: &Entry) -> bool {
        if expected == got {
            return true;
        }
        if let (
            Entry::Answer { result: Err(expected), .. },
            Entry::Answer { result: Err(_), .. },
            Some(refusal),
        ) = (expected, got, &self.refusal)
        {
            return refusal == expected;
        }
        self.blurred && blur(expected.clone()) == blur(got.clone())
    }
}

/// The entry without what a replay over zeros cannot have.
fn blur(mut entry: Entry) -> Entry {
    match &mut entry {
        Entry::Transmit { data, .. } => {
            *data = Data(vec![Part::Left { len: data.len(), hash: 0 }]);
        }
        Entry::Datagram { data, .. } | Entry::Session { data, .. } | Entry::Answer { data, .. } => {
            data.blur();
        }
        Entry::Transport(_, call) => call.blur(),
        Entry::Timeout
        | Entry::Connect(_)
        | Entry::Listen(_)
        | Entry::Drain { .. }
        | Entry::CloseAll
        | Entry::WallClock(_)
        | Entry::Catalogue { .. }
        | Entry::Identity
        | Entry::Handle(_)
        | Entry::Command(_)
        | Entry::Event(..)
        | Entry::Wait(_)
        | Entry::Step(_)
        | Entry::Dropped(_)
        | Entry::Stack(_)
        | Entry::End { .. }
        | Entry::Truncated(_) => {}
    }
    entry
}

/// The endpoint that is replayed says what happens to it.
impl Sink for Tape {
    /// It is told the time of what comes next.
    fn advance(&self, _: Instant) {}

    fn take(&self, entry: Entry) {
        let mut inner = self.lock();
        let Some(expected) = inner.peek().cloned() else { return };
        let same = inner.is_same(&expected.entry, &entry);
        if entry.class() == Class::Output {
            inner.refusal = None;
        }
        if same {
            inner.pass();
        } else {
            inner.diverge(entry.to_string());
        }
    }
}
