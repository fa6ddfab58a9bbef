//! Reads a trace as its bytes come.

use super::codec::{Field as _, Source};
use super::entry::{Entry, Record};
use super::error::TraceError;
use super::file::{self, BLOCK_HEAD, Header, MAGIC, PREAMBLE, VERSION};
use crate::io::Path;
use crate::limits;
use crate::time::Instant;
use crate::wire::varint::{self, Cursor};

/// Where in a trace reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In front of the magic.
    Preamble,
    /// In front of a block.
    Head,
    /// In the body of a block, of which this much is left.
    Body(usize),
    /// Behind the last entry.
    End,
}

/// Reads a trace as its bytes come: give it some ([`Decoder::push`]), and take entries until there
/// are none ([`Decoder::next`]). Any bytes at all may be given.
///
/// It holds what it was given and has not read: at most a block ([`limits::MAX_TRACE_BLOCK`]) and
/// what was given last.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// So many of them have been read.
    used: usize,
    /// How many were read and dropped before them.
    dropped: u64,
    place: Place,
    /// The number of the next block.
    block: u64,
    header: Option<Header>,
    entries: u64,
    now: Instant,
    paths: Vec<Path>,
    failed: Option<TraceError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            used: 0,
            dropped: 0,
            place: Place::Preamble,
            block: 0,
            header: None,
            entries: 0,
            now: Instant::ZERO,
            paths: Vec::new(),
            failed: None,
        }
    }
}

impl Decoder {
    /// More bytes of the trace.
    pub fn push(&mut self, bytes: &[u8]) {
        self.dropped += self.used as u64;
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The header, once it has come and [`Decoder::next`] was called.
    #[must_use]
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The next entry. `None`: more bytes are needed, or there is none.
    ///
    /// # Errors
    /// Why it cannot go on. The answer stays the same from then on.
    #[expect(clippy::should_implement_trait, reason = "the end is not known when there is none")]
    pub fn next(&mut self) -> Result<Option<Record>, TraceError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let answer = self.step();
        self.failed = answer.as_ref().err().copied();
        answer
    }

    /// There are no more bytes: whether the trace is whole.
    ///
    /// # Errors
    /// [`TraceError::CutOff`], or why it could not go on before.
    pub fn end(&self) -> Result<(), TraceError> {
        match (self.failed, self.place) {
            (Some(error), _) => Err(error),
            (None, Place::End) => Ok(()),
            (None, _) => Err(TraceError::CutOff { offset: self.offset() }),
        }
    }

    /// Where in the trace reading is, in bytes from the beginning.
    fn offset(&self) -> u64 {
        self.dropped + self.used as u64
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    fn step(&mut self) -> Result<Option<Record>, TraceError> {
        loop {
            let go_on = match self.place {
                Place::Preamble => self.preamble()?,
                Place::Head => self.head()?,
                Place::Body(left) => return self.entry(left).map(Some),
                Place::End if self.rest().is_empty() => return Ok(None),
                Place::End => return Err(TraceError::AfterEnd { offset: self.offset() }),
            };
            if !go_on {
                return Ok(None);
            }
        }
    }

    /// `false`: more bytes are needed.
    fn preamble(&mut self) -> Result<bool, TraceError> {
        let rest = self.rest();
        if !MAGIC.starts_with(&rest[..rest.len().min(MAGIC.len())]) {
            return Err(TraceError::NotATrace);
        }
        let Some(version) = rest.get(MAGIC.len()..PREAMBLE) else { return Ok(false) };
        let version = u16::from_be_bytes([version[0], version[1]]);
        if version == 0 {
            return Err(TraceError::NotATrace);
        }
        if version > VERSION {
            return Err(TraceError::Newer { version });
        }
        self.used += PREAMBLE;
        self.place = Place::Head;
        Ok(true)
    }

    /// The head of a block, and its body once all of it has come.
    fn head(&mut self) -> Result<bool, TraceError> {
        let (offset, block) = (self.offset(), self.block);
        let Some((head, rest)) = self.bytes[self.used..].split_first_chunk::<BLOCK_HEAD>() else {
            return Ok(false);
        };
        let [l0, l1, l2, l3, sum @ ..] = *head;
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        if len as usize > limits::MAX_TRACE_BLOCK || (len == 0 && block > 0) {
            return Err(TraceError::BlockLength { offset, len });
        }
        let Some(body) = rest.get(..len as usize) else { return Ok(false) };
        if file::checksum(block, body) != u64::from_be_bytes(sum) {
            return Err(TraceError::Damaged { offset, block });
        }
        self.block += 1;
        if block > 0 {
            self.used += BLOCK_HEAD;
            self.place = Place::Body(len as usize);
            return Ok(true);
        }
        let header = Header::decode(body).map_err(|(at, why)| TraceError::Malformed {
            offset: offset + (BLOCK_HEAD + at) as u64,
            why,
        })?;
        self.header = Some(header);
        self.used += BLOCK_HEAD + len as usize;
        Ok(true)
    }

    /// The next entry of a block, of which `left` bytes are left.
    fn entry(&mut self, left: usize) -> Result<Record, TraceError> {
        let offset = self.offset();
        let malformed = |why| TraceError::Malformed { offset, why };
        let body = &self.bytes[self.used..self.used + left];
        let ends = "an entry ends behind its block";
        let (len, prefix) = varint::peek(body).ok_or(malformed(ends))?;
        let end = usize::try_from(len).ok().and_then(|len| prefix.checked_add(len));
        let end = end.filter(|end| *end <= left).ok_or(malformed(ends))?;
        let mut from = Source {
            cursor: Cursor::new(&body[prefix..end]),
            now: self.now,
            paths: &mut self.paths,
        };
        let passed = from.number().map_err(malformed)?;
        let now = self.now.as_nanos().checked_add(passed);
        from.now = now.map(Instant::from_nanos).ok_or(malformed("time beyond all bounds"))?;
        self.now = from.now;
        let entry = Entry::get(&mut from).map_err(malformed)?;
        if !from.cursor.is_empty() {
            return Err(malformed("an entry is longer than its fields"));
        }
        self.entries += 1;
        self.used += end;
        self.place = match (&entry, left - end) {
            (Entry::End { .. } | Entry::Truncated(_), 0) => Place::End,
            (Entry::End { .. } | Entry::Truncated(_), _) => {
                return Err(TraceError::AfterEnd { offset: self.offset() });
            }
            (_, 0) => Place::Head,
            (_, left) => Place::Body(left),
        };
        if let Entry::End { entries } = entry
            && entries != self.entries - 1
        {
            return Err(malformed("the number of entries is another one"));
        }
        Ok(Record { number: self.entries, offset, at: self.now, entry })
    }
}

/// All entries of a trace that is in memory. After an error there are no more.
#[must_use = "iterators do nothing unless they are asked"]
pub fn entries(bytes: &[u8]) -> impl Iterator<Item = Result<Record, TraceError>> + use<> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let next = decoder.next().transpose().or_else(|| decoder.end().err().map(Err));
        over = !matches!(next, Some(Ok(_)));
        next
    })
}

/// The header of a trace that is in memory.
///
/// # Errors
/// Why it cannot be read.
pub fn header(bytes: &[u8]) -> Result<Header, TraceError> {
    let mut decoder = Decoder::default();
    decoder.push(&bytes[..bytes.len().min(PREAMBLE + BLOCK_HEAD + limits::MAX_TRACE_BLOCK)]);
    let first = decoder.next();
    match decoder.header.take() {
        Some(header) => Ok(header),
        None => Err(first.and_then(|_| decoder.end()).err().unwrap_or(TraceError::NotATrace)),
    }
}
