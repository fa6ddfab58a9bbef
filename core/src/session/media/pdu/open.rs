//! The bodies that negotiate: OPEN_STREAM and OPEN_ACK.

use super::super::{Grant, Pace, PausePolicy, Request, Start};
use super::tlv::Tlvs;
use crate::error::Misuse;
use crate::limits;
use crate::wire::varint::Cursor;

/// The most bitrates that one OPEN_STREAM can offer: their count is one byte.
const MAX_BITRATES: usize = 255;

/// A client's OPEN_STREAM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenStream {
    /// What it asks for.
    pub request: Request,
    /// 0: leave encryption to the transport; 1: encrypt.
    pub encryption: u8,
    /// 0: unicast; 1: multicast.
    pub delivery: u8,
}

impl OpenStream {
    /// Reads a body: the fixed fields, then extensions.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let mut cursor = Cursor::new(body);
        let codec = text(&mut cursor)?;
        let profile = text(&mut cursor)?;
        let count = cursor.u8().ok_or("bitrate count is missing")?;
        let bitrates: Option<Vec<u32>> = (0..count).map(|_| cursor.u32()).collect();
        let bitrates = bitrates.ok_or("bitrates end early")?;
        let encryption = cursor.u8().ok_or("encryption is missing")?;
        let delivery = cursor.u8().ok_or("delivery mode is missing")?;
        let tlvs = Tlvs::parse(cursor)?;
        let start = match (tlvs.start_sequence, tlvs.start_byte) {
            (Some(sequence), _) => Start::Sequence(sequence),
            (None, Some(byte)) => Start::Byte(byte),
            (None, None) => Start::Beginning,
        };
        let request = Request {
            name: tlvs.name,
            codec,
            profile,
            bitrates,
            start,
            pause: tlvs.pause.unwrap_or_default(),
            pace: tlvs.pace.unwrap_or_default(),
            max_chunk: tlvs.max_chunk,
            keepalive: tlvs.keepalive,
            timeout: tlvs.timeout,
        };
        Ok(Self { request, encryption, delivery })
    }

    /// Appends the body. The request must have passed [`Request::check`].
    pub fn put(&self, out: &mut Vec<u8>) {
        let request = &self.request;
        debug_assert_eq!(request.check(), Ok(()));
        put_text(out, &request.codec);
        put_text(out, &request.profile);
        let count = request.bitrates.len().min(MAX_BITRATES);
        out.push(u8::try_from(count).unwrap_or(u8::MAX));
        for bitrate in &request.bitrates[..count] {
            out.extend(bitrate.to_be_bytes());
        }
        out.extend([self.encryption, self.delivery]);
        let mut tlvs = Tlvs {
            name: request.name.clone(),
            pause: Some(request.pause).filter(|pause| *pause != PausePolicy::default()),
            pace: Some(request.pace).filter(|pace| *pace != Pace::default()),
            max_chunk: request.max_chunk,
            keepalive: request.keepalive,
            timeout: request.timeout,
            ..Tlvs::default()
        };
        match request.start {
            Start::Beginning => {}
            Start::Sequence(sequence) => tlvs.start_sequence = Some(sequence),
            Start::Byte(byte) => tlvs.start_byte = Some(byte),
        }
        tlvs.put(out);
    }
}

impl Request {
    /// Whether it can be put on the wire.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`] for a name, codec or profile that is too long or too many bitrates;
    /// [`Misuse::Config`] for an empty codec or a start at sequence 0 or beyond 2^62.
    pub fn check(&self) -> Result<(), Misuse> {
        let name = self.name.as_ref().map_or(0, String::len);
        let bounds = [
            ("bytes of name", name, limits::MAX_NAME),
            ("bytes of codec", self.codec.len(), limits::MAX_CODEC),
            ("bytes of profile", self.profile.len(), limits::MAX_CODEC),
            ("bitrates", self.bitrates.len(), MAX_BITRATES),
        ];
        for (what, len, limit) in bounds {
            if len > limit {
                return Err(Misuse::TooMuch { what, limit });
            }
        }
        if self.codec.is_empty() {
            return Err(Misuse::Config("a media request needs a codec"));
        }
        match self.start {
            Start::Sequence(0) => Err(Misuse::Config("sequence numbers start at 1")),
            Start::Byte(byte) if byte > crate::wire::varint::MAX => {
                Err(Misuse::Config("no media is that long"))
            }
            Start::Beginning | Start::Sequence(_) | Start::Byte(_) => Ok(()),
        }
    }
}

/// Reads the body of an OPEN_ACK: 16 bytes, then extensions (none from a classic server).
///
/// # Errors
/// What is wrong with it.
pub fn parse_ack(body: &[u8]) -> Result<Grant, &'static str> {
    let mut cursor = Cursor::new(body);
    let mut field = || cursor.u32().ok_or("ends early");
    let (bitrate, chunk, keepalive, timeout) = (field()?, field()?, field()?, field()?);
    if chunk == 0 {
        return Err("chunks of no size");
    }
    let tlvs = Tlvs::parse(cursor)?;
    Ok(Grant {
        bitrate,
        chunk,
        keepalive,
        timeout,
        name: tlvs.name,
        size: tlvs.size,
        kind: tlvs.kind.unwrap_or_default(),
        start: tlvs.start_byte.unwrap_or(0),
        pause: tlvs.pause.unwrap_or_default(),
        pace: tlvs.pace.unwrap_or_default(),
    })
}

/// Appends the body of an OPEN_ACK: exactly 16 bytes, and the extensions if `extended`.
pub fn put_ack(grant: &Grant, extended: bool, out: &mut Vec<u8>) {
    for field in [grant.bitrate, grant.chunk, grant.keepalive, grant.timeout] {
        out.extend(field.to_be_bytes());
    }
    if extended {
        let tlvs = Tlvs {
            name: grant.name.clone(),
            size: grant.size,
            kind: Some(grant.kind.clone()).filter(|kind| !kind.is_empty()),
            start_byte: Some(grant.start).filter(|start| *start != 0),
            pause: Some(grant.pause).filter(|pause| *pause != PausePolicy::default()),
            pace: Some(grant.pace).filter(|pace| *pace != Pace::default()),
            ..Tlvs::default()
        };
        tlvs.put(out);
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, &'static str> {
    let len = usize::from(cursor.u16().ok_or("a text's length is missing")?);
    if len > limits::MAX_CODEC {
        return Err("a text is too long");
    }
    let bytes = cursor.bytes(len).ok_or("a text ends early")?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a text is not UTF-8")
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(limits::MAX_CODEC)];
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}
