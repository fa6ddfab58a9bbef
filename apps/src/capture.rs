//! UDP datagrams from packet captures: pcapng and pcap files.
//!
//! What cannot be understood is counted, so that nothing is lost in silence ([`Notes`]).

mod file;
mod fragments;
mod link;

use std::net::SocketAddr;
use std::path::Path;

pub use file::Damage;

use crate::exit::Failure;
use crate::units::count;
use fragments::Fragments;

/// A UDP datagram of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When it was captured, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Where it came from.
    pub from: SocketAddr,
    /// Where it went.
    pub to: SocketAddr,
    /// What was captured of it.
    pub payload: &'a [u8],
    /// How long it was: more than `payload` if the capture cut it off.
    pub length: usize,
}

/// What was in a capture besides datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Packets of all kinds.
    pub packets: u64,
    /// UDP datagrams.
    pub datagrams: u64,
    /// Datagrams of which the capture holds only the beginning.
    pub cut: u64,
    /// Datagrams put together from IP fragments.
    pub reassembled: u64,
    /// IP fragments whose datagram is not complete in the capture.
    pub fragments: u64,
    /// Packets of other protocols than UDP.
    pub other: u64,
    /// Packets of link types that are not known here: the last such type, and how many.
    pub unknown_link: Option<(u32, u64)>,
    /// Packets that name no interface of the file, or stand in blocks of an obsolete kind.
    pub homeless: u64,
    /// Where and why reading ended early.
    pub damage: Option<Damage>,
}

impl Notes {
    /// What a person should know, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let several = |number: u64, what: &str, rest: &str| {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            (number > 0).then(|| format!("{} {rest}", count(number, what)))
        };
        let link = self.unknown_link.and_then(|(link, number)| {
            several(number, "packet", &format!("left out: link type {link} is not known here"))
        });
        [
            several(self.cut, "datagram", "cut off by the capture's snapshot length"),
            several(self.fragments, "IP fragment", "left out: the rest was not captured"),
            link,
            several(self.homeless, "packet", "left out: no interface is described for it"),
            self.damage.as_ref().map(|damage| format!("the capture is {damage}")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Hands every UDP datagram of a capture file to `each`, in the order of the file.
///
/// # Errors
/// If the file cannot be read, or is no capture. A file that is damaged further on is no error:
/// [`Notes::damage`] tells.
pub fn read(path: &Path, each: &mut dyn FnMut(Datagram<'_>)) -> Result<Notes, Failure> {
    let mut notes = Notes::default();
    let mut fragments = Fragments::default();
    let damage = file::read(path, &mut |packet| {
        notes.packets += 1;
        take(&packet, &mut fragments, &mut notes, each);
    })?;
    notes.homeless += damage.homeless;
    notes.damage = damage.end;
    notes.fragments += fragments.lost();
    Ok(notes)
}

fn take(
    packet: &file::Packet<'_>,
    fragments: &mut Fragments,
    notes: &mut Notes,
    each: &mut dyn FnMut(Datagram<'_>),
) {
    let mut found = |payload: &[u8], length: usize, from, to| {
        notes.datagrams += 1;
        notes.cut += u64::from(payload.len() < length);
        each(Datagram { time: packet.time, from, to, payload, length });
    };
    match link::udp(packet.link, packet.bytes) {
        link::Found::Udp { from, to, payload, length } => found(payload, length, from, to),
        link::Found::Fragment(fragment) => {
            if let Some(whole) = fragments.add(packet.interface, packet.time, &fragment) {
                let (from, to) = (fragment.from, fragment.to);
                if let Some(udp) = link::Udp::parse(&whole, whole.len()) {
                    found(
                        udp.payload,
                        udp.length,
                        SocketAddr::new(from, udp.from),
                        SocketAddr::new(to, udp.to),
                    );
                    notes.reassembled += 1;
                }
            }
        }
        link::Found::Other => notes.other += 1,
        link::Found::UnknownLink => {
            let seen = notes.unknown_link.map_or(0, |(_, number)| number);
            notes.unknown_link = Some((packet.link, seen + 1));
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
