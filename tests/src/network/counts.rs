//! What became of datagrams.

use crate::link::Counts;

/// What became of every datagram that was given to a network. Each of them, and each copy that a
/// link made, met exactly one fate or is still on its way: see [`Fates::unaccounted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Given to the network.
    pub sent: u64,
    /// Reached a host, copies included.
    pub delivered: u64,
    /// Still on their way.
    pub flying: u64,
    /// Lost: their sender is down.
    pub sender_down: u64,
    /// Lost: their receiver is down.
    pub receiver_down: u64,
    /// Lost: sent from an address that the sender does not have.
    pub foreign: u64,
    /// Lost: nobody has the address that they were sent to.
    pub no_host: u64,
    /// Lost: a translator knows nobody at the port that they were sent to.
    pub unmapped: u64,
    /// Lost: a translator lets nothing in from their sender.
    pub filtered: u64,
    /// Lost: their sender cannot reach their receiver.
    pub partitioned: u64,
    /// Lost on links by chance.
    pub lost: u64,
    /// Lost on links in bursts.
    pub lost_in_burst: u64,
    /// Lost because a link's drop list names them.
    pub listed: u64,
    /// Lost because they were larger than a link takes.
    pub too_big: u64,
    /// Lost because a queue was full.
    pub overflowed: u64,
    /// Lost in black holes, and where links were cleared.
    pub swallowed: u64,
    /// Copies made by links.
    pub duplicated: u64,
    /// Held back by links so that later ones pass.
    pub reordered: u64,
    /// Left a link with flipped bits.
    pub corrupted: u64,
    /// Left a link without their end.
    pub truncated: u64,
}

impl Fates {
    /// Adds what a link has done.
    pub(super) const fn add(&mut self, link: &Counts) {
        self.lost += link.lost;
        self.lost_in_burst += link.lost_in_burst;
        self.listed += link.listed;
        self.too_big += link.too_big;
        self.overflowed += link.overflowed;
        self.swallowed += link.swallowed;
        self.duplicated += link.duplicated;
        self.reordered += link.reordered;
        self.corrupted += link.corrupted;
        self.truncated += link.truncated;
    }

    /// Datagrams that were lost, in whatever way.
    #[must_use]
    pub const fn gone(&self) -> u64 {
        let ends = self.sender_down + self.receiver_down + self.foreign + self.no_host;
        let between = self.unmapped + self.filtered + self.partitioned;
        let links = self.lost + self.lost_in_burst + self.listed + self.too_big;
        ends + between + links + self.overflowed + self.swallowed
    }

    /// Datagrams whose fate is not known: none, in a network that works.
    #[must_use]
    pub const fn unaccounted(&self) -> i128 {
        let went_in = self.sent as i128 + self.duplicated as i128;
        went_in - self.delivered as i128 - self.gone() as i128 - self.flying as i128
    }
}
