//! What applications do: legal and illegal commands, at random, each of which must be answered as
//! documented.

mod client;
mod files;
mod misuse;
mod request;
mod server;

use std::fmt::Debug;
use std::time::Duration;

use anabranch_core::{Conn, ConnId, Media, Misuse, SessionId};

pub(super) use request::tag;

use super::trail::Step;
use super::world::{HostId, Inside, Plan, Role, World};

/// What a command may answer: `None` that it was taken.
pub(super) type Allowed<'a> = &'a [Option<Misuse>];

impl World {
    /// Every application begins to act.
    pub(super) fn begin_workload(&mut self) {
        for host in self.role(Role::Client) {
            self.act_soon(host);
        }
        for host in self.role(Role::Server) {
            self.act_soon(host);
        }
    }

    pub(super) fn act_soon(&mut self, host: HostId) {
        let every = match self.hosts[host].role {
            Role::Client => Some(self.swarm.client_every),
            Role::Server => self.swarm.server_every,
            Role::Rogue => Some(Duration::from_millis(400)),
        };
        if let Some(every) = every {
            let at = self.now + self.hosts[host].draw.around(every);
            self.agenda.put(at, Plan::Act(host));
        }
    }

    /// The application of a host does something.
    pub(super) fn act(&mut self, host: HostId) {
        match (self.hosts[host].role, &self.hosts[host].inside) {
            (Role::Client, Inside::Process(_)) => self.act_as_client(host),
            (Role::Server, Inside::Process(_)) => self.act_as_server(host),
            (Role::Rogue, Inside::Rogue(_)) => self.act_as_rogue(host),
            (Role::Rogue, _) => return,
            (Role::Client | Role::Server, _) => {}
        }
        self.act_soon(host);
    }

    /// Gives a command to a connection. What it answers must be allowed.
    pub(super) fn command<T: Debug>(
        &mut self,
        host: HostId,
        what: &'static str,
        id: ConnId,
        allowed: Allowed<'_>,
        give: impl FnOnce(&mut Conn<'_>) -> Result<T, Misuse>,
    ) -> Option<T> {
        self.clock.set(self.now);
        let now = self.now;
        let process = self.hosts[host].process()?;
        let endpoint = &mut process.node.endpoint;
        let mut before = None;
        let mut after = None;
        let answer = endpoint.conn(now, id).and_then(|mut conn| {
            before = Some((conn.sessions(), conn.dialect(), conn.remote()));
            let answer = give(&mut conn);
            after = Some((conn.sessions(), conn.dialect(), conn.remote()));
            answer
        });
        self.answered(host, what, &format!("{id}"), &answer, allowed);
        if let Err(misuse) = &answer {
            assert_eq!(before, after, "{what} on {id} answered {misuse:?}, and something changed");
        }
        answer.ok()
    }

    /// Gives a command to a session. What it answers must be allowed.
    pub(super) fn media_command<T: Debug>(
        &mut self,
        host: HostId,
        what: &'static str,
        (id, session): (ConnId, SessionId),
        allowed: Allowed<'_>,
        give: impl FnOnce(&mut Media<'_>) -> Result<T, Misuse>,
    ) -> Option<T> {
        self.clock.set(self.now);
        let now = self.now;
        let process = self.hosts[host].process()?;
        let endpoint = &mut process.node.endpoint;
        let before = endpoint.media_stats(id, session);
        let answer = endpoint.conn(now, id).and_then(|mut conn| give(&mut conn.media(session)?));
        let after = endpoint.media_stats(id, session);
        self.answered(host, what, &format!("{id} {session}"), &answer, allowed);
        if let Err(misuse) = &answer {
            let unpaused = |stats: Option<anabranch_core::media::Stats>| {
                stats.map(|stats| (stats.state, stats.bytes, stats.chunks, stats.ignored))
            };
            assert_eq!(
                unpaused(before),
                unpaused(after),
                "{what} on {id} {session} answered {misuse:?}, and something changed"
            );
        }
        answer.ok()
    }

    fn answered<T: Debug>(
        &mut self,
        host: HostId,
        what: &'static str,
        on: &str,
        answer: &Result<T, Misuse>,
        allowed: Allowed<'_>,
    ) {
        self.touched.insert(host);
        self.count(what);
        let told = match answer {
            Ok(_) => "taken".to_owned(),
            Err(misuse) => {
                self.count("(answered with a misuse)");
                format!("{misuse:?}")
            }
        };
        let line = format!("{what} on {on}: {told}");
        self.rolling.add("command", self.now, line.as_bytes());
        self.trail.push(self.now, Step::Did(host, line));
        let misuse = answer.as_ref().err().copied();
        assert!(
            allowed.contains(&misuse),
            "commands: host {host}: {what} on {on} answered {told}, documented are {allowed:?}"
        );
    }
}
