//! File transfers, as the loop sees them.

use std::collections::BTreeMap;

use anabranch_core::files::{self, Ended, Event, Offer, Query, Request};
use anabranch_core::{Code, ConnId, Endpoint, Instant, Misuse, SessionId};
use anabranch_transfers::{Desk, Done, Out, Report, Task, Worker};
use smol::channel::{self, Sender};

use super::command::{Command, Note, Reply, WeakHandle};
use super::connection::Connection;
use super::error::{RequestError, TransferError};
use super::outcome::{Setter, outcome};
use super::transfer::{News, Transfer};
use crate::inbox;

/// Notices of one transfer that wait for somebody to ask.
const NOTICES: usize = 64;
/// Reports of one worker that wait for somebody to ask.
const REPORTS: usize = 256;

/// What this side wants to do.
#[derive(Debug)]
pub(super) enum Wish {
    Offer(Offer),
    Request(Request),
}

/// Who waits for the answer to a start.
pub(super) type Started = Reply<Result<Transfer, TransferError>>;

type Key = (ConnId, SessionId);

/// One transfer and its consumer.
struct Running {
    notices: Sender<News>,
    ended: Setter<Ended>,
}

/// All transfers and questions of the loop.
pub(super) struct Moving {
    desk: Desk,
    weak: WeakHandle,
    running: BTreeMap<Key, Running>,
    asked: BTreeMap<Key, Reply<Result<files::Reply, RequestError>>>,
}

impl Moving {
    /// The workers' desk. What they do comes back as [`Command::Done`].
    pub(super) fn desk(way: inbox::WeakHandle<Command>) -> Desk {
        Desk::new(move |done| {
            let Some(inbox) = way.upgrade() else { return };
            // Blocks the worker while the inbox is full. A driver that is gone needs nothing.
            let _ = smol::block_on(inbox.send(Command::Done(done)));
        })
    }

    /// None yet.
    pub(super) const fn new(desk: Desk, weak: WeakHandle) -> Self {
        Self { desk, weak, running: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// Starts a transfer.
    pub(super) fn start(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: Connection,
        wish: &Wish,
        worker: Box<dyn Worker>,
    ) -> Result<Transfer, TransferError> {
        let refused = |misuse| TransferError::Request(RequestError::Misuse(misuse));
        let id = connection.0.id;
        let mut conn = endpoint.conn(now, id).map_err(refused)?;
        let session = match wish {
            Wish::Offer(offer) => conn.offer_files(offer),
            Wish::Request(request) => conn.request_files(request),
        };
        let session = session.map_err(refused)?;
        let (reports, reports_out) = channel::bounded(REPORTS);
        let key = (id, session);
        let told = Told { worker, reports, key, weak: self.weak.clone() };
        if let Err(error) = self.desk.begin(key, Box::new(told)) {
            // It has just begun: this is always possible.
            let _ = cancel(endpoint, now, key, Code::Internal, "no thread for it");
            return Err(TransferError::Thread(error.to_string()));
        }
        let (notices, notices_out) = channel::bounded(NOTICES);
        let (setter, ended) = outcome();
        self.running.insert(key, Running { notices, ended: setter });
        Ok(Transfer { connection, id: session, notices: notices_out, reports: reports_out, ended })
    }

    /// Asks a question.
    pub(super) fn ask(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: ConnId,
        query: Query,
        reply: Reply<Result<files::Reply, RequestError>>,
    ) {
        match endpoint.conn(now, id).and_then(|mut conn| conn.ask_files(query)) {
            Ok(session) => {
                self.asked.insert((id, session), reply);
            }
            Err(misuse) => {
                let _ = reply.try_send(Err(RequestError::Misuse(misuse)));
            }
        }
    }

    /// Something has happened in a transfer or with a question.
    pub(super) fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        event: Event,
    ) {
        if self.asked.contains_key(&key) {
            return self.answered(key, event);
        }
        if !self.running.contains_key(&key) {
            // Nobody has asked for what the server wants to send, or wants to have.
            if let Ok(mut conn) = endpoint.conn(now, key.0) {
                conn.decline_files(key.1);
            }
            return;
        }
        self.tell(key, &event);
        let ended = match &event {
            Event::Ended(ended) => Some(ended.clone()),
            _ => None,
        };
        self.desk.on_event(endpoint, now, key, event);
        if let Some(ended) = ended
            && let Some(running) = self.running.remove(&key)
        {
            running.ended.set(*ended);
        }
    }

    /// Tells the user what the server has done. Workers tell the rest.
    fn tell(&self, key: Key, event: &Event) {
        let news = match event {
            Event::Accepted => News::Accepted,
            Event::Offered(Offer { entries, bytes, .. }) => {
                News::Offered { entries: *entries, bytes: *bytes }
            }
            Event::Paused { reason } => News::Paused { reason: reason.clone() },
            Event::Resumed => News::Resumed,
            _ => return,
        };
        if let Some(running) = self.running.get(&key) {
            // The oldest gives way; nobody there to listen is no error.
            let _ = running.notices.force_send(news);
        }
    }

    fn answered(&mut self, key: Key, event: Event) {
        let answer = match event {
            Event::Replied(reply) => reply,
            Event::Ended(ended) => unanswered(ended.how),
            _ => return,
        };
        if let Some(reply) = self.asked.remove(&key) {
            let _ = reply.try_send(Ok(answer));
        }
    }

    /// A worker has done something.
    pub(super) fn on_done(&mut self, endpoint: &mut Endpoint, now: Instant, done: Done) {
        let reports = self.desk.on_done(endpoint, now, done);
        debug_assert!(reports.is_empty(), "they go from the worker to its user");
    }

    /// Does what a user wants with a transfer.
    pub(super) fn order(
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        order: files::Command,
    ) -> Result<(), Misuse> {
        let mut conn = endpoint.conn(now, key.0)?;
        conn.files(key.1)?.apply(order, &mut []).map(drop)
    }

    /// Nobody wants this transfer any more, or nobody can do it.
    pub(super) fn give_up(endpoint: &mut Endpoint, now: Instant, key: Key, code: Code) {
        // Refused when it is over, which is as good.
        let _ = cancel(endpoint, now, key, code, "");
    }

    /// The connection is over, and with it its questions. The core has told the end of its
    /// transfers.
    pub(super) fn closed(&mut self, id: ConnId, lost: impl Fn() -> RequestError) {
        let of_it = (id, SessionId(u32::MIN))..=(id, SessionId(u32::MAX));
        let keys: Vec<Key> = self.asked.range(of_it.clone()).map(|(key, _)| *key).collect();
        for reply in keys.iter().filter_map(|key| self.asked.remove(key)) {
            let _ = reply.try_send(Err(lost()));
        }
        let keys: Vec<Key> = self.running.range(of_it).map(|(key, _)| *key).collect();
        for key in keys {
            self.desk.end(key);
            self.running.remove(&key);
        }
    }
}

fn cancel(
    endpoint: &mut Endpoint,
    now: Instant,
    key: Key,
    code: Code,
    reason: &str,
) -> Result<(), Misuse> {
    let reason = reason.to_owned();
    Moving::order(endpoint, now, key, files::Command::Cancel { code, reason })
}

/// A question that ended without its answer was refused, one way or another.
fn unanswered(how: files::End) -> files::Reply {
    let (code, reason) = match how {
        files::End::Peer(code, reason) => (code, reason),
        files::End::Local(code) => (code, String::new()),
        files::End::Violation(rule) => (rule.code(), rule.to_string()),
        files::End::Complete | files::End::ConnectionLost => (Code::Internal, String::new()),
    };
    files::Reply::Refused { code, reason }
}

/// A worker whose reports go straight to the user, who holds it up if they are not taken: the
/// loop has no place for them, and waits for nobody.
struct Told {
    worker: Box<dyn Worker>,
    reports: Sender<Report>,
    key: Key,
    weak: WeakHandle,
}

impl Told {
    fn sort<'a>(reports: &'a Sender<Report>, out: &'a mut dyn FnMut(Out)) -> impl FnMut(Out) + 'a {
        move |given| match given {
            // Where nobody listens any more, nobody needs it.
            Out::Report(report) => drop(reports.send_blocking(report)),
            other => out(other),
        }
    }
}

impl Worker for Told {
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out)) {
        self.worker.run(task, &mut Self::sort(&self.reports, out));
    }

    fn rest(&mut self, out: &mut dyn FnMut(Out)) {
        self.worker.rest(&mut Self::sort(&self.reports, out));
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Nobody else would notice that nothing happens any more.
        if std::thread::panicking() {
            self.weak.note(Note::WorkerDied(self.key.0, self.key.1));
        }
    }
}
