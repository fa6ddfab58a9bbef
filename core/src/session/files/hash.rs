//! What is hashed, and how (`docs/protocol.md`, rules AB-F10 to AB-F12).

use std::collections::BTreeMap;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

const ROOT: &[u8] = b"anabranch file root 1";
const HAVE: &[u8] = b"anabranch file have 1";
const TRANSFER: &[u8] = b"anabranch transfer 1";

/// The hash of a piece: plain BLAKE3 of its bytes.
#[must_use]
pub fn piece(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}

/// The digest of pieces that lie next to each other, `first` being the number of the first.
#[derive(Clone, Debug)]
pub struct Digest {
    hasher: blake3::Hasher,
}

impl Digest {
    /// Of `count` pieces from number `first` on.
    #[must_use]
    pub fn new(first: u64, count: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(HAVE).update(&first.to_be_bytes()).update(&count.to_be_bytes());
        Self { hasher }
    }

    /// The next piece's hash.
    pub fn put(&mut self, hash: &Hash) {
        self.hasher.update(hash);
    }

    /// The digest of what was put.
    #[must_use]
    pub fn finish(&self) -> Hash {
        *self.hasher.finalize().as_bytes()
    }
}

/// The root hash of a file, from its pieces' hashes in any order. Holds only those hashes that
/// came ahead of others.
#[derive(Clone, Debug)]
pub struct Root {
    hasher: blake3::Hasher,
    next: u64,
    ahead: BTreeMap<u64, Hash>,
}

impl Root {
    /// Of a file in pieces of `piece` bytes.
    #[must_use]
    pub fn new(piece: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(ROOT).update(&u64::from(piece).to_be_bytes());
        Self { hasher, next: 0, ahead: BTreeMap::new() }
    }

    /// The hash of one piece. Each piece counts once, and the first hash counts.
    pub fn put(&mut self, piece: u64, hash: Hash) {
        if piece >= self.next {
            self.ahead.entry(piece).or_insert(hash);
        }
        while let Some(hash) = self.ahead.remove(&self.next) {
            self.hasher.update(&hash);
            self.next += 1;
        }
    }

    /// How many pieces from the first one on are in it without a gap.
    #[must_use]
    pub const fn pieces(&self) -> u64 {
        self.next
    }

    /// Hashes that wait for one in front of them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ahead.len()
    }

    /// The root of a file of this size, of which every piece was put.
    #[must_use]
    pub fn finish(&self, size: u64) -> Hash {
        *self.hasher.clone().update(&size.to_be_bytes()).finalize().as_bytes()
    }
}

/// The root of a file whose bytes are at hand.
#[must_use]
pub fn root_of(bytes: &[u8], piece_size: u32) -> Hash {
    let mut root = Root::new(piece_size);
    for (number, bytes) in (0..).zip(bytes.chunks(piece_size.max(1) as usize)) {
        root.put(number, piece(bytes));
    }
    root.finish(bytes.len() as u64)
}

/// How an entry of a transfer ended, for the digest of the whole transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The receiver has the file, and this is its root.
    Done(Hash),
    /// The receiver has the folder.
    Folder,
    /// The receiver did not want it.
    Skipped,
    /// It failed.
    Failed,
}

/// The digest of a transfer: every entry in order, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    hasher: blake3::Hasher,
    next: u32,
    ahead: BTreeMap<u32, Settled>,
}

impl Tally {
    /// Of no entries.
    pub(crate) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(TRANSFER);
        Self { hasher, next: 0, ahead: BTreeMap::new() }
    }

    /// An entry has ended.
    pub(crate) fn put(&mut self, entry: u32, how: Settled) {
        self.ahead.insert(entry, how);
        while let Some(how) = self.ahead.remove(&self.next) {
            match how {
                Settled::Done(root) => self.hasher.update(&[0]).update(&root),
                Settled::Folder => self.hasher.update(&[1]),
                Settled::Skipped => self.hasher.update(&[2]),
                Settled::Failed => self.hasher.update(&[3]),
            };
            self.next += 1;
        }
    }

    /// The digest of the entries so far.
    pub(crate) fn finish(&self) -> Hash {
        *self.hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_does_not_depend_on_the_order_of_arrival() {
        let bytes: Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
        let expected = root_of(&bytes, 128);
        let hashes: Vec<Hash> = bytes.chunks(128).map(piece).collect();
        for skew in 1..hashes.len() {
            let mut root = Root::new(128);
            for n in 0..hashes.len() {
                let n = (n * skew.max(1) + skew) % hashes.len();
                root.put(n as u64, hashes[n]);
                root.put(n as u64, [9; 32]);
            }
            // What the stride left out.
            hashes.iter().enumerate().for_each(|(n, hash)| root.put(n as u64, *hash));
            assert_eq!((root.pieces(), root.waiting()), (hashes.len() as u64, 0));
            assert_eq!(root.finish(1000), expected);
        }
    }

    #[test]
    fn a_root_depends_on_piece_size_and_size_and_every_byte() {
        let mut bytes = vec![0; 300];
        let roots = [
            root_of(&bytes, 64),
            root_of(&bytes, 128),
            root_of(&bytes[..299], 64),
            root_of(&[], 64),
            {
                bytes[299] = 1;
                root_of(&bytes, 64)
            },
        ];
        for (n, root) in roots.iter().enumerate() {
            assert!(!roots[..n].contains(root), "{n}");
        }
    }

    #[test]
    fn the_written_definitions_hold() {
        // As docs/protocol.md says it, without the types above.
        let mut text = b"anabranch file root 1".to_vec();
        text.extend(4u64.to_be_bytes());
        text.extend(blake3::hash(b"abcd").as_bytes());
        text.extend(blake3::hash(b"e").as_bytes());
        text.extend(5u64.to_be_bytes());
        assert_eq!(root_of(b"abcde", 4), *blake3::hash(&text).as_bytes());

        let mut text = b"anabranch file have 1".to_vec();
        text.extend(3u64.to_be_bytes());
        text.extend(1u64.to_be_bytes());
        text.extend([7; 32]);
        let mut digest = Digest::new(3, 1);
        digest.put(&[7; 32]);
        assert_eq!(digest.finish(), *blake3::hash(&text).as_bytes());

        let mut text = b"anabranch transfer 1\x01\x00".to_vec();
        text.extend([5; 32]);
        text.extend([2, 3]);
        let mut tally = Tally::new();
        tally.put(3, Settled::Failed);
        tally.put(1, Settled::Done([5; 32]));
        tally.put(0, Settled::Folder);
        tally.put(2, Settled::Skipped);
        assert_eq!(tally.finish(), *blake3::hash(&text).as_bytes());
    }
}
