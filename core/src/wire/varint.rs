//! Variable-length integers (RFC 9000 section 16) and the cursor that reads them.

/// The largest number a varint can hold.
pub const MAX: u64 = (1 << 62) - 1;

/// Appends `value` in its shortest form. Values above [`MAX`] are written as [`MAX`].
pub fn put(out: &mut Vec<u8>, value: u64) {
    debug_assert!(value <= MAX);
    let value = value.min(MAX);
    let bytes = value.to_be_bytes();
    match value {
        0..0x40 => out.push(bytes[7]),
        0x40..0x4000 => out.extend([0x40 | bytes[6], bytes[7]]),
        0x4000..0x4000_0000 => out.extend([0x80 | bytes[4], bytes[5], bytes[6], bytes[7]]),
        _ => {
            out.push(0xc0 | bytes[0]);
            out.extend_from_slice(&bytes[1..]);
        }
    }
}

/// Appends a length and the bytes themselves.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The number at the front of `bytes` and how long it is. `None`: more bytes are needed.
/// Any form is read, not only the shortest.
#[must_use]
pub fn peek(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = 1usize << (first >> 6);
    let body = bytes.get(1..len)?;
    let value = body.iter().fold(u64::from(first & 0x3f), |v, b| v << 8 | u64::from(*b));
    Some((value, len))
}

/// Reads fields off the front of a complete message. Every method answers `None` when the
/// message ends too early.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Starts at the front.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Everything has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    /// A varint.
    pub fn varint(&mut self) -> Option<u64> {
        let (value, len) = peek(self.0)?;
        self.0 = &self.0[len..];
        Some(value)
    }

    /// A varint length, and that many bytes.
    pub fn prefixed(&mut self) -> Option<&'a [u8]> {
        let len = self.varint()?;
        self.bytes(usize::try_from(len).ok()?)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }

    /// Two bytes in network order.
    pub fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// Four bytes in network order.
    pub fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Eight bytes in network order.
    pub fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_9000_a1() {
        let cases: [(&[u8], u64); 5] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in cases {
            assert_eq!(peek(bytes), Some((value, bytes.len())));
        }
    }

    #[test]
    fn every_length_boundary_round_trips_in_the_shortest_form() {
        let edges = [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, MAX];
        for (value, len) in edges.into_iter().zip([1, 1, 2, 2, 4, 4, 8, 8]) {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!((out.len(), peek(&out)), (len, Some((value, len))));
            for cut in 0..len {
                assert_eq!(peek(&out[..cut]), None);
            }
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_no_field() {
        let mut cursor = Cursor::new(&[0xff; 8]);
        assert_eq!(cursor.prefixed(), None);
        let mut cursor = Cursor::new(&[2, 7]);
        assert_eq!(cursor.prefixed(), None);
    }
}
