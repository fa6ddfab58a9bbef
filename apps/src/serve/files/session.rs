//! Transfers that run.

use anabranch_core::files::{Accept, End, Ended, Offer, Stats, Token};
use anabranch_core::{Code, Endpoint, Instant};
use anabranch_storage::RelPath;
use anabranch_transfers::{Giver, Keeper, Key, Measure, Receive, Worker};

use super::limits::{MAX_TRANSFERS, MAX_TRANSFERS_PER_PEER};
use super::questions::{self, Refusal};
use super::register::{Record, State};
use super::view::Sight;
use super::wanted::{label, prepare};
use super::watched::Watched;
use super::{Files, News, Peer, Prepared, files};
use crate::units::{clean, show_duration, show_size};

/// What a session is about to do.
#[derive(Debug)]
pub(super) enum Phase {
    /// What was asked for is being looked at.
    Preparing,
    /// It is to be received, when an earlier worker of the same transfer is gone.
    Queued(Box<Receive>),
    /// A worker is at it.
    Moving,
}

/// A transfer that runs.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: Token,
    pub(super) title: String,
    peer: Peer,
    begun: Instant,
    /// When its numbers were noted.
    pub(super) noted: Instant,
    pub(super) phase: Phase,
    /// The transfer goes on in another session.
    superseded: bool,
    /// It was ended by an order.
    pub(super) cancelled: bool,
    /// The last thing that went wrong, for people.
    pub(super) trouble: Option<String>,
}

impl Session {
    const fn new(token: Token, title: String, peer: Peer, now: Instant, phase: Phase) -> Self {
        Self {
            token,
            title,
            peer,
            begun: now,
            noted: now,
            phase,
            superseded: false,
            cancelled: false,
            trouble: None,
        }
    }
}

impl Files {
    /// Whether one more transfer can run.
    fn admit(&self, key: Key, token: Token, sending: bool) -> Result<Peer, Refusal> {
        let no = |code, reason: &str| Err(Refusal::new(code, reason));
        let Some(peer) = self.peers.get(&key.0).copied() else {
            return no(Code::Refused, "nobody knows who you are");
        };
        match self.register.get(token) {
            Some(record) if record.sending != sending => {
                return no(Code::Refused, "another transfer has this token");
            }
            Some(record) if record.state == State::Cancelled => {
                return no(Code::Cancelled, "this transfer was cancelled here");
            }
            Some(_) | None => {}
        }
        // Those that this one takes the place of do not count.
        let others = || self.sessions.values().filter(|session| session.token != token);
        let same = others().filter(|session| session.peer.now.ip() == peer.now.ip());
        if others().count() >= MAX_TRANSFERS || same.count() >= MAX_TRANSFERS_PER_PEER {
            return no(Code::Limit, "too many transfers at once; try again later");
        }
        Ok(peer)
    }

    fn refuse(&self, endpoint: &mut Endpoint, now: Instant, key: Key, refusal: &Refusal) {
        let Refusal { code, reason } = refusal;
        let peer = self.peers.get(&key.0).map_or_else(String::new, |peer| peer.now.to_string());
        log::info!("{peer} {}: refused: {reason}", key.1);
        if let Err(misuse) = files(endpoint, now, key, |files| files.refuse(*code, reason)) {
            log::debug!("{} {}: {misuse}", key.0, key.1);
        }
    }

    /// A peer wants to send.
    pub(super) fn on_offered(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        offer: &Offer,
    ) {
        let admitted = self.admit(key, offer.token, false);
        let received = admitted.and_then(|peer| Ok((peer, self.policy.receive(peer, offer)?)));
        let (peer, receive) = match received {
            Ok(both) => both,
            Err(refusal) => return self.refuse(endpoint, now, key, &refusal),
        };
        let label = clean(&offer.label);
        let title = format!("{} {label}", peer.now);
        let entries = offer.entries.map_or_else(String::new, |n| format!("{n} entries, "));
        let size = offer.bytes.map_or_else(|| "unknown size".to_owned(), show_size);
        log::info!("{title}: receiving into /{}: {entries}{size}", receive.folder);
        let record = Record {
            target: receive.folder.to_string(),
            label,
            entries: offer.entries,
            bytes: offer.bytes,
            ..self.record(peer, false)
        };
        let phase = Phase::Queued(Box::new(receive));
        let session = Session::new(offer.token, title, peer, now, phase);
        self.begin(endpoint, now, key, session, record);
        self.start_receiving(endpoint, now, key);
    }

    fn record(&self, peer: Peer, sending: bool) -> Record {
        let wall = self.clock.wall().0;
        Record {
            sending,
            peer: peer.now.to_string(),
            label: String::new(),
            target: String::new(),
            entries: None,
            bytes: None,
            stored: 0,
            begun: wall,
            updated: wall,
            state: State::Running,
            held: false,
            paused: false,
            why: None,
        }
    }

    fn begin(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        session: Session,
        record: Record,
    ) {
        let token = session.token;
        // Its peer has come again, before the end of its last connection was noticed here.
        for (old, session) in &mut self.sessions {
            if session.token == token {
                session.superseded = true;
                let end = |files: &mut anabranch_core::Files<'_>| {
                    files.cancel(Code::Cancelled, "taken up again on another connection")
                };
                if let Err(misuse) = files(endpoint, now, *old, end) {
                    log::debug!("{}: {misuse}", session.title);
                }
            }
        }
        self.sessions.insert(key, session);
        self.register.begin(token, record);
    }

    /// Begins to receive, unless an earlier worker is still at the files.
    pub(super) fn start_receiving(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let token = session.token;
        if !matches!(session.phase, Phase::Queued(_))
            || self.workers.values().any(|other| *other == token)
        {
            return;
        }
        let phase = std::mem::replace(&mut session.phase, Phase::Moving);
        let Phase::Queued(receive) = phase else { return };
        let sight = Sight { inbox: true, private: true, write: true };
        let disk = Box::new(self.policy.tree.view(sight));
        let keeper = Keeper::new(disk, self.claims.clone(), *receive);
        if self.hire(endpoint, now, key, Box::new(keeper)) {
            let accepted = files(endpoint, now, key, |files| files.accept(Accept::default()));
            if let Err(misuse) = accepted {
                log::debug!("{}: {misuse}", self.title(key));
            }
            self.hold(endpoint, now, key);
        }
    }

    /// Puts a worker to work.
    fn hire(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        worker: Box<dyn Worker>,
    ) -> bool {
        let Some(session) = self.sessions.get(&key) else { return false };
        let token = session.token;
        let worker = Watched::new(worker, key, self.gone.clone(), self.mail.clone());
        self.workers.insert(key, token);
        match self.desk.begin(key, Box::new(worker)) {
            Ok(()) => true,
            Err(error) => {
                let refusal = Refusal::new(Code::Internal, format!("no thread: {error}"));
                self.refuse(endpoint, now, key, &refusal);
                false
            }
        }
    }

    /// A transfer that is paused by an order is so from its start on.
    fn hold(&self, endpoint: &mut Endpoint, now: Instant, key: Key) {
        let Some(session) = self.sessions.get(&key) else { return };
        if self.register.get(session.token).is_some_and(|record| record.held) {
            let paused = files(endpoint, now, key, |files| files.pause("paused at the server"));
            if let Err(misuse) = paused {
                log::debug!("{}: {misuse}", session.title);
            }
        }
    }

    /// A peer wants some files.
    pub(super) fn on_requested(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        token: Token,
        names: &[String],
    ) {
        let admitted = self.admit(key, token, true).and_then(|peer| {
            self.policy.may_read(peer)?;
            let paths: Result<Vec<RelPath>, Refusal> =
                names.iter().map(|name| questions::path(name)).collect();
            Ok((peer, paths?))
        });
        let (peer, paths) = match admitted {
            Ok(both) => both,
            Err(refusal) => return self.refuse(endpoint, now, key, &refusal),
        };
        let label = label(&paths);
        let title = format!("{} {label}", peer.now);
        let record = Record { label, target: names.join(" "), ..self.record(peer, true) };
        let session = Session::new(token, title, peer, now, Phase::Preparing);
        self.begin(endpoint, now, key, session, record);
        let (tree, sight) = (self.policy.tree.clone(), self.policy.sight(peer));
        let (buffers, mail) = (self.desk.buffers(), self.mail.clone());
        let is_taken = self.pool.give(move || {
            let prepared = Prepared(prepare(&tree, sight, paths, buffers));
            mail.send(News::Prepared(key, Box::new(prepared)));
        });
        if !is_taken {
            let refusal = Refusal::new(Code::Limit, "too much to do; try again later");
            self.refuse(endpoint, now, key, &refusal);
        }
    }

    /// What a peer wants was looked at.
    pub(super) fn on_prepared(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        prepared: Result<(Giver, Measure), Refusal>,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.phase = Phase::Moving;
        let (token, title) = (session.token, session.title.clone());
        let (giver, Measure { entries, bytes }) = match prepared {
            Ok(both) => both,
            Err(refusal) => {
                session.trouble = Some(refusal.reason.clone());
                return self.refuse(endpoint, now, key, &refusal);
            }
        };
        let size = bytes.map_or_else(|| "unknown size".to_owned(), show_size);
        log::info!("{title}: sending {entries} entries, {size}");
        let mut label = String::new();
        self.register.change(token, self.clock.wall().0, |record| {
            (record.entries, record.bytes) = (Some(entries), bytes);
            label.clone_from(&record.label);
        });
        if !self.hire(endpoint, now, key, Box::new(giver)) {
            return;
        }
        let offer = Offer { label, entries: Some(entries), bytes, ..Offer::new(token) };
        if let Err(misuse) = files(endpoint, now, key, |files| files.offer(offer)) {
            log::debug!("{title}: {misuse}");
        }
        self.hold(endpoint, now, key);
    }

    /// The peer has paused it, or goes on.
    pub(super) fn paused_by_peer(&mut self, key: Key, paused: bool) {
        let Some(session) = self.sessions.get(&key) else { return };
        let how = if paused { "paused" } else { "resumed" };
        log::info!("{}: {how} by the peer", session.title);
        self.register.change(session.token, self.clock.wall().0, |record| record.paused = paused);
    }

    /// A transfer is over, or its connection is.
    pub(super) fn on_ended(&mut self, now: Instant, key: Key, ended: &Ended) {
        let Some(session) = self.sessions.remove(&key) else { return };
        let Ended { how, stats } = ended;
        let took = now.since(session.begun);
        let rate = crate::units::rate(stats.moved, took) / 8;
        let done = match stats.done {
            1 => "1 file or folder".to_owned(),
            done => format!("{done} files and folders"),
        };
        let outcome = outcome(how, stats, session.trouble.as_deref());
        let kept = match stats.kept {
            0 => String::new(),
            kept => format!(", {} were there already", show_size(kept)),
        };
        let limited = stats.limited.main();
        let limited = limited.map_or_else(String::new, |by| format!(", limited by {}", by.name()));
        log::info!(
            "{}: {}: {}, {} in {} ({}/s){kept}{limited}",
            session.title,
            outcome.1,
            done,
            show_size(stats.moved),
            show_duration(took),
            show_size(rate),
        );
        if session.superseded {
            return;
        }
        let (state, why) = outcome;
        let state = if session.cancelled { State::Cancelled } else { state };
        self.register.change(session.token, self.clock.wall().0, |record| {
            record.state = state;
            record.paused = false;
            record.stored = record.stored.max(stats.acked + stats.kept);
            record.why = (state != State::Complete).then_some(why);
        });
    }

    /// A transfer's connection is gone, and nothing was said about it.
    pub(super) fn lost(&mut self, key: Key) {
        self.desk.end(key);
        let Some(session) = self.sessions.remove(&key) else { return };
        if !session.superseded {
            self.register.change(session.token, self.clock.wall().0, |record| {
                record.state = State::Waiting;
                record.paused = false;
            });
        }
    }
}

/// What the end of a connection's transfer means for the transfer.
fn outcome(how: &End, stats: &Stats, trouble: Option<&str>) -> (State, String) {
    let because = |what: &str| match trouble {
        Some(trouble) => format!("{what}: {trouble}"),
        None => what.to_owned(),
    };
    match how {
        End::Complete if stats.failed == 0 => (State::Complete, "complete".to_owned()),
        End::Complete => {
            let of = stats.entries;
            (State::Failed, because(&format!("{} of {of} failed", stats.failed)))
        }
        End::Local(Code::GoingAway) => (State::Waiting, "the server stops".to_owned()),
        End::Local(Code::Cancelled) => (State::Failed, because("ended here")),
        End::Local(code) => (State::Failed, because(&format!("ended here ({code})"))),
        End::Peer(Code::GoingAway, _) => (State::Waiting, "the peer stops".to_owned()),
        End::Peer(code, reason) => {
            let reason = clean(reason);
            (State::Failed, format!("ended by the peer ({code}) {reason}").trim_end().to_owned())
        }
        End::Violation(rule) => (State::Failed, format!("the peer broke a rule ({rule})")),
        End::ConnectionLost => (State::Waiting, "the connection was lost".to_owned()),
    }
}
