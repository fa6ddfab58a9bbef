//! Extension TLVs: type varint, length varint, value. They follow the fixed fields of
//! OPEN_STREAM and OPEN_ACK. Unknown types are skipped; types 9 to 15 are kept for what comes
//! later (start time, live edge, chunk deadline).

use super::super::{Pace, PausePolicy};
use crate::limits;
use crate::wire::varint::{self, Cursor};

const NAME: u64 = 1;
const START_SEQUENCE: u64 = 2;
const START_BYTE: u64 = 3;
const PAUSE_POLICY: u64 = 4;
const PACE: u64 = 5;
const MAX_CHUNK: u64 = 6;
const KEEPALIVE: u64 = 7;
const TIMEOUT: u64 = 8;
const SIZE: u64 = 16;
const KIND: u64 = 17;

/// Every extension of this version. What is `None` is not on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tlvs {
    pub(super) name: Option<String>,
    pub(super) start_sequence: Option<u32>,
    pub(super) start_byte: Option<u64>,
    pub(super) pause: Option<PausePolicy>,
    pub(super) pace: Option<Pace>,
    pub(super) max_chunk: Option<u32>,
    pub(super) keepalive: Option<u32>,
    pub(super) timeout: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) kind: Option<String>,
}

impl Tlvs {
    /// Reads everything up to the end of the body.
    pub(super) fn parse(mut cursor: Cursor<'_>) -> Result<Self, &'static str> {
        let mut out = Self::default();
        while !cursor.is_empty() {
            let kind = cursor.varint().ok_or("extension type ends early")?;
            let value = cursor.prefixed().ok_or("extension ends early")?;
            out.take(kind, value)?;
        }
        if out.start_sequence.is_some() && out.start_byte.is_some() {
            return Err("two starts");
        }
        Ok(out)
    }

    fn take(&mut self, kind: u64, value: &[u8]) -> Result<(), &'static str> {
        match kind {
            NAME => set(&mut self.name, text(value, limits::MAX_NAME)?),
            START_SEQUENCE => match small(value)? {
                0 => Err("sequence numbers start at 1"),
                sequence => set(&mut self.start_sequence, sequence),
            },
            START_BYTE => set(&mut self.start_byte, number(value)?),
            PAUSE_POLICY => set(
                &mut self.pause,
                match value {
                    [0] => PausePolicy::Hold,
                    [1] => PausePolicy::Live,
                    _ => return Err("unknown pause policy"),
                },
            ),
            PACE => set(
                &mut self.pace,
                match value {
                    [0] => Pace::Bitrate,
                    [1] => Pace::Unpaced,
                    _ => return Err("unknown pace"),
                },
            ),
            MAX_CHUNK => set(&mut self.max_chunk, small(value)?),
            KEEPALIVE => set(&mut self.keepalive, small(value)?),
            TIMEOUT => set(&mut self.timeout, small(value)?),
            SIZE => set(&mut self.size, number(value)?),
            KIND => set(&mut self.kind, text(value, limits::MAX_KIND)?),
            _ => Ok(()),
        }
    }

    /// Appends every extension that is there.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let numbers = [
            (START_SEQUENCE, self.start_sequence.map(u64::from)),
            (START_BYTE, self.start_byte),
            (MAX_CHUNK, self.max_chunk.map(u64::from)),
            (KEEPALIVE, self.keepalive.map(u64::from)),
            (TIMEOUT, self.timeout.map(u64::from)),
            (SIZE, self.size),
        ];
        for (kind, value) in numbers {
            if let Some(value) = value {
                let mut body = Vec::with_capacity(8);
                varint::put(&mut body, value.min(varint::MAX));
                put(out, kind, &body);
            }
        }
        if let Some(name) = &self.name {
            put(out, NAME, name.as_bytes());
        }
        if let Some(pause) = self.pause {
            put(out, PAUSE_POLICY, &[u8::from(pause == PausePolicy::Live)]);
        }
        if let Some(pace) = self.pace {
            put(out, PACE, &[u8::from(pace == Pace::Unpaced)]);
        }
        if let Some(kind) = &self.kind {
            put(out, KIND, kind.as_bytes());
        }
    }
}

fn put(out: &mut Vec<u8>, kind: u64, value: &[u8]) {
    varint::put(out, kind);
    varint::put_bytes(out, value);
}

fn set<T>(field: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err("repeated extension"),
    }
}

fn number(value: &[u8]) -> Result<u64, &'static str> {
    match varint::peek(value) {
        Some((number, len)) if len == value.len() => Ok(number),
        _ => Err("an extension's number has another length"),
    }
}

fn small(value: &[u8]) -> Result<u32, &'static str> {
    u32::try_from(number(value)?).map_err(|_| "an extension's number is too large")
}

fn text(value: &[u8], most: usize) -> Result<String, &'static str> {
    if value.len() > most {
        return Err("an extension's text is too long");
    }
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err("an extension's text is not UTF-8"),
    }
}
