//! Each fault happens, and at its rate.

use std::net::{Ipv4Addr, SocketAddr};

use anabranch_core::{Path, Seed};

use super::*;

const N: u64 = 20_000;

type Arrived = Delivery<Path>;

fn path() -> Path {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Path { local: address(1), remote: address(2) }
}

fn link(config: LinkConfig) -> Link<Path> {
    Link::new(config, Seed::from_u64(1).stream("link"))
}

/// A datagram whose bytes say which it is.
fn numbered(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat(15)
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

/// Sends `n` datagrams, one each millisecond, and gives what came out, with its arrival.
fn pass(link: &mut Link<Path>, n: u64) -> Vec<(Instant, Arrived)> {
    let mut out = Vec::new();
    let mut now = Instant::ZERO;
    let drain = |link: &mut Link<Path>, until: Instant, out: &mut Vec<_>| {
        while let Some(at) = link.next().filter(|at| *at <= until) {
            assert_eq!(link.poll(Instant::from_nanos(at.as_nanos() - 1)), None, "not too early");
            out.push((at, link.poll(at).expect("what next() promised")));
        }
    };
    for i in 0..n {
        now = now + Duration::from_millis(1);
        drain(link, now, &mut out);
        link.send(now, path(), Some(Ecn::Ect0), numbered(i));
    }
    drain(link, now + Duration::from_secs(60), &mut out);
    assert_eq!(link.next(), None);
    out
}

#[track_caller]
fn assert_rate(count: u64, of: u64, percent: u64) {
    let expected = of * percent / 100;
    let slack = of / 100;
    assert!(count.abs_diff(expected) < slack, "{count} of {of}, expected {expected}");
}

#[test]
fn a_perfect_link_keeps_everything() {
    let mut link = link(LinkConfig::default());
    let out = pass(&mut link, 100);
    assert_eq!(out.len(), 100);
    for (i, (at, delivery)) in (0..).zip(&out) {
        assert_eq!(*at, delivery.sent + Duration::from_millis(10));
        assert_eq!((delivery.header, delivery.ecn), (path(), Some(Ecn::Ect0)));
        assert_eq!(delivery.bytes, numbered(i));
    }
    let counts = link.counts();
    assert_eq!((counts.sent, counts.delivered), (100, 100));
    assert_eq!((counts.sent_bytes, counts.delivered_bytes), (12_000, 12_000));
}

#[test]
fn loss_at_its_rate() {
    let mut link = link(LinkConfig { loss: Ratio::percent(10), ..LinkConfig::default() });
    let out = pass(&mut link, N);
    assert_rate(link.counts().lost, N, 10);
    assert_eq!(out.len() as u64, N - link.counts().lost);
}

#[test]
fn bursts_at_their_rate_and_length() {
    let percent = Ratio::percent;
    let burst = Burst { enter: percent(2), leave: percent(18), loss: Ratio::ALWAYS };
    let mut link = link(LinkConfig { burst: Some(burst), ..LinkConfig::default() });
    let out = pass(&mut link, N);
    assert_rate(link.counts().lost_in_burst, N, 10);
    let gaps = out.windows(2).filter(|w| number(&w[1].1.bytes) != number(&w[0].1.bytes) + 1);
    let mean = link.counts().lost_in_burst / gaps.count() as u64;
    assert!((4..8).contains(&mean), "bursts of {mean} datagrams, expected 100/18");
}

#[test]
fn duplicates_at_their_rate() {
    let mut link = link(LinkConfig { duplicate: Ratio::percent(20), ..LinkConfig::default() });
    let out = pass(&mut link, N);
    assert_rate(link.counts().duplicated, N, 20);
    assert_eq!(out.len() as u64, N + link.counts().duplicated);
}

#[test]
fn reordering_at_its_rate_and_only_when_asked_for() {
    let config = LinkConfig { reorder: Ratio::percent(10), ..LinkConfig::default() };
    let mut link = link(config);
    let out = pass(&mut link, N);
    assert_rate(link.counts().reordered, N, 10);
    let late = out.windows(2).filter(|w| number(&w[1].1.bytes) < number(&w[0].1.bytes)).count();
    assert!(late as u64 > N / 20, "{late} datagrams were passed");
    let jitter = LinkConfig { jitter: Duration::from_millis(50), ..LinkConfig::default() };
    let out = pass(&mut self::link(jitter), N);
    assert!(out.is_sorted_by_key(|(_, d)| number(&d.bytes)), "jitter keeps the order");
}

#[test]
fn jitter_stays_in_its_range_and_fills_it() {
    let jitter = Duration::from_millis(1);
    let out = pass(&mut link(LinkConfig { jitter, ..LinkConfig::default() }), N);
    let delay = |(at, d): &(Instant, Arrived)| at.since(d.sent) - Duration::from_millis(10);
    let delays = || out.iter().map(delay);
    assert!(delays().max().unwrap() <= jitter && delays().max().unwrap() > jitter * 99 / 100);
    assert!(delays().min().unwrap() < jitter / 100);
    let below = delays().filter(|delay| *delay < jitter / 2).count();
    assert_rate(below as u64, N, 50);
}

#[test]
fn corruption_at_its_rate() {
    let mut link = link(LinkConfig { corrupt: Ratio::percent(10), ..LinkConfig::default() });
    let out = pass(&mut link, N);
    assert_rate(link.counts().corrupted, N, 10);
    let mut flipped = [0u64; 4];
    for (i, (_, d)) in (0..).zip(&out) {
        let bits: u32 = d.bytes.iter().zip(numbered(i)).map(|(a, b)| (a ^ b).count_ones()).sum();
        flipped[bits as usize] += 1;
    }
    assert_eq!(flipped.iter().sum::<u64>() - flipped[0], link.counts().corrupted);
    assert!(flipped.iter().all(|n| *n > N / 50), "one, two and three bits: {flipped:?}");
}

#[test]
fn truncation_at_its_rate() {
    let mut link = link(LinkConfig { truncate: Ratio::percent(10), ..LinkConfig::default() });
    let out = pass(&mut link, N);
    assert_rate(link.counts().truncated, N, 10);
    let short = out.iter().filter(|(_, d)| d.bytes.len() < 120).count() as u64;
    assert_eq!(short, link.counts().truncated);
    assert!(out.iter().any(|(_, d)| d.bytes.is_empty()), "down to nothing");
}

#[test]
fn bandwidth_delays_and_its_queue_overflows() {
    // 120 bytes take 2 ms at 60 000 bytes/s, and come each millisecond.
    let config =
        LinkConfig { bytes_per_second: Some(60_000), queue_bytes: 600, ..LinkConfig::default() };
    let mut link = link(config);
    let out = pass(&mut link, 1_000);
    assert!(out.windows(2).all(|w| w[1].0.since(w[0].0) >= Duration::from_millis(2)));
    let longest = out.iter().map(|(at, d)| at.since(d.sent)).max().unwrap();
    assert!(longest <= Duration::from_millis(20), "10 ms of latency and 10 ms of queue");
    assert_rate(link.counts().overflowed, 1_000, 50);
    assert_eq!(link.counts().delivered + link.counts().overflowed, 1_000);
}

#[test]
fn an_idle_link_takes_one_datagram_of_any_size() {
    let config =
        LinkConfig { bytes_per_second: Some(1_000), queue_bytes: 10, ..LinkConfig::default() };
    let mut link = link(config);
    link.send(Instant::ZERO, path(), None, vec![0; 100]);
    assert_eq!(link.next(), Some(Instant::ZERO + Duration::from_millis(110)));
    link.send(Instant::ZERO, path(), None, vec![0; 100]);
    assert_eq!(link.counts().overflowed, 1);
}

#[test]
fn the_mtu_and_the_drop_list_are_exact() {
    let config = LinkConfig { drop_list: [0, 3, 4].into(), ..LinkConfig::default() };
    let out = pass(&mut link(config), 6);
    assert_eq!(out.iter().map(|(_, d)| number(&d.bytes)).collect::<Vec<_>>(), [1, 2, 5]);
    let mut link = link(LinkConfig { mtu: Some(1_300), ..LinkConfig::default() });
    link.send(Instant::ZERO, path(), None, vec![0; 1_300]);
    link.send(Instant::ZERO, path(), None, vec![0; 1_301]);
    assert_eq!(link.poll(Instant::from_nanos(u64::MAX)).unwrap().bytes.len(), 1_300);
    assert_eq!((link.next(), link.counts().too_big), (None, 1));
}

#[test]
fn a_black_hole_swallows_what_is_sent_and_spares_what_flies() {
    let mut link = link(LinkConfig::default());
    link.send(Instant::ZERO, path(), None, numbered(0));
    link.set_blackhole(true);
    link.send(Instant::ZERO, path(), None, numbered(1));
    link.set_blackhole(false);
    link.send(Instant::ZERO, path(), None, numbered(2));
    let at = Instant::from_nanos(u64::MAX);
    assert_eq!(number(&link.poll(at).unwrap().bytes), 0);
    assert_eq!(number(&link.poll(at).unwrap().bytes), 2);
    assert_eq!((link.poll(at), link.counts().swallowed), (None, 1));
}

#[test]
fn the_same_seed_does_the_same_and_faults_do_not_disturb_each_other() {
    let run = |config: LinkConfig| pass(&mut link(config), 2_000);
    let rough = || LinkConfig {
        corrupt: Ratio::percent(1),
        truncate: Ratio::percent(1),
        ..LinkConfig::rough(10)
    };
    assert_eq!(run(rough()), run(rough()));
    let lost = |out: Vec<(Instant, Arrived)>| {
        let mut there: Vec<u64> = out.iter().map(|(_, d)| number(&d.bytes)).collect();
        there.sort_unstable();
        there.dedup();
        there
    };
    let only_loss = LinkConfig { loss: Ratio::percent(10), ..LinkConfig::default() };
    let more = LinkConfig { duplicate: Ratio::percent(50), ..only_loss.clone() };
    assert_eq!(lost(run(only_loss)), lost(run(more)));
}

#[test]
fn bursts_lose_only_as_much_as_they_say() {
    let percent = Ratio::percent;
    let burst = Burst { enter: percent(10), leave: percent(10), loss: percent(40) };
    let mut link = link(LinkConfig { burst: Some(burst), ..LinkConfig::default() });
    pass(&mut link, N);
    assert_rate(link.counts().lost_in_burst, N, 20);
}

#[test]
fn a_long_queue_delays_and_drains() {
    // Two seconds of queue: a bloated buffer.
    let slow = LinkConfig {
        bytes_per_second: Some(60_000),
        queue_bytes: 120_000,
        ..LinkConfig::default()
    };
    let mut link = link(slow);
    let out = pass(&mut link, 1_990);
    let delay = |(at, d): &(Instant, Arrived)| at.since(d.sent);
    let longest = out.iter().map(delay).max().unwrap();
    assert!((1_990..2_010).contains(&longest.as_millis()), "{longest:?}");
    assert_eq!(link.counts().overflowed, 0, "2 s at twice the rate just fit");
    // Idle again: the next one does not wait.
    let now = Instant::ZERO + Duration::from_secs(100);
    link.send(now, path(), None, numbered(0));
    assert_eq!(link.next(), Some(now + Duration::from_millis(12)));
}

#[test]
fn a_change_under_way_holds_for_what_is_sent_after_it() {
    let mut link = link(LinkConfig::default());
    link.send(Instant::ZERO, path(), None, numbered(0));
    link.configure(LinkConfig { loss: Ratio::ALWAYS, ..LinkConfig::default() });
    link.send(Instant::ZERO, path(), None, numbered(1));
    let short = LinkConfig { latency: Duration::from_millis(1), ..LinkConfig::default() };
    link.configure(short.clone());
    assert_eq!(link.config(), &short);
    link.send(Instant::ZERO, path(), None, numbered(2));
    let at = Instant::ZERO + Duration::from_millis(10);
    let out: Vec<u64> = std::iter::from_fn(|| link.poll(at)).map(|d| number(&d.bytes)).collect();
    assert_eq!(out, [0, 2], "a shorter way is no reason to overtake");
}

#[test]
fn clearing_loses_what_flies_and_what_waits() {
    let slow = LinkConfig { bytes_per_second: Some(1_000), ..LinkConfig::default() };
    let mut link = link(slow);
    for n in 0..5 {
        link.send(Instant::ZERO, path(), None, numbered(n));
    }
    assert_eq!(link.flying(), 5);
    link.clear();
    assert_eq!((link.next(), link.counts().gone()), (None, 5));
    link.send(Instant::ZERO, path(), None, numbered(5));
    assert_eq!(link.next(), Some(Instant::ZERO + Duration::from_millis(130)), "no queue is left");
}
