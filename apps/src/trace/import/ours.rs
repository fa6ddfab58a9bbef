//! Our receiver, as the replay of a capture needs it.

use std::collections::BTreeSet;

use anabranch_core::transport::dquic::classic::{Frame, Layout, Receiver};

use super::shape;

/// Our receiver. Two are equal if they go on in the same way.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    layout: Layout,
    receiver: Receiver,
}

impl PartialEq for Ours {
    fn eq(&self, other: &Self) -> bool {
        self.receiver.acknowledged().eq(other.receiver.acknowledged())
    }
}

impl Ours {
    pub(super) fn new(layout: Layout, max_bytes: u64) -> Self {
        Self { layout, receiver: Receiver::new(layout, max_bytes) }
    }

    /// The acknowledgement of a packet, if it gets one.
    pub(super) fn receive(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.receiver.receive(packet)
    }

    /// Bytes in order, of all streams.
    pub(super) fn bytes(&self) -> u64 {
        self.receiver.acknowledged().map(|(_, bytes)| bytes).sum()
    }

    /// Receives a packet after the counts of `uncertain` streams were set so that the
    /// acknowledgement can be `theirs`. Whether it is.
    pub(super) fn join(
        &mut self,
        packet: &[u8],
        frames: &[Frame],
        theirs: &[u8],
        uncertain: &BTreeSet<u32>,
    ) -> bool {
        let (told, _) = shape::frames(theirs, self.layout);
        for (frame, told) in frames.iter().zip(told) {
            if frame.stream_id != told.stream_id || !uncertain.contains(&frame.stream_id) {
                continue;
            }
            let taken = frame.offset.checked_add(u64::from(frame.length)) == Some(told.offset);
            let before = if taken { frame.offset } else { told.offset };
            self.receiver.resume(frame.stream_id, before);
        }
        self.receive(packet).as_deref() == Some(theirs)
    }
}
