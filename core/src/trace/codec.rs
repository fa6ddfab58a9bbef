//! Entries as bytes: how a value of each type is written and read (`docs/traces.md`).

mod macros;
mod services;
mod types;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use bytes::Bytes;

use crate::io::Path;
use crate::limits;
use crate::time::Instant;
use crate::wire::varint::{self, Cursor};

/// Written in place of a number that is too large for a varint; eight bytes follow.
const LARGE: u64 = varint::MAX;

/// Where values are written to. Times are written as distance from `now`, and a path that has
/// been written before as a number.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    pub(super) now: Instant,
    paths: BTreeMap<Path, u64>,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { out: Vec::new(), now: Instant::ZERO, paths: BTreeMap::new() }
    }

    pub(super) fn number(&mut self, value: u64) {
        if value < LARGE {
            varint::put(&mut self.out, value);
        } else {
            varint::put(&mut self.out, LARGE);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// Where values are read from: one entry, and what is known from those before it.
pub(super) struct Source<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) now: Instant,
    pub(super) paths: &'a mut Vec<Path>,
}

/// What was read, or what is wrong with it.
pub(super) type Get<T> = Result<T, &'static str>;

/// Why a value cannot be read: it ends too early.
pub(super) const SHORT: &str = "a field ends early";

impl Source<'_> {
    pub(super) fn number(&mut self) -> Get<u64> {
        match self.cursor.varint().ok_or(SHORT)? {
            LARGE => self.cursor.u64().ok_or(SHORT),
            value => Ok(value),
        }
    }

    fn length(&mut self, limit: usize) -> Get<usize> {
        let len = usize::try_from(self.number()?).ok().filter(|len| *len <= limit);
        len.ok_or("a length is beyond its limit")
    }
}

/// A type that entries are made of.
pub(super) trait Field: Sized {
    fn put(&self, to: &mut Writer);
    fn get(from: &mut Source<'_>) -> Get<Self>;
}

/// A type of which there can be a list, and how long that may be. What is beyond one more than
/// that is not written: a longer list is refused anyway.
pub(super) trait Listed {
    const LIMIT: usize;
}

impl<T: Field + Listed> Field for Vec<T> {
    fn put(&self, to: &mut Writer) {
        let len = self.len().min(T::LIMIT + 1);
        to.number(len as u64);
        self[..len].iter().for_each(|item| item.put(to));
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let len = from.length(T::LIMIT + 1)?;
        (0..len).map(|_| T::get(from)).collect()
    }
}

/// Numbers, as varints.
macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Field for $type {
            fn put(&self, to: &mut Writer) {
                to.number(*self as u64);
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                Self::try_from(from.number()?).map_err(|_| "a number is too large for its field")
            }
        }
    )* };
}
numbers!(u8, u16, u32, u64, usize);

impl Field for bool {
    fn put(&self, to: &mut Writer) {
        to.out.push(u8::from(*self));
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        match from.cursor.u8().ok_or(SHORT)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("neither yes nor no"),
        }
    }
}

impl Field for () {
    fn put(&self, _: &mut Writer) {}

    fn get(_: &mut Source<'_>) -> Get<Self> {
        Ok(())
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, to: &mut Writer) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        bool::get(from)?.then(|| T::get(from)).transpose()
    }
}

impl<T: Field, E: Field> Field for Result<T, E> {
    fn put(&self, to: &mut Writer) {
        self.is_ok().put(to);
        match self {
            Ok(value) => value.put(to),
            Err(why) => why.put(to),
        }
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        Ok(if bool::get(from)? { Ok(T::get(from)?) } else { Err(E::get(from)?) })
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, to: &mut Writer) {
        self.0.put(to);
        self.1.put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

impl<const N: usize> Field for [u8; N] {
    fn put(&self, to: &mut Writer) {
        to.out.extend_from_slice(self);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let bytes = from.cursor.bytes(N).ok_or(SHORT)?;
        bytes.try_into().map_err(|_| SHORT)
    }
}

impl Field for Bytes {
    fn put(&self, to: &mut Writer) {
        varint::put_bytes(&mut to.out, self);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        from.cursor.prefixed().map(Self::copy_from_slice).ok_or(SHORT)
    }
}

/// The text, as far as it is of interest: every text that means something is far shorter.
impl Field for String {
    fn put(&self, to: &mut Writer) {
        let mut len = self.len().min(limits::MAX_TRACE_TEXT);
        while !self.is_char_boundary(len) {
            len -= 1;
        }
        varint::put_bytes(&mut to.out, &self.as_bytes()[..len]);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let bytes = from.cursor.prefixed().ok_or(SHORT)?;
        if bytes.len() > limits::MAX_TRACE_TEXT {
            return Err("a text is too long");
        }
        Self::from_utf8(bytes.to_vec()).map_err(|_| "a text is not UTF-8")
    }
}

impl Field for Duration {
    fn put(&self, to: &mut Writer) {
        to.number(self.as_secs());
        to.number(u64::from(self.subsec_nanos()));
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let (secs, nanos) = (u64::get(from)?, u32::get(from)?);
        if nanos >= 1_000_000_000 {
            return Err("more than a second of nanoseconds");
        }
        Ok(Self::new(secs, nanos))
    }
}

/// The distance from the time of the entry, with the sign in the lowest bit.
impl Field for Instant {
    fn put(&self, to: &mut Writer) {
        let distance = self.as_nanos().wrapping_sub(to.now.as_nanos()).cast_signed();
        to.number((distance << 1 ^ distance >> 63).cast_unsigned());
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let folded = u64::get(from)?;
        let distance = folded >> 1 ^ (folded & 1).wrapping_neg();
        Ok(Self::from_nanos(from.now.as_nanos().wrapping_add(distance)))
    }
}

impl Field for SocketAddr {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::V4(v4) => {
                to.out.push(4);
                to.out.extend_from_slice(&v4.ip().octets());
                to.out.extend_from_slice(&v4.port().to_be_bytes());
            }
            Self::V6(v6) => {
                to.out.push(6);
                to.out.extend_from_slice(&v6.ip().octets());
                to.out.extend_from_slice(&v6.port().to_be_bytes());
                to.number(u64::from(v6.flowinfo()));
                to.number(u64::from(v6.scope_id()));
            }
        }
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let port = |from: &mut Source<'_>| from.cursor.u16().ok_or(SHORT);
        match from.cursor.u8().ok_or(SHORT)? {
            4 => {
                let ip = Ipv4Addr::from(<[u8; 4]>::get(from)?);
                Ok(Self::V4(SocketAddrV4::new(ip, port(from)?)))
            }
            6 => {
                let ip = Ipv6Addr::from(<[u8; 16]>::get(from)?);
                let port = port(from)?;
                let (flow, scope) = (u32::get(from)?, u32::get(from)?);
                Ok(Self::V6(SocketAddrV6::new(ip, port, flow, scope)))
            }
            _ => Err("unknown kind of address"),
        }
    }
}

/// A number: that of a path seen before, or one more than the last one and the path itself.
/// From [`limits::MAX_TRACE_PATHS`] on paths are always written out.
impl Field for Path {
    fn put(&self, to: &mut Writer) {
        if let Some(number) = to.paths.get(self) {
            let number = *number;
            return to.number(number);
        }
        let next = to.paths.len() as u64;
        if to.paths.len() < limits::MAX_TRACE_PATHS {
            to.paths.insert(*self, next);
        }
        to.number(next);
        self.local.put(to);
        self.remote.put(to);
    }

    fn get(from: &mut Source<'_>) -> Get<Self> {
        let number = usize::get(from)?;
        if let Some(path) = from.paths.get(number) {
            return Ok(*path);
        }
        if number != from.paths.len() {
            return Err("a path that was not named before");
        }
        let path = Self { local: SocketAddr::get(from)?, remote: SocketAddr::get(from)? };
        if from.paths.len() < limits::MAX_TRACE_PATHS {
            from.paths.push(path);
        }
        Ok(path)
    }
}
