//! A host with an endpoint, and what both kinds of host have in common.

use std::net::SocketAddr;

use anabranch_core::trace::Contents;
use anabranch_core::transport::Stack;
use anabranch_core::{
    Config, Deadline, Ecn, Endpoint, Instant, Output, Path, Side, Transmit, limits,
};

use super::Told;
use crate::oracle::Lifecycle;
use crate::recording::Recording;

/// A datagram on its way out of a host.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Not before this.
    pub(crate) at: Option<Instant>,
    pub(crate) path: Path,
    pub(crate) ecn: Option<Ecn>,
    pub(crate) bytes: Vec<u8>,
}

/// Cuts a run of segments into datagrams.
pub(crate) fn split(transmit: &Transmit, buf: &[u8], out: &mut Vec<Outgoing>) {
    assert!(transmit.len > 0, "an empty transmit");
    let size = transmit.segment.unwrap_or(transmit.len);
    assert!(size > 0, "segments of no length");
    assert!(transmit.len.div_ceil(size) <= limits::MAX_SEGMENTS, "too many segments");
    let Transmit { path, ecn, at, .. } = *transmit;
    for bytes in buf[..transmit.len].chunks(size) {
        out.push(Outgoing { at, path, ecn, bytes: bytes.to_vec() });
    }
}

/// A host with an endpoint.
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) local: SocketAddr,
    pub(crate) told: Vec<Told>,
    pub(crate) lifecycle: Lifecycle,
    /// What the endpoint waits for.
    pub(crate) wake: Option<Instant>,
    /// The same, with its reason.
    pub(crate) why: Option<Deadline>,
    pub(crate) recording: Option<Recording>,
    buf: Vec<u8>,
}

impl Node {
    pub(crate) fn new(
        config: &Config,
        stack: Box<dyn Stack>,
        side: Side,
        local: SocketAddr,
        record: Option<Contents>,
    ) -> Self {
        let (endpoint, recording) = match record {
            None => (Endpoint::new(config.clone(), stack), None),
            Some(contents) => {
                let (endpoint, recording) = Recording::begin(config, stack, side, contents);
                (endpoint, Some(recording))
            }
        };
        Self {
            recording,
            endpoint,
            local,
            told: Vec::new(),
            lifecycle: Lifecycle::default(),
            wake: None,
            why: None,
            buf: vec![0; limits::MAX_SEGMENTED],
        }
    }

    pub(crate) fn receive(&mut self, now: Instant, path: Path, ecn: Option<Ecn>, bytes: &mut [u8]) {
        self.endpoint.handle_datagram(now, path, ecn, bytes);
    }

    /// The endpoint's next output; datagrams go to `out`.
    pub(crate) fn step(&mut self, out: &mut Vec<Outgoing>) -> Step {
        match self.endpoint.poll_output(&mut self.buf) {
            Output::Transmit(transmit) => {
                split(&transmit, &self.buf, out);
                Step::Sent
            }
            Output::Event(conn, event) => Step::Told(conn, event),
            Output::Wait(deadline) => {
                self.wake = deadline.map(|deadline| deadline.at);
                self.why = deadline;
                if let Some(recording) = &mut self.recording {
                    recording.take();
                }
                Step::Waits
            }
        }
    }
}

/// What an endpoint did.
pub(crate) enum Step {
    Sent,
    Told(anabranch_core::ConnId, anabranch_core::Event),
    Waits,
}
