//! The packet that is being written: a slice of the datagram, and how much of it is full.

use crate::wire::varint;

/// Writes to the front of a slice, never beyond its end.
#[derive(Debug)]
pub struct Out<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl<'a> Out<'a> {
    /// Starts at the front of `buf`.
    #[must_use]
    pub const fn new(buf: &'a mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// How many bytes have been written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more bytes fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.buf.len() - self.len
    }

    /// Appends bytes. False, and nothing is written, if they do not fit.
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        let Some(place) = self.buf.get_mut(self.len..end) else { return false };
        place.copy_from_slice(bytes);
        self.len = end;
        true
    }

    /// Appends a varint in its shortest form. False, and nothing is written, if it does not fit.
    pub fn put_varint(&mut self, value: u64) -> bool {
        let value = value.min(varint::MAX);
        let bytes = value.to_be_bytes();
        match varint_len(value) {
            1 => self.put(&bytes[7..]),
            2 => self.put(&[0x40 | bytes[6], bytes[7]]),
            4 => self.put(&[0x80 | bytes[4], bytes[5], bytes[6], bytes[7]]),
            _ => {
                let mut bytes = bytes;
                bytes[0] |= 0xc0;
                self.put(&bytes)
            }
        }
    }

    /// Fills what is left with zeros, up to `len` bytes in all: PADDING frames.
    pub fn pad_to(&mut self, len: usize) {
        let end = len.min(self.buf.len());
        if let Some(place) = self.buf.get_mut(self.len..end) {
            place.fill(0);
            self.len = end;
        }
    }
}

/// How long the shortest form of a varint is (RFC 9000 section 16).
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_the_ones_of_the_other_writer() {
        for bits in 0..62 {
            for value in [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                let mut expected = Vec::new();
                varint::put(&mut expected, value);
                let mut buf = [0; 8];
                let mut out = Out::new(&mut buf);
                assert!(out.put_varint(value));
                let len = out.len();
                assert_eq!((&buf[..len], varint_len(value)), (&expected[..], len));
                let mut short = vec![0; len - 1];
                let mut out = Out::new(&mut short);
                assert!(!out.put_varint(value) && out.is_empty());
            }
        }
    }

    #[test]
    fn nothing_is_written_beyond_the_end() {
        let mut buf = [7; 5];
        let mut out = Out::new(&mut buf);
        assert!(out.put(b"abc") && !out.put(b"def"));
        assert_eq!((out.len(), out.room()), (3, 2));
        out.pad_to(2);
        assert_eq!(out.len(), 3, "padding takes nothing away");
        out.pad_to(9);
        assert_eq!((out.len(), &buf[..]), (5, &b"abc\0\0"[..]));
    }
}
