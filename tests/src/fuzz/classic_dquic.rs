//! A classic DQUIC endpoint that sends, receives, and waits, while a network says anything.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anabranch_core::limits::{CLASSIC_ANSWER_TIMEOUT, MAX_SEGMENTED};
use anabranch_core::transport::dquic::classic::{
    Config, Endpoint, Event, HEADER_LEN, Layout, Output, Packet, Received,
};
use anabranch_core::{Instant, Seed};

use super::input::Input;

/// Streams that are sent, with their sizes.
const STREAMS: [(u32, u64); 3] = [(1, 3_000), (2, 0), (u32::MAX, 100_000)];
const STEPS: usize = 500;

/// What is known from outside.
struct Play {
    endpoint: Endpoint,
    now: Instant,
    /// Where the next piece of each stream belongs, as far as pieces were handed on in order.
    next: BTreeMap<(SocketAddr, u32), u64>,
}

/// Steps: what to do, and for a datagram its length and bytes.
pub fn classic_dquic(data: &[u8]) {
    let mut input = Input::new(data);
    let config = Config { max_bytes: 4_096, quiet_after: Some(Duration::from_secs(3)) };
    let endpoint = Endpoint::new(config, &Seed::from_u64(1));
    let mut play = Play { endpoint, now: Instant::ZERO, next: BTreeMap::new() };
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        play.step(&mut input);
        play.drain();
    }
    // Whatever was said, silence ends everything.
    for _ in 0..16 {
        play.now = play.now + 2 * CLASSIC_ANSWER_TIMEOUT;
        play.endpoint.handle_timeout(play.now);
        play.drain();
    }
    assert!(play.endpoint.connections().all(|connection| !connection.is_sending()));
}

fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], u16::from(n & 3)))
}

impl Play {
    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.u8();
        let from = peer(what >> 4);
        match what & 15 {
            0 => {
                let layout = if what & 64 == 0 { Layout::Classic } else { Layout::Wide };
                // It may be refused.
                let _ = self.endpoint.send(self.now, from, layout, &STREAMS.map(|(id, _)| id));
            }
            1 => self.endpoint.cancel(self.now, from),
            2 => {
                self.now = self.now + Duration::from_millis(u64::from(input.u8()) * 20);
                self.endpoint.handle_timeout(self.now);
            }
            3 => self.endpoint.set_accepting(what & 16 == 0),
            // An answer with the number that is waited for, so that it is read.
            4..8 => {
                let number = self.endpoint.connection(&from);
                let number = number.map_or(0, |peer| peer.sent_packet_number().wrapping_sub(1));
                let len = usize::from(input.u8());
                let bytes = [&[6], &number.to_be_bytes()[..], input.take(len)].concat();
                self.endpoint.handle_datagram(self.now, from, &bytes);
            }
            _ => {
                let len = usize::from(input.u16() & 0x7ff);
                let bytes = input.take(len);
                round_trip(bytes);
                self.endpoint.handle_datagram(self.now, from, bytes);
            }
        }
    }

    fn drain(&mut self) {
        let mut buf = vec![0; MAX_SEGMENTED];
        loop {
            match self.endpoint.poll_output(&mut buf) {
                Output::Wait(_) => return,
                Output::Transmit { peer, len } => {
                    assert!(peer.port() != 0 && (HEADER_LEN..=MAX_SEGMENTED).contains(&len));
                    round_trip(&buf[..len]);
                }
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Wanted { peer, stream, offset, len } => {
                let size = STREAMS.iter().find(|(id, _)| *id == stream).expect("one of ours").1;
                let left = usize::try_from(size.saturating_sub(offset)).expect("small");
                let bytes = vec![7; left.min(len)];
                let given = self.endpoint.supply(self.now, peer, stream, offset, bytes.into());
                given.expect("it was wanted");
            }
            Event::Received(packet) => self.received(&packet),
            Event::Forgotten { peer, streams } => {
                for (stream, _) in streams {
                    self.next.remove(&(peer, stream));
                }
            }
            Event::Quiet { .. }
            | Event::Broken { .. }
            | Event::Sent { .. }
            | Event::Failed { .. } => {}
        }
    }

    /// Every byte once, and in order.
    fn received(&mut self, packet: &Received) {
        for piece in packet.pieces.iter().filter(|piece| piece.in_order) {
            let next = self.next.entry((packet.peer, piece.stream)).or_default();
            assert_eq!(piece.offset, *next, "stream {}", piece.stream);
            *next += piece.data.len() as u64;
        }
    }
}

/// What is a whole packet is written as it was read.
fn round_trip(bytes: &[u8]) {
    for layout in [Layout::Classic, Layout::Wide] {
        if let Ok(packet) = Packet::from_bytes(layout, bytes) {
            assert_eq!(packet.to_bytes(layout).as_deref(), Ok(bytes));
        }
    }
}
