//! What tests do with clients: connect, play, pause, move.

use std::net::SocketAddr;
use std::time::Duration;

use anabranch_core::transport::{Offered, Target};
use anabranch_core::{ConnId, Event, Misuse, SessionId, Why, media};

use super::{Pair, SERVER, Told, unpaced};
use crate::link::Counts;
use crate::oracle::{Key, Playback, Who};

impl Pair {
    /// Starts a connection of client `n`.
    ///
    /// # Panics
    /// If the endpoint refuses.
    pub fn connect(&mut self, n: usize, offered: Offered) -> ConnId {
        self.connect_with(n, offered, |_| {})
    }

    /// Starts a connection of client `n` to a changed target.
    ///
    /// # Panics
    /// If the endpoint refuses.
    pub fn connect_with(
        &mut self,
        n: usize,
        offered: Offered,
        change: impl FnOnce(&mut Target),
    ) -> ConnId {
        let mut target = self.target(self.clients[n].local, offered);
        change(&mut target);
        let now = self.now;
        self.endpoint(Who::Client(n)).connect(now, &target).expect("a target that works")
    }

    /// Starts a connection of client `n`, and runs until it is up on both sides.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    #[track_caller]
    pub fn up(&mut self, n: usize, offered: Offered) -> ConnId {
        let accepted = self.accepted().len();
        let id = self.connect(n, offered);
        self.must("connected", Duration::from_secs(60), |pair| {
            pair.is_up(n, id) && pair.accepted().len() > accepted
        });
        id
    }

    /// Whether client `n` has been told that a connection is up.
    #[must_use]
    pub fn is_up(&self, n: usize, id: ConnId) -> bool {
        self.events(Who::Client(n), id).any(|event| matches!(event, Event::Connected { .. }))
    }

    /// The server's connections that came up, in that order, closed ones included.
    #[must_use]
    pub fn accepted(&self) -> Vec<ConnId> {
        let up = |told: &&Told| matches!(told.2, Event::Connected { .. });
        self.told(Who::Server).iter().filter(up).map(|told| told.1).collect()
    }

    /// How a connection ended, if it has.
    #[must_use]
    pub fn closed(&self, who: Who, id: ConnId) -> Option<&Why> {
        self.events(who, id).find_map(|event| match event {
            Event::Closed(why) => Some(why),
            _ => None,
        })
    }

    /// Events of one session, without their ids.
    pub fn session_events(&self, who: Who, key: Key) -> impl Iterator<Item = &media::Event> {
        self.events(who, key.0).filter_map(move |event| match event {
            Event::Media(session, event) if *session == key.1 => Some(event),
            _ => None,
        })
    }

    /// Runs until client `n` has received all of a session.
    ///
    /// # Panics
    /// If it ends in another way, or takes longer.
    #[track_caller]
    pub fn complete(&mut self, n: usize, key: Key, limit: Duration) {
        self.must("the session ends", limit, |pair| pair.playback(n, key).ended.is_some());
        let playback = self.playback(n, key);
        let closed = (self.closed(Who::Client(n), key.0), self.told(Who::Server).last());
        assert!(playback.is_complete(), "{key:?}: {:?}, {closed:?}", playback.ended);
    }

    /// Client `n` asks for clip number `clip` on a connection.
    ///
    /// # Errors
    /// As [`Conn::open_media`].
    pub fn open(
        &mut self,
        n: usize,
        conn: ConnId,
        clip: usize,
        request: media::Request,
    ) -> Result<SessionId, Misuse> {
        let clip = self.options.clips[clip].clone();
        let session = self.conn(Who::Client(n), conn)?.open_media(request)?;
        self.clients[n].lifecycle.opened(conn, session);
        self.client_apps[n].opened((conn, session), clip);
        Ok(session)
    }

    /// Client `n` asks for the first clip, unpaced, on a connection.
    ///
    /// # Panics
    /// If the endpoint refuses.
    pub fn play(&mut self, n: usize, conn: ConnId) -> SessionId {
        self.open(n, conn, 0, unpaced()).expect("a session can be opened")
    }

    /// What client `n` has received of a session.
    #[must_use]
    pub fn playback(&self, n: usize, key: Key) -> &Playback {
        &self.client_apps[n].playbacks[&key]
    }

    /// Client `n` pauses a session. With `grace` nothing may arrive after so long.
    ///
    /// # Errors
    /// As [`anabranch_core::Media::pause`].
    pub fn pause(&mut self, n: usize, key: Key, grace: Option<Duration>) -> Result<(), Misuse> {
        self.conn(Who::Client(n), key.0)?.media(key.1)?.pause()?;
        let now = self.now;
        if let (Some(grace), Some(playback)) = (grace, self.client_apps[n].playbacks.get_mut(&key))
        {
            playback.paused(now, grace);
        }
        Ok(())
    }

    /// Client `n` resumes a session.
    ///
    /// # Errors
    /// As [`anabranch_core::Media::resume`].
    pub fn resume(&mut self, n: usize, key: Key) -> Result<(), Misuse> {
        self.conn(Who::Client(n), key.0)?.media(key.1)?.resume()?;
        if let Some(playback) = self.client_apps[n].playbacks.get_mut(&key) {
            playback.resumed();
        }
        Ok(())
    }

    /// Client `n` pulls nothing more from a session.
    pub fn stop_reading(&mut self, n: usize, key: Key) {
        self.client_apps[n].stop_reading(key);
    }

    /// Client `n` pulls from a session again.
    pub fn start_reading(&mut self, n: usize, key: Key) {
        self.clock.set(self.now);
        self.client_apps[n].start_reading(&mut self.clients[n].endpoint, self.now, key);
    }

    /// Client `n` gets a new address, and tells its endpoint so.
    ///
    /// # Errors
    /// As [`Conn::rebind`].
    pub fn migrate(&mut self, n: usize, conn: ConnId) -> Result<(), Misuse> {
        let local = self.wires[n].move_on(&mut self.network);
        self.conn(Who::Client(n), conn)?.rebind(local)?;
        self.clients[n].local = local;
        Ok(())
    }

    /// Every address of client `n` but the newest stops working.
    pub fn cut(&mut self, n: usize) {
        self.wires[n].cut(&mut self.network);
    }

    /// The NAT in front of client `n` forgets its mapping: the world sees the client at another
    /// port from now on, and the old port leads nowhere.
    pub fn rebind_port(&mut self, n: usize) {
        self.network.nat(self.wires[n].nat()).rebind_port();
    }

    /// As [`Pair::rebind_port`], with another address too.
    pub fn rebind_address(&mut self, n: usize) {
        self.network.nat(self.wires[n].nat()).rebind_address();
    }

    /// What the server sees in place of client `n`'s newest address, if it has sent anything
    /// from there.
    #[must_use]
    pub fn seen_as(&self, n: usize) -> Option<SocketAddr> {
        let wire = &self.wires[n];
        self.network.seen_as(wire.nat(), wire.home(), SERVER)
    }

    /// What the link from client `n` to the server has done, and the one back.
    #[must_use]
    pub fn counts(&self, n: usize) -> (Counts, Counts) {
        let wire = &self.wires[n];
        (self.network.counts(wire.up), self.network.counts(wire.down))
    }

    /// Whether the links from and to client `n` swallow everything.
    pub fn blackhole(&mut self, n: usize, up: bool, down: bool) {
        self.network.set_blackhole(self.wires[n].up, up);
        self.network.set_blackhole(self.wires[n].down, down);
    }
}
