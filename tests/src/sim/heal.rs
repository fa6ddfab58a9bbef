//! The second phase: faults stop, and whatever runs has to come to its end.

use std::time::Duration;

use anabranch_core::transport::Offered;
use anabranch_core::{Code, ConnId, MediaId, SessionId, Side};

use super::known::{Phase, Stage};
use super::saver::Saver;
use super::world::{Host, HostId, Inside, Role, World};
use crate::apps::{Habits, Supply};
use crate::content::Clip;
use crate::disk::DiskConfig;
use crate::link::LinkConfig;

/// How long sessions may take to come to their end once everything is well.
const SESSIONS_BY: Duration = Duration::from_secs(300);
/// How long disks may take with what was received.
const DISKS_BY: Duration = Duration::from_secs(60);
/// How long connections may take after that. More than any idle timeout, handshake or drain.
const CONNECTIONS_BY: Duration = Duration::from_secs(120);
/// How long a new client may take with a short clip.
const SERVICE_BY: Duration = Duration::from_secs(60);

/// The clip that every client plays at the end.
const PROOF: MediaId = MediaId(1_000);

impl World {
    /// Runs the whole world.
    ///
    /// # Panics
    /// If an oracle finds something wrong.
    pub fn run(&mut self) {
        self.begin_workload();
        self.begin_faults();
        let heal_at = self.swarm.heal_at();
        self.run_until(heal_at, |_| false);
        self.heal();
        self.end_sessions();
        self.finish_errands();
        self.keep_everything();
        self.prove_service();
        self.end_connections();
        self.read_recordings();
    }

    /// Faults and commands stop, and everybody is there.
    fn heal(&mut self) {
        self.note("everything heals".to_owned());
        self.healing = true;
        self.agenda.clear();
        self.network.heal();
        for link in self.network.links() {
            self.network.set_blackhole(link, false);
            let latency = self.network.config(link).latency;
            self.network.configure(link, LinkConfig { latency, ..LinkConfig::default() });
        }
        for disk in self.hosts.iter_mut().filter_map(|host| host.saver.as_mut()).map(Saver::disk) {
            disk.configure(DiskConfig::default());
        }
        for host in 0..self.hosts.len() {
            match (self.hosts[host].role, &self.hosts[host].inside) {
                (Role::Rogue, _) => self.kill(host),
                (Role::Server | Role::Client, Inside::Nothing) => {
                    self.start(host);
                    self.go_well(host);
                }
                (Role::Server | Role::Client, _) => self.go_well(host),
            }
        }
        self.settle();
    }

    /// The applications of a host do from now on what is good for their sessions.
    fn go_well(&mut self, host: HostId) {
        let now = self.now;
        self.clock.set(now);
        self.touched.insert(host);
        let server = self.hosts[host].role == Role::Server;
        let Host { inside, files, .. } = &mut self.hosts[host];
        let Some(process) = inside.process() else { return };
        let accept = files.habits.accept;
        files.habits = Habits { accept, ..Habits::default() };
        files.start_pulling(&mut process.node.endpoint, now);
        process.node.endpoint.listen(server);
        process.known.leaving = false;
        process.server.supply = Supply::AtOnce;
        let running = process.known.running(Side::Client);
        for (conn, session, _) in &running {
            process.client.start_reading(&mut process.node.endpoint, now, (*conn, *session));
        }
        self.settle();
        for (conn, session, _) in running {
            self.resume_if_paused(host, conn, session);
        }
        for key in self.hosts[host].files.running() {
            self.files_command(host, "resume files", key, |files| files.resume());
            self.files_command(host, "unlimit files", key, |files| files.set_limit(None));
        }
    }

    fn resume_if_paused(&mut self, host: HostId, conn: ConnId, session: SessionId) {
        let Some(process) = self.hosts[host].process() else { return };
        let stage = process.known.conn(conn).sessions.get(&session).map(|known| known.stage);
        if stage == Some(Stage::Paused) {
            self.set_paused(host, (conn, session), Stage::Paused, false);
        }
    }

    /// Sessions of clients that have not ended.
    fn open_sessions(&mut self) -> Vec<String> {
        let mut open = Vec::new();
        for host in self.role(Role::Client) {
            let Some(process) = self.hosts[host].process() else { continue };
            for (conn, session, stage) in process.known.running(Side::Client) {
                let stats = process.node.endpoint.media_stats(conn, session);
                open.push(format!("h{host} {conn} {session} {stage:?} {stats:?}"));
            }
            for (conn, session) in self.hosts[host].files.running() {
                // Nothing but the connection's end may end it there.
                if self.is_restless(host, conn) {
                    continue;
                }
                let process = self.hosts[host].process().expect("a process");
                let stats = process.node.endpoint.file_stats(conn, session);
                open.push(format!("h{host} {conn} {session} {stats:?}"));
            }
        }
        open
    }

    /// What clients want to be transferred is transferred, on new connections where it has to be.
    fn finish_errands(&mut self) {
        self.note("every client finishes its errands".to_owned());
        let mut dialled = Vec::new();
        for client in self.role(Role::Client) {
            for key in self.hosts[client].files.running() {
                let code = Code::Cancelled;
                self.files_command(client, "cancel files", key, |files| files.cancel(code, ""));
            }
            self.settle();
            for (conn, number) in self.dial_for_errands(client) {
                dialled.push((client, conn, number));
            }
        }
        let end = self.now + SERVICE_BY;
        for (client, conn, number) in dialled {
            let up = |world: &mut Self| {
                let process = world.hosts[client].process().expect("a process");
                process.known.conn(conn).phase == Phase::Up
            };
            assert!(self.run_until(end, up), "liveness: a healthy server does not take clients");
            self.try_errand(client, conn, number);
        }
        let done = |world: &mut Self| world.errands.left().is_empty();
        if !self.run_until(end, done) {
            panic!("liveness: transfers that do not finish: {:#?}", self.errands.left());
        }
        self.assert_all_exact();
        *self.tally.done.entry("(errands done)").or_default() += self.errands.done() as u64;
    }

    fn end_sessions(&mut self) {
        let end = self.now + SESSIONS_BY;
        if !self.run_until(end, |world| world.open_sessions().is_empty()) {
            panic!("liveness: sessions that do not end: {:#?}", self.open_sessions());
        }
    }

    /// What was received is on the disks.
    fn keep_everything(&mut self) {
        let end = self.now + DISKS_BY;
        let left = |world: &Self| -> usize {
            let savers = world.hosts.iter().filter_map(|host| host.saver.as_ref());
            savers.map(Saver::unsafe_yet).sum()
        };
        let safe = self.run_until(end, |world| left(world) == 0);
        assert!(safe, "liveness: {} files are not on a healthy disk", left(self));
        for saver in self.hosts.iter_mut().filter_map(|host| host.saver.as_mut()) {
            // A last loss of power shows what the promises are worth.
            saver.crash(self.now, true);
            let counts = saver.disk().counts();
            for (what, by) in [
                ("disk operations", counts.done),
                ("disk errors", counts.failed),
                ("disk stalls", counts.stalled),
                ("disk losses of power", counts.crashes),
                ("disk operations cut off", counts.interrupted),
            ] {
                *self.tally.done.entry(what).or_default() += by;
            }
        }
    }

    /// Every server still serves every client.
    fn prove_service(&mut self) {
        self.note("every client tries every server".to_owned());
        let mut playing = Vec::new();
        let clip = Clip::new("proof", 7, 600_000);
        for server in self.role(Role::Server) {
            let catalogue = vec![(PROOF, clip.entry())];
            let Some(process) = self.hosts[server].process() else { continue };
            process.node.endpoint.hub().set_catalogue(catalogue, None).expect("a good catalogue");
            process.server.add(PROOF, clip.clone());
            let remote = self.hosts[server].home;
            for client in self.role(Role::Client) {
                playing.push((client, self.connect(client, remote, Offered::Both, None)));
            }
        }
        let end = self.now + SERVICE_BY;
        let is_up = |world: &mut Self, (host, conn): &(HostId, ConnId)| {
            let process = world.hosts[*host].process().expect("a process");
            process.known.conn(*conn).phase == Phase::Up
        };
        let up = |world: &mut Self| playing.iter().all(|conn| is_up(world, conn));
        assert!(self.run_until(end, up), "liveness: a healthy server does not take clients");
        let mut sessions = Vec::new();
        for (host, conn) in playing {
            sessions.push((host, (conn, self.play_proof(host, conn, &clip))));
        }
        let complete = |world: &mut Self| {
            sessions.iter().all(|(host, key)| {
                let process = world.hosts[*host].process().expect("a process");
                process.client.playbacks[key].is_complete()
            })
        };
        assert!(self.run_until(end, complete), "liveness: a healthy server does not play");
    }

    /// Every connection is closed or drained, or left to its idle timeout; then nothing is left.
    fn end_connections(&mut self) {
        for host in self.role(Role::Client) {
            let Some(process) = self.hosts[host].process() else { continue };
            let alive = [Phase::Dialled, Phase::Up, Phase::Draining];
            let alive = alive.map(|phase| process.known.in_phase(Side::Client, phase)).concat();
            for conn in alive {
                self.leave_conn(host, conn);
            }
        }
        self.settle();
        let end = self.now + CONNECTIONS_BY;
        let idle = |world: &mut Self| {
            let honest = 0..world.swarm.servers + world.swarm.clients;
            honest.into_iter().all(|host| {
                let process = world.hosts[host].process().expect("a process");
                process.node.endpoint.is_idle()
            })
        };
        if !self.run_until(end, idle) {
            panic!("liveness: endpoints that do not become empty: {:#?}", self.busy());
        }
        for host in &self.hosts {
            assert_eq!(host.files.running(), [], "a transfer outlived everything");
        }
        for host in self.hosts.iter_mut().filter_map(|host| host.process()) {
            assert_eq!(host.node.wake, None, "an empty endpoint has a deadline");
            assert_eq!(host.server.sessions.len(), 0, "a server's session outlived everything");
        }
    }

    fn busy(&mut self) -> Vec<String> {
        let mut busy = Vec::new();
        for host in 0..self.swarm.servers + self.swarm.clients {
            let Some(process) = self.hosts[host].process() else { continue };
            if !process.node.endpoint.is_idle() {
                let phases: Vec<_> =
                    process.known.conns.iter().map(|(id, conn)| (*id, conn.phase)).collect();
                let count = process.node.endpoint.connections();
                busy.push(format!("h{host}: {count} connections, of {phases:?}"));
            }
        }
        busy
    }
}
