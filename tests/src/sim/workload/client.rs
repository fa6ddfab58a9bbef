//! What the application of a client does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anabranch_core::media::{PausePolicy, Start};
use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::{Code, ConnId, Dialect, Misuse, SessionId, Side};

use super::request;
use crate::content::Clip;
use crate::pair::named;
use crate::sim::known::{Phase, Stage};
use crate::sim::saver::Saver;
use crate::sim::trail::Step;
use crate::sim::world::{HostId, Role, World};
use crate::stack::Kind;

/// Connections that a client has at once, at most.
const MAX_CONNS: usize = 3;
/// Sessions that a client has on one connection, on most occasions.
const USUAL_SESSIONS: usize = 4;

/// When so many bytes were asked for in a world, ...
const MUCH: u64 = 8 << 20;
/// ... nothing longer than this is asked for any more: many short runs find more than one long one.
const SHORT: u64 = 70_000;

/// What a client's application can do.
#[derive(Clone, Copy)]
enum Act {
    Connect,
    Open,
    Pause,
    Close,
    Leave,
    Ask,
    Misuse,
    Migrate,
    Read,
    Transfer,
    Steer,
}

/// A command that means nothing in a session's state.
pub(super) const fn wrong(command: &'static str, state: &'static str) -> Option<Misuse> {
    Some(Misuse::WrongState { command, state })
}

impl World {
    pub(super) fn act_as_client(&mut self, host: HostId) {
        let mix = self.swarm.mix;
        let read = if self.swarm.slow_readers { 6 } else { 0 };
        let acts = [
            (mix.connect, Act::Connect),
            (mix.open, Act::Open),
            (mix.pause, Act::Pause),
            (mix.close, Act::Close),
            (mix.leave, Act::Leave),
            (mix.ask, Act::Ask),
            (mix.misuse, Act::Misuse),
            (mix.migrate, Act::Migrate),
            (read, Act::Read),
            (mix.files, Act::Transfer),
            (mix.files / 2, Act::Steer),
        ];
        match self.hosts[host].draw.weighted(&acts).expect("somebody connects") {
            Act::Connect => self.dial(host),
            Act::Open => self.open(host),
            Act::Pause => self.pause_or_resume(host),
            Act::Close => self.close_session(host),
            Act::Leave => self.leave(host),
            Act::Ask => self.ask(host),
            Act::Misuse => self.misuse(host),
            Act::Migrate => self.migrate(host),
            Act::Read => self.read_or_not(host),
            Act::Transfer => self.transfer(host),
            Act::Steer => self.steer_transfer(host),
        }
    }

    /// The client's connections in a phase.
    fn conns(&mut self, host: HostId, phase: Phase) -> Vec<ConnId> {
        let process = self.hosts[host].process();
        process.map_or_else(Vec::new, |process| process.known.in_phase(Side::Client, phase))
    }

    pub(super) fn any_conn(&mut self, host: HostId, phase: Phase) -> Option<ConnId> {
        let conns = self.conns(host, phase);
        self.hosts[host].draw.any(&conns)
    }

    /// A session of a side that has not ended.
    pub(super) fn any_session(
        &mut self,
        host: HostId,
        side: Side,
    ) -> Option<(ConnId, SessionId, Stage)> {
        let running = self.hosts[host].process()?.known.running(side);
        self.hosts[host].draw.any(&running)
    }

    fn dial(&mut self, host: HostId) {
        let alive = [Phase::Dialled, Phase::Up, Phase::Draining];
        if alive.map(|phase| self.conns(host, phase).len()).iter().sum::<usize>() >= MAX_CONNS {
            return self.open(host);
        }
        let servers = self.role(Role::Server);
        let server = self.hosts[host].draw.pick(&servers);
        let dead = self.hosts[host].draw.percent(10);
        let remote = match dead {
            true => SocketAddr::from((Ipv4Addr::new(192, 0, 2, 254), 9_000)),
            false => self.hosts[server].home,
        };
        let classic = self.swarm.classic.holds(self.hosts[host].draw.number());
        let offered = match classic {
            true => Offered::Classic,
            false => self.hosts[host].draw.pick(&[Offered::V1, Offered::Both]),
        };
        let resume = self.hosts[host].draw.percent(50) && !dead;
        let ticket = self.hosts[host].tickets.get(&server).filter(|_| resume).cloned();
        let asks_early = ticket.is_some() && self.hosts[host].draw.percent(50);
        let id = self.connect(host, remote, offered, ticket);
        if asks_early {
            // In 0-RTT, if the ticket is of the right kind.
            let early = [None, wrong("catalogue listing", "Handshaking")];
            let id_of = self.command(host, "list early", id, &early, |conn| conn.list(None));
            self.asked(host, id, id_of);
        }
    }

    /// Dials.
    pub(in crate::sim) fn connect(
        &mut self,
        host: HostId,
        remote: SocketAddr,
        offered: Offered,
        ticket: Option<bytes::Bytes>,
    ) -> ConnId {
        self.clock.set(self.now);
        let target = Target {
            remote,
            local: self.hosts[host].home,
            server_name: "localhost".to_owned(),
            trust: match self.swarm.transport {
                Kind::Quic => Trust::Pin(self.identity.pin),
                // It has no keys.
                Kind::Dquic => Trust::Any,
            },
            offered,
            ticket,
        };
        let now = self.now;
        let process = self.hosts[host].process().expect("a process");
        let id = process.node.endpoint.connect(now, &target).expect("a target that works");
        process.known.dialled(id, remote);
        self.touched.insert(host);
        self.count("connect");
        let what = format!("connect to {remote} as {id}, {offered:?}");
        self.rolling.add("command", now, what.as_bytes());
        self.trail.push(now, Step::Did(host, what));
        id
    }

    fn open(&mut self, host: HostId) {
        let Some(id) = self.any_conn(host, Phase::Up) else { return };
        let process = self.hosts[host].process().expect("a process");
        let running = process.known.conn(id).running().count();
        // Now and then as many as there can be, and one more.
        if running >= USUAL_SESSIONS && !self.hosts[host].draw.percent(10) {
            return;
        }
        self.open_on(host, id);
    }

    fn open_on(&mut self, host: HostId, id: ConnId) {
        self.next_tag += 1;
        let mut asked = request::draw(&mut self.hosts[host].draw, &self.swarm, self.next_tag);
        let unfinished = self.hosts[host].saver.as_ref().and_then(Saver::unfinished);
        if let Some((clip, from)) = unfinished.filter(|_| self.hosts[host].draw.percent(60)) {
            self.count("go on where a dead process was");
            asked = request::rest(clip, from, self.next_tag);
        }
        let full = |limit, what| Some(Misuse::TooMuch { what, limit });
        // How many the peer allows is its own affair.
        let mut allowed = vec![full(16, "sessions"), full(0, "streams for the peer")];
        allowed.push(asked.misuse);
        let len = asked.clip.as_ref().map_or(0, |clip| clip.len);
        if len > SHORT && self.asked > MUCH {
            return;
        }
        self.asked += len;
        let live = asked.request.pause == PausePolicy::Live;
        let start = asked.request.start;
        let request = asked.request;
        let opened = self.command(host, "open", id, &allowed, |conn| conn.open_media(request));
        let Some(session) = opened else { return };
        if let (Some(clip), Some(from), Some(saver)) =
            (&asked.clip, asked.keep_from, &mut self.hosts[host].saver)
        {
            saver.keep(self.now, (id, session), clip, from);
        }
        let clip = asked.clip.unwrap_or_else(|| Clip::new("", 0, 0));
        self.opened(host, (id, session), clip, start, live);
    }

    fn pause_or_resume(&mut self, host: HostId) {
        let Some((id, session, stage)) = self.any_session(host, Side::Client) else { return };
        let rightly = !self.hosts[host].draw.percent(20);
        let pause = (stage == Stage::Open) == rightly;
        self.set_paused(host, (id, session), stage, pause);
    }

    /// Pauses or resumes a client's session, which may be the wrong thing to do.
    pub(in crate::sim) fn set_paused(
        &mut self,
        host: HostId,
        key: (ConnId, SessionId),
        stage: Stage,
        pause: bool,
    ) {
        let (command, from, to) = match pause {
            true => ("pause", Stage::Open, Stage::Paused),
            false => ("resume", Stage::Paused, Stage::Open),
        };
        let allowed = match stage == from {
            true => None,
            false => wrong(command, stage.client_state()),
        };
        let done = self.media_command(host, command, key, &[allowed], |media| match pause {
            true => media.pause(),
            false => media.resume(),
        });
        if done.is_some() {
            let process = self.hosts[host].process().expect("a process");
            let session = process.known.conn(key.0).sessions.get_mut(&key.1);
            session.expect("a known session").stage = to;
        }
    }

    fn close_session(&mut self, host: HostId) {
        let Some((id, session, stage)) = self.any_session(host, Side::Client) else { return };
        let allowed = match stage {
            Stage::Asked | Stage::Open | Stage::Paused => None,
            Stage::Closing | Stage::Ended => wrong("close", stage.client_state()),
        };
        let key = (id, session);
        let done = self.media_command(host, "close", key, &[allowed], |media| media.close());
        if done.is_some() {
            let process = self.hosts[host].process().expect("a process");
            let session = process.known.conn(id).sessions.get_mut(&session);
            session.expect("a known session").stage = Stage::Closing;
        }
    }

    fn leave(&mut self, host: HostId) {
        let phase = self.hosts[host].draw.pick(&[Phase::Up, Phase::Up, Phase::Dialled]);
        if let Some(id) = self.any_conn(host, phase) {
            self.leave_conn(host, id);
        }
    }

    /// Closes or drains a connection.
    pub(in crate::sim) fn leave_conn(&mut self, host: HostId, id: ConnId) {
        let draw = &mut self.hosts[host].draw;
        let code = draw.pick(&[Code::None, Code::Cancelled, Code::Refused, Code::Other(77)]);
        let reason = "r".repeat(draw.pick(&[0, 10, 256, 257, 2_000]));
        let drain = draw.percent(50);
        let left = Duration::from_millis(draw.pick(&[0, 100, 5_000]));
        let what = if drain { "drain" } else { "close connection" };
        self.command(host, what, id, &[None], |conn| {
            match drain {
                true => conn.drain(left),
                false => conn.close(code, &reason),
            }
            Ok(())
        });
        let process = self.hosts[host].process().expect("a process");
        let conn = process.known.conn(id);
        conn.left = true;
        conn.phase = Phase::Draining;
    }

    fn ask(&mut self, host: HostId) {
        let phase = self.hosts[host].draw.pick(&[Phase::Up, Phase::Up, Phase::Draining]);
        let Some(id) = self.any_conn(host, phase) else { return };
        let many = if self.hosts[host].draw.percent(5) { 70 } else { 1 };
        for _ in 0..many {
            self.ask_on(host, id);
        }
    }

    fn ask_on(&mut self, host: HostId, id: ConnId) {
        let list = self.hosts[host].draw.percent(50);
        let process = self.hosts[host].process().expect("a process");
        let (conn, what) =
            (process.known.conn(id), if list { "catalogue listing" } else { "ping" });
        let full = Some(Misuse::TooMuch { what: "unanswered requests", limit: 64 });
        let allowed = match conn.dialect {
            Some(Dialect::Classic) => vec![Some(Misuse::ClassicPeer(what))],
            Some(Dialect::V1) if conn.left => {
                vec![None, full, wrong(what, "Closing"), Some(Misuse::Gone)]
            }
            Some(Dialect::V1) if conn.requests.len() < 64 => vec![None],
            Some(Dialect::V1) => vec![full],
            None => vec![wrong(what, "Handshaking"), wrong(what, "Closing"), Some(Misuse::Gone)],
        };
        let after = self.hosts[host].draw.pick(&[None, Some("clip 0"), Some("x"), Some("")]);
        let request = self.command(host, what, id, &allowed, |conn| match list {
            true => conn.list(after),
            false => conn.ping(),
        });
        self.asked(host, id, request);
    }

    fn asked(&mut self, host: HostId, id: ConnId, request: Option<anabranch_core::RequestId>) {
        if let (Some(request), Some(process)) = (request, self.hosts[host].process()) {
            process.known.conn(id).requests.insert(request);
        }
    }

    /// The client moves to another address, with all its connections.
    fn migrate(&mut self, host: HostId) {
        let up = self.conns(host, Phase::Up);
        if self.hosts[host].moves > 100 || up.is_empty() {
            return;
        }
        self.hosts[host].moves += 1;
        let (number, moves) = (self.hosts[host].home.ip(), self.hosts[host].moves);
        let IpAddr::V4(old) = number else { return };
        let [a, b, c, _] = old.octets();
        let last = moves.wrapping_add(100);
        let home = SocketAddr::from((Ipv4Addr::new(a, b, c, last), 40_000));
        let nat = self.hosts[host].nat;
        self.network.add_address(self.hosts[host].place, home.ip(), nat);
        if self.hosts[host].draw.percent(70) {
            self.network.remove_address(self.hosts[host].place, old.into());
        }
        self.hosts[host].home = home;
        self.count("migrate");
        self.moved(host);
        for id in up {
            // Whether the peer has given it a connection id to use there is the peer's affair.
            self.command(host, "rebind", id, &[None], |conn| match conn.rebind(home) {
                Err(Misuse::WrongState { command: "rebind", .. }) => Ok(()),
                answer => answer,
            });
        }
    }

    /// The application stops pulling from a session, or goes on.
    fn read_or_not(&mut self, host: HostId) {
        let Some((id, session, _)) = self.any_session(host, Side::Client) else { return };
        let stop = self.hosts[host].draw.percent(50);
        let now = self.now;
        let process = self.hosts[host].process().expect("a process");
        match stop {
            true => process.client.stop_reading((id, session)),
            false => {
                process.client.start_reading(&mut process.node.endpoint, now, (id, session));
            }
        }
        self.touched.insert(host);
        self.count(if stop { "stop reading" } else { "start reading" });
    }

    /// Plays a whole clip, to see that this works.
    pub(in crate::sim) fn play_proof(
        &mut self,
        host: HostId,
        id: ConnId,
        clip: &Clip,
    ) -> SessionId {
        let request = named(&clip.name);
        let opened = self.command(host, "open", id, &[None], |conn| conn.open_media(request));
        self.opened(host, (id, opened.expect("taken")), clip.clone(), Start::Beginning, false)
    }

    /// A session was asked for.
    fn opened(
        &mut self,
        host: HostId,
        (id, session): (ConnId, SessionId),
        clip: Clip,
        start: Start,
        live: bool,
    ) -> SessionId {
        let process = self.hosts[host].process().expect("a process");
        process.node.lifecycle.opened(id, session);
        process.client.opened((id, session), clip);
        if let Some(playback) = process.client.playbacks.get_mut(&(id, session)) {
            playback.may_skip = live;
            playback.may_be_cut = true;
            playback.asked = start;
        }
        process.known.asked(id, session, live);
        session
    }
}
