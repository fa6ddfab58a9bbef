//! Endpoints: sockets, certificates, windows.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls;
use quinn::rustls::crypto::ring;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::{Endpoint, EndpointConfig, MtuDiscoveryConfig, TokioRuntime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Outcome;

/// The name in the certificate.
pub(crate) const NAME: &str = "localhost";
const ALPN: &[u8] = b"quinn-file";
/// Bytes of each socket buffer to ask for; the system may grant less.
const SOCKET_BUFFER: usize = 4 << 20;
/// A path of nobody's hands: long enough for a busy machine.
const IDLE: Duration = Duration::from_secs(30);

/// What can be changed about connections.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// Flow-control windows, in KiB
    #[arg(long, global = true, default_value_t = 4_096)]
    window: u32,
    /// The largest datagram to look for, in bytes of UDP payload
    #[arg(long, global = true, default_value_t = 1_452)]
    mtu: u16,
    /// How the sending rate adapts to the network
    #[arg(long, global = true, value_enum, default_value_t = Congestion::Cubic)]
    congestion: Congestion,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Congestion {
    Cubic,
    Newreno,
    Bbr,
}

impl Congestion {
    fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Cubic => Arc::new(CubicConfig::default()),
            Self::Newreno => Arc::new(NewRenoConfig::default()),
            Self::Bbr => Arc::new(BbrConfig::default()),
        }
    }
}

impl Options {
    fn transport(self) -> Outcome<Arc<TransportConfig>> {
        let window = self.window.saturating_mul(1024);
        let mut mtu = MtuDiscoveryConfig::default();
        mtu.upper_bound(self.mtu);
        let mut config = TransportConfig::default();
        config
            .receive_window(VarInt::from_u32(window))
            .stream_receive_window(VarInt::from_u32(window))
            .send_window(u64::from(window))
            .max_concurrent_bidi_streams(VarInt::from_u32(256))
            .mtu_discovery_config(Some(mtu))
            .max_idle_timeout(Some(IDLE.try_into()?))
            .congestion_controller_factory(self.congestion.factory());
        Ok(Arc::new(config))
    }

    fn endpoint(self) -> Outcome<EndpointConfig> {
        let mut config = EndpointConfig::default();
        config.max_udp_payload_size(self.mtu.max(1_472))?;
        Ok(config)
    }
}

/// TLS 1.3 with AES-128-GCM, like the other programs it is compared with.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    Arc::new(provider)
}

fn socket(address: SocketAddr) -> Outcome<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// An endpoint that accepts connections, and its certificate.
pub(crate) fn server(
    address: SocketAddr,
    options: Options,
) -> Outcome<(Endpoint, CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let cert = CertificateDer::from(made.cert);
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key.into())?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(options.transport()?);
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new(options.endpoint()?, Some(config), socket(address)?, runtime)?;
    Ok((endpoint, cert))
}

/// An endpoint for connections to a server with this certificate.
pub(crate) fn client(
    server: SocketAddr,
    cert: CertificateDer<'static>,
    options: Options,
) -> Outcome<Endpoint> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(options.transport()?);
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = socket(any.parse()?)?;
    let mut endpoint = Endpoint::new(options.endpoint()?, None, socket, Arc::new(TokioRuntime))?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}
