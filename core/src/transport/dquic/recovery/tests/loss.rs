//! Loss detection and probe timeouts by the rules of RFC 9002 section 6.

use std::time::Duration;

use super::*;
use crate::limits::DQUIC_MAX_IN_FLIGHT;
use crate::transport::dquic::recovery::received::MAX_ACK_DELAY;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A connection whose round trip is known to be 100 ms.
fn known() -> Recovery {
    let mut recovery = Recovery::new(at(0), MTU);
    send(&mut recovery, at(0));
    let outcome = ack(&mut recovery, at(100), [0], 0).unwrap();
    assert_eq!(numbers(&outcome.acked), [0]);
    assert_eq!(recovery.smoothed_rtt(), ms(100));
    recovery
}

#[test]
fn three_later_packets_make_one_lost_and_two_do_not() {
    let mut recovery = known();
    send_many(&mut recovery, at(100), 4);
    let outcome = ack(&mut recovery, at(200), [3], 0).unwrap();
    assert_eq!((numbers(&outcome.acked), outcome.lost.len()), (vec![3], 0));
    let outcome = ack(&mut recovery, at(200), [3, 4], 0).unwrap();
    assert_eq!((numbers(&outcome.acked), numbers(&outcome.lost)), (vec![4], vec![1]));
    assert_eq!(outcome.lost[0].carried, carried(1));
    assert_eq!(recovery.packets_lost(), 1);
}

#[test]
fn nine_eighths_of_a_round_trip_make_an_older_packet_lost() {
    let mut recovery = known();
    send(&mut recovery, at(100));
    send(&mut recovery, at(101));
    let outcome = ack(&mut recovery, at(201), [2], 0).unwrap();
    assert!(outcome.lost.is_empty());
    let due = recovery.deadline().unwrap();
    assert_eq!(due, at(100) + ms(100) * 9 / 8);
    let early = Instant::from_nanos(due.as_nanos() - 1);
    assert_eq!(recovery.on_deadline(early), Outcome::default());
    let outcome = recovery.on_deadline(due);
    assert_eq!(numbers(&outcome.lost), [1]);
    assert!(outcome.again.is_empty() && recovery.probes_owed() == 0);
    assert_eq!(recovery.deadline(), None, "nothing is on its way");
}

#[test]
fn acknowledgements_of_what_needs_none_still_show_losses() {
    let mut recovery = known();
    send(&mut recovery, at(100));
    for _ in 0..3 {
        recovery.on_sent(at(100), 40, false, Carried::default());
    }
    let outcome = ack(&mut recovery, at(200), [4], 0).unwrap();
    assert_eq!((outcome.acked.len(), numbers(&outcome.lost)), (0, vec![1]));
}

#[test]
fn any_news_from_the_peer_ends_the_backoff() {
    let mut recovery = known();
    send(&mut recovery, at(100));
    recovery.on_sent(at(100), 40, false, Carried::default());
    let due = recovery.deadline().unwrap();
    recovery.on_deadline(due);
    assert_eq!(recovery.deadline(), Some(due + recovery.pto() * 2));
    ack(&mut recovery, due, [0], 0).unwrap();
    assert_eq!(recovery.deadline(), Some(due + recovery.pto() * 2), "that is old");
    ack(&mut recovery, due, [2], 0).unwrap();
    assert!(recovery.deadline() <= Some(due + recovery.pto()));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_a_violation() {
    let mut recovery = known();
    let end = recovery.next_number();
    assert_eq!(ack(&mut recovery, at(200), [end], 0), Err(TransportError::ProtocolViolation));
}

#[test]
fn every_packet_is_reported_once() {
    let mut recovery = known();
    send_many(&mut recovery, at(100), 6);
    let outcome = ack(&mut recovery, at(200), [2, 5], 0).unwrap();
    assert_eq!((numbers(&outcome.acked), numbers(&outcome.lost)), (vec![5, 2], vec![1]));
    let again = ack(&mut recovery, at(201), [1, 2, 5], 0).unwrap();
    assert_eq!(again, Outcome::default(), "lost and acknowledged packets are forgotten");
    let rest = ack(&mut recovery, at(202), [3, 4, 6], 0).unwrap();
    assert_eq!(numbers(&rest.acked), [6, 4, 3]);
    assert_eq!(recovery.in_flight(), 0);
}

#[test]
fn the_probe_timeout_doubles_and_an_answer_ends_that() {
    let mut recovery = known();
    send(&mut recovery, at(1_000));
    send(&mut recovery, at(1_000));
    send(&mut recovery, at(1_000));
    // 100 ms, four times the variation of 50 ms, and the peer's delay.
    let pto = ms(100 + 200) + MAX_ACK_DELAY;
    assert_eq!(recovery.pto(), pto);
    let mut now = at(1_000);
    let mut repeated = Vec::new();
    for doublings in 0..4 {
        assert_eq!(recovery.deadline(), Some(now + pto * (1 << doublings)));
        now = now + pto * (1 << doublings);
        let outcome = recovery.on_deadline(now);
        assert!(outcome.lost.is_empty(), "a probe timeout loses nothing");
        repeated.push(outcome.again);
        assert_eq!(recovery.probes_owed(), 2);
        assert_eq!(recovery.may_send(now), 2 * MTU, "whatever the window says");
    }
    let all = [vec![carried(1), carried(2)], vec![carried(3)], vec![], vec![]];
    assert_eq!(repeated, all, "the oldest first, each once");
    recovery.on_sent(now, MTU, true, Carried::default());
    assert_eq!(recovery.probes_owed(), 1);
    let outcome = ack(&mut recovery, now, [4], 0).unwrap();
    assert_eq!(recovery.probes_owed(), 0);
    assert_eq!(numbers(&outcome.lost), [1, 2, 3]);
    let left: Vec<_> = outcome.lost.iter().map(|packet| packet.carried.clone()).collect();
    assert_eq!(left, vec![Carried::default(); 3], "their content was queued before");
    send(&mut recovery, now);
    assert_eq!(recovery.deadline(), Some(now + recovery.pto()), "no backoff any more");
}

#[test]
fn before_the_first_round_trip_a_probe_waits_for_a_second() {
    let mut recovery = Recovery::new(at(0), MTU);
    assert_eq!(recovery.deadline(), None);
    send(&mut recovery, at(5));
    assert_eq!(recovery.deadline(), Some(at(5) + ms(100 + 200) + MAX_ACK_DELAY));
    recovery.set_peer_ack_delay(ms(100));
    assert_eq!(recovery.deadline(), Some(at(5) + ms(100 + 200 + 100)));
}

#[test]
fn only_the_largest_packet_gives_a_sample_and_possible_delays_are_taken_off() {
    let mut recovery = known();
    send(&mut recovery, at(100));
    send(&mut recovery, at(100));
    ack(&mut recovery, at(200), [2], 0).unwrap();
    let before = recovery.smoothed_rtt();
    ack(&mut recovery, at(205), [1, 2], 0).unwrap();
    assert_eq!(recovery.smoothed_rtt(), before, "2 is not new");
    send(&mut recovery, at(300));
    ack(&mut recovery, at(500), [3], 10_000_000).unwrap();
    let impossible = (before * 7 + ms(200)) / 8;
    assert_eq!(recovery.smoothed_rtt(), impossible);
    send(&mut recovery, at(600));
    ack(&mut recovery, at(800), [4], 90_000).unwrap();
    assert_eq!(recovery.smoothed_rtt(), (impossible * 7 + ms(110)) / 8);
    assert_eq!(recovery.min_rtt(), ms(100));
}

#[test]
fn a_long_loss_of_everything_is_persistent_congestion() {
    // Three probe timeouts, by then with a variation of 37.5 ms: 3 * (100 + 150 + 25) ms.
    for (span, is_persistent) in [(825, false), (826, true)] {
        let mut recovery = known();
        let before = recovery.cwnd();
        send(&mut recovery, at(1_000));
        send(&mut recovery, at(1_500));
        send(&mut recovery, at(1_000 + span));
        for _ in 0..3 {
            send(&mut recovery, at(2_000));
        }
        let outcome = ack(&mut recovery, at(2_100), [4, 5, 6], 0).unwrap();
        assert_eq!(numbers(&outcome.lost), [1, 2, 3]);
        assert_eq!(outcome.is_persistent, is_persistent, "{span} ms");
        let floor = 2 * MTU as u64;
        let expected = if is_persistent { floor } else { before * 7 / 10 };
        assert_eq!(recovery.cwnd(), expected);
    }
}

#[test]
fn an_arrival_in_between_is_no_persistent_congestion() {
    let mut recovery = known();
    send(&mut recovery, at(1_000));
    send(&mut recovery, at(1_500));
    send(&mut recovery, at(3_000));
    ack(&mut recovery, at(1_600), [2], 0).unwrap();
    send_many(&mut recovery, at(3_000), 3);
    let outcome = ack(&mut recovery, at(3_100), [4, 5, 6], 0).unwrap();
    assert!(!outcome.is_persistent);
    let mut fresh = Recovery::new(at(0), MTU);
    for n in 0..3 {
        send(&mut fresh, at(n * 5_000));
    }
    send_many(&mut fresh, at(10_000), 3);
    let outcome = ack(&mut fresh, at(10_100), [3, 4, 5], 0).unwrap();
    assert_eq!(numbers(&outcome.lost), [0, 1, 2]);
    assert!(!outcome.is_persistent, "no round trip was known when they were sent");
}

#[test]
fn a_datagram_that_was_too_long_is_no_congestion() {
    let mut recovery = known();
    let before = recovery.cwnd();
    let number = recovery.on_probe_sent(at(100), 9_000);
    assert_eq!(recovery.in_flight(), 9_000);
    send_many(&mut recovery, at(100), 3);
    let outcome = ack(&mut recovery, at(200), [2, 3, 4], 0).unwrap();
    let lost = &outcome.lost[0];
    assert_eq!((lost.number, lost.size, lost.is_probe), (number, 9_000, true));
    assert_eq!((recovery.cwnd(), recovery.in_flight()), (before, 0));
}

#[test]
fn another_path_starts_anew_and_the_old_one_does_not_count() {
    let mut recovery = known();
    send_many(&mut recovery, at(100), 4);
    recovery.on_migrated(at(150));
    assert_eq!((recovery.in_flight(), recovery.smoothed_rtt()), (0, ms(100)));
    let before = recovery.cwnd();
    send(&mut recovery, at(150));
    let outcome = ack(&mut recovery, at(200), [4], 0).unwrap();
    assert_eq!((numbers(&outcome.acked), numbers(&outcome.lost)), (vec![4], vec![1]));
    assert_eq!(recovery.smoothed_rtt(), ms(100), "that was the old path");
    assert_eq!((recovery.cwnd(), recovery.in_flight()), (before, MTU as u64));
    ack(&mut recovery, at(190), [5], 0).unwrap();
    assert_eq!(recovery.smoothed_rtt(), ms(40));
}

#[test]
fn the_window_is_a_limit_and_pacing_another_one() {
    let mut recovery = Recovery::new(at(0), MTU);
    let mut sent = 0;
    while recovery.may_send(at(0)) >= MTU {
        send(&mut recovery, at(0));
        sent += MTU as u64;
    }
    assert_eq!((sent, recovery.cwnd()), (12_000, 12_000), "ten packets at once");
    assert_eq!(recovery.release(), None, "it is not pacing that holds it up");
    recovery.on_app_limited();
    ack(&mut recovery, at(100), 0..10, 0).unwrap();
    assert_eq!(recovery.cwnd(), 12_000, "the window was not needed");
    while recovery.may_send(at(100)) >= MTU {
        send(&mut recovery, at(100));
    }
    ack(&mut recovery, at(101), 10..15, 0).unwrap();
    assert!(recovery.cwnd() > 12_000, "now it was");
    assert_eq!(recovery.may_send(at(101)), 0);
    let release = recovery.release().unwrap();
    assert!(release > at(101) && release < at(120), "{release:?}");
    assert!(recovery.may_send(release) >= MTU);
}

#[test]
fn only_so_many_packets_are_on_their_way() {
    let mut recovery = Recovery::new(at(0), MTU);
    for _ in 0..DQUIC_MAX_IN_FLIGHT {
        recovery.on_sent(at(0), 0, true, Carried::default());
    }
    assert_eq!(recovery.may_send(at(0)), 0);
    assert!(recovery.cwnd() - recovery.in_flight() > MTU as u64);
    ack(&mut recovery, at(1), [0], 0).unwrap();
    assert!(recovery.may_send(at(1)) > 0);
}
