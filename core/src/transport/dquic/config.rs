//! [`DquicConfig`].

use std::time::Duration;

use super::params::Params;
use super::recovery::received::MAX_ACK_DELAY;
use super::streams::{Credit, Setup};
use crate::error::Misuse;
use crate::id::Side;
use crate::limits;

/// The largest datagram that is tried, unless configured otherwise.
const DEFAULT_MAX_DATAGRAM: usize = 16_383;
/// Datagram size that nearly every path takes, for when the path is not asked.
const SAFE_DATAGRAM: usize = 1_350;

/// What a DQUIC stack is made with.
#[derive(Clone, PartialEq, Eq)]
pub struct DquicConfig {
    /// Answer clients. Otherwise the stack only dials.
    pub serves: bool,
    /// The number of this worker, carried in every connection id.
    pub worker: u8,
    /// Secret of stateless resets and RETRY tokens. The same across restarts, so that a peer of
    /// before the restart can be told that its connection is gone.
    pub static_key: [u8; 32],
    /// The largest datagram sent, 1200 to 65507 bytes.
    pub max_datagram: usize,
    /// Find the largest datagram the path takes (RFC 8899). Otherwise datagrams have
    /// `max_datagram` bytes at once, or 1350 if that is at its default.
    pub discover_mtu: bool,
    /// Silence that ends a connection.
    pub idle_timeout: Duration,
}

impl Default for DquicConfig {
    fn default() -> Self {
        Self {
            serves: false,
            worker: 0,
            static_key: [0; 32],
            max_datagram: DEFAULT_MAX_DATAGRAM,
            discover_mtu: true,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for DquicConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DquicConfig")
            .field("serves", &self.serves)
            .field("worker", &self.worker)
            .field("max_datagram", &self.max_datagram)
            .field("discover_mtu", &self.discover_mtu)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}

impl DquicConfig {
    /// Checks the numbers.
    pub(super) fn check(&self) -> Result<(), Misuse> {
        if !(limits::MIN_INITIAL_DATAGRAM..=limits::MAX_SEGMENTED).contains(&self.max_datagram) {
            return Err(Misuse::Config("max_datagram has to be 1200 to 65507"));
        }
        if self.idle_timeout.is_zero() {
            return Err(Misuse::Config("idle_timeout has to be more than zero"));
        }
        if self.serves && self.static_key == [0; 32] {
            return Err(Misuse::Config("a server needs a static_key of random bytes"));
        }
        Ok(())
    }

    /// The largest datagram to send.
    pub(super) fn datagram(&self) -> usize {
        match (self.discover_mtu, self.max_datagram) {
            (false, DEFAULT_MAX_DATAGRAM) => SAFE_DATAGRAM,
            (_, size) => size,
        }
    }

    /// What this end lets the other send.
    pub(super) fn params(&self, side: Side) -> Params {
        let credit = setup(side).credit;
        Params {
            idle_timeout: self.idle_timeout,
            reset_token: None,
            max_datagram: limits::MAX_DATAGRAM as u64,
            max_data: credit.max_data,
            max_stream_data: credit.max_stream_data,
            streams_bidi: credit.max_streams_bidi,
            streams_uni: credit.max_streams_uni,
            max_ack_delay: MAX_ACK_DELAY,
            cid_limit: limits::ACTIVE_CONNECTION_IDS,
            protocols: Vec::new(),
        }
    }
}

/// The streams of one end. A client takes media; a server takes little at first, since its windows
/// are what a hostile client can make it hold. Both grow while what comes is read as fast.
pub(super) fn setup(side: Side) -> Setup {
    let (stream, whole, bidi) = match side {
        Side::Client => {
            (limits::STREAM_WINDOW, limits::CONNECTION_WINDOW, limits::MAX_TRANSFERS as u64)
        }
        Side::Server => (
            limits::SERVER_STREAM_WINDOW,
            limits::SERVER_CONNECTION_WINDOW,
            limits::MAX_PEER_STREAMS,
        ),
    };
    let credit = Credit {
        max_data: whole,
        max_stream_data: stream,
        max_streams_bidi: bidi,
        max_streams_uni: limits::MAX_PEER_UNI_STREAMS,
    };
    Setup { side, credit, max_stream_window: limits::STREAM_WINDOW, max_window: whole }
}
