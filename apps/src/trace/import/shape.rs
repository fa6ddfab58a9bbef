//! What classic DQUIC packets look like: a type, a number, and frames with their data.

use anabranch_core::transport::dquic::classic::HEADER_LEN;
use anabranch_core::transport::dquic::classic::{ACK, DATA, Frame, Frames, Header, Layout, SHORT};

/// Both forms of a frame.
pub(super) const LAYOUTS: [Layout; 2] = [Layout::Classic, Layout::Wide];

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It carries data.
    Short,
    /// It acknowledges.
    Ack,
}

/// The kind and number of a packet.
pub(super) fn header(packet: &[u8]) -> Option<(Kind, u32)> {
    let header = Header::from_bytes(packet).ok()?;
    let kind = match header.packet_type {
        SHORT => Kind::Short,
        ACK => Kind::Ack,
        _ => return None,
    };
    Some((kind, header.packet_number))
}

/// The frames of a packet, as far as they were captured, and where the last one ends by its own
/// account.
pub(super) fn frames(packet: &[u8], layout: Layout) -> (Vec<Frame>, usize) {
    let payload = packet.get(HEADER_LEN..).unwrap_or_default();
    let frames: Vec<Frame> =
        Frames::new(layout, payload).map_while(Result::ok).map(|(frame, _)| frame).collect();
    let end = frames.iter().fold(HEADER_LEN, |end, frame| {
        let data = usize::try_from(frame.length).unwrap_or(usize::MAX);
        end.saturating_add(layout.frame_len()).saturating_add(data)
    });
    (frames, end)
}

/// How many frames a packet of `length` bytes has, of which `packet` is what was captured, if
/// they fill it exactly and are of the right types.
pub(super) fn fits(packet: &[u8], length: usize, layout: Layout) -> Option<usize> {
    let (kind, _) = header(packet)?;
    let (frames, end) = frames(packet, layout);
    let fits = |frame: &Frame| match kind {
        Kind::Short => frame.frame_type == DATA,
        Kind::Ack => frame.frame_type == u32::from(ACK) && frame.length == 0,
    };
    (end == length && frames.iter().all(fits)).then_some(frames.len())
}
