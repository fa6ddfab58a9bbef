//! Connection ids that carry their own route.
//!
//! 17 bytes: the worker's number in the clear (a load balancer steers by it), and one AES-128
//! block that holds slot, generation, sequence number and a check word. Encrypted, because ids
//! of one connection must not be linkable by an observer (RFC 9000 section 5.1).

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::id::ConnId;
use crate::rng::Seed;

/// The length of our ids.
pub(super) const LEN: usize = 17;
const MAGIC: [u8; 4] = *b"anab";

/// Makes and reads our ids.
#[derive(Clone)]
pub(super) struct Cids {
    worker: u8,
    cipher: Aes128,
}

impl Cids {
    /// With a key of its own for each seed.
    pub(super) fn new(worker: u8, seed: &Seed) -> Self {
        let key: [u8; 16] = seed.stream("cid").array();
        Self { worker, cipher: Aes128::new(&Array::from(key)) }
    }

    /// The worker's number.
    pub(super) fn worker(&self) -> u8 {
        self.worker
    }

    /// The id with this sequence number. Equal only for equal arguments: a block cipher is a
    /// permutation.
    pub(super) fn encode(&self, id: ConnId, sequence: u32) -> [u8; LEN] {
        let mut plain = [0; 16];
        plain[..4].copy_from_slice(&id.slot.to_be_bytes());
        plain[4..8].copy_from_slice(&id.generation.to_be_bytes());
        plain[8..12].copy_from_slice(&sequence.to_be_bytes());
        plain[12..].copy_from_slice(&MAGIC);
        let mut block = Array::from(plain);
        self.cipher.encrypt_block(&mut block);
        let mut out = [0; LEN];
        out[0] = self.worker;
        out[1..].copy_from_slice(&block);
        out
    }

    /// Whose id that is, and its sequence number. `None` for foreign ids.
    pub(super) fn decode(&self, cid: &[u8]) -> Option<(ConnId, u32)> {
        let cid: [u8; LEN] = cid.try_into().ok()?;
        let (worker, block) = cid.split_first()?;
        let mut block = Array::from(<[u8; 16]>::try_from(block).ok()?);
        self.cipher.decrypt_block(&mut block);
        let word = |at: usize| {
            u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        let ours = *worker == self.worker && block[12..] == MAGIC;
        ours.then(|| (ConnId { slot: word(0), generation: word(4) }, word(8)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_round_trip_and_are_never_equal() {
        let cids = Cids::new(7, &Seed::from_u64(1));
        let mut seen = BTreeSet::new();
        for slot in [0, 1, u32::MAX] {
            for generation in [0, 1, u32::MAX] {
                for sequence in 0..50 {
                    let id = ConnId { slot, generation };
                    let cid = cids.encode(id, sequence);
                    assert_eq!(cid[0], 7);
                    assert_eq!(cids.decode(&cid), Some((id, sequence)));
                    assert!(seen.insert(cid));
                }
            }
        }
    }

    #[test]
    fn foreign_ids_decode_to_nothing() {
        let cids = Cids::new(7, &Seed::from_u64(1));
        let ours = cids.encode(ConnId { slot: 3, generation: 4 }, 5);
        assert_eq!(Cids::new(7, &Seed::from_u64(2)).decode(&ours), None, "another key");
        assert_eq!(Cids::new(8, &Seed::from_u64(1)).decode(&ours), None, "another worker");
        for bit in 0..LEN * 8 {
            let mut bent = ours;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cids.decode(&bent), None, "bit {bit}");
        }
        let mut rng = Seed::from_u64(3).stream("foreign");
        for len in 0..=20 {
            let mut cid = [0; 20];
            rng.fill(&mut cid);
            assert_eq!(cids.decode(&cid[..len]), None);
        }
    }
}
