//! The text of a close.

use crate::limits::MAX_REASON;

/// At most [`MAX_REASON`] bytes of text, whatever the peer sent.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_REASON)]).into_owned();
    // Each broken byte has become three.
    let mut end = text.len().min(MAX_REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_text_of_bounded_length() {
        assert_eq!(text(b"bye"), "bye");
        for len in [MAX_REASON - 1, MAX_REASON, MAX_REASON + 1, 5000] {
            assert!(text(&vec![0xff; len]).len() <= MAX_REASON);
            assert_eq!(text(&vec![b'x'; len]).len(), len.min(MAX_REASON));
        }
    }
}
