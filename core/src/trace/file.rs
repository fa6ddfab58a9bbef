//! The outer layer of a trace: magic, version, blocks with checksums, and the header in the
//! first of them (`docs/traces.md`).

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::codec::{Field, Get, Source, Writer};
use crate::config::{Config, MediaPolicy};
use crate::id::Side;
use crate::limits;
use crate::rng::Seed;
use crate::wire::varint::{self, Cursor};

/// What every trace begins with. The first byte is in no text.
pub const MAGIC: [u8; 8] = *b"\x89ABTRACE";
/// The version of the format. It grows with every change.
pub const VERSION: u16 = 1;
/// What stands in front of the first block: magic and version.
pub(super) const PREAMBLE: usize = MAGIC.len() + 2;
/// What stands in front of a block's body: length and checksum.
pub(super) const BLOCK_HEAD: usize = 12;

/// Appends magic and version.
pub(super) fn put_preamble(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
}

/// Appends a block.
pub(super) fn put_block(out: &mut Vec<u8>, number: u64, body: &[u8]) {
    debug_assert!(body.len() <= limits::MAX_TRACE_BLOCK);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&checksum(number, body).to_be_bytes());
    out.extend_from_slice(body);
}

/// A trace of these blocks, the header's first, whatever is in them: for tests of readers.
#[must_use]
pub fn seal(bodies: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_preamble(&mut out);
    for (number, body) in (0..).zip(bodies) {
        put_block(&mut out, number, body);
    }
    out
}

/// The checksum of a block.
pub(super) fn checksum(number: u64, body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, number)
}

/// Who records, for the header of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The program and its version.
    pub program: String,
    /// What the program is for: a server also may dial, but it is called a server.
    pub side: Side,
    /// What carries the connections: `quic`, for example.
    pub transport: String,
    /// The settings of that, in its own form; no secrets. At most
    /// [`limits::MAX_TRACE_SETTINGS`] bytes are kept.
    pub settings: Vec<u8>,
    /// The seed of that, if it has no secrets: then a trace of seam A alone can be replayed over
    /// it. Never given for a transport that encrypts.
    pub seed: Option<Seed>,
}

/// What goes into a trace. Seam A always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Seam B too: the calls of the transport, which make a replay without it possible.
    pub transport: bool,
    /// The payload of sessions. Otherwise only its length and hash.
    pub payload: bool,
    /// The bytes of datagrams. Otherwise only their length and hash.
    pub datagrams: bool,
}

/// Enough to replay the sessions, and nothing that users have sent each other.
impl Default for Contents {
    fn default() -> Self {
        Self { transport: true, payload: false, datagrams: false }
    }
}

/// What stands at the beginning of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who recorded it.
    pub about: About,
    /// What the endpoint was made with.
    pub config: Config,
    /// What is in it.
    pub contents: Contents,
}

/// Writes and reads a list of fields, each with its number and length, so that some can be
/// added: what is absent keeps its default, what is unknown is skipped.
macro_rules! tagged {
    ($($number:literal $($part:ident).+),* $(,)?) => {
        fn put_fields(header: &Header, out: &mut Vec<u8>) {
            $({
                let mut field = Writer::new();
                header.$($part).+.put(&mut field);
                varint::put(out, $number);
                varint::put_bytes(out, &field.out);
            })*
        }

        fn get_field(header: &mut Header, number: u64, from: &mut Source<'_>) -> Get<()> {
            match number {
                $($number => header.$($part).+ = Field::get(from)?,)*
                _ => {}
            }
            Ok(())
        }
    };
}

tagged! {
    1 about.program,
    2 about.side,
    3 about.transport,
    4 about.settings,
    5 about.seed,
    6 contents.transport,
    7 contents.payload,
    8 contents.datagrams,
    32 config.agent,
    33 config.max_connections,
    34 config.max_half_open,
    35 config.max_half_open_per_address,
    36 config.retry,
    37 config.handshake_timeout,
    38 config.keep_alive,
    39 config.epoch,
    48 config.media.max_bitrate,
    49 config.media.default_bitrate,
    50 config.media.max_chunk,
    51 config.media.keepalive,
    52 config.media.timeout,
    53 config.media.pacing,
    54 config.media.startup_burst,
}

/// A setting that is new has to be in the list above: this does not compile without it.
const fn every_setting_is_written(config: &Config) {
    let Config {
        agent: _,
        max_connections: _,
        max_half_open: _,
        max_half_open_per_address: _,
        retry: _,
        handshake_timeout: _,
        keep_alive: _,
        media,
        epoch: _,
    } = config;
    let MediaPolicy {
        max_bitrate: _,
        default_bitrate: _,
        max_chunk: _,
        keepalive: _,
        timeout: _,
        pacing: _,
        startup_burst: _,
    } = media;
}

impl Field for Seed {
    fn put(&self, to: &mut Writer) {
        self.0.put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        Field::get(from).map(Self)
    }
}

impl Header {
    /// The body of block 0.
    pub(super) fn encode(&self) -> Vec<u8> {
        every_setting_is_written(&self.config);
        let mut header = self.clone();
        header.about.settings.truncate(limits::MAX_TRACE_SETTINGS);
        let mut out = Vec::new();
        put_fields(&header, &mut out);
        out
    }

    /// Reads the body of block 0. An error says where in it.
    pub(super) fn decode(body: &[u8]) -> Result<Self, (usize, &'static str)> {
        let about = About {
            program: String::new(),
            side: Side::Client,
            transport: String::new(),
            settings: Vec::new(),
            seed: None,
        };
        let mut header = Self { about, config: Config::default(), contents: Contents::default() };
        let mut cursor = Cursor::new(body);
        while !cursor.is_empty() {
            let at = body.len() - cursor.rest().len();
            let number = cursor.varint().ok_or((at, "a field of the header ends early"))?;
            let value = cursor.prefixed().ok_or((at, "a field of the header ends early"))?;
            let (mut paths, now) = (Vec::new(), crate::Instant::ZERO);
            let mut from = Source { cursor: Cursor::new(value), now, paths: &mut paths };
            get_field(&mut header, number, &mut from).map_err(|why| (at, why))?;
        }
        Ok(header)
    }
}
