//! How many streams may be opened, by either side (RFC 9000 section 4.6).

use crate::id::{Dir, Side, StreamId};

/// Streams that this side opens, in one direction.
#[derive(Debug, Default)]
struct Ours {
    next: u64,
    max: u64,
    /// An open was refused, and it has not been told that one can be made now.
    is_refused: bool,
    told_blocked: Option<u64>,
    wants_to_tell: bool,
}

/// Streams that the peer opens, in one direction.
#[derive(Debug, Default)]
struct Theirs {
    opened: u64,
    closed: u64,
    /// How many may be open at once.
    at_once: u64,
    /// What the peer was told, counted from the beginning.
    told: u64,
    wants_to_tell: bool,
}

/// A stream that the peer may not open.
pub(super) struct Forbidden;

/// Both directions.
#[derive(Debug)]
pub(super) struct Openings {
    side: Side,
    ours: [Ours; 2],
    theirs: [Theirs; 2],
}

/// The two directions.
pub(super) const DIRS: [Dir; 2] = [Dir::Bidi, Dir::Uni];

const fn place(dir: Dir) -> usize {
    match dir {
        Dir::Bidi => 0,
        Dir::Uni => 1,
    }
}

fn number(side: Side, dir: Dir, index: u64) -> StreamId {
    StreamId(index << 2 | (place(dir) as u64) << 1 | u64::from(side == Side::Server))
}

const fn index(id: StreamId) -> u64 {
    id.0 >> 2
}

impl Openings {
    /// The peer may have so many streams open at once.
    pub(super) fn new(side: Side, bidi: u64, uni: u64) -> Self {
        let theirs = |max| Theirs { at_once: max, told: max, ..Theirs::default() };
        Self { side, ours: Default::default(), theirs: [theirs(bidi), theirs(uni)] }
    }

    /// The peer lets us open so many, counted from the beginning. Limits never go down.
    pub(super) fn raise(&mut self, dir: Dir, max: u64) {
        let ours = &mut self.ours[place(dir)];
        ours.max = ours.max.max(max);
    }

    /// Opens the next stream, if that is permitted.
    pub(super) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let ours = &mut self.ours[place(dir)];
        if ours.next >= ours.max {
            ours.is_refused = true;
            ours.wants_to_tell |= ours.told_blocked != Some(ours.max);
            return None;
        }
        ours.next += 1;
        Some(number(self.side, dir, ours.next - 1))
    }

    /// Whether a stream can be opened that could not be. True once for each refusal.
    pub(super) fn tell(&mut self) -> bool {
        let mut tells = false;
        for ours in self.ours.iter_mut().filter(|ours| ours.is_refused && ours.next < ours.max) {
            ours.is_refused = false;
            tells = true;
        }
        tells
    }

    /// Whether a stream of ours was ever opened.
    pub(super) fn was_opened(&self, id: StreamId) -> bool {
        index(id) < self.ours[place(id.dir())].next
    }

    /// The peer uses a stream of its own. Answers those that come into being by that: all with a
    /// lower number are opened too.
    pub(super) fn reach(
        &mut self,
        id: StreamId,
    ) -> Result<impl Iterator<Item = StreamId> + use<>, Forbidden> {
        let theirs = &mut self.theirs[place(id.dir())];
        if index(id) >= theirs.told {
            return Err(Forbidden);
        }
        let new = theirs.opened..theirs.opened.max(index(id) + 1);
        theirs.opened = new.end;
        Ok(new.map(move |n| number(id.opener(), id.dir(), n)))
    }

    /// A stream of the peer's is over on both sides, so another one may be opened.
    pub(super) fn close(&mut self, dir: Dir) {
        let theirs = &mut self.theirs[place(dir)];
        theirs.closed += 1;
        let more = theirs.at_once + theirs.closed - theirs.told;
        theirs.wants_to_tell |= more >= (theirs.at_once / 2).max(1);
    }

    /// The peer has met the limit `max`, so it is told of every stream that it may open.
    pub(super) fn on_blocked(&mut self, dir: Dir, max: u64) {
        let theirs = &mut self.theirs[place(dir)];
        theirs.wants_to_tell |= max <= theirs.told && theirs.told < theirs.at_once + theirs.closed;
    }

    /// The limit that the peer is to be told, if there is a new one.
    pub(super) fn max_streams(&self, dir: Dir) -> Option<u64> {
        let theirs = &self.theirs[place(dir)];
        theirs.wants_to_tell.then_some(theirs.at_once + theirs.closed)
    }

    /// The peer was told of it.
    pub(super) const fn on_max_streams_sent(&mut self, dir: Dir, max: u64) {
        let theirs = &mut self.theirs[place(dir)];
        theirs.told = max;
        theirs.wants_to_tell = false;
    }

    /// The packet that told it was lost.
    pub(super) const fn on_max_streams_lost(&mut self, dir: Dir) {
        self.theirs[place(dir)].wants_to_tell = true;
    }

    /// The limit that the peer is to be told that we have met it.
    pub(super) fn streams_blocked(&self, dir: Dir) -> Option<u64> {
        let ours = &self.ours[place(dir)];
        (ours.wants_to_tell && ours.is_refused && ours.next >= ours.max).then_some(ours.max)
    }

    /// The peer was told of it.
    pub(super) const fn on_streams_blocked_sent(&mut self, dir: Dir, max: u64) {
        let ours = &mut self.ours[place(dir)];
        ours.told_blocked = Some(max);
        ours.wants_to_tell = false;
    }

    /// The packet that told it was lost.
    pub(super) const fn on_streams_blocked_lost(&mut self, dir: Dir) {
        self.ours[place(dir)].wants_to_tell = true;
    }
}
