//! Files: who may do what with them, and what becomes of it.

mod limits;
mod orders;
mod policy;
mod pool;
mod questions;
mod register;
mod session;
mod store;
mod view;
mod wanted;
mod watched;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anabranch_core::files::{Event, Reply, Token};
use anabranch_core::{ConnId, Endpoint, Instant, Misuse, SessionId};
use anabranch_driver_mio::{Clock, Handle};
use anabranch_transfers::{Claims, Desk, Done, Giver, Key, Measure, Report};

use super::Command;
use crate::exit::{Exit, Failure};
use limits::{ANSWERING, MAX_QUESTIONS, NOTED};
pub(super) use policy::Policy;
use pool::Pool;
use questions::Refusal;
use register::Register;
use session::Session;
use store::Store;
use watched::Gone;

/// What other threads tell the loop about files.
#[derive(Debug)]
pub enum News {
    /// A worker has done something.
    Done(Done),
    /// What was asked for was looked at.
    Prepared(Key, Box<Prepared>),
    /// A question has an answer.
    Answered(Key, Reply),
    /// A worker is gone.
    Gone,
}

/// What there is to send, or why nothing is.
#[derive(Debug)]
pub struct Prepared(Result<(Giver, Measure), Refusal>);

/// The way to the loop, once there is one.
#[derive(Clone, Debug)]
pub(super) struct Mail(pub(super) Arc<OnceLock<Handle<Command>>>);

impl Mail {
    /// Waits until there is room. Not for the loop itself.
    fn send(&self, news: News) {
        if let Some(handle) = self.0.get() {
            // Without a loop, nobody wants to know.
            drop(handle.send(Command::Files(news)));
        }
    }

    /// The loop looks at what is there for it, soon. Where there is no room, it will in any case.
    fn nudge(&self) {
        if let Some(handle) = self.0.get() {
            drop(handle.try_send(Command::Files(News::Gone)));
        }
    }
}

/// Where a peer is.
#[derive(Clone, Copy, Debug)]
struct Peer {
    /// Where it was when it connected.
    first: IpAddr,
    now: SocketAddr,
}

/// All about files.
#[derive(Debug)]
pub(super) struct Files {
    policy: Arc<Policy>,
    desk: Desk,
    pool: Pool,
    register: Register,
    claims: Claims,
    peers: BTreeMap<ConnId, Peer>,
    sessions: BTreeMap<Key, Session>,
    /// Workers that are there, those of transfers that are over included.
    workers: BTreeMap<Key, Token>,
    gone: Gone,
    mail: Mail,
    clock: Clock,
    store: Store,
}

impl Files {
    /// Opens the list of transfers, and starts threads.
    ///
    /// # Errors
    /// What keeps it from that.
    pub(super) fn start(
        policy: Policy,
        store: &Path,
        clock: Clock,
        mail: Mail,
    ) -> Result<Self, Failure> {
        let (store, records) = Store::open(store)?;
        let pool = Pool::start(ANSWERING, MAX_QUESTIONS)
            .map_err(|error| Failure::new(Exit::Temporary, format!("no threads: {error}")))?;
        let to_loop = mail.clone();
        let mut register = Register::new(records);
        register.forget_old(clock.wall().0);
        Ok(Self {
            policy: Arc::new(policy),
            desk: Desk::new(move |done| to_loop.send(News::Done(done))),
            pool,
            register,
            claims: Claims::default(),
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            workers: BTreeMap::new(),
            gone: Gone::default(),
            mail,
            clock,
            store,
        })
    }

    /// Transfers that run.
    pub(super) fn running(&self) -> usize {
        self.sessions.len()
    }

    /// Other settings count from now on, for what begins from now on.
    pub(super) fn set_policy(&mut self, policy: Policy) {
        log::info!("files: {}", policy.describe());
        self.policy = Arc::new(policy);
    }

    /// A peer is there.
    pub(super) fn on_connected(&mut self, conn: ConnId, remote: SocketAddr) {
        self.peers.insert(conn, Peer { first: remote.ip(), now: remote });
    }

    /// A peer is somewhere else.
    pub(super) fn on_moved(&mut self, conn: ConnId, remote: SocketAddr) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.now = remote;
        }
    }

    /// A connection is gone.
    pub(super) fn on_closed(&mut self, conn: ConnId) {
        self.peers.remove(&conn);
        let all = (conn, SessionId(0))..=(conn, SessionId(u32::MAX));
        for key in self.sessions.range(all).map(|(key, _)| *key).collect::<Vec<_>>() {
            self.lost(key);
        }
        self.save();
    }

    /// Something has happened in a transfer.
    pub(super) fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        event: Event,
    ) {
        match event {
            Event::Offered(offer) => self.on_offered(endpoint, now, key, &offer),
            Event::Requested { token, names } => {
                self.on_requested(endpoint, now, key, token, &names);
            }
            Event::Asked(query) => self.on_asked(endpoint, now, key, query),
            Event::Ended(ended) => {
                self.on_ended(now, key, &ended);
                self.desk.on_event(endpoint, now, key, Event::Ended(ended));
            }
            Event::Paused { reason } => {
                self.paused_by_peer(key, true);
                self.desk.on_event(endpoint, now, key, Event::Paused { reason });
            }
            Event::Resumed => {
                self.paused_by_peer(key, false);
                self.desk.on_event(endpoint, now, key, Event::Resumed);
            }
            event => self.desk.on_event(endpoint, now, key, event),
        }
        self.save();
    }

    /// Another thread has something to say.
    pub(super) fn on_news(&mut self, endpoint: &mut Endpoint, now: Instant, news: News) {
        match news {
            News::Done(done) => {
                let key = done.key;
                for report in self.desk.on_done(endpoint, now, done) {
                    self.on_report(key, report);
                }
                self.note(endpoint, now, key);
            }
            News::Prepared(key, prepared) => self.on_prepared(endpoint, now, key, prepared.0),
            News::Answered(key, reply) => {
                // Nobody may wait for it any more.
                if let Err(misuse) = files(endpoint, now, key, |files| files.reply(reply)) {
                    log::debug!("{} {}: {misuse}", key.0, key.1);
                }
            }
            News::Gone => {}
        }
        self.look_for_gone(endpoint, now);
        self.save();
    }

    /// Time has passed.
    pub(super) fn on_tick(&mut self) {
        self.register.forget_old(self.clock.wall().0);
        self.save();
    }

    /// Workers that are gone make room for others of the same transfer.
    fn look_for_gone(&mut self, endpoint: &mut Endpoint, now: Instant) {
        for key in self.gone.take() {
            let Some(token) = self.workers.remove(&key) else { continue };
            let next = self.sessions.iter().find(|(_, session)| session.token == token);
            if let Some(next) = next.map(|(key, _)| *key) {
                self.start_receiving(endpoint, now, next);
            }
        }
    }

    /// Notes what a transfer has done, now and then.
    fn note(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if now.since(session.noted) < NOTED {
            return;
        }
        session.noted = now;
        let (token, wall) = (session.token, self.clock.wall().0);
        if let Ok(stats) = files(endpoint, now, key, |files| Ok(files.stats())) {
            self.register.change(token, wall, |record| record.stored = stats.acked + stats.kept);
        }
    }

    fn on_report(&mut self, key: Key, report: Report) {
        let title = self.title(key);
        match report {
            Report::Failed { name, code, reason, by_peer, .. } => {
                let whose = if by_peer { "the peer gave it up: " } else { "" };
                log::warn!("{title}: {}: {whose}{reason} ({code})", crate::units::clean(&name));
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.trouble = Some(format!("{name}: {whose}{reason}"));
                }
            }
            Report::Outdated { name, .. } => {
                let name = crate::units::clean(&name);
                log::info!("{title}: {name}: what was there of it is of another version");
            }
            Report::Ignored { path, reason } => log::info!("{title}: {path} left out: {reason}"),
            Report::Placed { path, size, how, .. } => {
                log::debug!("{title}: /{path}: {size} bytes, {how:?}");
            }
            Report::Entry { .. }
            | Report::Checking { .. }
            | Report::Resumed { .. }
            | Report::Skipped { .. }
            | Report::Sent { .. } => {}
        }
    }

    fn title(&self, key: Key) -> String {
        match self.sessions.get(&key) {
            Some(session) => session.title.clone(),
            None => format!("{} {}", key.0, key.1),
        }
    }

    fn save(&mut self) {
        self.store.save(self.register.take_changes());
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.save();
    }
}

/// A command to a transfer.
fn files<T>(
    endpoint: &mut Endpoint,
    now: Instant,
    (conn, session): Key,
    then: impl FnOnce(&mut anabranch_core::Files<'_>) -> Result<T, Misuse>,
) -> Result<T, Misuse> {
    let mut conn = endpoint.conn(now, conn)?;
    then(&mut conn.files(session)?)
}
