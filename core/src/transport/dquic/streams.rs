//! The streams of a connection (RFC 9000 sections 2 to 4).

use std::time::Duration;

use bytes::Bytes;

use super::error::TransportError;
use super::frame::Frame;
use super::out::Out;
use super::recovery::Carried;
use crate::code::Code;
use crate::id::{Dir, Side, StreamId};
use crate::time::Instant;
use crate::transport::{Read, Signal, StreamEnd, Wrote};

/// What one side lets the other send, as its transport parameters say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credit {
    /// Bytes on all streams together.
    pub(crate) max_data: u64,
    /// Bytes on each stream.
    pub(crate) max_stream_data: u64,
    /// Bidirectional streams.
    pub(crate) max_streams_bidi: u64,
    /// Unidirectional streams.
    pub(crate) max_streams_uni: u64,
}

/// How the streams of one end are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Which end this is.
    pub(crate) side: Side,
    /// What the peer may send at first.
    pub(crate) credit: Credit,
    /// How far the window of a stream may grow, in bytes.
    pub(crate) max_stream_window: u64,
    /// How far the window of the connection may grow, in bytes.
    pub(crate) max_window: u64,
}

/// Every stream of a connection. No method fails because of order: what is not there is
/// [`StreamEnd::Gone`], or ignored.
#[derive(Debug)]
pub(crate) struct Streams {
    setup: Setup,
}

impl Streams {
    /// No streams, and no credit from the peer yet.
    pub(crate) fn new(setup: Setup) -> Self {
        Self { setup }
    }

    /// The peer's transport parameters are known.
    pub(crate) fn set_peer(&mut self, credit: Credit) {
        let _ = credit;
    }

    /// How many bytes all streams together may hold that were written and are not acknowledged.
    pub(crate) fn set_budget(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// See [`crate::transport::Transport::open`].
    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let _ = dir;
        None
    }

    /// See [`crate::transport::Transport::write`].
    pub(crate) fn write(
        &mut self,
        id: StreamId,
        data: &mut Bytes,
        fin: bool,
    ) -> Result<Wrote, StreamEnd> {
        let _ = (id, data, fin);
        Err(StreamEnd::Gone)
    }

    /// See [`crate::transport::Transport::read`].
    pub(crate) fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        let _ = (id, buf);
        Err(StreamEnd::Gone)
    }

    /// See [`crate::transport::Transport::reset`].
    pub(crate) fn reset(&mut self, id: StreamId, code: Code) {
        let _ = (id, code);
    }

    /// See [`crate::transport::Transport::stop`].
    pub(crate) fn stop(&mut self, id: StreamId, code: Code) {
        let _ = (id, code);
    }

    /// See [`crate::transport::Transport::prioritize`].
    pub(crate) fn prioritize(&mut self, id: StreamId, rank: u8) {
        let _ = (id, rank);
    }

    /// See [`crate::transport::Transport::is_over`].
    pub(crate) fn is_over(&self, id: StreamId) -> bool {
        let _ = id;
        true
    }

    /// The next [`Signal::Readable`], [`Signal::Writable`] or [`Signal::Openable`].
    pub(crate) fn poll(&mut self) -> Option<Signal> {
        None
    }

    /// Takes a frame. Frames that are not about streams or credit are left alone.
    ///
    /// # Errors
    /// The rule that the peer broke, for which the connection is to be closed.
    pub(crate) fn on_frame(&mut self, frame: &Frame<'_>) -> Result<(), TransportError> {
        let _ = (frame, self.setup);
        Ok(())
    }

    /// Whether [`Streams::write_frames`] would write something.
    pub(crate) fn wants_to_send(&self) -> bool {
        false
    }

    /// Fills a packet: what is about credit and ends first, then the data of streams by rank.
    /// What was written is added to `carried`.
    pub(crate) fn write_frames(
        &mut self,
        now: Instant,
        smoothed_rtt: Duration,
        out: &mut Out<'_>,
        carried: &mut Carried,
    ) {
        let _ = (now, smoothed_rtt, out, carried);
    }

    /// A packet with this has arrived.
    pub(crate) fn on_acked(&mut self, carried: &Carried) {
        let _ = carried;
    }

    /// A packet with this has to be sent again.
    pub(crate) fn on_lost(&mut self, carried: &Carried) {
        let _ = carried;
    }
}
