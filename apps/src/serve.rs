//! The application of `anabranchd`: answers what the endpoint wants from its catalogue, says
//! what happens, and ends when it is told to.

mod files;
mod start;
mod upkeep;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anabranch_core::media::{self, EndReason, Ended, Grant, Pace};
use anabranch_core::{
    App, ConnId, Endpoint, Event, Instant, MediaId, Misuse, SessionId, UnixMillis,
};

use bytes::Bytes;

use crate::catalogue::{Catalogue, Source};
use crate::cert::Identity;
use crate::exit::{Exit, Failure};
use crate::reader::{Done, Job, Key, Readers};
use crate::signals::Signal;
use crate::units::{count, show_bitrate, show_duration, show_size};

pub use start::run;

/// What other threads tell the loop.
#[derive(Debug)]
pub enum Command {
    /// Bytes have been read.
    Read(Done),
    /// Something is said about files.
    Files(files::News),
    /// Stop; the second time, at once.
    Stop(Signal),
    /// Everything that is read again has been.
    Reloaded(Box<Reloaded>),
    /// Time has passed; this is the wall clock.
    Tick(UnixMillis),
}

/// What was read again.
#[derive(Debug)]
pub struct Reloaded {
    /// The certificate and key, if they are to be used from now on.
    identity: Result<Option<Identity>, Failure>,
    /// The catalogue, if it is to be used from now on.
    catalogue: Result<Option<Catalogue>, Failure>,
    /// Who may do what with files, if that is to count from now on.
    files: Result<Option<files::Policy>, Failure>,
}

/// A session that runs.
#[derive(Debug)]
struct Running {
    title: String,
    source: Option<Source>,
    /// Open, once a thread has read from it.
    file: Option<Arc<File>>,
    /// Pieces that threads are reading: what is asked for next comes after them.
    reading: usize,
    opened: Instant,
    pauses: u32,
}

impl Running {
    const fn new(title: String, opened: Instant) -> Self {
        Self { title, source: None, file: None, reading: 0, opened, pauses: 0 }
    }
}

/// The application.
#[derive(Debug)]
pub struct Server {
    readers: Readers,
    catalogue: Catalogue,
    files: Option<files::Files>,
    drain: Duration,
    remotes: BTreeMap<ConnId, SocketAddr>,
    sessions: BTreeMap<Key, Running>,
    stopping: Option<Signal>,
    forced: bool,
}

impl Server {
    /// An application with this catalogue, which the endpoint's hub has too.
    fn new(
        readers: Readers,
        catalogue: Catalogue,
        files: Option<files::Files>,
        drain: Duration,
    ) -> Self {
        Self {
            readers,
            catalogue,
            files,
            drain,
            remotes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            stopping: None,
            forced: false,
        }
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.stopping {
            Some(signal) if self.forced => signal.exit(),
            _ => Exit::Ok,
        }
    }

    fn peer(&self, conn: ConnId) -> String {
        self.remotes.get(&conn).map_or_else(|| conn.to_string(), SocketAddr::to_string)
    }

    fn on_media(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key, event: media::Event) {
        match event {
            media::Event::Opened(grant) => self.opened(now, key, &grant),
            media::Event::Wanted { media, offset, len } => {
                self.wanted(endpoint, now, key, media, offset, len);
            }
            media::Event::Paused => {
                if let Some(running) = self.sessions.get_mut(&key) {
                    running.pauses += 1;
                    log::info!("{}: paused", running.title);
                }
            }
            media::Event::Resumed { skipped } => {
                if let Some(running) = self.sessions.get(&key) {
                    match skipped {
                        0 => log::info!("{}: resumed", running.title),
                        _ => log::info!("{}: resumed, {skipped} chunks further on", running.title),
                    }
                }
            }
            media::Event::Ended(ended) => self.ended(now, key, &ended),
            // These come to clients.
            media::Event::Refused(_) | media::Event::Readable => {}
        }
    }

    fn opened(&mut self, now: Instant, key: Key, grant: &Grant) {
        let name = grant.name.as_deref().or(self.catalogue.default.as_deref()).unwrap_or("media");
        let title = format!("{} {name}", self.peer(key.0));
        let pace = match grant.pace {
            Pace::Bitrate => show_bitrate(u64::from(grant.bitrate)),
            Pace::Unpaced => "all speed".to_owned(),
        };
        let from = match grant.start {
            0 => String::new(),
            byte => format!(", from byte {byte}"),
        };
        let (chunk, keepalive) = (show_size(u64::from(grant.chunk)), grant.keepalive);
        log::info!("{title}: opened at {pace}, chunks of {chunk}, heartbeat {keepalive} s{from}");
        self.sessions.insert(key, Running::new(title, now));
    }

    fn wanted(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        media: MediaId,
        offset: u64,
        len: usize,
    ) {
        let Some(running) = self.sessions.get_mut(&key) else { return };
        if running.source.is_none() {
            running.source = self.catalogue.sources.get(&media).cloned();
        }
        let Some(source) = running.source.clone() else {
            log::warn!("{}: its file is not in the catalogue any more", self.title(key));
            fail(endpoint, now, key);
            return;
        };
        let file = running.file.as_deref().filter(|_| running.reading == 0);
        if let Some((bytes, end)) =
            file.and_then(|file| self.readers.read_cached(file, &source, offset, len))
        {
            self.supply(endpoint, now, key, offset, bytes, end);
            return;
        }
        running.reading += 1;
        self.readers.read(Job { key, source, offset, len });
    }

    fn supply(
        &self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        offset: u64,
        bytes: Bytes,
        end: bool,
    ) {
        // The session may have ended, or skipped ahead, while the disk was at work.
        if let Err(misuse) = session(endpoint, now, key, |media| media.supply(offset, bytes, end)) {
            log::debug!("{}: {misuse}", self.title(key));
        }
    }

    fn title(&self, key: Key) -> String {
        match self.sessions.get(&key) {
            Some(running) => running.title.clone(),
            None => format!("{} {}", self.peer(key.0), key.1),
        }
    }

    fn read(&mut self, endpoint: &mut Endpoint, now: Instant, done: Done) {
        let file = done.file.clone();
        let (key, offset, outcome) = done.take();
        if let Some(running) = self.sessions.get_mut(&key) {
            running.reading = running.reading.saturating_sub(1);
            running.file = file;
        }
        match outcome {
            Ok((bytes, end)) => self.supply(endpoint, now, key, offset, bytes, end),
            Err(error) => {
                let path = self.sessions.get(&key).and_then(|running| running.source.as_ref());
                let path = path.map(|source| source.path.display().to_string()).unwrap_or_default();
                log::error!("{}: cannot read {path}: {error}", self.title(key));
                fail(endpoint, now, key);
            }
        }
    }

    fn ended(&mut self, now: Instant, key: Key, ended: &Ended) {
        self.readers.forget(key);
        let Some(running) = self.sessions.remove(&key) else { return };
        let Running { title, opened, pauses, .. } = running;
        let Ended { bytes, chunks, missed, .. } = *ended;
        let how = how(ended.reason);
        let time = show_duration(now.since(opened));
        let mut extra = String::new();
        if pauses > 0 {
            extra.push_str(&format!(", {}", count(pauses as usize, "pause")));
        }
        if missed > 0 {
            extra.push_str(&format!(", {missed} chunks skipped"));
        }
        let size = show_size(bytes);
        log::info!("{title}: {how}: {size} in {chunks} chunks, {time}{extra}");
    }

    fn closed(&mut self, conn: ConnId) {
        let lost: Vec<Key> = self
            .sessions
            .range((conn, SessionId(0))..=(conn, SessionId(u32::MAX)))
            .map(|s| *s.0)
            .collect();
        for key in lost {
            self.readers.forget(key);
            if let Some(running) = self.sessions.remove(&key) {
                log::info!("{}: the connection is gone", running.title);
            }
        }
        self.remotes.remove(&conn);
    }

    /// What runs, for people.
    fn describe_running(&self) -> String {
        let sessions = count(self.sessions.len(), "session");
        match &self.files {
            Some(files) => format!("{sessions}, {}", count(files.running(), "transfer")),
            None => sessions,
        }
    }

    fn stop(&mut self, endpoint: &mut Endpoint, now: Instant, signal: Signal) {
        let running = self.sessions.len() + self.files.as_ref().map_or(0, files::Files::running);
        if self.stopping.is_some() {
            log::warn!("stopping at once: {} cut short", self.describe_running());
            self.forced = true;
            self.stopping = Some(signal);
            endpoint.close_all(now);
            return;
        }
        self.stopping = Some(signal);
        upkeep::notify(&[sd_notify::NotifyState::Stopping]);
        let time = show_duration(self.drain);
        match running {
            0 => log::info!("stopping"),
            _ => {
                let what = self.describe_running();
                log::info!("stopping: {what} may go on for {time}; stop again to cut short");
            }
        }
        endpoint.listen(false);
        endpoint.drain(now, self.drain);
    }

    fn reloaded(&mut self, endpoint: &mut Endpoint, reloaded: Reloaded) {
        let Reloaded { identity, catalogue, files } = reloaded;
        let taken = identity.and_then(|identity| {
            identity.map_or(Ok(()), |new| {
                endpoint.set_identity(&new.chain, &new.key).map_err(|misuse| config(&misuse))?;
                log::info!("certificate: {}, {} days left", new.fingerprint, new.days_left);
                Ok(())
            })
        });
        if let Err(failure) = taken {
            log::error!("the old certificate stays: {failure}");
        }
        let taken = catalogue.and_then(|catalogue| {
            catalogue.map_or(Ok(()), |new| {
                let (entries, default) = (new.entries.clone(), new.default.as_deref());
                endpoint.hub().set_catalogue(entries, default).map_err(|misuse| config(&misuse))?;
                let (files, total) = (count(new.entries.len(), "file"), show_size(new.total()));
                log::info!("media: {files}, {total}");
                self.catalogue = new;
                Ok(())
            })
        });
        if let Err(failure) = taken {
            log::error!("the old list of media stays: {failure}");
        }
        match (&mut self.files, files) {
            (_, Err(failure)) => log::error!("the old settings of files stay: {failure}"),
            (Some(files), Ok(Some(policy))) => files.set_policy(policy),
            (Some(_) | None, Ok(_)) => {}
        }
    }
}

fn config(misuse: &Misuse) -> Failure {
    Failure::new(Exit::Config, misuse.to_string())
}

/// How a session ended, as people read it.
#[must_use]
pub fn how(reason: EndReason) -> String {
    match reason {
        EndReason::Complete => "complete".to_owned(),
        EndReason::Local => "closed".to_owned(),
        EndReason::Peer => "closed by the peer".to_owned(),
        EndReason::Reset(code) => format!("reset by the peer ({code})"),
        EndReason::Violation(violation) => format!("the peer broke a rule ({violation})"),
        EndReason::Timeout => "the peer went silent".to_owned(),
        EndReason::SourceFailed => "the file could not be read".to_owned(),
        EndReason::ConnectionLost => "the connection was lost".to_owned(),
    }
}

fn session<T>(
    endpoint: &mut Endpoint,
    now: Instant,
    (conn, id): Key,
    then: impl FnOnce(&mut anabranch_core::Media<'_>) -> Result<T, Misuse>,
) -> Result<T, Misuse> {
    let mut conn = endpoint.conn(now, conn)?;
    then(&mut conn.media(id)?)
}

fn fail(endpoint: &mut Endpoint, now: Instant, key: Key) {
    if let Err(misuse) = session(endpoint, now, key, |media| media.source_failed()) {
        log::debug!("{}: {misuse}", key.1);
    }
}

impl App for Server {
    type Command = Command;

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, conn: ConnId, event: Event) {
        match event {
            Event::Connected { dialect, remote, resumed, .. } => {
                log::debug!("{remote}: connected, {dialect:?}, resumed: {resumed}");
                self.remotes.insert(conn, remote);
                if let Some(files) = &mut self.files {
                    files.on_connected(conn, remote);
                }
            }
            Event::Hello { agent } => log::debug!("{}: {}", self.peer(conn), agent.escape_debug()),
            Event::Moved(path) => {
                log::info!("{}: moved to {}", self.peer(conn), path.remote);
                self.remotes.insert(conn, path.remote);
                if let Some(files) = &mut self.files {
                    files.on_moved(conn, path.remote);
                }
            }
            Event::Media(id, event) => self.on_media(endpoint, now, (conn, id), event),
            Event::Files(session, event) => match &mut self.files {
                Some(files) => files.on_event(endpoint, now, (conn, session), event),
                None => {
                    if let Ok(mut conn) = endpoint.conn(now, conn) {
                        conn.decline_files(session);
                    }
                }
            },
            Event::Closed(why) => {
                log::debug!("{}: {why}", self.peer(conn));
                self.closed(conn);
                if let Some(files) = &mut self.files {
                    files.on_closed(conn);
                }
            }
            // These come to clients.
            Event::GoAway { .. } | Event::Pong { .. } | Event::Listing(_) => {}
        }
    }

    fn on_command(&mut self, endpoint: &mut Endpoint, now: Instant, command: Command) {
        match command {
            Command::Read(done) => self.read(endpoint, now, done),
            Command::Stop(signal) => self.stop(endpoint, now, signal),
            Command::Files(news) => {
                if let Some(files) = &mut self.files {
                    files.on_news(endpoint, now, news);
                }
            }
            Command::Reloaded(reloaded) => self.reloaded(endpoint, *reloaded),
            Command::Tick(wall) => {
                endpoint.set_wall_clock(now, wall);
                if let Some(files) = &mut self.files {
                    files.on_tick();
                }
                let connections = count(endpoint.connections(), "connection");
                let status = format!("{connections}, {}", self.describe_running());
                upkeep::notify(&[
                    sd_notify::NotifyState::Watchdog,
                    sd_notify::NotifyState::Status(&status),
                ]);
            }
        }
    }

    fn is_done(&self, endpoint: &Endpoint) -> bool {
        self.forced || (self.stopping.is_some() && endpoint.is_idle())
    }
}
