//! The two forms of a frame, and how to tell which one a datagram has.

use super::packet::{ACK, DATA, Frames, is_whole};

/// The form of the frames in a packet. Nothing in the packet names it (AB-K3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// 16 bytes, with an offset of 32 bits.
    #[default]
    Classic,
    /// 20 bytes, with an offset of 64 bits.
    Wide,
}

/// How well a payload fits a layout, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It does not.
    None,
    /// It ends where the last frame does, but the frames are of unknown types.
    Length,
    /// All frames are of known types, but the end is missing.
    Types,
    /// Both.
    Both,
}

impl Layout {
    /// Bytes of a frame's header.
    #[must_use]
    pub const fn frame_len(self) -> usize {
        match self {
            Self::Classic => 16,
            Self::Wide => 20,
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Wide => "wide",
        }
    }

    /// The longest offset it has room for.
    #[must_use]
    pub const fn max_offset(self) -> u64 {
        match self {
            Self::Classic => u32::MAX as u64,
            Self::Wide => u64::MAX,
        }
    }

    /// Which one a payload has, given which one its sender used before: that one if it fits
    /// perfectly, otherwise the one that does, otherwise the one before. With nothing to go by
    /// it is the one that fits better, and the classic one where both do alike.
    #[must_use]
    pub fn recognise(payload: &[u8], before: Option<Self>) -> Self {
        let (classic, wide) = (Self::Classic.fit(payload), Self::Wide.fit(payload));
        match before {
            // Only senders of wide frames send packets without frames.
            None if payload.is_empty() => Self::Wide,
            None if wide > classic => Self::Wide,
            None => Self::Classic,
            Some(Self::Classic) if wide == Fit::Both && classic != Fit::Both => Self::Wide,
            Some(Self::Wide) if classic == Fit::Both && wide != Fit::Both => Self::Classic,
            Some(before) => before,
        }
    }

    /// Whether the payload is enough to remember the layout by.
    pub(super) fn fits(self, payload: &[u8]) -> bool {
        self.fit(payload) == Fit::Both
    }

    fn fit(self, payload: &[u8]) -> Fit {
        let (mut types, mut length, mut frames) = (true, true, 0_u32);
        for item in Frames::new(self, payload) {
            let Ok((frame, data)) = item else {
                length = false;
                break;
            };
            frames += 1;
            types &= frame.frame_type == DATA || frame.frame_type == u32::from(ACK);
            length &= is_whole(frame, data);
        }
        match (types && frames > 0, length && frames > 0) {
            (true, true) => Fit::Both,
            (true, false) => Fit::Types,
            (false, true) => Fit::Length,
            (false, false) => Fit::None,
        }
    }
}
