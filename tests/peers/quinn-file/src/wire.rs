//! What is said on a stream. The client begins with a request:
//!
//! ```text
//! get: 1, which range (8 bytes), of how many (8), length of the name (2), the name
//! put: 2, offset (8), length (8), length of the name (2), the name; then the range
//! ```
//!
//! The answer to `get` is the range's offset (8), its length (8), and the range; to `put`, one
//! byte when all of it has been written and its hash is right. A range is its bytes and their
//! BLAKE3 hash (32). Numbers are big-endian.

use quinn::{RecvStream, SendStream};

use crate::Outcome;

/// The answer to a `put`.
pub(crate) const STORED: u8 = 1;
/// Names are no longer than this, in bytes.
const MAX_NAME: u16 = 255;

/// What a client asks for on a stream.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Get { index: u64, count: u64, name: String },
    Put { offset: u64, len: u64, name: String },
}

impl Request {
    pub(crate) async fn write(&self, stream: &mut SendStream) -> Outcome<()> {
        let (kind, a, b, name) = match self {
            Self::Get { index, count, name } => (1, index, count, name),
            Self::Put { offset, len, name } => (2, offset, len, name),
        };
        let mut bytes = vec![kind];
        bytes.extend(a.to_be_bytes());
        bytes.extend(b.to_be_bytes());
        bytes.extend(u16::try_from(name.len())?.to_be_bytes());
        bytes.extend(name.as_bytes());
        Ok(stream.write_all(&bytes).await?)
    }

    pub(crate) async fn read(stream: &mut RecvStream) -> Outcome<Self> {
        let mut kind = [0];
        stream.read_exact(&mut kind).await?;
        let a = read_u64(stream).await?;
        let b = read_u64(stream).await?;
        let mut len = [0; 2];
        stream.read_exact(&mut len).await?;
        let len = u16::from_be_bytes(len);
        if len > MAX_NAME {
            return Err("the name is too long".into());
        }
        let mut name = vec![0; usize::from(len)];
        stream.read_exact(&mut name).await?;
        let name = String::from_utf8(name)?;
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(format!("{name:?} is not the name of a file").into());
        }
        match kind {
            [1] => Ok(Self::Get { index: a, count: b, name }),
            [2] => Ok(Self::Put { offset: a, len: b, name }),
            [other] => Err(format!("there is no request {other}").into()),
        }
    }
}

pub(crate) async fn read_u64(stream: &mut RecvStream) -> Outcome<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).await?;
    Ok(u64::from_be_bytes(bytes))
}

/// The `index`th of `count` ranges of `len` bytes: offset and length.
pub(crate) fn range(len: u64, index: u64, count: u64) -> Outcome<(u64, u64)> {
    if index >= count || count > 256 {
        return Err(format!("there is no range {index} of {count}").into());
    }
    let edge = |n: u64| {
        let edge = u128::from(len) * u128::from(n) / u128::from(count);
        u64::try_from(edge).expect("at most the length")
    };
    Ok((edge(index), edge(index + 1) - edge(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_file() {
        for (len, count) in [(0, 1), (1, 3), (10, 3), (u64::MAX, 256)] {
            let mut at = 0;
            for index in 0..count {
                let (offset, part) = range(len, index, count).unwrap();
                assert_eq!(offset, at);
                at += part;
            }
            assert_eq!(at, len);
        }
        assert!(range(1, 1, 1).is_err());
    }
}
