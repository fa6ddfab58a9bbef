//! What our receiver would have answered to the packets of a conversation.
//!
//! A capture does not tell whether a packet without an acknowledgement arrived: the packet may be
//! lost behind the place of the capture, or the acknowledgement before it. So the receiver goes on
//! in both ways, and the next acknowledgement tells which of them was real.

use std::collections::BTreeSet;

use anabranch_core::transport::dquic::classic::{Frame, Layout};

use super::ours::Ours;
use super::shape;

/// Receivers that go on side by side. Of more, the last to come are left out.
const MAX_RECEIVERS: usize = 64;

/// How our acknowledgement compares with the one in the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// The same bytes.
    Same,
    /// The same bytes, if earlier packets without an acknowledgement did not arrive.
    AfterLoss,
    /// The same bytes, if the part of a stream that is not in the capture arrived.
    Joined,
    /// The same bytes, if the receiver began anew when the sender did.
    Restarted,
    /// Neither side acknowledges.
    Silent,
    /// The capture has none.
    Missing,
    /// The capture has no packet to this acknowledgement.
    Unasked,
    /// The capture has too little of the packet to answer it.
    Cut,
    /// Other bytes.
    Different,
}

impl Verdict {
    /// Every verdict.
    pub(super) const ALL: [Self; 9] = [
        Self::Same,
        Self::AfterLoss,
        Self::Joined,
        Self::Restarted,
        Self::Silent,
        Self::Missing,
        Self::Unasked,
        Self::Cut,
        Self::Different,
    ];

    /// As it is printed.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::AfterLoss => "same-after-loss",
            Self::Joined => "joined",
            Self::Restarted => "restarted",
            Self::Silent => "silent",
            Self::Missing => "missing",
            Self::Unasked => "unasked",
            Self::Cut => "cut",
            Self::Different => "DIFFERENT",
        }
    }

    /// Whether it makes the import fail.
    pub(super) const fn is_difference(self, strict: bool) -> bool {
        match self {
            Self::Same | Self::Silent => false,
            Self::Different => true,
            Self::AfterLoss
            | Self::Joined
            | Self::Restarted
            | Self::Missing
            | Self::Unasked
            | Self::Cut => strict,
        }
    }
}

/// Our acknowledgement, and how it compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) ours: Option<Vec<u8>>,
    pub(super) verdict: Verdict,
}

/// The receiving side of one conversation.
pub(super) struct Replay {
    layout: Layout,
    max_bytes: u64,
    /// What may be the receiver's state; in the first, every packet of the capture has arrived.
    receivers: Vec<Ours>,
    streams: BTreeSet<u32>,
    /// Streams of which parts are not in the capture.
    uncertain: BTreeSet<u32>,
    last: Option<(u32, Vec<u8>)>,
    /// The number of the last packet.
    number: Option<u32>,
}

impl Replay {
    pub(super) fn new(layout: Layout, max_bytes: u64) -> Self {
        Self {
            layout,
            max_bytes,
            receivers: vec![Ours::new(layout, max_bytes)],
            streams: BTreeSet::new(),
            uncertain: BTreeSet::new(),
            last: None,
            number: None,
        }
    }

    /// Bytes in order on all streams, and how many streams there were.
    pub(super) fn received(&self) -> (u64, usize) {
        (self.receivers.first().map_or(0, Ours::bytes), self.streams.len())
    }

    /// Takes a SHORT packet of `length` bytes and its acknowledgement in the capture.
    pub(super) fn packet(
        &mut self,
        number: u32,
        captured: &[u8],
        length: usize,
        theirs: Option<&[u8]>,
    ) -> Answer {
        let (frames, end) = shape::frames(captured, self.layout);
        if captured.len() < length && end != length {
            self.doubt(frames.iter().map(|frame| frame.stream_id));
            self.last = None;
            return Answer { ours: None, verdict: Verdict::Cut };
        }
        // An acknowledgement does not depend on the data.
        let mut packet = captured.to_vec();
        packet.resize(length, 0);
        for frame in &frames {
            if self.streams.insert(frame.stream_id) && frame.offset != 0 {
                self.uncertain.insert(frame.stream_id);
            }
        }
        // A sender whose numbers go back, and that is at the beginning of its streams, is another
        // one at the same address, and so may its receiver be.
        let back = self.number.replace(number).is_some_and(|last| number < last);
        let anew = back && !frames.is_empty() && frames.iter().all(|frame| frame.offset == 0);
        let answer = match theirs {
            Some(theirs) => self.compare(&packet, &frames, theirs, anew),
            None => self.guess(&packet, anew),
        };
        self.last = Some((number, packet));
        answer
    }

    /// Takes a further acknowledgement of the last packet: it must have come twice.
    pub(super) fn again(&mut self, number: u32, theirs: &[u8]) -> Answer {
        match self.last.take() {
            Some((last, packet)) if last == number => {
                let length = packet.len();
                self.packet(number, &packet, length, Some(theirs))
            }
            other => {
                self.last = other;
                self.unasked(theirs)
            }
        }
    }

    /// Takes an acknowledgement of a packet that the capture does not have.
    pub(super) fn unasked(&mut self, theirs: &[u8]) -> Answer {
        let (frames, _) = shape::frames(theirs, self.layout);
        self.doubt(frames.iter().map(|frame| frame.stream_id));
        Answer { ours: None, verdict: Verdict::Unasked }
    }

    /// Any stream may have moved on unseen.
    fn doubt(&mut self, streams: impl Iterator<Item = u32>) {
        self.streams.extend(streams);
        self.uncertain.clone_from(&self.streams);
    }

    fn compare(&mut self, packet: &[u8], frames: &[Frame], theirs: &[u8], anew: bool) -> Answer {
        let before = self.receivers.first().cloned();
        let answers: Vec<_> = self.receivers.iter_mut().map(|ours| ours.receive(packet)).collect();
        let first = answers.first().cloned().flatten();
        let right: Vec<bool> = answers.iter().map(|ours| ours.as_deref() == Some(theirs)).collect();
        let joined =
            |mut ours: Ours| ours.join(packet, frames, theirs, &self.uncertain).then_some(ours);
        let restarted =
            |mut ours: Ours| (ours.receive(packet).as_deref() == Some(theirs)).then_some(ours);
        let (ours, verdict) = if right.first() == Some(&true) {
            (first, Verdict::Same)
        } else if right.contains(&true) {
            (Some(theirs.to_vec()), Verdict::AfterLoss)
        } else if let Some(ours) = self.fresh(anew).filter_map(restarted).next() {
            self.receivers = vec![ours];
            self.uncertain.clear();
            (Some(theirs.to_vec()), Verdict::Restarted)
        } else if let Some(ours) = before.and_then(joined) {
            self.receivers = vec![ours];
            (Some(theirs.to_vec()), Verdict::Joined)
        } else {
            self.receivers.truncate(1);
            (first, Verdict::Different)
        };
        if matches!(verdict, Verdict::Same | Verdict::AfterLoss) {
            let mut right = right.iter();
            self.receivers.retain(|_| right.next() == Some(&true));
            self.forget_equals();
        }
        for frame in frames {
            self.uncertain.remove(&frame.stream_id);
        }
        Answer { ours, verdict }
    }

    /// Keeps one of those that go on in the same way.
    fn forget_equals(&mut self) {
        let mut kept: Vec<Ours> = Vec::new();
        for receiver in self.receivers.drain(..) {
            if kept.len() < MAX_RECEIVERS && !kept.contains(&receiver) {
                kept.push(receiver);
            }
        }
        self.receivers = kept;
    }

    /// A receiver that has begun anew, if there may be one.
    fn fresh(&self, anew: bool) -> impl Iterator<Item = Ours> + use<> {
        anew.then(|| Ours::new(self.layout, self.max_bytes)).into_iter()
    }

    fn guess(&mut self, packet: &[u8], anew: bool) -> Answer {
        self.receivers.extend(self.fresh(anew));
        let lost = self.receivers.clone();
        let answers: Vec<_> = self.receivers.iter_mut().map(|ours| ours.receive(packet)).collect();
        let ours = answers.into_iter().next().flatten();
        self.receivers.extend(lost);
        self.forget_equals();
        let verdict = if ours.is_some() { Verdict::Missing } else { Verdict::Silent };
        Answer { ours, verdict }
    }
}
