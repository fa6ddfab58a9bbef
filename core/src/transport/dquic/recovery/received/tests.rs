//! What has come, and when that is said.

use super::*;
use crate::rng::Seed;
use crate::transport::dquic::frame::{Frame, Frames};

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// The ranges of the ACK frame that is written now, and its delay in microseconds.
fn said(received: &mut ReceivedPackets, now: Instant) -> (Vec<(u64, u64)>, u64) {
    let mut buf = [0; 2_000];
    let mut out = Out::new(&mut buf);
    received.write(now, &mut out).expect("room");
    let len = out.len();
    let Some(Ok(Frame::Ack(ack))) = Frames::new(&buf[..len]).next() else { panic!("no ACK") };
    (ack.ranges().map(|range| (*range.start(), *range.end())).collect(), ack.delay_us())
}

#[test]
fn every_second_packet_is_acknowledged_at_once_and_one_alone_after_the_delay() {
    let mut received = ReceivedPackets::default();
    received.on_packet(at(0), 0, true);
    assert!(!received.is_due(at(0)) && received.is_wanted());
    assert_eq!(received.deadline(), Some(at(0) + MAX_ACK_DELAY));
    assert!(received.is_due(at(25)));
    received.on_packet(at(3), 1, true);
    assert!(received.is_due(at(3)));
    assert_eq!(said(&mut received, at(4)), (vec![(0, 1)], 1_000));
    assert!(!received.is_wanted() && received.deadline().is_none());
    received.on_packet(at(5), 2, false);
    assert!(!received.is_wanted(), "an acknowledgement is not acknowledged");
}

#[test]
fn gaps_are_news() {
    let mut received = ReceivedPackets::default();
    received.on_packet(at(0), 1, true);
    assert!(received.is_due(at(0)), "packet 0 is missing");
    said(&mut received, at(0));
    received.on_packet(at(1), 2, true);
    assert!(!received.is_due(at(1)));
    received.on_packet(at(2), 0, true);
    assert!(received.is_due(at(2)), "the gap is closed");
    assert_eq!(said(&mut received, at(9)), (vec![(0, 2)], 8_000), "since packet 2 came");
}

#[test]
fn duplicates_change_nothing() {
    let mut received = ReceivedPackets::default();
    received.on_packet(at(0), 0, true);
    said(&mut received, at(0));
    received.on_packet(at(1), 0, true);
    assert!(received.is_duplicate(0) && !received.is_wanted());
    received.on_packet(at(1), u64::MAX, true);
    assert_eq!(received.largest(), Some(0));
}

#[test]
fn only_so_many_ranges_are_kept() {
    let mut received = ReceivedPackets::default();
    let count = DQUIC_ACK_RANGES as u64 + 10;
    for n in 0..count {
        received.on_packet(at(0), 2 * n + 1, true);
    }
    let (ranges, _) = said(&mut received, at(0));
    assert_eq!(ranges.len(), DQUIC_ACK_RANGES);
    assert_eq!(ranges.last(), Some(&(21, 21)));
    assert!(received.is_duplicate(4), "forgotten, so it may have come");
    assert!(!received.is_duplicate(22));
}

#[test]
fn what_the_peer_knows_is_not_repeated() {
    let mut received = ReceivedPackets::default();
    for n in [0, 1, 3, 4, 6] {
        received.on_packet(at(0), n, true);
    }
    received.on_ack_acked(4);
    assert_eq!(said(&mut received, at(0)).0, [(6, 6), (3, 4)]);
    received.on_ack_acked(5);
    assert_eq!(said(&mut received, at(0)).0, [(6, 6)]);
    received.on_ack_acked(100);
    assert_eq!(said(&mut received, at(0)).0, [(6, 6)], "the highest range stays");
    assert!((0..=4).all(|n| received.is_duplicate(n)));
    assert!(!received.is_duplicate(5), "still welcome");
}

#[test]
fn nothing_is_taken_twice_whatever_comes_in_whatever_order() {
    for seed in 0..300 {
        let mut rng = Seed::from_u64(seed).stream("received");
        let mut received = ReceivedPackets::default();
        let mut taken = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let number = rng.below(300);
            if !received.is_duplicate(number) {
                assert!(taken.insert(number), "seed {seed}: {number} twice");
                received.on_packet(at(0), number, rng.chance(2, 3));
            }
            if rng.chance(1, 20) {
                received.on_ack_acked(rng.below(300));
            }
        }
        let (ranges, _) = said(&mut received, at(0));
        let all = ranges.iter().flat_map(|(a, b)| *a..=*b).all(|n| taken.contains(&n));
        assert!(all, "seed {seed}: only what has come is acknowledged");
    }
}

#[test]
fn without_room_nothing_is_said() {
    let mut received = ReceivedPackets::default();
    assert_eq!(received.write(at(0), &mut Out::new(&mut [0; 99])), None, "nothing has come");
    received.on_packet(at(0), 0, true);
    assert_eq!(received.write(at(0), &mut Out::new(&mut [0; 4])), None);
    assert!(received.is_wanted());
}
