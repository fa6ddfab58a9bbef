//! A server's application: answers `Wanted` with the bytes of a clip.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anabranch_core::media::Event as Media;
use anabranch_core::{ConnId, Endpoint, Event, Instant, MediaId, Misuse};
use bytes::Bytes;

use crate::content::Clip;
use crate::oracle::{Key, Sending};

/// How the application answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supply {
    /// At once.
    #[default]
    AtOnce,
    /// After so long, as a disk would.
    After(Duration),
    /// Its source fails from this byte on.
    FailAt(u64),
    /// Not at all.
    Never,
}

struct Request {
    due: Instant,
    key: Key,
    media: MediaId,
    offset: u64,
    len: usize,
}

/// A server's application.
pub struct ServerApp {
    clips: BTreeMap<MediaId, Clip>,
    /// How it answers from now on.
    pub supply: Supply,
    /// The sessions that run.
    pub sessions: BTreeMap<Key, Sending>,
    requests: VecDeque<Request>,
}

impl ServerApp {
    /// Serves these clips, numbered in the order given.
    #[must_use]
    pub fn new(clips: &[Clip]) -> Self {
        Self {
            clips: (0..).map(MediaId).zip(clips.iter().cloned()).collect(),
            supply: Supply::default(),
            sessions: BTreeMap::new(),
            requests: VecDeque::new(),
        }
    }

    /// Serves one more clip.
    pub fn add(&mut self, media: MediaId, clip: Clip) {
        self.clips.insert(media, clip);
    }

    /// The endpoint has told this.
    ///
    /// # Panics
    /// If it breaks a rule of the oracle.
    pub fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, conn: ConnId, event: &Event) {
        let Event::Media(session, event) = event else { return };
        let key = (conn, *session);
        match event {
            Media::Opened(grant) => {
                self.sessions.insert(key, Sending::new(grant));
            }
            Media::Wanted { media, offset, len } => {
                // It may have ended meanwhile, its Ended waiting in the queue of events.
                if let Some(stats) = endpoint.media_stats(conn, *session) {
                    self.session(key).wanted(*offset, *len, stats.bytes);
                }
                let delay = match self.supply {
                    Supply::AtOnce | Supply::FailAt(_) => Duration::ZERO,
                    Supply::After(delay) => delay,
                    Supply::Never => return,
                };
                let (media, offset, len) = (*media, *offset, *len);
                self.requests.push_back(Request { due: now + delay, key, media, offset, len });
                self.on_time(endpoint, now);
            }
            Media::Paused => {
                // It may have ended meanwhile, its Ended waiting in the queue of events.
                if let Some(stats) = endpoint.media_stats(conn, *session) {
                    self.session(key).paused(&stats);
                }
            }
            Media::Resumed { .. } => self.session(key).resumed(),
            Media::Ended(_) => {
                self.sessions.remove(&key);
            }
            Media::Refused(_) | Media::Readable => panic!("{event:?} on a server"),
        }
    }

    fn session(&mut self, key: Key) -> &mut Sending {
        self.sessions.get_mut(&key).unwrap_or_else(|| panic!("{key:?} was not opened"))
    }

    /// When it will answer next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.requests.front().map(|request| request.due)
    }

    /// Answers what is due.
    ///
    /// # Panics
    /// If the endpoint does not take what it asked for.
    pub fn on_time(&mut self, endpoint: &mut Endpoint, now: Instant) {
        while self.next().is_some_and(|due| due <= now) {
            let Some(request) = self.requests.pop_front() else { return };
            if let Err(misuse) = self.answer(endpoint, now, &request) {
                // It may have ended meanwhile, its Ended waiting in the queue of events.
                assert_eq!(misuse, Misuse::Gone, "supplying {:?}", request.key);
            }
        }
    }

    fn answer(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        request: &Request,
    ) -> Result<(), Misuse> {
        let (conn, session) = request.key;
        let mut conn = endpoint.conn(now, conn)?;
        let mut media = conn.media(session)?;
        if let Supply::FailAt(byte) = self.supply
            && request.offset + request.len as u64 > byte
        {
            return media.source_failed();
        }
        let clip = &self.clips[&request.media];
        let bytes = clip.read(request.offset, request.len);
        let len = bytes.len();
        let end = request.offset + len as u64 == clip.len;
        assert!(end || len == request.len, "bytes beyond the end are wanted");
        media.supply(request.offset, Bytes::from(bytes), end)?;
        if let Some(sending) = self.sessions.get_mut(&request.key) {
            sending.supplied(request.offset, len);
        }
        Ok(())
    }

    /// Looks at the numbers of every session.
    ///
    /// # Panics
    /// If one holds or sends what it must not.
    pub fn check(&self, endpoint: &Endpoint) {
        for ((conn, session), sending) in &self.sessions {
            if let Some(stats) = endpoint.media_stats(*conn, *session) {
                sending.check(&stats);
            }
        }
    }
}
