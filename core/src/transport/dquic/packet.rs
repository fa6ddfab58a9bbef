//! Packets of the DQUIC extension (`docs/protocol.md`, rules AB-D2 to AB-D10): their headers, and
//! the tag that shows damage.
//!
//! Every datagram is one packet. Its first byte says which, and has the two highest bits clear,
//! which no QUIC packet has, and is none of classic DQUIC's types (3 and 6), so one port can
//! carry all three.

use super::out::Out;
use crate::limits;
use crate::transport::CidBytes;
use crate::wire::varint::{self, Cursor};

/// The version that this module speaks.
pub const VERSION: u32 = 0x4451_0001;
/// Bytes of the tag at the end of every packet.
pub const TAG: usize = 8;
/// The shortest first id of a client (as in RFC 9000 section 7.2).
pub const MIN_FIRST_ID: usize = 8;
/// The longest id.
pub const MAX_ID: usize = 20;

/// What the first byte says.
mod kind {
    pub(super) const HELLO: u8 = 0x10;
    pub(super) const RETRY: u8 = 0x11;
    pub(super) const VERSION: u8 = 0x12;
    pub(super) const WELCOME: u8 = 0x13;
    pub(super) const DATA: u8 = 0x14;
    pub(super) const RESET: u8 = 0x15;
}

/// What is in front of every packet of the handshake, in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version; 0 in a VERSION packet.
    pub version: u32,
    /// Whom it is for.
    pub dcid: CidBytes,
    /// Whom it is from.
    pub scid: CidBytes,
}

/// A packet, without its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A client's first packet.
    Hello {
        /// See [`Header`].
        header: Header,
        /// What a RETRY gave, or nothing.
        token: &'a [u8],
        /// What the client asks for: see [`super::params`].
        params: &'a [u8],
    },
    /// A packet that may be a HELLO of another version.
    OtherVersion(Header),
    /// Prove your address.
    Retry {
        /// See [`Header`].
        header: Header,
        /// To be sent back.
        token: &'a [u8],
    },
    /// The versions of a server, four bytes each.
    Version {
        /// See [`Header`].
        header: Header,
        /// What the server speaks.
        versions: &'a [u8],
    },
    /// The server's answer.
    Welcome {
        /// See [`Header`].
        header: Header,
        /// What the server grants.
        params: &'a [u8],
    },
    /// Frames.
    Data {
        /// Whom it is for.
        dcid: &'a [u8],
        /// The packet number.
        number: u64,
        /// Frames: see [`super::frame`].
        frames: &'a [u8],
    },
    /// The connection is not known here.
    Reset {
        /// What proves it.
        token: [u8; 16],
    },
}

/// The first 8 bytes of BLAKE3. It shows damage, and no forgery: anyone can compute it.
fn tag(bytes: &[u8]) -> [u8; TAG] {
    let mut out = [0; TAG];
    out.copy_from_slice(&blake3::hash(bytes).as_bytes()[..TAG]);
    out
}

fn cid(cursor: &mut Cursor<'_>) -> Option<CidBytes> {
    let len = cursor.u8()?;
    CidBytes::new(cursor.bytes(usize::from(len))?)
}

impl<'a> Packet<'a> {
    /// Reads a datagram. `None`: it is damaged, or no packet of the extension.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let (bytes, own) = datagram.split_last_chunk::<TAG>()?;
        // A datagram of another protocol is not worth a hash.
        let (first, rest) = bytes.split_first()?;
        if !(kind::HELLO..=kind::RESET).contains(first) || tag(bytes) != *own {
            return None;
        }
        let mut cursor = Cursor::new(rest);
        match *first {
            kind::DATA => Self::data(&mut cursor),
            kind::RESET => rest.try_into().ok().map(|token| Self::Reset { token }),
            first => Self::handshake(first, &mut cursor),
        }
    }

    fn data(cursor: &mut Cursor<'a>) -> Option<Self> {
        let len = usize::from(cursor.u8()?);
        let dcid = cursor.bytes(len).filter(|_| len <= MAX_ID)?;
        let number = cursor.varint()?;
        Some(Self::Data { dcid, number, frames: cursor.rest() })
    }

    fn handshake(first: u8, cursor: &mut Cursor<'a>) -> Option<Self> {
        let (version, dcid, scid) = (cursor.u32()?, cid(cursor)?, cid(cursor)?);
        let header = Header { version, dcid, scid };
        match first {
            kind::VERSION if version == 0 => {
                let versions = cursor.rest();
                let whole = !versions.is_empty() && versions.len().is_multiple_of(4);
                whole.then_some(Self::Version { header, versions })
            }
            kind::HELLO if version != VERSION && version != 0 => Some(Self::OtherVersion(header)),
            _ if version != VERSION => None,
            kind::HELLO => {
                let token = cursor.prefixed().filter(|token| token.len() <= limits::MAX_TOKEN)?;
                // What follows is padding.
                cursor.prefixed().map(|params| Self::Hello { header, token, params })
            }
            kind::RETRY => {
                let token = cursor.prefixed().filter(|token| token.len() <= limits::MAX_TOKEN)?;
                (!token.is_empty()).then_some(Self::Retry { header, token })
            }
            kind::WELCOME => cursor.prefixed().map(|params| Self::Welcome { header, params }),
            _ => None,
        }
    }
}

/// The id that a DATA packet is for, without a look at its tag: whoever it belongs to looks.
pub fn data_id(datagram: &[u8]) -> Option<&[u8]> {
    match datagram {
        [kind::DATA, len, rest @ ..] => rest.get(..usize::from(*len)),
        _ => None,
    }
}

/// Appends the tag of the packet that began at `start`. Gives the packet's length.
fn finish(out: &mut Vec<u8>, start: usize) -> usize {
    let tag = tag(&out[start..]);
    out.extend_from_slice(&tag);
    out.len() - start
}

fn put_header(out: &mut Vec<u8>, kind: u8, header: &Header) {
    out.push(kind);
    out.extend_from_slice(&header.version.to_be_bytes());
    put_cid(out, header.dcid.as_slice());
    put_cid(out, header.scid.as_slice());
}

fn put_cid(out: &mut Vec<u8>, cid: &[u8]) {
    // Ids have at most 20 bytes.
    out.push(u8::try_from(cid.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(cid);
}

/// Appends a HELLO, as long as the smallest datagram that may carry one.
pub fn hello(out: &mut Vec<u8>, header: &Header, token: &[u8], params: &[u8]) -> usize {
    let start = out.len();
    put_header(out, kind::HELLO, header);
    varint::put_bytes(out, token);
    varint::put_bytes(out, params);
    let body = limits::MIN_INITIAL_DATAGRAM - TAG;
    out.resize(out.len().max(start + body), 0);
    finish(out, start)
}

/// Appends a RETRY.
pub fn retry(out: &mut Vec<u8>, header: &Header, token: &[u8]) -> usize {
    let start = out.len();
    put_header(out, kind::RETRY, header);
    varint::put_bytes(out, token);
    finish(out, start)
}

/// Appends a VERSION packet that answers a HELLO with this header.
pub fn version(out: &mut Vec<u8>, hello: &Header) -> usize {
    let start = out.len();
    put_header(out, kind::VERSION, &Header { version: 0, dcid: hello.scid, scid: hello.dcid });
    out.extend_from_slice(&VERSION.to_be_bytes());
    finish(out, start)
}

/// Appends a WELCOME.
pub fn welcome(out: &mut Vec<u8>, header: &Header, params: &[u8]) -> usize {
    let start = out.len();
    put_header(out, kind::WELCOME, header);
    varint::put_bytes(out, params);
    finish(out, start)
}

/// Bytes of a RESET.
pub const RESET_LEN: usize = 1 + 16 + TAG;

/// Appends a RESET.
pub fn reset(out: &mut Vec<u8>, token: &[u8; 16]) -> usize {
    let start = out.len();
    out.push(kind::RESET);
    out.extend_from_slice(token);
    finish(out, start)
}

/// Begins a DATA packet: frames follow, and [`seal`]. False: there is not even room for this.
pub fn begin_data(out: &mut Out<'_>, dcid: &[u8], number: u64) -> bool {
    // Ids have at most 20 bytes.
    let len = u8::try_from(dcid.len()).unwrap_or(u8::MAX);
    out.put(&[kind::DATA, len]) && out.put(dcid) && out.put_varint(number)
}

/// What a DATA packet needs besides its frames, at most.
pub const DATA_OVERHEAD: usize = 2 + MAX_ID + 8 + TAG;

/// Puts the tag behind the first `len` bytes of a packet. Gives the packet's length.
pub fn seal(packet: &mut [u8], len: usize) -> usize {
    let tag = tag(&packet[..len]);
    packet[len..len + TAG].copy_from_slice(&tag);
    len + TAG
}

#[cfg(test)]
mod tests;
