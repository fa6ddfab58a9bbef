//! What the two ends of a connection tell each other at its beginning (rule AB-D11). Numbers and
//! meanings are those of RFC 9000 section 18.2.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::limits;
use crate::wire::varint::{self, Cursor};

mod id {
    pub(super) const IDLE_TIMEOUT: u64 = 0x01;
    pub(super) const RESET_TOKEN: u64 = 0x02;
    pub(super) const MAX_DATAGRAM: u64 = 0x03;
    pub(super) const MAX_DATA: u64 = 0x04;
    pub(super) const MAX_STREAM_DATA: u64 = 0x05;
    pub(super) const STREAMS_BIDI: u64 = 0x08;
    pub(super) const STREAMS_UNI: u64 = 0x09;
    pub(super) const MAX_ACK_DELAY: u64 = 0x0b;
    pub(super) const CID_LIMIT: u64 = 0x0e;
    pub(super) const PROTOCOLS: u64 = 0x20;
}

/// The largest number of streams (RFC 9000 section 4.6).
const MAX_STREAMS: u64 = 1 << 60;
/// The largest acknowledgement delay in milliseconds (RFC 9000 section 18.2).
const MAX_ACK_DELAY: u64 = 1 << 14;
const MIN_CID_LIMIT: u64 = 2;

/// What one end tells the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Params {
    /// Silence that ends the connection. Zero: none.
    pub(super) idle_timeout: Duration,
    /// What resets the connection id of the handshake; only from a server.
    pub(super) reset_token: Option<[u8; 16]>,
    /// The largest datagram it takes.
    pub(super) max_datagram: u64,
    /// Flow control: the connection.
    pub(super) max_data: u64,
    /// Flow control: each stream.
    pub(super) max_stream_data: u64,
    /// Bidirectional streams that the receiver of this may open.
    pub(super) streams_bidi: u64,
    /// Unidirectional streams that the receiver of this may open.
    pub(super) streams_uni: u64,
    /// How long it may hold back an acknowledgement.
    pub(super) max_ack_delay: Duration,
    /// Connection ids it keeps.
    pub(super) cid_limit: u64,
    /// A client: the protocols it offers, best first. A server: the one it picked.
    pub(super) protocols: Vec<Vec<u8>>,
}

impl Default for Params {
    /// What holds for a parameter that was not told (RFC 9000 section 18.2).
    fn default() -> Self {
        Self {
            idle_timeout: Duration::ZERO,
            reset_token: None,
            max_datagram: limits::MAX_DATAGRAM as u64,
            max_data: 0,
            max_stream_data: 0,
            streams_bidi: 0,
            streams_uni: 0,
            max_ack_delay: Duration::from_millis(25),
            cid_limit: MIN_CID_LIMIT,
            protocols: Vec::new(),
        }
    }
}

impl Params {
    /// Reads all of `bytes`. `None`: malformed, or a value that the rules forbid.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut params = Self::default();
        let mut seen = BTreeSet::new();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (kind, value) = (cursor.varint()?, cursor.prefixed()?);
            if seen.len() >= limits::MAX_PARAMS || !seen.insert(kind) {
                return None;
            }
            params.take(kind, value)?;
        }
        Some(params)
    }

    fn take(&mut self, kind: u64, value: &[u8]) -> Option<()> {
        match kind {
            id::RESET_TOKEN => self.reset_token = Some(value.try_into().ok()?),
            id::PROTOCOLS => self.protocols = protocols(value)?,
            id::IDLE_TIMEOUT => self.idle_timeout = Duration::from_millis(number(value)?),
            id::MAX_DATAGRAM => {
                let least = limits::MIN_INITIAL_DATAGRAM as u64;
                self.max_datagram = number(value).filter(|size| *size >= least)?;
            }
            id::MAX_DATA => self.max_data = number(value)?,
            id::MAX_STREAM_DATA => self.max_stream_data = number(value)?,
            id::STREAMS_BIDI => self.streams_bidi = streams(value)?,
            id::STREAMS_UNI => self.streams_uni = streams(value)?,
            id::MAX_ACK_DELAY => {
                let delay = number(value).filter(|delay| *delay < MAX_ACK_DELAY)?;
                self.max_ack_delay = Duration::from_millis(delay);
            }
            id::CID_LIMIT => self.cid_limit = number(value).filter(|n| *n >= MIN_CID_LIMIT)?,
            // Of a later version of these rules.
            _ => {}
        }
        Some(())
    }

    /// Appends them.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, id::IDLE_TIMEOUT, millis(self.idle_timeout));
        if let Some(token) = &self.reset_token {
            varint::put(out, id::RESET_TOKEN);
            varint::put_bytes(out, token);
        }
        put_number(out, id::MAX_DATAGRAM, self.max_datagram);
        put_number(out, id::MAX_DATA, self.max_data);
        put_number(out, id::MAX_STREAM_DATA, self.max_stream_data);
        put_number(out, id::STREAMS_BIDI, self.streams_bidi);
        put_number(out, id::STREAMS_UNI, self.streams_uni);
        put_number(out, id::MAX_ACK_DELAY, millis(self.max_ack_delay));
        put_number(out, id::CID_LIMIT, self.cid_limit);
        varint::put(out, id::PROTOCOLS);
        let mut names = Vec::new();
        for name in &self.protocols {
            varint::put_bytes(&mut names, name);
        }
        varint::put_bytes(out, &names);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(varint::MAX).min(varint::MAX)
}

fn put_number(out: &mut Vec<u8>, kind: u64, value: u64) {
    varint::put(out, kind);
    let mut bytes = Vec::with_capacity(8);
    varint::put(&mut bytes, value);
    varint::put_bytes(out, &bytes);
}

/// A varint that fills its value.
fn number(value: &[u8]) -> Option<u64> {
    let (number, len) = varint::peek(value)?;
    (len == value.len()).then_some(number)
}

fn streams(value: &[u8]) -> Option<u64> {
    number(value).filter(|count| *count <= MAX_STREAMS)
}

fn protocols(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut cursor = Cursor::new(value);
    while !cursor.is_empty() {
        let name = cursor.prefixed()?;
        let good = (1..=limits::MAX_PROTOCOL_NAME).contains(&name.len());
        if !good || names.len() >= limits::MAX_PROTOCOLS {
            return None;
        }
        names.push(name.to_vec());
    }
    Some(names)
}

#[cfg(test)]
mod tests;
