//! A sender and a receiver in virtual time, with a network between them that loses, repeats and
//! delays.

use std::collections::BTreeMap;

use super::*;
use crate::limits::CLASSIC_TRIES;

/// What happens to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    IsLost,
    ComesTwice,
    /// Later than its repetition.
    IsLate,
}

/// How a sending went.
struct Run {
    received: BTreeMap<u32, Vec<u8>>,
    ended: Event,
    repeated: u64,
    datagrams: u64,
}

/// Sends streams of these sizes from `peer(1)` to `peer(2)`. `fate` is asked for each datagram,
/// counted over both directions.
fn run(layout: Layout, sizes: &[(u32, usize)], mut fate: impl FnMut(u64) -> Fate) -> Run {
    let (mut sender, mut receiver) = (endpoint(None), endpoint(None));
    let ids: Vec<u32> = sizes.iter().map(|(id, _)| *id).collect();
    sender.send(at(0), peer(2), layout, &ids).unwrap();
    let mut now = at(0);
    let mut flying: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)> = BTreeMap::new();
    let mut received: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut datagrams = 0;
    loop {
        let (out, back) = (feed(&mut sender, now, sizes), outputs(&mut receiver));
        for event in &back.events {
            let Event::Received(packet) = event else { panic!("{event:?}") };
            for piece in packet.pieces.iter().filter(|piece| piece.in_order) {
                received.entry(piece.stream).or_default().extend(&piece.data);
            }
        }
        for (to, bytes) in out.datagrams.into_iter().chain(back.datagrams) {
            let mut fly = |delay, copy| {
                let arrives = now + Duration::from_millis(delay);
                flying.insert((arrives, 2 * datagrams + copy), (to, bytes.clone()));
            };
            match fate(datagrams) {
                Fate::Arrives => fly(10, 0),
                Fate::IsLost => {}
                Fate::IsLate => fly(2_005, 0),
                Fate::ComesTwice => {
                    fly(10, 0);
                    fly(25, 1);
                }
            }
            datagrams += 1;
        }
        if let Some(ended) = out.events.into_iter().next() {
            let (Event::Sent { report, .. } | Event::Failed { report, .. }) = &ended else {
                panic!("{ended:?}")
            };
            return Run { received, repeated: report.repeated, ended, datagrams };
        }
        let arrival = flying.first_key_value().map(|((at, _), _)| *at);
        now = [arrival, out.wait].into_iter().flatten().min().expect("it waits for ever");
        if arrival == Some(now) {
            // A packet for the receiver comes from the sender, and the other way round.
            let (_, (to, bytes)) = flying.pop_first().unwrap();
            let (endpoint, from) =
                if to == peer(2) { (&mut receiver, peer(1)) } else { (&mut sender, peer(2)) };
            endpoint.handle_datagram(now, from, &bytes);
        } else {
            sender.handle_timeout(now);
        }
    }
}

const SIZES: [(u32, usize); 3] = [(1, 9_000), (2, 500), (7, 5_001)];

fn assert_whole(run: &Run, what: &str) {
    assert!(matches!(run.ended, Event::Sent { .. }), "{what}: {:?}", run.ended);
    for (id, size) in SIZES {
        let sent: Vec<u8> = (0..size).map(|place| byte(id, place)).collect();
        assert!(run.received[&id] == sent, "{what}: stream {id}");
    }
}

#[test]
fn any_one_datagram_may_be_lost_repeated_or_late() {
    for layout in [Layout::Classic, Layout::Wide] {
        let calm = run(layout, &SIZES, |_| Fate::Arrives);
        assert_whole(&calm, "nothing happens");
        assert_eq!((calm.repeated, calm.datagrams % 2), (0, 0));
        assert!(calm.datagrams >= 10, "{}", calm.datagrams);
        for one in 0..calm.datagrams {
            for fate in [Fate::IsLost, Fate::ComesTwice, Fate::IsLate] {
                let turn = |number| if number == one { fate } else { Fate::Arrives };
                let run = run(layout, &SIZES, turn);
                assert_whole(&run, &format!("{layout:?}, {fate:?} {one}"));
                let again = u64::from(fate != Fate::ComesTwice);
                assert_eq!(run.repeated, again, "{layout:?}, {fate:?} {one}");
            }
        }
    }
}

#[test]
fn four_losses_in_a_row_are_survived_and_five_are_not() {
    let lost = |from: u64, count: u64| {
        move |number| {
            if (from..from + count).contains(&number) { Fate::IsLost } else { Fate::Arrives }
        }
    };
    let tries = u64::from(CLASSIC_TRIES);
    // The datagrams with even numbers are those of the sender as long as all arrive.
    for from in [0, 2, 6] {
        let outcome = run(Layout::Classic, &SIZES, lost(from, tries - 1));
        assert_whole(&outcome, "four in a row");
        assert_eq!(outcome.repeated, tries - 1);
        let outcome = run(Layout::Classic, &SIZES, lost(from, tries));
        let Event::Failed { why, .. } = outcome.ended else { panic!("{:?}", outcome.ended) };
        assert_eq!(why, Why::Silent { tries: CLASSIC_TRIES });
    }
}

#[test]
fn streams_arrive_whole_through_a_bad_network() {
    let mut whole = 0;
    for seed in 0..200 {
        let mut rng = Seed::from_u64(seed).stream("network");
        let layout = if rng.chance(1, 2) { Layout::Classic } else { Layout::Wide };
        let run = run(layout, &SIZES, |_| match rng.below(20) {
            0..2 => Fate::IsLost,
            2..5 => Fate::ComesTwice,
            5..6 => Fate::IsLate,
            _ => Fate::Arrives,
        });
        // Five losses of one packet are possible, and rare; what came is right in any case.
        for (id, bytes) in &run.received {
            let expected = (0..bytes.len()).map(|place| byte(*id, place));
            assert!(expected.eq(bytes.iter().copied()), "seed {seed}: stream {id}");
        }
        if matches!(run.ended, Event::Sent { .. }) {
            assert_whole(&run, &format!("seed {seed}"));
            whole += 1;
        }
    }
    assert!(whole > 190, "only {whole} of 200");
}
