//! Two ends over a link that loses, repeats and reorders, with everything an application can do.

use super::*;
use crate::rng::{Rng, Seed};

/// A packet on its way.
struct Flight {
    payload: Vec<u8>,
    carried: Carried,
    /// The sender has taken it for lost already.
    given_up: bool,
}

/// What one end wants to send on a stream, and what the other one has of it.
#[derive(Default)]
struct Story {
    unsent: Vec<u8>,
    is_finished: bool,
    wrote: Vec<u8>,
    got: Vec<u8>,
    /// How it ended for the reader.
    end: Option<Result<(), Code>>,
    reset: bool,
    stopped: bool,
}

struct World {
    rng: Rng,
    ends: [Streams; 2],
    flights: [Vec<Flight>; 2],
    /// By sender.
    stories: [BTreeMap<StreamId, Story>; 2],
    opened: usize,
    faults: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Seed::from_u64(seed).stream("world");
        let max_stream_data = 1 + rng.below(5_000);
        let credit = Credit {
            max_stream_data,
            max_data: 1 + rng.below(3 * max_stream_data),
            max_streams_bidi: 1 + rng.below(5),
            max_streams_uni: 1 + rng.below(5),
        };
        let end = |side| {
            let mut setup = setup(side, credit);
            setup.max_stream_window *= 4;
            setup.max_window *= 4;
            let mut streams = Streams::new(setup);
            streams.set_peer(credit);
            streams
        };
        let ends = [end(Side::Client), end(Side::Server)];
        let (flights, stories) = Default::default();
        Self { rng, ends, flights, stories, opened: 0, faults: true }
    }

    fn open(&mut self, by: usize) {
        let dir = if self.rng.chance(1, 2) { Dir::Bidi } else { Dir::Uni };
        if self.opened == 40 {
            return;
        }
        let Some(id) = self.ends[by].open(dir) else { return };
        self.opened += 1;
        let rank = u8::try_from(self.rng.below(3)).unwrap();
        self.ends[by].prioritize(id, rank);
        for end in [by, 1 - by].into_iter().take(if dir == Dir::Bidi { 2 } else { 1 }) {
            let mut unsent = vec![0; usize::try_from(self.rng.below(12_000)).unwrap()];
            self.rng.fill(&mut unsent);
            self.stories[end].insert(id, Story { unsent, ..Story::default() });
        }
    }

    /// One of the streams that an end sends on.
    fn some(&mut self, end: usize) -> Option<StreamId> {
        let count = self.stories[end].len() as u64;
        let place = usize::try_from(self.rng.below(count.max(1))).unwrap();
        self.stories[end].keys().nth(place).copied()
    }

    fn write(&mut self, by: usize, id: StreamId) {
        let story = self.stories[by].get_mut(&id).unwrap();
        if story.is_finished || story.reset {
            return;
        }
        let len = usize::try_from(self.rng.below(4_000)).unwrap().min(story.unsent.len());
        let fin = len == story.unsent.len();
        let mut data = Bytes::copy_from_slice(&story.unsent[..len]);
        match self.ends[by].write(id, &mut data, fin) {
            Ok(wrote) => {
                let taken = len - data.len();
                story.wrote.extend(story.unsent.drain(..taken));
                assert_eq!(wrote == Wrote::All, data.is_empty());
                story.is_finished = fin && data.is_empty();
            }
            Err(StreamEnd::ByPeer(code)) => {
                assert!(story.stopped && code == Code::Refused);
                story.reset = true;
            }
            // A stream of the peer's that has not come here yet, or one that was forgotten.
            Err(StreamEnd::Gone) => {}
        }
    }

    fn read(&mut self, by: usize, id: StreamId) {
        let story = self.stories[1 - by].get_mut(&id).unwrap();
        let mut buf = [0; 700];
        match self.ends[by].read(id, &mut buf) {
            Ok(Read::Bytes(len)) => {
                assert!(story.end.is_none() && len > 0);
                story.got.extend(&buf[..len]);
                assert!(story.wrote.starts_with(&story.got), "{id}: other bytes");
            }
            Ok(Read::Blocked) => assert!(story.end.is_none()),
            Ok(Read::Finished) => {
                assert!(story.end.is_none() && story.is_finished && story.got == story.wrote);
                story.end = Some(Ok(()));
            }
            Err(StreamEnd::ByPeer(code)) => {
                assert!(story.end.is_none() && (story.reset || story.stopped));
                story.end = Some(Err(code));
            }
            Err(StreamEnd::Gone) => {}
        }
    }

    fn act(&mut self) {
        let by = usize::try_from(self.rng.below(2)).unwrap();
        let kind = self.rng.below(100);
        match kind {
            0..5 => self.open(by),
            5..30 => drop(self.some(by).map(|id| self.write(by, id))),
            30..55 => drop(self.some(1 - by).map(|id| self.read(by, id))),
            55..80 => self.send(by),
            80..98 => self.arrive(by),
            98 => {
                let Some(id) = self.some(by) else { return };
                // Only what was opened there can be ended there.
                if !self.ends[by].is_over(id) {
                    self.ends[by].reset(id, Code::Cancelled);
                    self.stories[by].get_mut(&id).unwrap().reset = true;
                }
            }
            _ => {
                let Some(id) = self.some(1 - by) else { return };
                if !self.ends[by].is_over(id) {
                    self.ends[by].stop(id, Code::Refused);
                    self.stories[1 - by].get_mut(&id).unwrap().stopped = true;
                }
            }
        }
        while self.ends[by].poll().is_some() {}
    }

    fn send(&mut self, by: usize) {
        let room = usize::try_from(60 + self.rng.below(1_200)).unwrap();
        if self.flights[by].len() < 30
            && let Some((payload, carried)) = packet(&mut self.ends[by], Instant::ZERO, room)
        {
            self.flights[by].push(Flight { payload, carried, given_up: false });
        }
    }

    /// Something becomes of a packet that `by` has sent.
    fn arrive(&mut self, by: usize) {
        if self.flights[by].is_empty() {
            return;
        }
        let count = self.flights[by].len() as u64;
        let place = usize::try_from(self.rng.below(count.min(8))).unwrap();
        let fate = if self.faults { self.rng.below(10) } else { 9 };
        let [a, b] = &mut self.ends;
        let (from, to) = if by == 0 { (a, b) } else { (b, a) };
        match fate {
            0 | 1 => {
                let flight = self.flights[by].remove(place);
                if !flight.given_up {
                    from.on_lost(&flight.carried);
                }
            }
            // It arrives, but the acknowledgement does not in time.
            2 => {
                let flight = &mut self.flights[by][place];
                give(to, &flight.payload);
                from.on_lost(&flight.carried);
                flight.given_up = true;
            }
            _ => {
                let flight = self.flights[by].remove(place);
                give(to, &flight.payload);
                from.on_acked(&flight.carried);
            }
        }
    }

    /// Without faults from now on, everything finishes.
    fn finish(&mut self) {
        self.faults = false;
        for _ in 0..3_000 {
            for by in [0, 1] {
                let ids: Vec<_> = self.stories[by].keys().copied().collect();
                for id in ids {
                    self.write(by, id);
                    self.read(1 - by, id);
                }
                self.send(by);
                self.arrive(by);
                while self.ends[by].poll().is_some() {}
            }
        }
    }
}

#[test]
fn everything_arrives_once_in_order_or_is_said_to_have_ended() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        for _ in 0..3_000 {
            world.act();
        }
        world.finish();
        for end in &world.ends {
            assert!(end.streams.is_empty(), "seed {seed}: {:?}", end.streams);
            assert!(!end.wants_to_send(), "seed {seed}");
            assert_eq!(end.held, 0, "seed {seed}");
            assert!(end.schedule.is_empty() && end.readable.is_empty(), "seed {seed}");
        }
        for story in world.stories.iter().flat_map(BTreeMap::values) {
            let ended = story.end == Some(Ok(())) || story.reset || story.stopped;
            assert!(ended, "seed {seed}");
        }
        let [a, b] = &world.ends;
        assert_eq!((a.written, b.written), (b.received, a.received), "seed {seed}: credit leaks");
    }
}
