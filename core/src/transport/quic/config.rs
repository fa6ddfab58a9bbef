//! [`QuicConfig`], and what quiche is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use boring::pkey::PKey;
use boring::ssl::{SslContextBuilder, SslMethod};
use boring::x509::X509;

use super::trust;
use crate::error::Misuse;
use crate::limits;
use crate::transport::{PROTOCOLS, Target};

/// Paths a connection can know. quiche frees no path that has had a connection id, so this is
/// how often a client can appear at a new address before its connection is lost; ids we issue
/// are fewer ([`limits::ACTIVE_CONNECTION_IDS`]).
const PATHS: u64 = 64;
/// Largest datagram quiche can write (its length has to fit two bytes of varint).
const MAX_SEND: usize = 16_383;
/// Datagram size that nearly every path takes, for when the path is not asked.
const SAFE_DATAGRAM: usize = 1_350;
/// A round trip to assume before one was measured: short, so that a lost first datagram is
/// soon sent again.
const INITIAL_RTT: Duration = Duration::from_millis(100);
const INITIAL_WINDOW_PACKETS: usize = 32;
const PATH_CHALLENGES: usize = 3;

/// A server's certificate chain and its private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Certificates in PEM, the server's own first.
    pub chain_pem: Vec<u8>,
    /// The private key in PEM.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// Congestion control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// CUBIC (RFC 9438).
    #[default]
    Cubic,
    /// `NewReno` (RFC 9002 section 7).
    Reno,
    /// BBR, version 2.
    Bbr2,
}

/// Takes one line of an NSS key log (for Wireshark), without its line end.
pub type KeyLog = Arc<dyn Fn(&str) + Send + Sync>;

/// What a QUIC stack is made with.
#[derive(Clone)]
pub struct QuicConfig {
    /// The server's certificate and key. `None`: the stack only dials.
    pub identity: Option<Identity>,
    /// The number of this worker, carried in every connection id.
    pub worker: u8,
    /// Secret of stateless resets and Retry tokens. The same across restarts, so that a peer
    /// of before the restart can be told that its connection is gone.
    pub static_key: [u8; 32],
    /// Secret of TLS tickets. With one, tickets survive a restart.
    pub ticket_key: Option<[u8; 48]>,
    /// The largest datagram sent, 1200 to 16383 bytes.
    pub max_datagram: usize,
    /// Find the largest datagram the path takes (RFC 8899). Otherwise datagrams have
    /// `max_datagram` bytes at once, or 1350 if that is at its default.
    pub discover_mtu: bool,
    /// Congestion control.
    pub congestion: Congestion,
    /// Silence that ends a connection.
    pub idle_timeout: Duration,
    /// Send and accept 0-RTT.
    pub early_data: bool,
    /// Where TLS secrets are written, for debugging.
    pub key_log: Option<KeyLog>,
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            identity: None,
            worker: 0,
            static_key: [0; 32],
            ticket_key: None,
            max_datagram: MAX_SEND,
            discover_mtu: true,
            congestion: Congestion::default(),
            idle_timeout: Duration::from_secs(30),
            early_data: true,
            key_log: None,
        }
    }
}

impl fmt::Debug for QuicConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicConfig")
            .field("identity", &self.identity)
            .field("worker", &self.worker)
            .field("max_datagram", &self.max_datagram)
            .field("discover_mtu", &self.discover_mtu)
            .field("congestion", &self.congestion)
            .field("idle_timeout", &self.idle_timeout)
            .field("early_data", &self.early_data)
            .finish_non_exhaustive()
    }
}

impl QuicConfig {
    /// Checks the numbers.
    pub(super) fn check(&self) -> Result<(), Misuse> {
        if !(limits::MIN_INITIAL_DATAGRAM..=MAX_SEND).contains(&self.max_datagram) {
            return Err(Misuse::Config("max_datagram has to be 1200 to 16383"));
        }
        if self.idle_timeout.is_zero() {
            return Err(Misuse::Config("idle_timeout has to be more than zero"));
        }
        if self.identity.is_some() && self.static_key == [0; 32] {
            return Err(Misuse::Config("a server needs a static_key of random bytes"));
        }
        Ok(())
    }

    /// quiche's settings for the server's end of connections.
    pub(super) fn server(&self, identity: &Identity) -> Result<quiche::Config, Misuse> {
        let tls = server_tls(identity)?;
        let mut config = self.common(tls, &PROTOCOLS)?;
        if let Some(key) = &self.ticket_key {
            config
                .set_ticket_key(key)
                .map_err(|_| Misuse::Config("the ticket key cannot be used"))?;
        }
        config.set_initial_max_data(limits::SERVER_CONNECTION_WINDOW);
        config.set_max_connection_window(limits::SERVER_CONNECTION_WINDOW);
        config.set_max_stream_window(limits::STREAM_WINDOW);
        config.set_initial_max_stream_data_bidi_local(limits::SERVER_STREAM_WINDOW);
        config.set_initial_max_stream_data_bidi_remote(limits::SERVER_STREAM_WINDOW);
        config.set_initial_max_stream_data_uni(limits::DATA_STREAM_WINDOW);
        config.set_initial_max_streams_bidi(limits::MAX_PEER_STREAMS);
        config.set_initial_max_streams_uni(limits::MAX_PEER_UNI_STREAMS);
        Ok(config)
    }

    /// quiche's settings for one connection that is dialled.
    pub(super) fn client(
        &self,
        target: &Target,
        finding: &trust::Finding,
    ) -> Result<quiche::Config, Misuse> {
        let tls = trust::client_tls(target, finding)?;
        let mut config = self.common(tls, target.offered.protocols())?;
        config.set_initial_max_data(limits::CONNECTION_WINDOW);
        config.set_max_connection_window(limits::CONNECTION_WINDOW);
        config.set_max_stream_window(limits::STREAM_WINDOW);
        config.set_initial_max_stream_data_bidi_local(limits::STREAM_WINDOW);
        config.set_initial_max_stream_data_bidi_remote(limits::SERVER_STREAM_WINDOW);
        config.set_initial_max_stream_data_uni(limits::DATA_STREAM_WINDOW);
        config.set_initial_max_streams_bidi(limits::MAX_TRANSFERS as u64);
        config.set_initial_max_streams_uni(limits::MAX_PEER_UNI_STREAMS);
        Ok(config)
    }

    fn common(
        &self,
        tls: SslContextBuilder,
        protocols: &[&[u8]],
    ) -> Result<quiche::Config, Misuse> {
        let mut config = quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, tls)
            .map_err(|_| Misuse::Config("TLS cannot be set up"))?;
        config
            .set_application_protos(protocols)
            .map_err(|_| Misuse::Config("the protocols cannot be set"))?;
        if self.early_data {
            config.enable_early_data();
        }
        if self.key_log.is_some() {
            config.log_keys();
        }
        config.set_cc_algorithm(match self.congestion {
            Congestion::Cubic => quiche::CongestionControlAlgorithm::CUBIC,
            Congestion::Reno => quiche::CongestionControlAlgorithm::Reno,
            Congestion::Bbr2 => quiche::CongestionControlAlgorithm::Bbr2Gcongestion,
        });
        config.enable_pacing(self.congestion == Congestion::Bbr2);
        config.set_initial_congestion_window_packets(INITIAL_WINDOW_PACKETS);
        config.set_initial_rtt(INITIAL_RTT);
        config.set_send_capacity_factor(1.0);
        config.enable_hystart(true);
        let idle = u64::try_from(self.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        config.set_max_idle_timeout(idle.max(1));
        config.set_active_connection_id_limit(PATHS);
        config.set_path_challenge_recv_max_queue_len(PATH_CHALLENGES);
        // A new path takes an unused id where there is one. Without one, the id in use is used
        // there too: the alternative is a connection that cannot answer at all.
        config.set_disable_dcid_reuse(false);
        config.set_disable_active_migration(false);
        config.set_max_recv_udp_payload_size(limits::MAX_DATAGRAM);
        config.set_max_send_udp_payload_size(self.datagram());
        config.discover_pmtu(self.discover_mtu);
        Ok(config)
    }

    fn datagram(&self) -> usize {
        match (self.discover_mtu, self.max_datagram) {
            (false, MAX_SEND) => SAFE_DATAGRAM,
            (_, size) => size,
        }
    }
}

/// A TLS context from PEM in memory.
fn server_tls(identity: &Identity) -> Result<SslContextBuilder, Misuse> {
    let chain = X509::stack_from_pem(&identity.chain_pem)
        .map_err(|_| Misuse::Config("the certificate chain is not valid PEM"))?;
    let mut chain = chain.into_iter();
    let leaf = chain.next().ok_or(Misuse::Config("the certificate chain holds no certificate"))?;
    let key = PKey::private_key_from_pem(&identity.key_pem)
        .map_err(|_| Misuse::Config("the private key is not valid PEM"))?;
    let public = leaf
        .public_key()
        .map_err(|_| Misuse::Config("the certificate's key is of an unknown kind"))?;
    if !public.public_eq(&key) {
        return Err(Misuse::Config("the private key does not belong to the certificate"));
    }
    let mut tls = SslContextBuilder::new(SslMethod::tls())
        .map_err(|_| Misuse::Config("TLS cannot be set up"))?;
    let unusable = |_| Misuse::Config("the certificate cannot be used for TLS");
    tls.set_certificate(&leaf).map_err(unusable)?;
    for certificate in chain {
        tls.add_extra_chain_cert(certificate).map_err(unusable)?;
    }
    tls.set_private_key(&key).map_err(|_| Misuse::Config("the private key cannot be used"))?;
    // Tickets are only taken back by a context with the same name.
    tls.set_session_id_context(b"anabranch").map_err(unusable)?;
    Ok(tls)
}
