//! One number for everything that happened in a run.

use std::fmt;

/// A hash that rolls on over datagrams and events: equal if and only if everything was equal.
#[derive(Clone, Debug, Default)]
pub struct RollingHash(blake3::Hasher);

impl RollingHash {
    /// Takes a piece of what happened. Its length is hashed too, so that pieces stay apart.
    pub fn bytes(&mut self, piece: &[u8]) {
        self.number(piece.len() as u64);
        self.0.update(piece);
    }

    /// Takes a number.
    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    /// Takes something as its text.
    pub fn text(&mut self, what: fmt::Arguments<'_>) {
        struct Into<'a>(&'a mut blake3::Hasher);
        impl fmt::Write for Into<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.update(text.as_bytes());
                Ok(())
            }
        }
        fmt::Write::write_fmt(&mut Into(&mut self.0), what).expect("hashing does not fail");
        self.number(u64::MAX);
    }

    /// The hash of all that was taken so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        let bytes = self.0.finalize();
        u64::from_le_bytes(bytes.as_bytes()[..8].try_into().expect("eight bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_kept_apart_and_order_counts() {
        let of = |pieces: &[&str]| {
            let mut hash = RollingHash::default();
            pieces.iter().for_each(|piece| hash.bytes(piece.as_bytes()));
            hash.value()
        };
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["ab"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
    }
}
