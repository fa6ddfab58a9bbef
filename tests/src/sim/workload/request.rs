//! Requests for media, sensible and odd.

use anabranch_core::limits;
use anabranch_core::media::{Pace, PausePolicy, Request, Start};
use anabranch_core::{Misuse, media};

use crate::content::Clip;
use crate::sim::draw::Draw;
use crate::sim::swarm::Swarm;

/// The lowest bitrate that is a tag. They go up from here in steps.
const FIRST_TAG: u32 = 2_000_000;

/// A request, and what is known of it.
pub(super) struct Asked {
    pub(super) request: Request,
    /// The clip that will play, if any does.
    pub(super) clip: Option<Clip>,
    /// From which byte of the clip on it can be kept as a file, if it can.
    pub(super) keep_from: Option<u64>,
    /// What asking for it answers.
    pub(super) misuse: Option<Misuse>,
}

/// The tag of a granted session, if it has one.
pub(in crate::sim) fn tag(grant: &media::Grant) -> Option<u32> {
    (grant.bitrate >= FIRST_TAG && grant.bitrate % 8 == 1).then_some(grant.bitrate)
}

/// Draws a request; `number` counts them.
pub(super) fn draw(draw: &mut Draw, swarm: &Swarm, number: u32) -> Asked {
    let clip = draw.pick(&swarm.clips);
    let tag = FIRST_TAG + 8 * number + 1;
    let mut asked = Asked {
        request: Request {
            name: Some(clip.name.clone()),
            bitrates: vec![tag],
            pace: if swarm.paced.holds(draw.number()) { Pace::Bitrate } else { Pace::Unpaced },
            pause: match swarm.live.holds(draw.number()) {
                true => PausePolicy::Live,
                false => PausePolicy::Hold,
            },
            max_chunk: draw.pick(&[None, None, Some(0), Some(3_000), Some(1 << 20)]),
            keepalive: draw.pick(&[None, None, Some(0), Some(2), Some(u32::MAX)]),
            timeout: draw.pick(&[None, None, Some(0), Some(20), Some(u32::MAX)]),
            start: start(draw, &clip),
            ..Request::default()
        },
        clip: Some(clip),
        keep_from: None,
        misuse: None,
    };
    let whole = asked.request.start == Start::Beginning;
    asked.keep_from = (whole && asked.request.pause == PausePolicy::Hold).then_some(0);
    if draw.percent(15) {
        spoil(draw, &mut asked);
    }
    asked
}

/// The rest of a clip.
pub(super) fn rest(clip: Clip, from: u64, number: u32) -> Asked {
    Asked {
        request: Request {
            name: Some(clip.name.clone()),
            bitrates: vec![FIRST_TAG + 8 * number + 1],
            pace: Pace::Unpaced,
            start: Start::Byte(from),
            ..Request::default()
        },
        clip: Some(clip),
        keep_from: Some(from),
        misuse: None,
    }
}

fn start(draw: &mut Draw, clip: &Clip) -> Start {
    match draw.index(8) {
        0 => Start::Byte(draw.range(0, clip.len)),
        1 => Start::Byte(clip.len),
        2 => Start::Byte(clip.len + 1),
        3 => Start::Sequence(u32::try_from(draw.range(1, 20)).expect("small")),
        4 => Start::Sequence(u32::MAX),
        _ => Start::Beginning,
    }
}

/// Makes a request odd in one way.
fn spoil(draw: &mut Draw, asked: &mut Asked) {
    asked.keep_from = None;
    let request = &mut asked.request;
    let too_much = |what, limit| Some(Misuse::TooMuch { what, limit });
    match draw.index(7) {
        0 => {
            request.name = Some("nothing of that name".to_owned());
            asked.clip = None;
        }
        1 => request.bitrates = vec![tag_free(draw), 0, u32::MAX],
        2 => {
            request.codec = String::new();
            asked.misuse = Some(Misuse::Config("a media request needs a codec"));
        }
        3 => {
            request.start = Start::Sequence(0);
            asked.misuse = Some(Misuse::Config("sequence numbers start at 1"));
        }
        4 => {
            request.name = Some("n".repeat(limits::MAX_NAME + 1));
            asked.misuse = too_much("bytes of name", limits::MAX_NAME);
        }
        5 => {
            request.codec = "c".repeat(limits::MAX_CODEC + 1);
            asked.misuse = too_much("bytes of codec", limits::MAX_CODEC);
        }
        _ => {
            request.start = Start::Byte(u64::MAX);
            asked.misuse = Some(Misuse::Config("no media is that long"));
        }
    }
}

/// A bitrate that is nobody's tag.
fn tag_free(draw: &mut Draw) -> u32 {
    u32::try_from(draw.range(60_000, 400_000)).expect("small") * 8
}
