//! The transfers that are known: those that run, and those of before.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use anabranch_core::files::{Token, TransferState, Transferring};
use serde::{Deserialize, Serialize};

use super::limits::{MAX_AGE, MAX_RECORDS};

/// What a transfer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Somebody is connected for it.
    Running,
    /// It is not complete, and nobody is.
    Waiting,
    /// It is complete.
    Complete,
    /// It ended before its time.
    Failed,
    /// It was ended by an order, and is not taken up again.
    Cancelled,
}

/// A transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// This side sends.
    pub(super) sending: bool,
    /// Address of the peer.
    pub(super) peer: String,
    /// For people: what it is.
    pub(super) label: String,
    /// Where its files go; of one that is sent: what was asked for.
    pub(super) target: String,
    /// Entries, where that is known.
    pub(super) entries: Option<u64>,
    /// Bytes in all, where that is known.
    pub(super) bytes: Option<u64>,
    /// Bytes that the receiver has.
    pub(super) stored: u64,
    /// When it was begun and when something happened last: milliseconds since the Unix epoch.
    pub(super) begun: u64,
    pub(super) updated: u64,
    pub(super) state: State,
    /// It is paused by an order.
    pub(super) held: bool,
    /// Somebody at the other side has paused it, as long as they are connected.
    #[serde(skip)]
    pub(super) paused: bool,
    /// Why it failed, for people.
    pub(super) why: Option<String>,
}

impl Record {
    const fn state(&self) -> TransferState {
        match self.state {
            State::Running | State::Waiting if self.held => TransferState::Paused,
            State::Running if self.paused => TransferState::Paused,
            State::Running => TransferState::Running,
            State::Waiting => TransferState::Waiting,
            State::Complete => TransferState::Complete,
            State::Failed | State::Cancelled => TransferState::Failed,
        }
    }

    fn listed(&self, token: Token) -> Transferring {
        Transferring {
            token,
            state: self.state(),
            sending: self.sending,
            bytes: self.stored,
            of: self.bytes,
            label: self.label.clone(),
        }
    }
}

/// All of them, by their tokens. Every call says what time it is, in milliseconds since the Unix
/// epoch.
#[derive(Debug, Default)]
pub(super) struct Register {
    records: BTreeMap<Token, Record>,
    /// What is not saved yet.
    changed: BTreeSet<Token>,
}

impl Register {
    /// With what was known when the program ended: nobody is connected any more.
    pub(super) fn new(mut records: BTreeMap<Token, Record>) -> Self {
        let mut changed = BTreeSet::new();
        for (token, record) in &mut records {
            if record.state == State::Running {
                record.state = State::Waiting;
                changed.insert(*token);
            }
        }
        Self { records, changed }
    }

    pub(super) fn get(&self, token: Token) -> Option<&Record> {
        self.records.get(&token)
    }

    /// A transfer begins, or is taken up again.
    pub(super) fn begin(&mut self, token: Token, mut record: Record) {
        if let Some(old) = self.records.get(&token) {
            record.begun = old.begun;
            record.held = old.held;
            record.stored = old.stored;
        }
        let now = record.updated;
        self.records.insert(token, record);
        self.changed.insert(token);
        self.forget_old(now);
    }

    /// Changes a record, if it is there.
    pub(super) fn change(&mut self, token: Token, now: u64, change: impl FnOnce(&mut Record)) {
        let Some(record) = self.records.get_mut(&token) else { return };
        let before = record.clone();
        change(record);
        if *record != before {
            record.updated = now;
            self.changed.insert(token);
        }
    }

    /// A page of them, in the order of their tokens, and whether there are more.
    pub(super) fn page(&self, after: Option<Token>, most: usize) -> (Vec<Transferring>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.records.range((from, Bound::Unbounded));
        let page = rest.by_ref().take(most).map(|(token, record)| record.listed(*token)).collect();
        (page, rest.next().is_some())
    }

    /// What has changed since the last time: `None` for what is forgotten.
    pub(super) fn take_changes(&mut self) -> BTreeMap<Token, Option<Record>> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|token| (token, self.records.get(&token).cloned())).collect()
    }

    /// Forgets what is too old, or too much. Never what runs.
    pub(super) fn forget_old(&mut self, now: u64) {
        let oldest = now.saturating_sub(u64::try_from(MAX_AGE.as_millis()).unwrap_or(u64::MAX));
        let idle = self.records.iter().filter(|(_, record)| record.state != State::Running);
        // What can still be of use goes last.
        let order = |record: &Record| (record.state == State::Waiting, record.updated);
        let mut idle: Vec<((bool, u64), Token)> =
            idle.map(|(token, record)| (order(record), *token)).collect();
        idle.sort_unstable();
        let excess = self.records.len().saturating_sub(MAX_RECORDS);
        for (n, ((_, updated), token)) in idle.into_iter().enumerate() {
            if n < excess || updated < oldest {
                self.records.remove(&token);
                self.changed.insert(token);
            }
        }
    }
}

#[cfg(test)]
pub(super) fn record(state: State, updated: u64) -> Record {
    Record {
        sending: false,
        peer: "192.0.2.1:5".to_owned(),
        label: "photos".to_owned(),
        target: String::new(),
        entries: Some(3),
        bytes: Some(100),
        stored: 0,
        begun: updated,
        updated,
        state,
        held: false,
        paused: false,
        why: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: u32) -> Token {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Token(bytes)
    }

    #[test]
    fn what_ran_waits_after_a_restart_and_what_was_paused_stays_so() {
        let held = Record { held: true, stored: 7, ..record(State::Running, 1) };
        let before =
            [record(State::Running, 1), held, record(State::Complete, 1), record(State::Failed, 1)];
        let before = (0..).map(token).zip(before).collect();
        let mut register = Register::new(before);
        let states: Vec<_> = register.page(None, 9).0.into_iter().map(|t| t.state).collect();
        use TransferState::{Complete, Failed, Paused, Running, Waiting};
        assert_eq!(states, [Waiting, Paused, Complete, Failed]);
        assert_eq!(register.take_changes().len(), 2);
        // It comes again, and is still paused; what is known of it stays.
        register.begin(token(1), record(State::Running, 50));
        let again = register.get(token(1)).unwrap();
        assert_eq!((again.held, again.stored, again.begun, again.updated), (true, 7, 1, 50));
        assert_eq!(register.page(Some(token(0)), 1).0[0].state, Paused);
        register.change(token(1), 60, |record| record.held = false);
        assert_eq!(register.page(Some(token(0)), 1).0[0].state, Running);
        let changes = register.take_changes();
        assert_eq!(changes[&token(1)].as_ref().unwrap().updated, 60);
        register.change(token(1), 70, |record| record.held = false);
        assert!(register.take_changes().is_empty(), "nothing has changed");
    }

    #[test]
    fn pages_follow_each_other() {
        let mut register = Register::default();
        for n in 0..5 {
            register.begin(token(n), record(State::Running, 1));
        }
        let (page, more) = register.page(None, 3);
        assert_eq!((page.len(), more), (3, true));
        let (page, more) = register.page(Some(page[2].token), 3);
        assert_eq!((page[0].token, page.len(), more), (token(3), 2, false));
    }

    #[test]
    fn the_number_of_transfers_is_bounded_and_those_that_run_are_not_forgotten() {
        let mut register = Register::default();
        let most = u32::try_from(MAX_RECORDS).unwrap();
        register.begin(token(0), record(State::Running, 1));
        register.begin(token(1), record(State::Waiting, 2));
        for n in 2..most + 10 {
            register.begin(token(n), record(State::Complete, u64::from(n)));
        }
        assert_eq!(register.records.len(), MAX_RECORDS);
        assert!(register.get(token(0)).is_some() && register.get(token(1)).is_some());
        assert!(register.get(token(11)).is_none() && register.get(token(12)).is_some());
        let changes = register.take_changes();
        assert_eq!(changes[&token(11)], None, "the store forgets it too");
        let later = u64::from(most) + u64::try_from(MAX_AGE.as_millis()).unwrap() + 100;
        register.forget_old(later);
        assert_eq!(register.page(None, 9).0.len(), 1);
    }
}
