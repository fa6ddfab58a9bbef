//! What can be read and written without keys: headers (RFC 8999, RFC 9000 section 17), version
//! negotiation, stateless resets.

use crate::rng::Rng;
use crate::transport::cid;

/// The long form of a header.
const LONG: u8 = 0x80;
/// The bit that is always set in version 1.
const FIXED: u8 = 0x40;
/// A stateless reset is never an answer to a datagram shorter than this, so that two endpoints
/// without state do not go on answering each other, and always looks like a packet
/// (RFC 9000 section 10.3).
const MIN_RESET_TRIGGER: usize = 43;
const MIN_RESET: usize = 21;
/// Longest stateless reset: like a small packet.
const MAX_RESET: usize = 64;

/// A header, as far as it is the same for every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header<'a> {
    /// A short header. The id is taken to be as long as ours.
    Short {
        /// Whom it is for.
        dcid: &'a [u8],
    },
    /// A long header.
    Long(Long<'a>),
}

/// A long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Long<'a> {
    first: u8,
    /// The version, 0 for version negotiation.
    pub(super) version: u32,
    /// Whom it is for.
    pub(super) dcid: &'a [u8],
    /// Whom it is from.
    pub(super) scid: &'a [u8],
    rest: &'a [u8],
}

/// The types of version 1 that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first packets of both sides.
    Initial,
    /// 0-RTT or Handshake.
    Keyed,
    /// Retry.
    Retry,
}

impl<'a> Header<'a> {
    /// Reads the header of the first packet of a datagram.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        if first & LONG == 0 {
            let fixed = first & FIXED != 0;
            return fixed.then(|| rest.get(..cid::LEN).map(|dcid| Self::Short { dcid }))?;
        }
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (dcid, rest) = counted(rest)?;
        let (scid, rest) = counted(rest)?;
        let version = u32::from_be_bytes(*version);
        Some(Self::Long(Long { first: *first, version, dcid, scid, rest }))
    }
}

impl<'a> Long<'a> {
    /// The type in version 1. `None` if the header is none of that version.
    pub(super) fn kind(&self) -> Option<Kind> {
        let cids = self.dcid.len() <= quiche::MAX_CONN_ID_LEN
            && self.scid.len() <= quiche::MAX_CONN_ID_LEN;
        if self.first & FIXED == 0 || !cids {
            return None;
        }
        Some(match (self.first >> 4) & 3 {
            0 => Kind::Initial,
            1 | 2 => Kind::Keyed,
            _ => Kind::Retry,
        })
    }

    /// The token of an Initial, and what is behind it.
    pub(super) fn token(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (len, rest) = varint(self.rest)?;
        rest.split_at_checked(usize::try_from(len).ok()?)
    }

    /// What is behind this packet in its datagram.
    fn behind(&self) -> Option<&'a [u8]> {
        let rest = match self.kind()? {
            Kind::Initial => self.token()?.1,
            Kind::Keyed => self.rest,
            Kind::Retry => return None,
        };
        let (len, rest) = varint(rest)?;
        rest.get(usize::try_from(len).ok()?..)
    }
}

/// The place of the packet with a short header in a datagram, and the id it is for.
pub(super) fn short_packet(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut at = bytes;
    loop {
        match Header::read(at)? {
            Header::Short { dcid } => return Some((bytes.len() - at.len(), dcid)),
            // Each packet has a header, so this comes to an end.
            Header::Long(long) => at = long.behind()?,
        }
    }
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = 1 << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(len)?;
    let value = number.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    Some((value & (u64::MAX >> (66 - 8 * len as u32)), rest))
}

/// Appends a version negotiation packet (RFC 9000 section 17.2.1): ours is version 1.
pub(super) fn negotiate(long: &Long<'_>, rng: &mut Rng, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let [filler] = rng.array();
    out.push(LONG | FIXED | filler);
    out.extend_from_slice(&0_u32.to_be_bytes());
    for cid in [long.scid, long.dcid] {
        // Lengths were read from one byte.
        out.push(u8::try_from(cid.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(cid);
    }
    out.extend_from_slice(&quiche::PROTOCOL_VERSION.to_be_bytes());
    out.len() - start
}

/// Appends a stateless reset (RFC 9000 section 10.3) as an answer to a datagram of `trigger`
/// bytes. `None` if that is too short to be answered.
pub(super) fn reset(
    trigger: usize,
    token: [u8; 16],
    rng: &mut Rng,
    out: &mut Vec<u8>,
) -> Option<usize> {
    if trigger < MIN_RESET_TRIGGER {
        return None;
    }
    let most = (trigger - 1).min(MAX_RESET);
    let spread = u64::try_from(most - MIN_RESET * 2 + 1).ok()?;
    // Long enough to look like a packet of ours, which a shorter one would not.
    let len = MIN_RESET * 2 + usize::try_from(rng.below(spread)).ok()?;
    let start = out.len();
    out.resize(start + len - token.len(), 0);
    rng.fill(&mut out[start..]);
    out[start] = FIXED | (out[start] & !(LONG | FIXED));
    out.extend_from_slice(&token);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn varints_of_all_lengths() {
        let cases: [(&[u8], u64); 4] = [
            (&[0x25], 37),
            (&[0x7b, 0xbd], 15_293),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        ];
        for (bytes, value) in cases {
            assert_eq!(varint(bytes), Some((value, &[][..])));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn a_reset_is_shorter_than_its_trigger_and_looks_like_a_packet() {
        let mut rng = Seed::from_u64(1).stream("reset");
        for trigger in 0..2000 {
            let mut out = Vec::new();
            let len = reset(trigger, [0xee; 16], &mut rng, &mut out);
            if trigger < MIN_RESET_TRIGGER {
                assert_eq!((len, out.len()), (None, 0));
                continue;
            }
            assert_eq!(len, Some(out.len()));
            assert!(out.len() >= MIN_RESET && out.len() < trigger, "{} {trigger}", out.len());
            assert_eq!(out[0] & (LONG | FIXED), FIXED);
            assert!(out.ends_with(&[0xee; 16]));
        }
    }

    #[test]
    fn a_coalesced_short_packet_is_found() {
        let mut bytes = vec![LONG | FIXED, 0, 0, 0, 1, 1, 7, 0];
        bytes.extend_from_slice(&[2, 9, 9]); // token
        bytes.extend_from_slice(&[3, 1, 2, 3]); // payload
        bytes.extend_from_slice(&[LONG | FIXED | 0x20, 0, 0, 0, 1, 1, 7, 0, 1, 4]);
        let at = bytes.len();
        bytes.push(FIXED);
        bytes.extend_from_slice(&[5; cid::LEN]);
        assert_eq!(short_packet(&bytes), Some((at, &[5; cid::LEN][..])));
        for len in 0..bytes.len() {
            assert_eq!(short_packet(&bytes[..len]), None);
        }
    }
}
