//! The first look at a capture: who talks classic DQUIC to whom, and which acknowledgement
//! answers which packet.
//!
//! A packet that was sent again has the same number. Its acknowledgements are given to the latest
//! sending that has none yet: an answer comes within a round trip, and a packet is repeated only
//! after seconds, so it is the earlier sending that was lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anabranch_core::transport::dquic::classic::Layout;

use super::shape::{Kind, LAYOUTS, fits, header};
use crate::capture::Datagram;

/// One direction between two addresses.
pub(super) type Way = (SocketAddr, SocketAddr);

/// What an acknowledgement in the capture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A packet.
    Answer,
    /// A packet that has its answer already: the network, or the peer, repeated something.
    Again,
    /// Nothing that was captured.
    Unasked,
}

/// What went one way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Datagrams of any content.
    total: u64,
    /// Those that fit each of [`LAYOUTS`].
    fits: [u64; 2],
    /// Those with stream data among them.
    data: [u64; 2],
    /// The answer to each SHORT packet, in order.
    pub(super) answers: Vec<Option<Vec<u8>>>,
    /// What each ACK packet is, in order.
    pub(super) roles: Vec<Role>,
    /// SHORT packets without an answer, by number.
    open: BTreeMap<u32, Vec<usize>>,
    last_number: Option<u32>,
    first_seen: usize,
}

/// One way in which classic DQUIC was sent.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) way: Way,
    pub(super) layout: Layout,
    pub(super) answers: Vec<Option<Vec<u8>>>,
    /// Of the ACK packets that came back.
    pub(super) roles: Vec<Role>,
}

/// Looks at datagrams.
#[derive(Debug, Default)]
pub(super) struct Survey {
    flows: BTreeMap<Way, Flow>,
}

impl Survey {
    /// Takes the next datagram.
    pub(super) fn take(&mut self, datagram: &Datagram<'_>) {
        let way = (datagram.from, datagram.to);
        let seen = self.flows.len();
        let flow =
            self.flows.entry(way).or_insert_with(|| Flow { first_seen: seen, ..Flow::default() });
        flow.total += 1;
        let Some((kind, number)) = header(datagram.payload) else { return };
        for (at, layout) in LAYOUTS.into_iter().enumerate() {
            if let Some(frames) = fits(datagram.payload, datagram.length, layout) {
                flow.fits[at] += 1;
                flow.data[at] += u64::from(kind == Kind::Short && frames > 0);
            }
        }
        match kind {
            Kind::Short => {
                flow.open.entry(number).or_default().push(flow.answers.len());
                flow.answers.push(None);
                flow.last_number = Some(number);
            }
            Kind::Ack => {
                let role = self.answer(way, number, datagram.payload);
                self.flows.entry(way).or_default().roles.push(role);
            }
        }
    }

    fn answer(&mut self, (from, to): Way, number: u32, bytes: &[u8]) -> Role {
        let Some(asked) = self.flows.get_mut(&(to, from)) else { return Role::Unasked };
        let known = asked.open.contains_key(&number);
        // A number that no packet has, while the last packet waits: it is a wrong answer.
        let meant = if known { Some(number) } else { asked.last_number };
        let waits = |index: &usize| known || index + 1 == asked.answers.len();
        let open = meant.and_then(|number| asked.open.get_mut(&number));
        match open.and_then(|open| open.pop_if(|index| waits(index))) {
            Some(index) => {
                asked.answers[index] = Some(bytes.to_vec());
                Role::Answer
            }
            None if asked.last_number == Some(number) => Role::Again,
            None => Role::Unasked,
        }
    }

    /// The conversations, in the order in which they began.
    pub(super) fn finish(mut self) -> Vec<Conversation> {
        let mut ways: Vec<(usize, Way)> =
            self.flows.iter().map(|(way, flow)| (flow.first_seen, *way)).collect();
        ways.sort_unstable();
        let layouts: Vec<_> = ways.iter().map(|(_, way)| self.layout(*way)).collect();
        let mut found = Vec::new();
        for ((_, way), layout) in ways.into_iter().zip(layouts) {
            let (Some(layout), Some(flow)) = (layout, self.flows.get_mut(&way)) else { continue };
            let answers = std::mem::take(&mut flow.answers);
            let back = self.flows.get_mut(&(way.1, way.0));
            let roles = back.map(|flow| std::mem::take(&mut flow.roles)).unwrap_or_default();
            if !answers.is_empty() {
                found.push(Conversation { way, layout, answers, roles });
            }
        }
        found
    }

    /// The form of frames that both ways of a conversation fit, if they do for the most part.
    fn layout(&self, (from, to): Way) -> Option<Layout> {
        let both = [self.flows.get(&(from, to)), self.flows.get(&(to, from))];
        let sum = |of: &dyn Fn(&Flow) -> u64| both.iter().flatten().map(|flow| of(flow)).sum();
        let total: u64 = sum(&|flow| flow.total);
        let votes = |at: usize| -> (u64, u64) {
            (sum(&|flow: &Flow| flow.data[at]), sum(&|flow: &Flow| flow.fits[at]))
        };
        let at = usize::from(votes(1) > votes(0));
        let (data, fits) = votes(at);
        (data > 0 && fits * 2 >= total).then_some(LAYOUTS[at])
    }
}
