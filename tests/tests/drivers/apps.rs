//! The applications of the conformance test: they know nothing of drivers.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use anabranch_core::event::Listing;
use anabranch_core::media::{Event as Media, Pace, Request};
use anabranch_core::transport::Target;
use anabranch_core::{App, Code, ConnId, Endpoint, Event, Instant, SessionId, Why};
use anabranch_tests::apps::{ClientApp, ServerApp};
use anabranch_tests::content::Clip;

/// Serves clips from memory until so many connections have come and gone.
pub(crate) struct Server {
    inner: ServerApp,
    connections: usize,
    pub(crate) paused: usize,
    pub(crate) resumed: usize,
    pub(crate) ended: usize,
    pub(crate) moved: usize,
    pub(crate) closed: Vec<Why>,
}

impl Server {
    pub(crate) fn new(clips: &[Clip], connections: usize) -> Self {
        let inner = ServerApp::new(clips);
        Self { inner, connections, paused: 0, resumed: 0, ended: 0, moved: 0, closed: Vec::new() }
    }
}

impl App for Server {
    type Command = ();

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, conn: ConnId, event: Event) {
        self.inner.on_event(endpoint, now, conn, &event);
        self.inner.check(endpoint);
        match event {
            Event::Media(_, Media::Paused) => self.paused += 1,
            Event::Media(_, Media::Resumed { .. }) => self.resumed += 1,
            Event::Media(_, Media::Ended(_)) => self.ended += 1,
            Event::Moved(_) => self.moved += 1,
            Event::Closed(why) => self.closed.push(why),
            _ => {}
        }
    }

    fn on_command(&mut self, _: &mut Endpoint, _: Instant, (): ()) {}

    fn is_done(&self, _: &Endpoint) -> bool {
        self.closed.len() >= self.connections
    }
}

/// What a player is told to do.
pub(crate) enum Command {
    /// Connect, and play everything.
    Play(Target),
    /// The socket for this address is there: move the connection to it.
    Move(SocketAddr),
}

/// Plays two clips at once; the first is paused at its third chunk until the second is over.
pub(crate) struct Player {
    inner: ClientApp,
    clips: Vec<Clip>,
    sessions: Vec<SessionId>,
    /// Bytes of the first clip when the second was over: the pause held.
    before_resume: Option<u64>,
    pausing: bool,
    /// Told when the first clip is paused, and waits to be moved before it goes on.
    mover: Option<Sender<()>>,
    conn: Option<ConnId>,
    pongs: usize,
    listing: Option<Listing>,
    closed: Option<Why>,
}

impl Player {
    pub(crate) fn new(clips: Vec<Clip>) -> Self {
        Self {
            inner: ClientApp::default(),
            clips,
            sessions: Vec::new(),
            before_resume: None,
            pausing: false,
            mover: None,
            conn: None,
            pongs: 0,
            listing: None,
            closed: None,
        }
    }

    /// Waits to be moved to another socket while the first clip is paused.
    pub(crate) fn moved_by(self, mover: Sender<()>) -> Self {
        Self { mover: Some(mover), ..self }
    }

    /// Everything has happened as it should.
    pub(crate) fn check(&self) {
        assert_eq!(self.inner.playbacks.len(), 2);
        for playback in self.inner.playbacks.values() {
            assert!(playback.is_complete(), "{}: {:?}", playback.clip.name, playback.ended);
            assert_eq!(playback.bytes, playback.clip.len);
        }
        let before = self.before_resume.expect("the first session was resumed");
        assert!(before < self.clips[0].len, "{before} bytes came in spite of the pause");
        assert_eq!(self.pongs, 1);
        assert_eq!(self.listing.as_ref().map(|listing| listing.entries.len()), Some(2));
        assert_eq!(self.closed, Some(Why::Local(Code::None)));
    }

    fn open_all(&mut self, endpoint: &mut Endpoint, now: Instant, id: ConnId) {
        let mut conn = endpoint.conn(now, id).unwrap();
        conn.list(None).unwrap();
        conn.ping().unwrap();
        for clip in &self.clips {
            let name = Some(clip.name.clone());
            let request = Request { name, pace: Pace::Unpaced, ..Request::default() };
            let session = conn.open_media(request).unwrap();
            self.sessions.push(session);
            self.inner.opened((id, session), clip.clone());
        }
    }

    fn go_on(&mut self, endpoint: &mut Endpoint, now: Instant, id: ConnId) {
        let (Some(first), Some(second)) = (self.sessions.first(), self.sessions.get(1)) else {
            return;
        };
        let ended = |session: SessionId| self.inner.playbacks[&(id, session)].ended.is_some();
        let playing = &self.inner.playbacks[&(id, *first)];
        if !self.pausing && playing.chunks >= 3 {
            self.pausing = true;
            if let Some(mover) = &self.mover {
                mover.send(()).unwrap();
            }
            endpoint.conn(now, id).unwrap().media(*first).unwrap().pause().unwrap();
        }
        let may_go_on = self.mover.is_none() && ended(*second);
        if self.pausing && self.before_resume.is_none() && may_go_on {
            self.before_resume = Some(playing.bytes);
            endpoint.conn(now, id).unwrap().media(*first).unwrap().resume().unwrap();
        }
        let answered = self.pongs > 0 && self.listing.is_some();
        if answered && ended(*first) && ended(*second) && self.closed.is_none() {
            // Once closed, it is gone for commands, but its Closed has still to come.
            if let Ok(mut conn) = endpoint.conn(now, id) {
                conn.close(Code::None, "done");
            }
        }
    }
}

impl App for Player {
    type Command = Command;

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, id: ConnId, event: Event) {
        self.inner.on_event(endpoint, now, id, &event);
        match event {
            Event::Connected { .. } => self.open_all(endpoint, now, id),
            Event::Pong { .. } => self.pongs += 1,
            Event::Listing(listing) => self.listing = Some(listing),
            Event::Closed(why) => {
                self.closed = Some(why);
                return;
            }
            _ => {}
        }
        self.go_on(endpoint, now, id);
    }

    fn on_command(&mut self, endpoint: &mut Endpoint, now: Instant, command: Command) {
        match command {
            Command::Play(target) => self.conn = Some(endpoint.connect(now, &target).unwrap()),
            Command::Move(local) => {
                let id = self.conn.unwrap();
                endpoint.conn(now, id).unwrap().rebind(local).unwrap();
                self.mover = None;
                self.go_on(endpoint, now, id);
            }
        }
    }

    fn is_done(&self, _: &Endpoint) -> bool {
        self.closed.is_some()
    }
}
