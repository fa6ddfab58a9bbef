//! Blocks of a data stream: the head of a piece, and its bytes (`docs/protocol.md`, rule AB-F9).

use super::hash::Hash;
use crate::wire::varint;

/// What stands in front of a piece's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the file.
    pub file: u32,
    /// The number of the piece.
    pub piece: u64,
    /// How many bytes follow.
    pub len: u32,
    /// The hash of these bytes.
    pub hash: Hash,
}

/// No head is longer.
pub const MAX_HEAD: usize = 3 * 8 + 32;

impl Head {
    /// Appends the head.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::put(out, u64::from(self.file));
        varint::put(out, self.piece);
        varint::put(out, u64::from(self.len));
        out.extend_from_slice(&self.hash);
    }

    /// The head at the front of `bytes`, if all of it is there, or how many bytes it takes at
    /// least.
    ///
    /// # Errors
    /// A number that no head has.
    pub fn parse(bytes: &[u8]) -> Result<Result<Self, usize>, &'static str> {
        let mut at = 0;
        let mut numbers = [0; 3];
        for (n, number) in numbers.iter_mut().enumerate() {
            let Some(first) = bytes.get(at) else { return Ok(Err(at + 3 - n + 32)) };
            let len = 1 << (first >> 6);
            let Some((value, _)) = varint::peek(&bytes[at..]) else {
                return Ok(Err(at + len + 2 - n + 32));
            };
            (*number, at) = (value, at + len);
        }
        let Some(hash) = bytes.get(at..at + 32) else { return Ok(Err(at + 32)) };
        let file = u32::try_from(numbers[0]).map_err(|_| "file number too high")?;
        let len = u32::try_from(numbers[2]).map_err(|_| "block too long")?;
        let hash = hash.try_into().map_err(|_| "no hash")?;
        Ok(Ok(Self { file, piece: numbers[1], len, hash }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_without_a_byte_too_much() {
        let edges = [0, 63, 64, 16_383, 16_384, u32::MAX];
        for file in edges {
            for piece in [0, 64, 1 << 20, varint::MAX] {
                for len in edges {
                    let head = Head { file, piece, len, hash: [7; 32] };
                    let mut bytes = Vec::new();
                    head.encode(&mut bytes);
                    assert!(bytes.len() <= MAX_HEAD);
                    // Whoever reads as many as are needed at least never reads beyond the head.
                    let mut have = 0;
                    let got = loop {
                        match Head::parse(&bytes[..have]).unwrap() {
                            Ok(head) => break head,
                            Err(least) => {
                                assert!(least > have && least <= bytes.len(), "{head:?}");
                                have = least;
                            }
                        }
                    };
                    assert_eq!((got, have), (head, bytes.len()));
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_too_high_are_refused() {
        for at in [0, 2] {
            let mut bytes = Vec::new();
            for n in 0..3 {
                varint::put(&mut bytes, if n == at { 1 << 32 } else { 0 });
            }
            bytes.extend([0; 32]);
            assert!(Head::parse(&bytes).is_err(), "{at}");
        }
    }
}
