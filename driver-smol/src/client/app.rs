//! The application on the loop: turns commands into calls, and events into answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anabranch_core::event::Listing;
use anabranch_core::transport::Target;
use anabranch_core::{
    Code, Conn, ConnId, Endpoint, Event, Instant, Misuse, RequestId, SessionId, Why, media,
};
use smol::channel::{self, Receiver, Sender};

use super::command::{Act, Command, Handle, Note, Reply, WeakHandle};
use super::connection::{Connection, Established, Inner, Notice};
use super::error::{ConnectError, OpenError, RequestError};
use super::moving::Moving;
use super::outcome::{Outcome, Setter, outcome};
use super::session::Session;
use super::stream::MediaStream;
use crate::inbox;

/// Notices of one connection that wait for somebody to ask.
const NOTICES: usize = 64;

/// One connection.
struct Entry {
    connecting: Option<Connecting>,
    notices: Sender<Notice>,
    closed: Setter<Why>,
    lists: BTreeMap<RequestId, Reply<Result<Listing, RequestError>>>,
    pings: BTreeMap<RequestId, Reply<Result<Duration, RequestError>>>,
    sessions: BTreeMap<SessionId, Session>,
}

/// Who waits for the handshake, and what the [`Connection`] will hold.
struct Connecting {
    reply: Reply<Result<Connection, ConnectError>>,
    notices: Receiver<Notice>,
    closed: Outcome<Why>,
}

/// The application. Runs until every handle is gone.
pub(super) struct App {
    handle: Option<WeakHandle>,
    connections: BTreeMap<ConnId, Entry>,
    moving: Option<Moving>,
}

/// Requests on their way, and who waits for their answers.
type Waiting<T> = BTreeMap<RequestId, Reply<Result<T, RequestError>>>;

impl App {
    pub(super) const fn new() -> Self {
        Self { handle: None, connections: BTreeMap::new(), moving: None }
    }

    /// Learns the way into the driver it runs on, without keeping it open.
    pub(super) fn attach(&mut self, inbox: inbox::Handle<Command>) -> Handle {
        let desk = Moving::desk(inbox.downgrade());
        let handle = Handle::new(inbox, desk.buffers());
        self.handle = Some(handle.downgrade());
        self.moving = Some(Moving::new(desk, handle.downgrade()));
        handle
    }

    fn connect(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        target: &Target,
        reply: Reply<Result<Connection, ConnectError>>,
    ) {
        let id = match endpoint.connect(now, target) {
            Ok(id) => id,
            Err(misuse) => {
                let _ = reply.try_send(Err(ConnectError::Misuse(misuse)));
                return;
            }
        };
        let (notices, notices_out) = channel::bounded(NOTICES);
        let (setter, closed) = outcome();
        let entry = Entry {
            connecting: Some(Connecting { reply, notices: notices_out, closed }),
            notices,
            closed: setter,
            lists: BTreeMap::new(),
            pings: BTreeMap::new(),
            sessions: BTreeMap::new(),
        };
        self.connections.insert(id, entry);
    }

    fn connected(&mut self, id: ConnId, facts: Established) {
        let Some(handle) = self.handle.as_ref().and_then(WeakHandle::upgrade) else { return };
        let Some(entry) = self.connections.get_mut(&id) else { return };
        if let Some(Connecting { reply, notices, closed }) = entry.connecting.take() {
            let inner = Inner { handle, id, facts, notices, closed };
            // Where nobody waits any more, it is dropped, and that closes the connection.
            let _ = reply.try_send(Ok(Connection(Arc::new(inner))));
        }
    }

    fn open(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: Connection,
        request: media::Request,
        reply: Reply<Result<(MediaStream, media::Grant), OpenError>>,
    ) {
        let id = connection.0.id;
        let opened = endpoint.conn(now, id).and_then(|mut conn| conn.open_media(request));
        let entry = self.connections.get_mut(&id).zip(self.handle.clone());
        match (opened, entry) {
            (Ok(session), Some((entry, weak))) => {
                let new = Session::new(session, connection, reply, weak);
                entry.sessions.insert(session, new);
            }
            (Err(misuse), _) => {
                let _ = reply.try_send(Err(OpenError::Misuse(misuse)));
            }
            (Ok(_), None) => {
                let _ = reply.try_send(Err(OpenError::Misuse(Misuse::Gone)));
            }
        }
    }

    /// Starts a request on the control stream; its answer comes as an event.
    fn start<T>(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: ConnId,
        reply: Reply<Result<T, RequestError>>,
        ask: impl FnOnce(&mut Conn<'_>) -> Result<RequestId, Misuse>,
        waiting: impl FnOnce(&mut Entry) -> &mut Waiting<T>,
    ) {
        let asked = endpoint.conn(now, id).and_then(|mut conn| ask(&mut conn));
        match (asked, self.connections.get_mut(&id)) {
            (Ok(request), Some(entry)) => {
                waiting(entry).insert(request, reply);
            }
            (Err(misuse), _) => {
                let _ = reply.try_send(Err(RequestError::Misuse(misuse)));
            }
            (Ok(_), None) => {
                let _ = reply.try_send(Err(RequestError::Misuse(Misuse::Gone)));
            }
        }
    }

    /// Does what was noted since the last time.
    fn heed_notes(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let notes = self.handle.as_ref().map(WeakHandle::take_notes);
        for note in notes.unwrap_or_default() {
            match note {
                Note::CloseConnection(id) => {
                    if let Ok(mut conn) = endpoint.conn(now, id) {
                        conn.close(Code::None, "");
                    }
                }
                // Refused when it is ending by itself, which is as good.
                Note::CloseSession(id, session) => {
                    let _ = act(endpoint, now, id, session, Act::Close);
                }
                Note::Room(id, session) => self.fill(endpoint, now, id, session),
                Note::CancelTransfer(id, session) => {
                    Moving::give_up(endpoint, now, (id, session), Code::Cancelled);
                }
                Note::WorkerDied(id, session) => {
                    Moving::give_up(endpoint, now, (id, session), Code::Internal);
                }
            }
        }
    }

    fn fill(&mut self, endpoint: &mut Endpoint, now: Instant, id: ConnId, session: SessionId) {
        let entry = self.connections.get_mut(&id);
        if let Some(running) = entry.and_then(|entry| entry.sessions.get_mut(&session)) {
            running.fill(endpoint, now, id, session);
        }
    }

    fn on_media(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: ConnId,
        session: SessionId,
        event: media::Event,
    ) {
        let Some(entry) = self.connections.get_mut(&id) else { return };
        match event {
            media::Event::Opened(grant) => {
                if let Some(running) = entry.sessions.get_mut(&session) {
                    running.opened(session, grant);
                }
            }
            media::Event::Refused(nack) => {
                if let Some(running) = entry.sessions.remove(&session) {
                    running.refused(nack);
                }
            }
            media::Event::Readable => self.fill(endpoint, now, id, session),
            media::Event::Ended(ended) => {
                if let Some(running) = entry.sessions.remove(&session) {
                    running.finish(ended);
                }
            }
            media::Event::Wanted { .. } | media::Event::Paused | media::Event::Resumed { .. } => {
                log::debug!("{id} {session}: an event for servers: {event:?}");
            }
        }
    }

    fn closed(&mut self, id: ConnId, why: &Why) {
        let Some(entry) = self.connections.remove(&id) else { return };
        // First the reason, so that whoever is told something below can find it.
        entry.closed.set(why.clone());
        if let Some(connecting) = entry.connecting {
            let _ = connecting.reply.try_send(Err(ConnectError::Lost(why.clone())));
        }
        let lost = || RequestError::Lost(why.clone());
        for reply in entry.lists.into_values() {
            let _ = reply.try_send(Err(lost()));
        }
        for reply in entry.pings.into_values() {
            let _ = reply.try_send(Err(lost()));
        }
        for session in entry.sessions.into_values() {
            session.lose(why);
        }
        if let Some(moving) = &mut self.moving {
            moving.closed(id, lost);
        }
    }

    fn notice(&self, id: ConnId, notice: Notice) {
        if let Some(entry) = self.connections.get(&id) {
            // The oldest gives way; nobody there to listen is no error.
            let _ = entry.notices.force_send(notice);
        }
    }
}

fn act(
    endpoint: &mut Endpoint,
    now: Instant,
    id: ConnId,
    session: SessionId,
    act: Act,
) -> Result<(), Misuse> {
    let mut conn = endpoint.conn(now, id)?;
    let mut media = conn.media(session)?;
    match act {
        Act::Pause => media.pause(),
        Act::Resume => media.resume(),
        Act::Close => media.close(),
    }
}

/// Answers with what a call gave. Nobody waiting any more is no error.
fn answer<T>(reply: &Reply<Result<T, RequestError>>, result: Result<T, Misuse>) {
    let _ = reply.try_send(result.map_err(RequestError::Misuse));
}

impl anabranch_core::App for App {
    type Command = Command;

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, id: ConnId, event: Event) {
        match event {
            Event::Connected { dialect, remote, peer_key, resumed } => {
                self.connected(id, Established { dialect, remote, peer_key, resumed });
            }
            Event::Hello { agent } => self.notice(id, Notice::Hello { agent }),
            Event::Moved(path) => self.notice(id, Notice::Moved(path)),
            Event::GoAway { left } => self.notice(id, Notice::GoAway { left }),
            Event::Pong { request, rtt } => {
                let entry = self.connections.get_mut(&id);
                if let Some(reply) = entry.and_then(|entry| entry.pings.remove(&request)) {
                    answer(&reply, Ok(rtt));
                }
            }
            Event::Listing(listing) => {
                let entry = self.connections.get_mut(&id);
                if let Some(reply) = entry.and_then(|entry| entry.lists.remove(&listing.request)) {
                    answer(&reply, Ok(listing));
                }
            }
            Event::Media(session, event) => self.on_media(endpoint, now, id, session, event),
            Event::Files(session, event) => {
                if let Some(moving) = &mut self.moving {
                    moving.on_event(endpoint, now, (id, session), event);
                }
            }
            Event::Closed(why) => self.closed(id, &why),
        }
    }

    fn on_command(&mut self, endpoint: &mut Endpoint, now: Instant, command: Command) {
        match command {
            Command::Connect(target, reply) => self.connect(endpoint, now, &target, reply),
            Command::Open(connection, request, reply) => {
                self.open(endpoint, now, connection, *request, reply);
            }
            Command::Act(id, session, what, reply) => {
                answer(&reply, act(endpoint, now, id, session, what));
            }
            Command::SessionStats(id, session, reply) => {
                let mut conn = endpoint.conn(now, id);
                let media = conn.as_mut().map_err(|misuse| *misuse).and_then(|c| c.media(session));
                answer(&reply, media.map(|media| media.stats()));
            }
            Command::List(id, after, reply) => {
                let ask = |conn: &mut Conn<'_>| conn.list(after.as_deref());
                self.start(endpoint, now, id, reply, ask, |entry| &mut entry.lists);
            }
            Command::Ping(id, reply) => {
                let ask = |conn: &mut Conn<'_>| conn.ping();
                self.start(endpoint, now, id, reply, ask, |entry| &mut entry.pings);
            }
            Command::Ticket(id, reply) => {
                let ticket = endpoint.conn(now, id).ok().and_then(|conn| conn.ticket());
                let _ = reply.try_send(ticket);
            }
            Command::Stats(id, reply) => {
                answer(&reply, endpoint.conn(now, id).map(|conn| conn.stats()));
            }
            Command::Close(id, code, reason) => {
                if let Ok(mut conn) = endpoint.conn(now, id) {
                    conn.close(code, &reason);
                }
            }
            Command::Rebind(id, local, reply) => {
                let moved = endpoint.conn(now, id).and_then(|mut conn| conn.rebind(local));
                answer(&reply, moved);
            }
            Command::Move(connection, wish, worker, reply) => {
                let Some(moving) = &mut self.moving else { return };
                let started = moving.start(endpoint, now, connection, &wish, worker);
                let _ = reply.try_send(started);
            }
            Command::Transfer(id, session, order, reply) => {
                answer(&reply, Moving::order(endpoint, now, (id, session), *order));
            }
            Command::TransferStats(id, session, reply) => {
                let mut conn = endpoint.conn(now, id);
                let files = conn.as_mut().map_err(|misuse| *misuse).and_then(|c| c.files(session));
                answer(&reply, files.map(|files| files.stats()));
            }
            Command::AskFiles(id, query, reply) => {
                if let Some(moving) = &mut self.moving {
                    moving.ask(endpoint, now, id, query, reply);
                }
            }
            Command::Done(done) => {
                if let Some(moving) = &mut self.moving {
                    moving.on_done(endpoint, now, done);
                }
            }
            Command::Notes => {}
        }
        self.heed_notes(endpoint, now);
    }

    fn is_done(&self, _: &Endpoint) -> bool {
        self.handle.as_ref().is_none_or(|handle| handle.upgrade().is_none())
    }
}
