//! The bodies of messages, read.

use super::{Malformed, Message, SHORT, Verdict, entries, kind, tlv};
use crate::code::Code;
use crate::limits;
use crate::session::files::message::queries::{Query, Reply};
use crate::session::files::types::{Existing, Token};
use crate::wire::varint::Cursor;

/// `None`: a type that this version skips.
pub(super) fn parse_body(kind: u64, c: &mut Cursor<'_>) -> Result<Option<Message>, Malformed> {
    Ok(Some(match kind {
        kind::OFFER => parse_offer(c)?,
        kind::REQUEST => parse_request(c)?,
        kind::ACCEPT => Message::Accept { window: number(c)? },
        kind::ENTRIES => parse_entries(c)?,
        kind::ANSWER => parse_answer(c)?,
        kind::CHECKED => {
            let (file, have) = (index(c)?, number(c)?);
            Message::Checked { file, have, same: number(c)? != 0 }
        }
        kind::STORED => {
            let backlog = number(c)?;
            let ranges = list(c, |c| Ok((index(c)?, number(c)?, number(c)?)))?;
            Message::Stored { backlog, ranges }
        }
        kind::AGAIN => Message::Again { file: index(c)?, piece: number(c)? },
        kind::FILE_END => Message::FileEnd { file: index(c)?, size: number(c)?, root: array(c)? },
        kind::FILE_DONE => Message::FileDone { ranges: list(c, |c| Ok((index(c)?, index(c)?)))? },
        kind::FILE_FAILED => {
            let (file, code) = (index(c)?, Code::from_wire(number(c)?));
            Message::FileFailed { file, code, reason: reason(c)? }
        }
        kind::PAUSE => Message::Pause { reason: reason(c)? },
        kind::RESUME => Message::Resume,
        kind::LIMIT => Message::Limit { rate: number(c)? },
        kind::WINDOW => Message::Window { window: number(c)? },
        kind::CANCEL => Message::Cancel { code: Code::from_wire(number(c)?), reason: reason(c)? },
        kind::DONE => Message::Done { entries: index(c)?, digest: array(c)? },
        kind::GOT => Message::Got { digest: array(c)? },
        kind::QUERY => Message::Query(Query::parse(c)?),
        kind::REPLY => Message::Reply(Reply::parse(c)?),
        _ => return Ok(None),
    }))
}

fn parse_answer(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let file = index(c)?;
    let verdict = match number(c)? {
        0 => {
            let haves = list(c, |c| Ok((number(c)?, number(c)?, array(c)?)))?;
            if haves.len() > limits::MAX_HAVES {
                return Err("too many ranges");
            }
            Verdict::Take(haves)
        }
        1 => Verdict::Skip,
        _ => return Err("unknown answer"),
    };
    Ok(Message::Answer { file, verdict })
}

fn parse_offer(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let token = Token(array(c)?);
    let (entries, bytes) = (number(c)?.checked_sub(1), number(c)?.checked_sub(1));
    let (mut label, mut target) = (String::new(), String::new());
    let mut existing = Existing::default();
    each_tlv(c, |kind, value| {
        match kind {
            tlv::LABEL => label = text(value, limits::MAX_LABEL)?,
            tlv::TARGET => target = text(value, limits::MAX_PATH)?,
            tlv::EXISTING => existing = Existing::from_wire(number(&mut Cursor::new(value))?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Message::Offer { token, entries, bytes, label, target, existing })
}

fn parse_request(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let (token, window) = (Token(array(c)?), number(c)?);
    let names = list(c, |c| text(c.prefixed().ok_or(SHORT)?, limits::MAX_PATH))?;
    if names.len() > limits::MAX_REQUEST_NAMES {
        return Err("too many names");
    }
    Ok(Message::Request { token, window, names })
}

fn parse_entries(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let (first, last) = (index(c)?, number(c)? & 1 == 1);
    let entries = list(c, entries::Parsed::parse)?;
    if first.checked_add(u32::try_from(entries.len()).unwrap_or(u32::MAX)).is_none() {
        return Err("too many entries");
    }
    Ok(Message::Entries { first, last, entries })
}

/// A count, and so many elements. What is stored grows with what is there, not with the count.
pub(crate) fn list<'a, T>(
    c: &mut Cursor<'a>,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = number(c)?;
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(element(c)?);
    }
    Ok(out)
}

/// Goes through the extension fields at the end of a body.
pub(crate) fn each_tlv<'a>(
    c: &mut Cursor<'a>,
    mut field: impl FnMut(u64, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while !c.is_empty() {
        let kind = number(c)?;
        field(kind, c.prefixed().ok_or(SHORT)?)?;
    }
    Ok(())
}

fn reason(c: &mut Cursor<'_>) -> Result<String, Malformed> {
    let mut reason = String::new();
    each_tlv(c, |kind, value| {
        if kind == tlv::REASON {
            reason = text(value, limits::MAX_REASON)?;
        }
        Ok(())
    })?;
    Ok(reason)
}

pub(crate) fn number(c: &mut Cursor<'_>) -> Result<u64, Malformed> {
    c.varint().ok_or(SHORT)
}

/// The number of an entry.
pub(crate) fn index(c: &mut Cursor<'_>) -> Result<u32, Malformed> {
    u32::try_from(number(c)?).map_err(|_| "number too high")
}

pub(crate) fn array<const N: usize>(c: &mut Cursor<'_>) -> Result<[u8; N], Malformed> {
    c.bytes(N).and_then(|bytes| bytes.try_into().ok()).ok_or(SHORT)
}

pub(crate) fn text(bytes: &[u8], max: usize) -> Result<String, Malformed> {
    if bytes.len() > max {
        return Err("text too long");
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "text is not UTF-8")
}
