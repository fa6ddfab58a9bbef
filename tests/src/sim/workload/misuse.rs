//! Commands that cannot be obeyed: to what is gone, by the wrong side, for nothing.

use anabranch_core::media::Request;
use anabranch_core::{ConnId, Misuse, SessionId, Side};
use bytes::Bytes;

use crate::sim::known::{Phase, Stage};
use crate::sim::world::{HostId, World};

impl World {
    /// Gives one command that cannot be obeyed.
    pub(super) fn misuse(&mut self, host: HostId) {
        match self.hosts[host].draw.index(5) {
            4 => self.command_the_draining(host),
            0 => self.command_nobody(host),
            1 => self.command_the_gone(host),
            2 => self.command_the_ended(host),
            _ => self.take_the_wrong_role(host),
        }
    }

    /// To a connection that never was.
    fn command_nobody(&mut self, host: HostId) {
        let slot = u32::try_from(self.hosts[host].draw.range(1_000, 2_000)).expect("small");
        let nobody = ConnId { slot, generation: 0 };
        let gone = [Some(Misuse::Gone)];
        self.command(host, "ping nobody", nobody, &gone, |conn| conn.ping());
        let key = (nobody, SessionId(0));
        self.media_command(host, "pause nothing", key, &gone, |media| media.pause());
    }

    /// To a connection whose end was told.
    fn command_the_gone(&mut self, host: HostId) {
        let Some(process) = self.hosts[host].process() else { return };
        let over =
            [Side::Client, Side::Server].map(|side| process.known.in_phase(side, Phase::Over));
        let Some(id) = self.hosts[host].draw.any(&over.concat()) else { return };
        let gone = [Some(Misuse::Gone)];
        self.command(host, "open on the gone", id, &gone, |conn| {
            conn.open_media(Request::default())
        });
        self.command(host, "ping the gone", id, &gone, |conn| conn.ping());
    }

    /// To a connection that starts nothing new.
    fn command_the_draining(&mut self, host: HostId) {
        let Some(process) = self.hosts[host].process() else { return };
        let draining = process.known.in_phase(Side::Client, Phase::Draining);
        let Some(id) = self.hosts[host].draw.any(&draining) else { return };
        self.command(host, "open while draining", id, &[Some(Misuse::Draining)], |conn| {
            conn.open_media(Request::default())
        });
    }

    /// To a session whose end was told.
    fn command_the_ended(&mut self, host: HostId) {
        let Some(process) = self.hosts[host].process() else { return };
        let conns = process.known.conns.iter();
        let ended: Vec<_> = conns
            .flat_map(|(id, conn)| {
                conn.sessions.iter().map(|(session, s)| (*id, *session, s.stage))
            })
            .filter(|(_, _, stage)| *stage == Stage::Ended)
            .collect();
        let Some((id, session, _)) = self.hosts[host].draw.any(&ended) else { return };
        let gone = [Some(Misuse::Gone)];
        let key = (id, session);
        match self.hosts[host].draw.index(3) {
            0 => self.media_command(host, "pause the ended", key, &gone, |media| media.pause()),
            1 => self.media_command(host, "close the ended", key, &gone, |media| media.close()),
            _ => self.media_command(host, "supply the ended", key, &gone, |media| {
                media.supply(0, Bytes::new(), false)
            }),
        };
    }

    /// What only the other side can do.
    fn take_the_wrong_role(&mut self, host: HostId) {
        let side = self.hosts[host].draw.pick(&[Side::Client, Side::Server]);
        let Some((id, session, _)) = self.any_session(host, side) else { return };
        let wrong = |what| [Some(Misuse::WrongRole(what))];
        let key = (id, session);
        match (side, self.hosts[host].draw.index(3)) {
            (Side::Client, 0) => {
                self.media_command(host, "fail", key, &wrong("supplying"), |m| m.source_failed());
            }
            (Side::Client, _) => {
                self.media_command(host, "supply", key, &wrong("supplying"), |media| {
                    media.supply(0, Bytes::from_static(b"not mine to give"), false)
                });
            }
            (Side::Server, 0) => {
                self.media_command(host, "pause", key, &wrong("pausing"), |media| media.pause());
            }
            (Side::Server, 1) => {
                let mut buf = [0; 16];
                self.media_command(host, "pull", key, &wrong("pulling"), |m| m.pull(&mut buf));
            }
            (Side::Server, _) => {
                let allowed = wrong("asking for media");
                self.command(host, "open", id, &allowed, |conn| {
                    conn.open_media(Request::default())
                });
            }
        }
    }
}
