//! Classic DQUIC against itself, against a model of the existing receivers, and at its limits.

mod layouts;
mod limits;
mod model;
mod network;
mod packets;
mod receiving;
mod sending;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::limits::MAX_SEGMENTED;
use crate::rng::Seed;
use crate::time::Instant;

fn peer(n: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], n))
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn endpoint(quiet_after: Option<Duration>) -> Endpoint {
    Endpoint::new(Config { quiet_after, ..Config::default() }, &Seed::from_u64(1))
}

/// What an endpoint gives until it waits.
#[derive(Debug, Default)]
struct Outputs {
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    events: Vec<Event>,
    wait: Option<Instant>,
}

fn outputs(endpoint: &mut Endpoint) -> Outputs {
    let mut buf = vec![0; MAX_SEGMENTED];
    let mut out = Outputs::default();
    loop {
        match endpoint.poll_output(&mut buf) {
            Output::Transmit { peer, len } => out.datagrams.push((peer, buf[..len].to_vec())),
            Output::Event(event) => out.events.push(event),
            Output::Wait(wait) => {
                out.wait = wait;
                return out;
            }
        }
    }
}

/// What it answers to a datagram.
fn answer(endpoint: &mut Endpoint, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
    endpoint.handle_datagram(Instant::ZERO, from, datagram);
    let mut datagrams = outputs(endpoint).datagrams;
    assert!(datagrams.len() <= 1, "{datagrams:?}");
    datagrams.pop().map(|(to, bytes)| {
        assert_eq!(to, from);
        bytes
    })
}

fn data(stream_id: u32, offset: u64, bytes: &[u8]) -> (Frame, &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap();
    (Frame { stream_id, frame_type: DATA, offset, length }, bytes)
}

fn short(layout: Layout, number: u32, frames: &[(Frame, &[u8])]) -> Vec<u8> {
    let header = Header { packet_type: SHORT, packet_number: number };
    Packet { header, frames: frames.to_vec() }.to_bytes(layout).unwrap()
}

/// An acknowledgement: stream and count of each frame.
fn ack(layout: Layout, number: u32, counts: &[(u32, u64)]) -> Vec<u8> {
    let header = Header { packet_type: ACK, packet_number: number };
    let frame = |(stream_id, offset): &(u32, u64)| {
        let (stream_id, offset) = (*stream_id, *offset);
        (Frame { stream_id, frame_type: u32::from(ACK), offset, length: 0 }, &[][..])
    };
    Packet { header, frames: counts.iter().map(frame).collect() }.to_bytes(layout).unwrap()
}

/// Answers everything that is wanted, from bytes that depend on stream and place.
fn feed(endpoint: &mut Endpoint, now: Instant, sizes: &[(u32, usize)]) -> Outputs {
    let mut all = Outputs::default();
    loop {
        let out = outputs(endpoint);
        all.datagrams.extend(out.datagrams);
        all.wait = out.wait;
        let mut fed = false;
        for event in out.events {
            if let Event::Wanted { peer, stream, offset, len } = event {
                let size = sizes.iter().find(|(id, _)| *id == stream).unwrap().1;
                let from = usize::try_from(offset).unwrap();
                let end = size.min(from + len);
                let bytes: Bytes = (from..end).map(|place| byte(stream, place)).collect();
                endpoint.supply(now, peer, stream, offset, bytes).unwrap();
                fed = true;
            } else {
                all.events.push(event);
            }
        }
        if !fed {
            return all;
        }
    }
}

/// What a stream has at a place.
fn byte(stream: u32, place: usize) -> u8 {
    u8::try_from((place * 7 + place / 256 + stream as usize) % 251).unwrap()
}
