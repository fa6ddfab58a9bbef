//! Numbers of a driver, for metrics.

/// What a driver has done so far. All counts only go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Turns made.
    pub turns: u64,
    /// Receive calls that gave something.
    pub receives: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Datagrams dropped before the endpoint saw them: from port 0, empty, or sent to a
    /// broadcast or multicast address. None of them could be answered.
    pub unanswerable: u64,
    /// Receive calls that failed.
    pub receive_errors: u64,
    /// Send calls that were taken.
    pub sends: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Send calls that met a full socket buffer.
    pub blocked: u64,
    /// Send calls too long for the path: usually probes of the path's MTU.
    pub too_big: u64,
    /// Send calls that failed otherwise, and runs for which there is no socket. What they
    /// carried is lost, as on any network.
    pub send_errors: u64,
    /// How often segmentation offload had been given up by the socket layer and was tried again.
    pub offload_retried: u64,
    /// Runs that were held back until their pacing time.
    pub paced: u64,
    /// Commands taken.
    pub commands: u64,
    /// Events given to the application.
    pub events: u64,
}
