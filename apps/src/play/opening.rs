//! The opening of a session: what is asked for, and what was granted.

use anabranch_core::media::{self, Grant, Pace, Request, Start};
use serde_json::json;

use super::Target;
use crate::cli::client::{PausePolicy, Play};
use crate::report::Report;
use crate::units::{clean, show_bitrate, show_size};

/// What is asked of the server. `have`: what the output has already.
pub(super) fn request(args: &Play, have: u64) -> Request {
    Request {
        name: args.name.clone(),
        codec: args.codec.clone(),
        bitrates: args.bitrate.clone(),
        start: match (args.start_seq, args.start_byte, have) {
            (Some(sequence), _, _) => Start::Sequence(sequence),
            (None, Some(byte), _) => Start::Byte(byte),
            (None, None, 0) => Start::Beginning,
            (None, None, have) => Start::Byte(have),
        },
        pause: match args.pause_policy {
            PausePolicy::Hold => media::PausePolicy::Hold,
            PausePolicy::Live => media::PausePolicy::Live,
        },
        pace: if args.no_pacing { Pace::Unpaced } else { Pace::Bitrate },
        max_chunk: args.max_chunk.map(|size| u32::try_from(size).unwrap_or(u32::MAX)),
        ..Request::default()
    }
}

/// Says what was granted.
pub(super) fn announce(report: &Report, grant: &Grant, target: &Target) {
    let name = grant.name.as_deref().map_or_else(|| "media".to_owned(), clean);
    let pace = match grant.pace {
        Pace::Bitrate => show_bitrate(u64::from(grant.bitrate)),
        Pace::Unpaced => "all speed".to_owned(),
    };
    let size = grant.size.map(|size| format!(", {}", show_size(size))).unwrap_or_default();
    let chunk = show_size(u64::from(grant.chunk));
    let from = if grant.start > 0 { format!(" from byte {}", grant.start) } else { String::new() };
    let words =
        format!("playing {name}{size}{from} at {pace}, chunks of {chunk}, to {}", target.name());
    report.phase(
        "opened",
        json!({
            "name": grant.name, "size": grant.size, "type": grant.kind, "start": grant.start,
            "bitrate": grant.bitrate, "chunk": grant.chunk, "keepalive": grant.keepalive,
            "timeout": grant.timeout, "paced": grant.pace == Pace::Bitrate,
            "output": target.name(),
        }),
        &words,
    );
}
