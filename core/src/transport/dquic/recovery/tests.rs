//! Recovery as a whole.

mod loss;
mod simulation;

use super::carried::{Carried, Item};
use super::ranges::RangeSet;
use super::{Outcome, Recovery};
use crate::id::StreamId;
use crate::time::Instant;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::{Frame, Frames, write_ack};
use crate::transport::dquic::out::Out;

const MTU: usize = 1_200;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// Something to recognise a packet by.
fn carried(number: u64) -> Carried {
    let item = Item::Stream { id: StreamId(0), range: number..number + 1, fin: false };
    Carried { ack: None, items: vec![item] }
}

fn send_many(recovery: &mut Recovery, now: Instant, count: usize) {
    for _ in 0..count {
        send(recovery, now);
    }
}

fn send(recovery: &mut Recovery, now: Instant) -> u64 {
    let number = recovery.next_number();
    assert_eq!(recovery.on_sent(now, MTU, true, carried(number)), number);
    number
}

/// Gives an ACK frame for these packets.
fn ack(
    recovery: &mut Recovery,
    now: Instant,
    numbers: impl IntoIterator<Item = u64>,
    delay_us: u64,
) -> Result<Outcome, TransportError> {
    let mut received = RangeSet::default();
    numbers.into_iter().for_each(|n| received.insert(n..n + 1));
    ack_ranges(recovery, now, &received, delay_us)
}

fn ack_ranges(
    recovery: &mut Recovery,
    now: Instant,
    received: &RangeSet,
    delay_us: u64,
) -> Result<Outcome, TransportError> {
    let mut buf = [0; 2_000];
    let mut out = Out::new(&mut buf);
    assert!(write_ack(&mut out, received, delay_us));
    let len = out.len();
    match Frames::new(&buf[..len]).next() {
        Some(Ok(Frame::Ack(ack))) => recovery.on_ack(now, &ack),
        other => panic!("{other:?}"),
    }
}

fn numbers(packets: &[super::Packet]) -> Vec<u64> {
    packets.iter().map(|packet| packet.number).collect()
}
