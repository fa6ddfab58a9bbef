//! The journal beside a partial file: which pieces are there, and what their hashes are.
//!
//! It begins with a header of [`HEADER`] bytes: `anabpart`, the version 1 (one byte), the
//! fingerprint of the file's version ([`Entry::fingerprint`]), and a check. Records of [`RECORD`]
//! bytes follow: the number of a piece (8 bytes, big-endian; the highest bit says that the piece
//! is not there any more), its hash, and a check. Later records count. A record that is torn has a
//! wrong check: it and what comes after it were never written.
//!
//! The journal is a hint: nobody believes that a piece is there before having read and hashed it.

use std::collections::BTreeMap;

use anabranch_core::files::{Entry, Hash};

/// Bytes of the header.
pub const HEADER: usize = 8 + 1 + 32 + 8;
/// Bytes of a record.
pub const RECORD: usize = 8 + 32 + 8;

const MAGIC: &[u8; 8] = b"anabpart";
const VERSION: u8 = 1;
/// Of a piece that is not there any more.
const GONE: u64 = 1 << 63;

/// What a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The pieces that were there, and their hashes.
    pub pieces: BTreeMap<u64, Hash>,
    /// Its length in bytes, up to the first torn record.
    pub len: usize,
}

fn check(bytes: &[u8]) -> [u8; 8] {
    let hash = blake3::hash(bytes);
    *hash.as_bytes().first_chunk().expect("a hash is longer than that")
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let check = check(&bytes);
    bytes.extend_from_slice(&check);
    bytes
}

/// The beginning of the journal of this version of a file.
#[must_use]
pub fn header(entry: &Entry) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes.extend_from_slice(&entry.fingerprint());
    sealed(bytes)
}

/// A piece is there.
#[must_use]
pub fn stored(entry: &Entry, piece: u64, hash: &Hash) -> Vec<u8> {
    record(entry, piece, hash)
}

/// A piece is not there any more.
#[must_use]
pub fn gone(entry: &Entry, piece: u64) -> Vec<u8> {
    record(entry, piece | GONE, &Hash::default())
}

fn record(entry: &Entry, number: u64, hash: &Hash) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend_from_slice(hash);
    // A record of another version's journal must not pass for one of this.
    let mut whole = bytes.clone();
    whole.extend_from_slice(&entry.fingerprint());
    bytes.extend_from_slice(&check(&whole));
    bytes
}

/// The most bytes that the journal of a file can sensibly have: every piece four times.
#[must_use]
pub fn longest(entry: &Entry) -> usize {
    let pieces = usize::try_from(entry.pieces().unwrap_or(0)).unwrap_or(usize::MAX);
    pieces.saturating_add(256).saturating_mul(4 * RECORD)
}

/// Reads a journal. `None`: it is of another version of the file, or none at all.
#[must_use]
pub fn read(entry: &Entry, bytes: &[u8]) -> Option<Contents> {
    let (head, mut rest) = bytes.split_at_checked(HEADER)?;
    if head != header(entry) {
        return None;
    }
    let pieces = entry.pieces()?;
    let mut contents = Contents { pieces: BTreeMap::new(), len: HEADER };
    while let Some((one, more)) = rest.split_at_checked(RECORD) {
        let number = u64::from_be_bytes(*one.first_chunk()?);
        let hash: Hash = *one[8..].first_chunk()?;
        if record(entry, number, &hash) != one || number & !GONE >= pieces {
            break;
        }
        if number & GONE == 0 {
            contents.pieces.insert(number, hash);
        } else {
            contents.pieces.remove(&(number & !GONE));
        }
        contents.len += RECORD;
        rest = more;
    }
    Some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { piece: 1 << 16, ..Entry::file("a", Some(10 << 16)) }
    }

    fn hash(n: u8) -> Hash {
        [n; 32]
    }

    #[test]
    fn what_is_written_is_read_up_to_what_is_torn() {
        let entry = entry();
        let mut bytes = header(&entry);
        assert_eq!((bytes.len(), stored(&entry, 0, &hash(0)).len()), (HEADER, RECORD));
        for (piece, n) in [(3, 1), (9, 2), (3, 3)] {
            bytes.extend(stored(&entry, piece, &hash(n)));
        }
        let whole = [(3, hash(3)), (9, hash(2))].into();
        let contents = Contents { pieces: whole, len: bytes.len() };
        assert_eq!(read(&entry, &bytes), Some(contents.clone()));
        let more = [bytes.clone(), gone(&entry, 9)].concat();
        assert_eq!(read(&entry, &more).unwrap().pieces, [(3, hash(3))].into());
        for cut in 0..RECORD {
            let torn = &bytes[..bytes.len() - RECORD + cut];
            let left = read(&entry, torn).unwrap();
            assert_eq!(left.pieces, [(3, hash(1)), (9, hash(2))].into(), "{cut}");
            assert_eq!(left.len, HEADER + 2 * RECORD);
        }
        for at in HEADER..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            let records = (at - HEADER) / RECORD;
            assert_eq!(read(&entry, &wrong).unwrap().len, HEADER + records * RECORD, "{at}");
        }
    }

    #[test]
    fn a_journal_of_something_else_is_none() {
        let entry = entry();
        let bytes = [header(&entry), stored(&entry, 1, &hash(1))].concat();
        for at in 0..HEADER {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(read(&entry, &wrong), None, "{at}");
            assert_eq!(read(&entry, &bytes[..at]), None);
        }
        let other = Entry { size: Some(9 << 16), ..entry.clone() };
        assert_eq!(read(&other, &bytes), None);
        // A record of the other version behind this one's header.
        let mixed = [header(&other), stored(&entry, 1, &hash(1))].concat();
        assert_eq!(read(&other, &mixed).unwrap().len, HEADER);
        // A piece that the file cannot have.
        let beyond = [header(&entry), stored(&entry, 10, &hash(1))].concat();
        assert_eq!(read(&entry, &beyond).unwrap().len, HEADER);
        assert_eq!(longest(&entry), 266 * 4 * RECORD);
    }
}
