//! Limits that take too long to reach between two hosts, met from the inside.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;

use super::line::Line;
use super::message::Message;
use super::message::entries::Parsed;
use super::receiver::Receiver;
use super::sender::Sender;
use super::types::{Accept, Entry, Existing, Have, Offer, Token};
use super::{Event, name};
use crate::code::Code;
use crate::config::MediaPolicy;
use crate::error::{Misuse, Violation};
use crate::event::Dialect;
use crate::hub::Hub;
use crate::id::{ConnId, Dir, SessionId, StreamId};
use crate::io::{Path, Transmit};
use crate::limits;
use crate::session::Cx;
use crate::time::{Instant, UnixMillis};
use crate::trace::{Story, Trace};
use crate::transport::{Read, Signal, Stats, StreamEnd, Transport, Wrote};

const TOKEN: Token = Token([4; 16]);
const STREAM: StreamId = StreamId(4);

/// Takes nothing and gives nothing.
struct Nowhere;

impl Transport for Nowhere {
    fn receive(&mut self, _: Instant, _: Path, _: &mut [u8]) {}
    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<Transmit> {
        None
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn expire(&mut self, _: Instant) {}
    fn poll(&mut self) -> Option<Signal> {
        None
    }
    fn open(&mut self, _: Dir) -> Option<StreamId> {
        None
    }
    fn write(&mut self, _: StreamId, _: &mut Bytes, _: bool) -> Result<Wrote, StreamEnd> {
        Ok(Wrote::Blocked)
    }
    fn read(&mut self, _: StreamId, _: &mut [u8]) -> Result<Read, StreamEnd> {
        Ok(Read::Blocked)
    }
    fn reset(&mut self, _: StreamId, _: Code) {}
    fn stop(&mut self, _: StreamId, _: Code) {}
    fn prioritize(&mut self, _: StreamId, _: u8) {}
    fn ping(&mut self) {}
    fn close(&mut self, _: Instant, _: Code, _: &str) {}
    fn rebind(&mut self, _: Instant, _: SocketAddr) -> Result<(), Misuse> {
        Ok(())
    }
    fn is_early(&self) -> bool {
        false
    }
    fn ticket(&self) -> Option<Bytes> {
        None
    }
    fn is_over(&self, _: StreamId) -> bool {
        false
    }
    fn is_finished(&self) -> bool {
        false
    }
    fn stats(&self) -> Stats {
        Stats::default()
    }
}

/// Runs something with a context that leads nowhere. Answers with the events.
fn with<T>(act: impl FnOnce(&mut Cx<'_>) -> T) -> (T, Vec<Event>) {
    let mut events = VecDeque::new();
    let story = Story::new(Trace::default(), ConnId { slot: 0, generation: 0 });
    let value = act(&mut Cx {
        now: Instant::ZERO,
        wall: UnixMillis(0),
        dialect: Dialect::V1,
        transport: &mut Nowhere,
        events: &mut events,
        hub: &mut Hub::default(),
        policy: &MediaPolicy::default(),
        story: &story,
        draining: false,
        streams: &mut Vec::new(),
    });
    let told = events.into_iter().filter_map(|event| match event {
        crate::Event::Files(_, event) => Some(event),
        _ => None,
    });
    (value, told.collect())
}

fn line(cx: &Cx<'_>) -> Line {
    Line::new(SessionId(0), STREAM, &[], cx)
}

fn offer() -> Message {
    let (label, target) = (String::new(), String::new());
    let existing = Existing::default();
    Message::Offer { token: TOKEN, entries: None, bytes: None, label, target, existing }
}

fn page(first: u32, count: usize) -> Message {
    let entries = vec![Parsed::Known(Entry::file("a", Some(1))); count];
    Message::Entries { first, last: false, entries }
}

/// A receiver that has accepted, and has been told of so many entries.
fn receiving(cx: &mut Cx<'_>, entries: u32) -> Receiver {
    let mut receiver = Receiver::new(line(cx), TOKEN, Accept::default(), cx.now);
    receiver.on_word(cx, offer()).unwrap();
    receiver.accept(Accept::default()).unwrap();
    receiver.skip_to(entries);
    receiver
}

#[test]
fn a_transfer_has_so_many_entries_and_no_more() {
    let most = u32::try_from(limits::MAX_ENTRIES).unwrap();
    let (answers, _) = with(|cx| {
        let mut receiver = receiving(cx, most - 2);
        (receiver.on_word(cx, page(most - 2, 2)), receiver.on_word(cx, page(most, 1)))
    });
    assert_eq!(answers, (Ok(()), Err(Violation::FileLimit("entries"))));
    let (answers, _) = with(|cx| {
        let mut sender = Sender::new(line(cx), TOKEN, cx.now);
        sender.offer(cx, &Offer::new(TOKEN), None).unwrap();
        sender.on_word(cx, Message::Accept { window: 1 << 20 }).unwrap();
        sender.skip_to(most - 1);
        sender.on_readable(cx);
        let entry = Entry::file("a", Some(1));
        let both = sender.supply_entries(vec![entry.clone(); 2], false);
        (both, sender.supply_entries(vec![entry], true))
    });
    let limit = limits::MAX_ENTRIES;
    assert_eq!(answers, (Err(Misuse::TooMuch { what: "entries", limit }), Ok(())));
}

#[test]
fn a_peer_that_reads_nothing_is_not_listened_to_for_long() {
    let (queued, events) = with(|cx| {
        let mut receiver = receiving(cx, 0);
        // Each entry is answered with a refusal that cannot leave.
        let mut first = 0;
        while receiver.is_listening(cx) {
            let bad = Parsed::Known(Entry::file("..", Some(1)));
            let page = Message::Entries { first, last: false, entries: vec![bad; 64] };
            receiver.on_word(cx, page).unwrap();
            first += 64;
            cx.events.clear();
        }
        first
    });
    let each = name::check_native("..").unwrap_err().to_string().len();
    let most = limits::MAX_FILE_QUEUED / each + 64;
    assert!((64..most).contains(&(queued as usize)), "{queued} answers were queued");
    assert_eq!(events, []);
}

#[test]
fn a_receiver_can_have_so_many_ranges_and_no_others() {
    let haves = |count: u64| (0..count).map(|n| Have { first: 2 * n, hashes: vec![[0; 32]] });
    let entry = Entry { piece: limits::MIN_PIECE, ..Entry::file("a", Some(100 << 16)) };
    let most = limits::MAX_HAVES as u64;
    let twice =
        vec![Have { first: 3, hashes: vec![[0; 32]; 2] }, Have { first: 4, hashes: vec![[0; 32]] }];
    let cases: [(Vec<Have>, bool); 6] = [
        (haves(most).collect(), true),
        (haves(most + 1).collect(), false),
        (twice, false),
        (vec![Have { first: 0, hashes: Vec::new() }], false),
        (vec![Have { first: 99, hashes: vec![[0; 32]] }], true),
        (vec![Have { first: 99, hashes: vec![[0; 32]; 2] }], false),
    ];
    for (haves, fits) in cases {
        let text = format!("{haves:?}");
        let (answer, _) = with(|cx| {
            let mut receiver = receiving(cx, 0);
            let entries = vec![Parsed::Known(entry.clone())];
            receiver.on_word(cx, Message::Entries { first: 0, last: true, entries }).unwrap();
            receiver.take(0, haves)
        });
        assert_eq!(answer.is_ok(), fits, "{text}");
    }
}

#[test]
fn offers_and_windows_keep_to_their_limits() {
    let most = limits::MAX_TRANSFER_RANK;
    let offers = [
        (Offer { rank: most, ..Offer::new(TOKEN) }, true),
        (Offer { rank: most + 1, ..Offer::new(TOKEN) }, false),
        (Offer { label: "x".repeat(limits::MAX_LABEL), ..Offer::new(TOKEN) }, true),
        (Offer { label: "x".repeat(limits::MAX_LABEL + 1), ..Offer::new(TOKEN) }, false),
        (Offer { target: "x".repeat(limits::MAX_PATH), ..Offer::new(TOKEN) }, true),
        (Offer { target: "x".repeat(limits::MAX_PATH + 1), ..Offer::new(TOKEN) }, false),
    ];
    for (offer, fits) in offers {
        assert_eq!(super::sender::check_offer(&offer).is_ok(), fits, "{offer:?}");
    }
    for (window, fits) in [
        (limits::MIN_FILE_WINDOW - 1, false),
        (limits::MIN_FILE_WINDOW, true),
        (limits::DEFAULT_FILE_WINDOW, true),
        (limits::MAX_FILE_WINDOW, true),
        (limits::MAX_FILE_WINDOW + 1, false),
    ] {
        let accept = Accept { window, ..Accept::default() };
        let (answer, _) = with(|cx| {
            let mut receiver = Receiver::new(line(cx), TOKEN, accept, cx.now);
            receiver.on_word(cx, offer()).unwrap();
            receiver.accept(accept)
        });
        assert_eq!(answer.is_ok(), fits, "{window}");
    }
}

#[test]
fn files_that_are_too_large_cannot_be_announced() {
    for (size, fits) in [(limits::MAX_FILE, true), (limits::MAX_FILE + 1, false)] {
        let (answer, _) = with(|cx| {
            let mut sender = Sender::new(line(cx), TOKEN, cx.now);
            sender.offer(cx, &Offer::new(TOKEN), None).unwrap();
            sender.on_word(cx, Message::Accept { window: 1 << 20 }).unwrap();
            sender.on_readable(cx);
            sender.supply_entries(vec![Entry::file("a", Some(size))], true)
        });
        assert_eq!(answer.is_ok(), fits, "{size}: {answer:?}");
    }
}
