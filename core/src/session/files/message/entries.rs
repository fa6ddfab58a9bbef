//! Entries of a manifest on the wire (`docs/protocol.md`, rule AB-F6).

use super::{Malformed, SHORT, array, each_tlv, number, plus_one, text};
use crate::limits;
use crate::session::files::types::{Entry, Kind, Modified};
use crate::wire::varint::{self, Cursor};

mod tlv {
    pub(super) const MODE: u64 = 1;
    pub(super) const MODIFIED: u64 = 2;
    pub(super) const ROOT: u64 = 3;
    pub(super) const FLAGS: u64 = 4;
}

/// Flag: the bytes mean nothing to the receiver.
const OPAQUE: u64 = 1;
const MODE_BITS: u64 = 0o7777;

/// An entry as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A kind that this version knows.
    Known(Entry),
    /// Another kind, of which only the name is known.
    Unknown(String),
}

const fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::File => 0,
        Kind::Folder => 1,
    }
}

impl Parsed {
    /// Appends the entry: length, kind, name, size, size of a piece, extension fields.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        match self {
            Self::Known(entry) => encode_known(entry, &mut body),
            Self::Unknown(name) => {
                varint::put(&mut body, u64::from(u8::MAX));
                varint::put_bytes(&mut body, name.as_bytes());
            }
        }
        varint::put_bytes(out, &body);
    }

    /// Reads one.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let c = &mut Cursor::new(c.prefixed().ok_or(SHORT)?);
        let kind = number(c)?;
        let name = text(c.prefixed().ok_or(SHORT)?, limits::MAX_PATH)?;
        let kind = match kind {
            0 => Kind::File,
            1 => Kind::Folder,
            _ => return Ok(Self::Unknown(name)),
        };
        let size = number(c)?.checked_sub(1);
        let piece = u32::try_from(number(c)?).map_err(|_| "piece too large")?;
        let mut entry = Entry { kind, size, piece, ..Entry::file("", None) };
        entry.name = name;
        check_size(&entry)?;
        each_tlv(c, |kind, value| {
            let v = &mut Cursor::new(value);
            match kind {
                tlv::MODE => {
                    entry.mode = u16::try_from(number(v)? & MODE_BITS).ok();
                }
                tlv::MODIFIED => {
                    let seconds = i64::from_be_bytes(array(v)?);
                    let nanos = v.u32().filter(|nanos| *nanos < 1_000_000_000);
                    let nanos = nanos.ok_or("nanoseconds too high")?;
                    entry.modified = Some(Modified { seconds, nanos });
                }
                tlv::ROOT => entry.root = Some(array(v)?),
                tlv::FLAGS => entry.opaque = number(v)? & OPAQUE != 0,
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self::Known(entry))
    }
}

/// Whether size and size of a piece go together.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_size(entry: &Entry) -> Result<(), Malformed> {
    if entry.kind == Kind::Folder && entry.size != Some(0) {
        return Err("a folder with bytes");
    }
    if !entry.piece.is_power_of_two()
        || !(limits::MIN_PIECE..=limits::MAX_PIECE).contains(&entry.piece)
    {
        return Err("piece size out of range");
    }
    if entry.pieces().is_some_and(|pieces| pieces > limits::MAX_PIECES) {
        return Err("too many pieces");
    }
    Ok(())
}

fn encode_known(entry: &Entry, out: &mut Vec<u8>) {
    varint::put(out, kind_number(entry.kind));
    varint::put_bytes(out, entry.name.as_bytes());
    varint::put(out, plus_one(entry.size));
    varint::put(out, u64::from(entry.piece));
    if let Some(mode) = entry.mode {
        let mut value = Vec::new();
        varint::put(&mut value, u64::from(mode) & MODE_BITS);
        varint::put(out, tlv::MODE);
        varint::put_bytes(out, &value);
    }
    if let Some(Modified { seconds, nanos }) = entry.modified {
        varint::put(out, tlv::MODIFIED);
        varint::put_bytes(out, &[&seconds.to_be_bytes()[..], &nanos.to_be_bytes()].concat());
    }
    if let Some(root) = &entry.root {
        varint::put(out, tlv::ROOT);
        varint::put_bytes(out, root);
    }
    if entry.opaque {
        varint::put(out, tlv::FLAGS);
        varint::put_bytes(out, &[OPAQUE as u8]);
    }
}
