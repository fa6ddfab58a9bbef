//! What applications do with files.

use anabranch_core::files::{Offer, Request};
use anabranch_core::transport::Offered;
use anabranch_core::{Code, ConnId, Dialect, Files, Misuse, limits};

use crate::oracle::Key;
use crate::sim::errands::Way;
use crate::sim::known::Phase;
use crate::sim::world::{HostId, World};

impl World {
    /// The server at the other end of a client's connection over which files can go.
    fn server_of(&mut self, host: HostId, id: ConnId) -> Option<HostId> {
        let known = self.hosts[host].process()?.known.conn(id);
        let fits = known.dialect == Some(Dialect::V1) && !known.left;
        let remote = known.remote.filter(|_| fits)?;
        self.honest(remote)
    }

    /// Begins a transfer, or takes one up again.
    pub(super) fn transfer(&mut self, host: HostId) {
        let Some(id) = self.any_conn(host, Phase::Up) else { return };
        let Some(server) = self.server_of(host, id) else { return };
        let waiting = self.errands.waiting(host);
        let here = waiting.into_iter().filter(|n| self.errands.get(*n).server == server);
        let here: Vec<usize> = here.collect();
        let again = self.hosts[host].draw.percent(80);
        let errand = match self.hosts[host].draw.any(&here).filter(|_| again) {
            Some(errand) => Some(errand),
            None => self.new_errand(host, server),
        };
        let Some(errand) = errand else { return };
        if self.hosts[host].draw.percent(10) {
            self.change_source(errand);
        }
        self.try_errand(host, id, errand);
    }

    /// Tries an errand on a connection.
    pub(in crate::sim) fn try_errand(&mut self, host: HostId, id: ConnId, number: usize) {
        let full = |what, limit| Some(Misuse::TooMuch { what, limit });
        let allowed =
            [None, full("transfers", limits::MAX_TRANSFERS), full("streams for the peer", 0)];
        let errand = self.errands.get(number).clone();
        let accept = self.hosts[host].files.habits.accept;
        let session = match errand.way {
            Way::Push => {
                let offer = Offer { rank: errand.token.0[15] & 1, ..Offer::new(errand.token) };
                self.command(host, "push", id, &allowed, |conn| conn.offer_files(&offer))
            }
            Way::Pull => {
                let names = vec![errand.folder.clone()];
                let request = Request { token: errand.token, names, accept };
                self.command(host, "pull", id, &allowed, |conn| conn.request_files(&request))
            }
        };
        let Some(session) = session else { return };
        let key = (id, session);
        self.errands.tried_with(number, key);
        self.hosts[host].process().expect("a process").node.lifecycle.opened(id, session);
        match errand.way {
            Way::Push => self.hosts[host].files.offered(key, &[&errand.folder]),
            Way::Pull => self.hosts[host].files.requested(key),
        }
    }

    /// Does something to a transfer that runs.
    pub(super) fn steer_transfer(&mut self, host: HostId) {
        let running = self.hosts[host].files.running();
        let draw = &mut self.hosts[host].draw;
        let Some(key) = draw.any(&running) else { return };
        let what = draw.index(12);
        let rate = draw.pick(&[20_000, 200_000, 5_000_000]);
        let streams = draw.pick(&[None, Some(1), Some(2), Some(limits::MAX_DATA_STREAMS)]);
        match what {
            0 | 1 => self.files_command(host, "pause files", key, |files| files.pause("wait")),
            2..=4 => self.files_command(host, "resume files", key, |files| files.resume()),
            5 | 6 => {
                self.files_command(host, "limit files", key, |files| files.set_limit(Some(rate)));
            }
            7 => self.files_command(host, "unlimit files", key, |files| files.set_limit(None)),
            8 | 9 => self.files_command(host, "set streams", key, |f| f.set_streams(streams)),
            10 => self.cancel_files(host, key),
            _ => self.read_files_or_not(host),
        }
    }

    fn cancel_files(&mut self, host: HostId, key: Key) {
        let code = self.hosts[host].draw.pick(&[Code::Cancelled, Code::Refused]);
        self.files_command(host, "cancel files", key, |files| files.cancel(code, "enough"));
    }

    fn read_files_or_not(&mut self, host: HostId) {
        let now = self.now;
        self.clock.set(now);
        let machine = &mut self.hosts[host];
        let Some(process) = machine.inside.process() else { return };
        if machine.files.habits.idle {
            machine.files.start_pulling(&mut process.node.endpoint, now);
        } else {
            machine.files.habits.idle = machine.draw.percent(30);
        }
        self.touched.insert(host);
        self.count("pull files or not");
    }

    /// Gives a command to a transfer. It may be over, or in a state that has no use for it.
    pub(in crate::sim) fn files_command(
        &mut self,
        host: HostId,
        what: &'static str,
        (id, session): Key,
        give: impl FnOnce(&mut Files<'_>) -> Result<(), Misuse>,
    ) {
        self.clock.set(self.now);
        let now = self.now;
        let Some(process) = self.hosts[host].process() else { return };
        let conn = process.node.endpoint.conn(now, id);
        let answer = conn.and_then(|mut conn| give(&mut conn.files(session)?));
        let misuse = answer.as_ref().err().copied();
        let fair =
            matches!(misuse, Some(Misuse::Gone | Misuse::WrongState { .. } | Misuse::WrongRole(_)));
        let allowed = [None, misuse.filter(|_| fair)];
        self.answered(host, what, &format!("{id} {session}"), &answer, &allowed);
    }

    /// A server's application takes what is offered and asked for from now on, or refuses it, and
    /// its disk has another speed.
    pub(super) fn change_habits(&mut self, host: HostId) {
        let refuses = self.hosts[host].draw.percent(20).then_some(Code::Refused);
        let delay = self.hosts[host].draw.pick(&[0, 0, 5, 200]);
        let habits = &mut self.hosts[host].files.habits;
        habits.refuses = refuses;
        habits.store_delay = std::time::Duration::from_millis(delay);
        self.count("change habits");
    }

    /// Every errand that is left is tried again, each on a new connection to its server.
    pub(in crate::sim) fn dial_for_errands(&mut self, client: HostId) -> Vec<(ConnId, usize)> {
        let mut dialled: Vec<(HostId, ConnId, usize)> = Vec::new();
        for number in self.errands.waiting(client) {
            let server = self.errands.get(number).server;
            let remote = self.hosts[server].home;
            let open = dialled.iter().find(|(of, ..)| *of == server).map(|(_, id, _)| *id);
            let id = open.unwrap_or_else(|| self.connect(client, remote, Offered::V1, None));
            dialled.push((server, id, number));
        }
        dialled.into_iter().map(|(_, id, number)| (id, number)).collect()
    }
}
