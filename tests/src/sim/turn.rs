//! Moves time from one thing that happens to the next.

use anabranch_core::{ConnId, Event, Instant};

use super::saver::Saver;
use super::trail::Step as Trace;
use super::world::{Host, HostId, Inside, Plan, World};
use crate::pair::host::{Outgoing, Step};

/// More outputs of one host at one point in time are taken for an endless loop.
const MAX_OUTPUTS: usize = 200_000;
/// More turns in a row without time passing are taken for an endless loop.
const MAX_STILL: usize = 5_000;

impl World {
    /// Runs until `done`, or until `end`. Says whether it is done.
    pub(super) fn run_until(
        &mut self,
        end: Instant,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let mut still = 0;
        self.settle();
        while !done(self) {
            let Some(next) = self.next_time().filter(|next| *next <= end) else {
                self.now = end;
                self.clock.set(end);
                return done(self);
            };
            still = if next > self.now { 0 } else { still + 1 };
            assert!(still < MAX_STILL, "busy loop: time stands still at {:?}", self.now);
            self.now = next.max(self.now);
            self.advance();
        }
        true
    }

    /// When something happens next.
    fn next_time(&self) -> Option<Instant> {
        let hosts = self.hosts.iter().map(|host| match &host.inside {
            Inside::Nothing => None,
            Inside::Process(process) => {
                let disk = host.saver.as_ref().and_then(Saver::next);
                [process.next(), host.files.next(), disk].into_iter().flatten().min()
            }
            Inside::Rogue(rogue) => rogue.deadline(),
        });
        let rest = [self.network.next_time(), self.held.next(), self.agenda.next()];
        hosts.chain(rest).flatten().min()
    }

    /// Everything that is due at the present time happens: first what comes from outside, then,
    /// when all hosts have dealt with it, what applications and the world do.
    fn advance(&mut self) {
        let now = self.now;
        self.clock.set(now);
        while let Some((host, outgoing)) = self.held.take(now) {
            self.put_on_wire(host, outgoing);
        }
        while let Some(arrival) = self.network.poll(now) {
            let host = arrival.to.0;
            self.trail.push(now, Trace::Arrived(host, arrival.path, arrival.bytes.len()));
            let mut bytes = arrival.bytes;
            self.touched.insert(host);
            match &mut self.hosts[host].inside {
                Inside::Nothing => {}
                Inside::Process(process) => {
                    process.node.receive(now, arrival.path, arrival.ecn, &mut bytes);
                }
                Inside::Rogue(rogue) => rogue.receive(now, arrival.path, &mut bytes),
            }
        }
        for host in 0..self.hosts.len() {
            self.expire(host);
        }
        self.settle();
        let running = self.hosts.iter_mut().filter(|host| !matches!(host.inside, Inside::Nothing));
        for saver in running.filter_map(|host| host.saver.as_mut()) {
            saver.turn(now);
        }
        while let Some(plan) = self.agenda.take(now) {
            match plan {
                Plan::Act(host) => self.act(host),
                Plan::Fault(fault) => self.fault(fault),
                Plan::Mend(mend) => self.mend(&mend),
            }
            self.settle();
        }
    }

    fn expire(&mut self, host: HostId) {
        let now = self.now;
        let Host { inside, files, .. } = &mut self.hosts[host];
        match inside {
            Inside::Nothing => return,
            Inside::Rogue(rogue) => {
                if rogue.deadline().is_none_or(|at| at > now) {
                    return;
                }
                rogue.expire(now);
            }
            Inside::Process(process) => {
                let next = [process.next(), files.next()].into_iter().flatten().min();
                if next.is_none_or(|at| at > now) {
                    return;
                }
                if process.node.wake.is_some_and(|at| at <= now) {
                    self.trail.push(now, Trace::Woke(host));
                    self.woken.insert(host);
                    process.node.endpoint.handle_timeout(now);
                }
                process.server.on_time(&mut process.node.endpoint, now);
                files.on_time(&mut process.node.endpoint, now);
            }
        }
        self.touched.insert(host);
    }

    /// Every host that was touched does all it can do at the present time.
    pub(super) fn settle(&mut self) {
        self.clock.set(self.now);
        while let Some(host) = self.touched.pop_first() {
            let woken = self.woken.remove(&host);
            match &mut self.hosts[host].inside {
                Inside::Nothing => {}
                Inside::Rogue(rogue) => {
                    let mut out = Vec::new();
                    rogue.drain(self.now, &mut out);
                    self.dispatch(host, out);
                }
                Inside::Process(_) => {
                    let outputs = self.drain(host);
                    self.after_turn(host, woken, outputs == 0);
                }
            }
        }
    }

    /// Takes everything out of a host's endpoint. How much that was.
    fn drain(&mut self, host: HostId) -> usize {
        let mut out = Vec::new();
        for outputs in 0..MAX_OUTPUTS {
            let Some(process) = self.hosts[host].process() else { return outputs };
            match process.node.step(&mut out) {
                Step::Sent => self.dispatch(host, std::mem::take(&mut out)),
                Step::Told(conn, event) => self.tell(host, conn, &event),
                Step::Waits => return outputs,
            }
        }
        panic!("busy loop: host {host} never waits");
    }

    fn after_turn(&mut self, host: HostId, woken: bool, idle: bool) {
        let now = self.now;
        let Some(process) = self.hosts[host].process() else { return };
        process.after_turn(now, woken, idle);
        process.server.check(&process.node.endpoint);
        self.judge_turn(host);
    }

    fn tell(&mut self, host: HostId, conn: ConnId, event: &Event) {
        let now = self.now;
        self.tally.events += 1;
        self.rolling.add("event", now, format!("{host} {conn} {event:?}").as_bytes());
        self.trail.push(now, Trace::Told(host, conn, event.clone()));
        self.judge_event(host, conn, event);
        let Host { inside, files, .. } = &mut self.hosts[host];
        if let Some(process) = inside.process() {
            process.on_event(now, conn, event);
            files.on_event(&mut process.node.endpoint, now, conn, event);
        }
        self.follow(host, conn, event);
    }

    fn dispatch(&mut self, host: HostId, out: Vec<Outgoing>) {
        for outgoing in out {
            match outgoing.at.filter(|at| *at > self.now) {
                Some(at) => self.held.put(at, (host, outgoing)),
                None => self.put_on_wire(host, outgoing),
            }
        }
    }

    fn put_on_wire(&mut self, host: HostId, outgoing: Outgoing) {
        let Outgoing { path, ecn, bytes, .. } = outgoing;
        self.tally.datagrams += 1;
        self.trail.push(self.now, Trace::Sent(host, path, bytes.len()));
        self.overhear(host, path, &bytes);
        self.network.send(self.now, self.hosts[host].place, path, ecn, bytes);
    }
}
