//! Packets and frames as bytes. Everything is in network byte order.

use std::fmt;

use super::Layout;

/// The type of a packet that carries data.
pub const SHORT: u8 = 3;
/// The type of a packet that acknowledges, and of the frames in it.
pub const ACK: u8 = 6;
/// The type of a frame that carries data.
pub const DATA: u32 = 5;
/// Bytes of a packet's header.
pub const HEADER_LEN: usize = 5;

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than a packet's header.
    Header,
    /// It ends within the header of a frame.
    FrameHeader,
    /// A frame declares more data than there is.
    FrameData,
    /// A frame whose data is not of the length it declares (writing only).
    Length,
    /// An offset that the layout has no room for (writing only).
    Offset,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "shorter than a packet header",
            Self::FrameHeader => "cut off within a frame header",
            Self::FrameData => "a frame declares more data than there is",
            Self::Length => "a frame's data is not of the length it declares",
            Self::Offset => "an offset that 16-byte frames have no room for",
        })
    }
}

impl std::error::Error for Malformed {}

/// The header of a packet (AB-K1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`SHORT`], [`ACK`], or something else, which receivers ignore.
    pub packet_type: u8,
    /// The packet's number; an acknowledgement has the number of what it acknowledges.
    pub packet_number: u32,
}

impl Header {
    /// As bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.packet_number.to_be_bytes();
        [self.packet_type, a, b, c, d]
    }

    /// From the first bytes of a datagram, with what follows them.
    ///
    /// # Errors
    /// [`Malformed::Header`] if there are fewer than five.
    pub fn split(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (head, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Header)?;
        let [packet_type, number @ ..] = *head;
        Ok((Self { packet_type, packet_number: u32::from_be_bytes(number) }, rest))
    }

    /// From the first bytes of a datagram.
    ///
    /// # Errors
    /// [`Malformed::Header`] if there are fewer than five.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::split(bytes).map(|(header, _)| header)
    }
}

/// The header of a frame (AB-K2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which stream.
    pub stream_id: u32,
    /// [`DATA`], or [`ACK`] in an acknowledgement.
    pub frame_type: u32,
    /// Data: where its first byte belongs. Acknowledgement: bytes of the stream that have come.
    pub offset: u64,
    /// Bytes of data that follow.
    pub length: u32,
}

impl Frame {
    /// Appends the header, in one of its two forms.
    ///
    /// # Errors
    /// [`Malformed::Offset`] if the form has no room for the offset. Nothing is appended then.
    pub fn put(self, layout: Layout, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let offset = self.offset.to_be_bytes();
        let offset = match layout {
            Layout::Wide => &offset[..],
            Layout::Classic if self.offset > u64::from(u32::MAX) => return Err(Malformed::Offset),
            Layout::Classic => &offset[4..],
        };
        out.extend_from_slice(&self.stream_id.to_be_bytes());
        out.extend_from_slice(&self.frame_type.to_be_bytes());
        out.extend_from_slice(offset);
        out.extend_from_slice(&self.length.to_be_bytes());
        Ok(())
    }

    /// As bytes: 16 or 20.
    ///
    /// # Errors
    /// [`Malformed::Offset`] if the form has no room for the offset.
    pub fn to_bytes(self, layout: Layout) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(layout.frame_len());
        self.put(layout, &mut out).map(|()| out)
    }

    /// From the first bytes, with what follows them.
    ///
    /// # Errors
    /// [`Malformed::FrameHeader`] if there are too few.
    pub fn split(layout: Layout, bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (stream_id, bytes) = word(bytes)?;
        let (frame_type, bytes) = word(bytes)?;
        let (high, bytes) = match layout {
            Layout::Classic => (0, bytes),
            Layout::Wide => word(bytes)?,
        };
        let (low, bytes) = word(bytes)?;
        let (length, bytes) = word(bytes)?;
        let offset = u64::from(high) << 32 | u64::from(low);
        Ok((Self { stream_id, frame_type, offset, length }, bytes))
    }

    /// From the first bytes.
    ///
    /// # Errors
    /// [`Malformed::FrameHeader`] if there are too few.
    pub fn from_bytes(layout: Layout, bytes: &[u8]) -> Result<Self, Malformed> {
        Self::split(layout, bytes).map(|(frame, _)| frame)
    }
}

fn word(bytes: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    let (word, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed::FrameHeader)?;
    Ok((u32::from_be_bytes(*word), rest))
}

/// The frames of a packet, as the existing receivers take them apart: one after the other, each
/// with as much of its data as there is. An incomplete header is the last item.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    layout: Layout,
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Over what follows a packet's header.
    #[must_use]
    pub const fn new(layout: Layout, payload: &'a [u8]) -> Self {
        Self { layout, rest: payload }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(Frame, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.rest);
        Some(Frame::split(self.layout, rest).map(|(frame, rest)| {
            let declared = usize::try_from(frame.length).unwrap_or(usize::MAX);
            let (data, rest) = rest.split_at(declared.min(rest.len()));
            self.rest = rest;
            (frame, data)
        }))
    }
}

/// A whole packet, in which every frame has all its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its header.
    pub header: Header,
    /// Its frames, each with its data.
    pub frames: Vec<(Frame, &'a [u8])>,
}

impl<'a> Packet<'a> {
    /// From a datagram that ends where the last frame does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(layout: Layout, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = Header::split(bytes)?;
        let whole = |item: Result<(Frame, &'a [u8]), Malformed>| {
            let (frame, data) = item?;
            if is_whole(frame, data) { Ok((frame, data)) } else { Err(Malformed::FrameData) }
        };
        let frames = Frames::new(layout, payload).map(whole).collect::<Result<_, _>>()?;
        Ok(Self { header, frames })
    }

    /// As a datagram.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn to_bytes(&self, layout: Layout) -> Result<Vec<u8>, Malformed> {
        let mut out = self.header.to_bytes().to_vec();
        for (frame, data) in &self.frames {
            if !is_whole(*frame, data) {
                return Err(Malformed::Length);
            }
            frame.put(layout, &mut out)?;
            out.extend_from_slice(data);
        }
        Ok(out)
    }
}

/// All the data that the frame declares is there.
pub(super) fn is_whole(frame: Frame, data: &[u8]) -> bool {
    usize::try_from(frame.length).is_ok_and(|length| length == data.len())
}
