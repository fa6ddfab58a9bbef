//! What the fuzz targets do with one input. Each body is a plain function of bytes, so that the
//! coverage-guided targets in `tests/fuzz` and the seeded mutations in `tests/tests/fuzz_smoke.rs`
//! run the same code. A body panics if a rule is broken; any input at all is allowed.
//!
//! This file is a module of two crates: it names the core, and the certificates beside it.

#[path = "fuzz/classic_dquic.rs"]
mod classic_dquic;
#[path = "fuzz/codecs.rs"]
mod codecs;
#[path = "fuzz/datagrams.rs"]
mod datagrams;
#[path = "fuzz/fake.rs"]
mod fake;
#[path = "fuzz/files.rs"]
mod files;
#[path = "fuzz/input.rs"]
mod input;
#[path = "fuzz/run.rs"]
mod run;
#[path = "fuzz/streams.rs"]
mod streams;
#[path = "fuzz/traces.rs"]
mod traces;

pub use classic_dquic::classic_dquic;
pub use codecs::{control, dquic_frames, dquic_packet, file_messages, media_pdu, varint};
pub use datagrams::{datagrams, dquic_datagrams};
pub use files::files;
pub use streams::{replays, streams};
pub use traces::traces;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("varint", varint),
    ("media_pdu", media_pdu),
    ("control", control),
    ("file_messages", file_messages),
    ("dquic_frames", dquic_frames),
    ("streams", streams),
    ("replays", replays),
    ("files", files),
    ("traces", traces),
    ("datagrams", datagrams),
    ("dquic_packet", dquic_packet),
    ("dquic_datagrams", dquic_datagrams),
    ("classic_dquic", classic_dquic),
];
