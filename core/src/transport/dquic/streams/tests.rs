//! Streams as a whole: two ends, and packets between them.

mod flow;
mod halves;
mod random;
mod signals;
mod turns;

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::time::Instant;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::{Frame, Frames};
use crate::transport::dquic::out::Out;
use crate::transport::dquic::recovery::Carried;

const RTT: Duration = Duration::from_millis(10);
const MTU: usize = 1_200;

const CREDIT: Credit =
    Credit { max_data: 100_000, max_stream_data: 10_000, max_streams_bidi: 4, max_streams_uni: 2 };

fn setup(side: Side, credit: Credit) -> Setup {
    let (max_stream_window, max_window) = (credit.max_stream_data, credit.max_data);
    Setup { side, credit, max_stream_window, max_window }
}

/// One end, whose peer gives the same credit.
fn end_with(side: Side, credit: Credit) -> Streams {
    let mut streams = Streams::new(setup(side, credit));
    streams.set_peer(credit);
    streams
}

fn client() -> Streams {
    end_with(Side::Client, CREDIT)
}

fn server() -> Streams {
    end_with(Side::Server, CREDIT)
}

/// One packet, as bytes and as what was noted of it. `None`: there was nothing to send.
fn packet(from: &mut Streams, now: Instant, room: usize) -> Option<(Vec<u8>, Carried)> {
    let mut buf = vec![0; room];
    let mut out = Out::new(&mut buf);
    let mut carried = Carried::default();
    from.write_frames(now, RTT, &mut out, &mut carried);
    let len = out.len();
    buf.truncate(len);
    assert_eq!(buf.is_empty(), carried.items.is_empty());
    (len > 0).then_some((buf, carried))
}

fn give(to: &mut Streams, payload: &[u8]) {
    for frame in Frames::new(payload) {
        to.on_frame(&frame.expect("a frame")).expect("no violation");
    }
}

/// Everything that `from` has to send arrives and is acknowledged.
fn pass(from: &mut Streams, to: &mut Streams) {
    for _ in 0..10_000 {
        let Some((payload, carried)) = packet(from, Instant::ZERO, MTU) else {
            assert!(!from.wants_to_send());
            return;
        };
        give(to, &payload);
        from.on_acked(&carried);
    }
    panic!("it does not end");
}

/// Both ends, until neither has anything to send.
fn settle(a: &mut Streams, b: &mut Streams) {
    while a.wants_to_send() || b.wants_to_send() {
        pass(a, b);
        pass(b, a);
    }
}

fn write(streams: &mut Streams, id: StreamId, data: &[u8], fin: bool) -> usize {
    let mut bytes = Bytes::copy_from_slice(data);
    let all = streams.write(id, &mut bytes, fin).expect("the stream is open");
    assert_eq!(all == Wrote::All, bytes.is_empty());
    data.len() - bytes.len()
}

/// Reads what is there. True after the last of it.
fn read(streams: &mut Streams, id: StreamId, into: &mut Vec<u8>) -> bool {
    let mut buf = [0; 999];
    loop {
        match streams.read(id, &mut buf).expect("no reset") {
            Read::Bytes(len) => into.extend(&buf[..len]),
            Read::Blocked => return false,
            Read::Finished => return true,
        }
    }
}

fn signals(streams: &mut Streams) -> Vec<Signal> {
    std::iter::from_fn(|| streams.poll()).collect()
}

/// The frames of the next packet, as they print.
fn frames(streams: &mut Streams) -> Vec<String> {
    let Some((payload, _)) = packet(streams, Instant::ZERO, MTU) else { return Vec::new() };
    Frames::new(&payload).map(|frame| format!("{:?}", frame.expect("a frame"))).collect()
}

fn data(id: u64, offset: u64, data: &[u8], fin: bool) -> Frame<'_> {
    use crate::transport::dquic::frame::StreamFrame;
    Frame::Stream(StreamFrame { id: StreamId(id), offset, data, fin })
}
