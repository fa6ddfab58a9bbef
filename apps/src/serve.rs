//! The application of `anabranchd`: answers what the endpoint wants from its catalogue, says
//! what happens, and ends when it is told to.

mod files;
mod media;
mod start;
mod upkeep;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anabranch_core::{App, ConnId, Endpoint, Event, Instant, Misuse, SessionId, UnixMillis};

use crate::catalogue::{Catalogue, Source};
use crate::cert::Identity;
use crate::exit::{Exit, Failure};
use crate::reader::{Done, Key, Readers};
use crate::signals::Signal;
use crate::units::{count, show_duration, show_size};

pub use media::how;
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

    fn title(&self, key: Key) -> String {
        match self.sessions.get(&key) {
            Some(running) => running.title.clone(),
            None => format!("{} {}", self.peer(key.0), key.1),
        }
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
