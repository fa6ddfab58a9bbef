//! What the application of a server does, besides answering `Wanted`.

use std::time::Duration;

use anabranch_core::{Dialect, Misuse, Side};
use bytes::Bytes;

use super::client::wrong;
use crate::apps::Supply;
use crate::content;
use crate::sim::faults::Mend;
use crate::sim::known::{Phase, Stage};
use crate::sim::world::{HostId, Plan, World};

impl World {
    pub(super) fn act_as_server(&mut self, host: HostId) {
        match self.hosts[host].draw.index(12) {
            0 | 1 => self.end_a_session(host),
            2 => self.fail_a_source(host),
            3 => self.leave_a_client(host),
            4 => self.drain_all(host),
            5 => self.change_catalogue(host),
            6 => self.supply_unasked(host),
            7 => self.ping_a_client(host),
            8 => self.change_supply(host),
            9 => self.change_habits(host),
            10 => self.steer_transfer(host),
            _ => self.misuse(host),
        }
    }

    fn end_a_session(&mut self, host: HostId) {
        let Some((id, session, stage)) = self.any_session(host, Side::Server) else { return };
        // It may be ending already, of which the application hears only at the end.
        let allowed = match stage {
            Stage::Asked | Stage::Open | Stage::Paused => [None, wrong("close", "CLOSING")],
            Stage::Closing | Stage::Ended => [wrong("close", "CLOSING"); 2],
        };
        let key = (id, session);
        let done = self.media_command(host, "close", key, &allowed, |media| media.close());
        if done.is_some() {
            let process = self.hosts[host].process().expect("a process");
            let session = process.known.conn(id).sessions.get_mut(&session);
            session.expect("a known session").stage = Stage::Closing;
        }
    }

    fn fail_a_source(&mut self, host: HostId) {
        let Some((id, session, _)) = self.any_session(host, Side::Server) else { return };
        self.media_command(host, "fail", (id, session), &[None], |media| media.source_failed());
    }

    fn supply_unasked(&mut self, host: HostId) {
        let Some((id, session, _)) = self.any_session(host, Side::Server) else { return };
        let far = u64::MAX - 1;
        let allowed = [Some(Misuse::NotWanted { wanted: 0, supplied: far })];
        self.media_command(host, "supply unasked", (id, session), &allowed, |media| {
            match media.supply(far, Bytes::from_static(b"unasked"), false) {
                // What is wanted is the session's affair.
                Err(Misuse::NotWanted { supplied, .. }) => {
                    Err(Misuse::NotWanted { wanted: 0, supplied })
                }
                answer => answer,
            }
        });
    }

    fn leave_a_client(&mut self, host: HostId) {
        let Some(process) = self.hosts[host].process() else { return };
        let up = process.known.in_phase(Side::Server, Phase::Up);
        if let Some(id) = self.hosts[host].draw.any(&up) {
            self.leave_conn(host, id);
        }
    }

    /// The whole server shuts down gently, and after some time takes clients again.
    fn drain_all(&mut self, host: HostId) {
        if !self.hosts[host].draw.percent(30) {
            return;
        }
        let left = Duration::from_millis(self.hosts[host].draw.pick(&[0, 500, 8_000]));
        let abrupt = self.hosts[host].draw.percent(20);
        let now = self.now;
        let Some(process) = self.hosts[host].process() else { return };
        match abrupt {
            true => process.node.endpoint.close_all(now),
            false => process.node.endpoint.drain(now, left),
        }
        for conn in process.known.conns.values_mut() {
            conn.left = true;
        }
        process.known.leaving = true;
        self.touched.insert(host);
        self.count(if abrupt { "close all" } else { "drain all" });
        self.note(format!("server {host} shuts down within {left:?}"));
        self.agenda.put(now + left + Duration::from_secs(1), Plan::Mend(Mend::Listen(host)));
    }

    fn change_catalogue(&mut self, host: HostId) {
        let all = content::catalogue(&self.swarm.clips);
        let part: Vec<_> = match self.hosts[host].draw.percent(50) {
            true => all.into_iter().filter(|_| self.hosts[host].draw.percent(50)).collect(),
            false => all,
        };
        let twice: Vec<_> = part.iter().chain(&part).cloned().collect();
        let Some(process) = self.hosts[host].process() else { return };
        let hub = process.node.endpoint.hub();
        if !twice.is_empty() {
            let expected = Err(Misuse::Config("two catalogue entries of one name"));
            assert_eq!(hub.set_catalogue(twice, None), expected, "commands: a bad catalogue");
        }
        assert_eq!(hub.set_catalogue(part, None), Ok(()), "commands: a good catalogue");
        self.count("change catalogue");
    }

    fn ping_a_client(&mut self, host: HostId) {
        let Some(process) = self.hosts[host].process() else { return };
        let up = process.known.in_phase(Side::Server, Phase::Up);
        let Some(id) = self.hosts[host].draw.any(&up) else { return };
        let Some(process) = self.hosts[host].process() else { return };
        let full = Some(Misuse::TooMuch { what: "unanswered requests", limit: 64 });
        let allowed = match process.known.conn(id).dialect {
            Some(Dialect::Classic) => vec![Some(Misuse::ClassicPeer("ping"))],
            // Before the client's control stream has come there is nothing to send it on.
            Some(Dialect::V1) | None => {
                vec![None, full, wrong("ping", "Open"), wrong("ping", "Draining")]
            }
        };
        let request = self.command(host, "ping", id, &allowed, |conn| conn.ping());
        if let (Some(request), Some(process)) = (request, self.hosts[host].process()) {
            process.known.conn(id).requests.insert(request);
        }
    }

    /// The application's disk is slower from now on, or faster, or stands still.
    fn change_supply(&mut self, host: HostId) {
        let delay = self.hosts[host].draw.pick(&[0, 0, 3, 50, 900]);
        let supply = match delay {
            0 => Supply::AtOnce,
            millis => Supply::After(Duration::from_millis(millis)),
        };
        if let Some(process) = self.hosts[host].process() {
            process.server.supply = supply;
        }
        self.count("change supply");
    }
}
