//! Traces from files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anabranch_core::Instant;
use anabranch_core::trace::{Decoder, Header, Record, TraceError};

use crate::exit::{Exit, Failure};

/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// What packet captures begin with: pcapng, and pcap in both orders of bytes and precisions.
const CAPTURES: [[u8; 4]; 5] = [
    [0x0a, 0x0d, 0x0d, 0x0a],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
];

/// The entries of a trace, read as they are asked for. After an error there are no more.
pub(super) struct Records {
    path: PathBuf,
    file: File,
    decoder: Decoder,
    first: Option<Record>,
    over: bool,
}

/// How far a trace could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) entries: u64,
    pub(super) at: Option<Instant>,
}

impl Reached {
    pub(super) fn pass(&mut self, record: &Record) {
        self.entries += 1;
        self.at = Some(record.at);
    }
}

/// Opens a trace, and reads its header.
pub(super) fn open(path: &Path) -> Result<(Header, Records), Failure> {
    let file = File::open(path).map_err(|error| Failure::reading(path, &error))?;
    let decoder = Decoder::default();
    let mut records = Records { path: path.to_owned(), file, decoder, first: None, over: false };
    loop {
        let next = records.decoder.next();
        if let Some(header) = records.decoder.header() {
            let header = header.clone();
            // An error is found again by whoever reads on.
            records.first = next.ok().flatten();
            return Ok((header, records));
        }
        let failure = |error| failure(path, &error, Reached::default());
        next.map_err(failure)?;
        if !records.more().map_err(|error| Failure::reading(path, &error))? {
            let error = records.decoder.end().err().unwrap_or(TraceError::NotATrace);
            return Err(failure(error));
        }
    }
}

impl Records {
    /// `false`: the file has no more.
    fn more(&mut self) -> io::Result<bool> {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut self.file).take(PIECE as u64).read_to_end(&mut piece)?;
        self.decoder.push(&piece);
        Ok(!piece.is_empty())
    }

    fn step(&mut self) -> Result<Option<Record>, TraceError> {
        loop {
            if let Some(record) = self.decoder.next()? {
                return Ok(Some(record));
            }
            let more = self.more().unwrap_or_else(|error| {
                log::error!("{}", Failure::reading(&self.path, &error));
                false
            });
            if !more {
                return self.decoder.end().map(|()| None);
            }
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.over {
            return None;
        }
        let next = self.step().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What is wrong with a trace, and what of it can be read.
pub(super) fn failure(path: &Path, error: &TraceError, reached: Reached) -> Failure {
    let failure = Failure::new(Exit::Data, format!("{}: {error}", path.display()));
    match error {
        TraceError::NotATrace if is_capture(path) => {
            failure.hint("it is a packet capture: see `anabranch trace import --help`")
        }
        TraceError::NotATrace | TraceError::Newer { .. } => failure,
        TraceError::CutOff { .. }
        | TraceError::Damaged { .. }
        | TraceError::BlockLength { .. }
        | TraceError::Malformed { .. }
        | TraceError::AfterEnd { .. } => failure.hint(match reached.at {
            Some(at) => {
                let before = match reached.entries {
                    1 => "the entry before that is".to_owned(),
                    more => format!("the {} before that are", entries(more)),
                };
                let seconds = seconds(at);
                format!("{before} good, up to {seconds} s")
            }
            None => "nothing of it can be read".to_owned(),
        }),
    }
}

fn is_capture(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut head));
    read.is_ok() && CAPTURES.iter().any(|magic| head == magic)
}

/// So many entries.
pub(super) fn entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

/// A time of a trace, in seconds since the beginning.
pub(super) fn seconds(at: Instant) -> String {
    let nanos = at.as_nanos();
    format!("{}.{:06}", nanos / 1_000_000_000, nanos / 1_000 % 1_000_000)
}

/// Who recorded the trace, and what is in it.
pub(super) fn describe(header: &Header) -> String {
    let Header { about, contents, .. } = header;
    let has = |name, is| if is { format!("with {name}") } else { format!("without {name}") };
    let parts = [
        has("the calls of the transport", contents.transport),
        has("payload", contents.payload),
        has("the bytes of datagrams", contents.datagrams),
    ];
    let program = crate::units::clean(&about.program);
    let transport = crate::units::clean(&about.transport);
    let side = format!("{:?}", about.side).to_lowercase();
    format!("{program} ({side}) over {transport}, {}", parts.join(", "))
}
