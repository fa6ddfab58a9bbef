//! One flow, or two, over a link with a queue, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::limits::DQUIC_MAX_WINDOW;
use crate::rng::{Rng, Seed};

/// A link with a bandwidth, a queue that holds so many bytes, and losses.
struct Link {
    bytes_per_ms: u64,
    queue: u64,
    one_way: Duration,
    /// Losses in ten thousand.
    loss: u64,
    /// When what is in the queue will have left.
    free_at: Instant,
}

impl Link {
    /// When a packet that enters now arrives. `None`: it is lost.
    fn enter(&mut self, now: Instant, size: u64, rng: &mut Rng) -> Option<Instant> {
        let start = self.free_at.max(now);
        let waiting = start.since(now).as_nanos() * u128::from(self.bytes_per_ms) / 1_000_000;
        if waiting > u128::from(self.queue) || rng.chance(self.loss, 10_000) {
            return None;
        }
        self.free_at = start + Duration::from_nanos(size * 1_000_000 / self.bytes_per_ms);
        Some(self.free_at + self.one_way)
    }
}

/// What arrives first, if that is now.
fn due<T>(queue: &mut VecDeque<(Instant, T)>, now: Instant) -> Option<(Instant, T)> {
    if queue.front()?.0 <= now { queue.pop_front() } else { None }
}

/// A sender with endless data, and its receiver, which acknowledges each packet.
struct Flow {
    recovery: Recovery,
    /// Packets on their way, with their time of arrival at the receiver.
    forth: VecDeque<(Instant, u64)>,
    received: RangeSet,
    back: VecDeque<(Instant, RangeSet)>,
    delivered: u64,
    lost: u64,
    persistent: u64,
}

impl Flow {
    fn new() -> Self {
        Self {
            recovery: Recovery::new(at(0), MTU),
            forth: VecDeque::new(),
            received: RangeSet::default(),
            back: VecDeque::new(),
            delivered: 0,
            lost: 0,
            persistent: 0,
        }
    }

    fn next(&mut self, now: Instant) -> Option<Instant> {
        let arrival = self.forth.front().map(|(at, _)| *at);
        let answer = self.back.front().map(|(at, _)| *at);
        let release = self.recovery.release().map(|at| at.max(now));
        [arrival, answer, release, self.recovery.deadline()].into_iter().flatten().min()
    }

    fn turn(&mut self, now: Instant, link: &mut Link, rng: &mut Rng) {
        while let Some((_, number)) = due(&mut self.forth, now) {
            self.delivered += u64::from(!self.received.contains(number));
            self.received.insert(number..number + 1);
            let mut latest = RangeSet::default();
            self.received.iter().rev().take(8).for_each(|range| latest.insert(range));
            self.back.push_back((now + link.one_way, latest));
        }
        while let Some((_, latest)) = due(&mut self.back, now) {
            let outcome = ack_ranges(&mut self.recovery, now, &latest, 0).unwrap();
            self.note(&outcome);
        }
        let outcome = self.recovery.on_deadline(now);
        self.note(&outcome);
        while self.recovery.may_send(now) >= MTU {
            let in_flight = self.recovery.in_flight();
            let owed = self.recovery.probes_owed() > 0;
            assert!(owed || in_flight + MTU as u64 <= self.recovery.cwnd());
            let number = send(&mut self.recovery, now);
            if let Some(arrival) = link.enter(now, MTU as u64, rng) {
                self.forth.push_back((arrival, number));
            }
        }
    }

    fn note(&mut self, outcome: &Outcome) {
        self.lost += outcome.lost.len() as u64;
        self.persistent += u64::from(outcome.is_persistent);
    }
}

/// Runs flows over a link for a while, and answers what each has delivered, in bytes.
fn run(flows: &mut [Flow], link: &mut Link, from: Instant, time: Duration, seed: u64) -> Vec<u64> {
    let mut rng = Seed::from_u64(seed).stream("link");
    let before: Vec<u64> = flows.iter().map(|flow| flow.delivered).collect();
    let mut now = from;
    for _ in 0..2_000_000 {
        for flow in flows.iter_mut() {
            flow.turn(now, link, &mut rng);
        }
        let next = flows.iter_mut().filter_map(|flow| flow.next(now)).min();
        now = next.expect("a deadline").max(now);
        if now >= from + time {
            let after = flows.iter().zip(before);
            return after.map(|(flow, before)| (flow.delivered - before) * MTU as u64).collect();
        }
    }
    panic!("seed {seed}: time does not go on at {now:?}");
}

const fn link(bytes_per_ms: u64, queue: u64, loss: u64) -> Link {
    let one_way = Duration::from_millis(20);
    Link { bytes_per_ms, queue, one_way, loss, free_at: Instant::ZERO }
}

#[test]
fn a_link_with_a_queue_of_one_round_trip_is_kept_full() {
    // 10 Mbit/s, 40 ms: 50 000 bytes on their way.
    let mut flows = [Flow::new()];
    let mut link = link(1_250, 50_000, 0);
    let delivered = run(&mut flows, &mut link, at(0), Duration::from_secs(20), 0)[0];
    let possible = 1_250 * 20_000;
    assert!(delivered > possible * 95 / 100, "{delivered} of {possible}");
    let flow = &flows[0];
    assert!(flow.lost > 0, "the queue was never full");
    assert!(flow.lost * 100 < delivered / MTU as u64 * 2, "{} lost", flow.lost);
    assert_eq!(flow.persistent, 0);
}

#[test]
fn a_shallow_queue_costs_little() {
    let mut flows = [Flow::new()];
    let mut link = link(1_250, 12_000, 0);
    let delivered = run(&mut flows, &mut link, at(0), Duration::from_secs(20), 0)[0];
    let possible = 1_250 * 20_000;
    assert!(delivered > possible * 80 / 100, "{delivered} of {possible}");
}

#[test]
fn random_losses_do_not_stop_it() {
    for seed in 0..20 {
        let mut flows = [Flow::new()];
        let mut link = link(1_250, 50_000, 100);
        let delivered = run(&mut flows, &mut link, at(0), Duration::from_secs(20), seed)[0];
        // sqrt(3/2) / (40 ms * sqrt(1 %)) packets, by the usual formula for Reno.
        let expected = 306 * MTU as u64 * 20;
        assert!(delivered > expected * 3 / 4, "seed {seed}: {delivered} of {expected}");
    }
}

#[test]
fn an_outage_is_survived() {
    let mut flows = [Flow::new()];
    let mut link = link(1_250, 50_000, 0);
    run(&mut flows, &mut link, at(0), Duration::from_secs(5), 0);
    link.loss = 10_000;
    let nothing = run(&mut flows, &mut link, at(5_000), Duration::from_secs(10), 0)[0];
    assert!(nothing < 200_000, "{nothing}");
    link.loss = 0;
    run(&mut flows, &mut link, at(15_000), Duration::from_secs(10), 0);
    assert_eq!(flows[0].persistent, 1);
    let delivered = run(&mut flows, &mut link, at(25_000), Duration::from_secs(5), 0)[0];
    let possible = 1_250 * 5_000;
    assert!(delivered > possible * 9 / 10, "{delivered} of {possible}");
}

#[test]
fn a_late_flow_gets_its_share() {
    let mut flows = vec![Flow::new()];
    let mut link = link(2_500, 60_000, 0);
    run(&mut flows, &mut link, at(0), Duration::from_secs(10), 1);
    let mut late = Flow::new();
    late.recovery = Recovery::new(at(10_000), MTU);
    flows.push(late);
    run(&mut flows, &mut link, at(10_000), Duration::from_secs(30), 2);
    let shares = run(&mut flows, &mut link, at(40_000), Duration::from_secs(30), 3);
    let (low, high) = (shares[0].min(shares[1]), shares[0].max(shares[1]));
    assert!(low * 3 > high, "{shares:?}");
    assert!(low + high > 2_500 * 30_000 * 95 / 100, "{shares:?}");
}

#[test]
fn the_window_has_an_end() {
    let mut flows = [Flow::new()];
    let mut link = link(100_000_000, u64::MAX / 2, 0);
    link.one_way = Duration::from_secs(2);
    let mut now = at(0);
    let mut rng = Seed::from_u64(0).stream("link");
    let flow = &mut flows[0];
    let mut largest = 0;
    while now < at(60_000) && largest < DQUIC_MAX_WINDOW {
        flow.turn(now, &mut link, &mut rng);
        largest = largest.max(flow.recovery.cwnd());
        now = flow.next(now).expect("a deadline").max(now);
    }
    assert!(largest <= DQUIC_MAX_WINDOW && largest > DQUIC_MAX_WINDOW / 4, "{largest}");
}
