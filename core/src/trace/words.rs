//! The texts of this crate that are part of an error value. A trace holds them as text; read
//! back they are the same texts again.

/// Every such text: what is wrong with a body, in the codecs.
const KNOWN: &[&str] = &[
    // session/media/pdu.rs and below
    "a chunk is not read in one piece",
    "a text ends early",
    "a text is not UTF-8",
    "a text is too long",
    "a text's length is missing",
    "an extension's number has another length",
    "an extension's number is too large",
    "an extension's text is not UTF-8",
    "an extension's text is too long",
    "bitrate count is missing",
    "bitrates end early",
    "chunks of no size",
    "delivery mode is missing",
    "encryption is missing",
    "ends early",
    "extension ends early",
    "extension type ends early",
    "repeated extension",
    "sequence numbers start at 1",
    "two starts",
    "unknown pace",
    "unknown pause policy",
    // conn/control/message.rs
    "bitrate too high",
    "empty version range",
    "ends too early",
    "text is not UTF-8",
    "text too long",
    "too many entries",
];

/// What stands for a text that this version does not have.
const OTHER: &str = "for a reason that this version does not have";

/// The text as one of this crate's own.
pub(super) fn known(text: &str) -> &'static str {
    KNOWN.iter().find(|known| **known == text).copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codecs whose errors carry a text.
    const CODECS: [&str; 4] = [
        include_str!("../session/media/pdu.rs"),
        include_str!("../session/media/pdu/open.rs"),
        include_str!("../session/media/pdu/tlv.rs"),
        include_str!("../conn/control/message.rs"),
    ];

    #[test]
    fn every_text_of_the_codecs_is_known() {
        let mut seen = 0;
        for source in CODECS {
            let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
            for mark in ["Err(\"", "ok_or(\"", "|_| \"", "SHORT: &str = \""] {
                for rest in shipped.split(mark).skip(1) {
                    let text = rest.split('"').next().unwrap_or_default();
                    assert_eq!(known(text), text, "add it to KNOWN");
                    seen += 1;
                }
            }
        }
        assert!(seen >= KNOWN.len(), "{seen} texts were recognised");
    }

    #[test]
    fn a_text_of_another_version_is_not_invented() {
        assert_eq!(known("no such text"), OTHER);
    }
}
