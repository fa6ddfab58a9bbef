//! [`Stack`]: what exists before and between connections.

use quiche::{ConnectionId, RetryConnectionIds};

use super::buffers::Chunks;
use super::config::{Identity, QuicConfig};
use super::conn::{Dialled, Make, QuicTransport};
use super::packet::{self, Header, Kind, Long};
use super::trust::{self, Finding};
use crate::error::Misuse;
use crate::id::{ConnId, Side};
use crate::io::Path;
use crate::limits;
use crate::rng::{Rng, Seed};
use crate::time::Instant;
use crate::transport::cid::{self, Cids};
use crate::transport::resets::Resets;
use crate::transport::routes::Routes;
use crate::transport::token::{Tokens, Verdict};
use crate::transport::{CidBytes, Dropped, Offer, Route, Stack, Target, Transport, Trust};

/// Shortest first id of a client (RFC 9000 section 7.2).
const MIN_FIRST_ID: usize = 8;
/// Room for the largest Retry packet: header, three ids, token and tag.
const MAX_RETRY: usize = 256;

/// The QUIC stack of one endpoint.
pub(super) struct QuicStack {
    config: QuicConfig,
    /// A server's settings. They hold the certificate.
    server: Option<quiche::Config>,
    routes: Routes,
    tokens: Tokens,
    resets: Resets,
    rng: Rng,
}

impl QuicStack {
    pub(super) fn new(config: QuicConfig, seed: &Seed) -> Result<Self, Misuse> {
        config.check()?;
        let server = match &config.identity {
            Some(identity) => Some(config.server(identity)?),
            None => None,
        };
        Ok(Self {
            server,
            routes: Routes::new(Cids::new(config.worker, seed)),
            tokens: Tokens::new(&config.static_key, seed),
            resets: Resets::new(seed),
            rng: seed.stream("quic"),
            config,
        })
    }

    fn make(&self, id: ConnId, side: Side, now: Instant, path: Path) -> Make {
        Make {
            id,
            side,
            now,
            path,
            cids: self.routes.cids().clone(),
            tokens: self.tokens.clone(),
            resets: self.resets.clone(),
            discovers: self.config.discover_mtu,
            key_log: self.config.key_log.clone(),
        }
    }

    fn short(&mut self, path: Path, dcid: &[u8], bytes: &[u8], out: &mut Vec<u8>) -> Route {
        if let Some(id) = self.routes.find(dcid) {
            return Route::To(id);
        }
        if let Some(token) = bytes.last_chunk::<16>()
            && let Some(id) = self.resets.find(path.remote, token)
        {
            return Route::To(id);
        }
        if self.server.is_none() {
            return Route::Drop(Dropped::UnknownConnection);
        }
        let token = self.tokens.reset(dcid);
        packet::reset(bytes.len(), token, &mut self.rng, out)
            .map_or(Route::Drop(Dropped::UnknownConnection), Route::Answer)
    }

    fn long(
        &mut self,
        now: Instant,
        path: Path,
        long: &Long<'_>,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Route {
        let initial =
            long.version == quiche::PROTOCOL_VERSION && long.kind() == Some(Kind::Initial);
        let short = len < limits::MIN_INITIAL_DATAGRAM;
        if let Some(id) = self.routes.find_any(now, long.dcid) {
            // A client's Initial never comes in a smaller datagram (RFC 9000 section 14.1).
            let wrong = initial && short && self.routes.side(id) == Some(Side::Server);
            return if wrong { Route::Drop(Dropped::ShortInitial) } else { Route::To(id) };
        }
        if long.version == 0 || self.routes.cids().decode(long.dcid).is_some() {
            return Route::Drop(Dropped::UnknownConnection);
        }
        if self.server.is_none() {
            return Route::Drop(Dropped::NotAccepting);
        }
        if !quiche::version_is_supported(long.version) {
            if short {
                return Route::Drop(Dropped::ShortInitial);
            }
            return Route::Answer(packet::negotiate(long, &mut self.rng, out));
        }
        match long.kind() {
            Some(Kind::Initial) if short || long.dcid.len() < MIN_FIRST_ID => {
                Route::Drop(Dropped::ShortInitial)
            }
            Some(Kind::Initial) => self.offer(now, path, long),
            Some(Kind::Keyed | Kind::Retry) => Route::Drop(Dropped::UnknownConnection),
            None => Route::Drop(Dropped::Malformed),
        }
    }

    fn offer(&self, now: Instant, path: Path, long: &Long<'_>) -> Route {
        let (Some((token, _)), Some(dcid), Some(scid)) =
            (long.token(), CidBytes::new(long.dcid), CidBytes::new(long.scid))
        else {
            return Route::Drop(Dropped::Malformed);
        };
        let original_dcid = match self.tokens.check(now, path.remote, long.dcid, token) {
            Verdict::Valid(original) => Some(original),
            Verdict::Foreign => None,
            Verdict::Bad => return Route::Drop(Dropped::BadToken),
        };
        let validated = original_dcid.is_some();
        Route::New(Offer { validated, version: long.version, dcid, scid, original_dcid })
    }

    fn accept(
        &mut self,
        id: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<quiche::Connection<Chunks>, Dropped> {
        let cid = self.routes.cids().encode(id, 0);
        let server = self.server.as_mut().ok_or(Dropped::NotAccepting)?;
        let token = u128::from_be_bytes(self.tokens.reset(&cid));
        server.set_stateless_reset_token(Some(token));
        let scid = ConnectionId::from_ref(&cid);
        let (local, remote) = (path.local, path.remote);
        match &offer.original_dcid {
            Some(original) => {
                let original = ConnectionId::from_ref(original.as_slice());
                let retry = ConnectionId::from_ref(offer.dcid.as_slice());
                let cids = RetryConnectionIds {
                    original_destination_cid: &original,
                    retry_source_cid: &retry,
                };
                quiche::accept_with_retry(&scid, cids, local, remote, server)
            }
            None => quiche::accept_with_buf_factory(&scid, None, local, remote, server),
        }
        .map_err(|_| Dropped::Malformed)
    }

    fn connect(
        &mut self,
        id: ConnId,
        target: &Target,
        finding: &Finding,
    ) -> Result<quiche::Connection<Chunks>, Misuse> {
        let mut config = self.config.client(target, finding)?;
        let cid = self.routes.cids().encode(id, 0);
        let scid = ConnectionId::from_ref(&cid);
        let name = target.server_name.as_str();
        // An address is not a name that may be told to the server (RFC 6066 section 3).
        let told = (!name.is_empty() && trust::ip_of(name).is_none()).then_some(name);
        let mut conn = quiche::connect_with_buffer_factory(
            told,
            &scid,
            target.local,
            target.remote,
            &mut config,
        )
        .map_err(|_| Misuse::Config("the server name cannot be told to a server"))?;
        if matches!(target.trust, Trust::Roots(_)) {
            trust::expect_name(conn.as_mut(), name)?;
        }
        Ok(conn)
    }
}

impl Stack for QuicStack {
    fn classify(&mut self, now: Instant, path: Path, bytes: &[u8], out: &mut Vec<u8>) -> Route {
        if bytes.is_empty() || path.remote.port() == 0 {
            return Route::Drop(Dropped::Impossible);
        }
        match Header::read(bytes) {
            Some(Header::Short { dcid }) => self.short(path, dcid, bytes, out),
            Some(Header::Long(long)) => self.long(now, path, &long, bytes.len(), out),
            None => Route::Drop(Dropped::Malformed),
        }
    }

    fn challenge(&mut self, now: Instant, path: Path, offer: &Offer, out: &mut Vec<u8>) -> Route {
        // No state is kept, so this id cannot say which connection it is for. It is only used
        // until the client sees an id of the connection that comes of it. It keeps the worker.
        let mut scid: [u8; cid::LEN] = self.rng.array();
        scid[0] = self.routes.cids().worker();
        let token = self.tokens.retry(now, path.remote, &offer.dcid, &scid);
        let start = out.len();
        out.resize(start + MAX_RETRY, 0);
        let written = quiche::retry(
            &ConnectionId::from_ref(offer.scid.as_slice()),
            &ConnectionId::from_ref(offer.dcid.as_slice()),
            &ConnectionId::from_ref(&scid),
            &token,
            offer.version,
            &mut out[start..],
        );
        out.truncate(start + written.as_ref().copied().unwrap_or(0));
        written.map_or(Route::Drop(Dropped::Malformed), Route::Answer)
    }

    fn admit(
        &mut self,
        now: Instant,
        id: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        let conn = self.accept(id, path, offer)?;
        self.routes.admitted(now, id, offer.dcid);
        let make = self.make(id, Side::Server, now, path);
        Ok(Box::new(QuicTransport::new(make, conn, None)))
    }

    fn dial(
        &mut self,
        now: Instant,
        id: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse> {
        target.check_addresses()?;
        let finding = Finding::default();
        let mut conn = self.connect(id, target, &finding)?;
        let binding = trust::binding(target);
        let session = target.ticket.as_deref().and_then(|ticket| ticket.strip_prefix(&binding));
        let mut resumes = false;
        if let Some(session) = session {
            resumes = conn.set_session(session).is_ok();
            if !resumes {
                // What a bad ticket leaves behind is not to be trusted.
                conn = self.connect(id, target, &finding)?;
            }
        }
        self.routes.dialled(id);
        let path = Path { local: target.local, remote: target.remote };
        let make = self.make(id, Side::Client, now, path);
        let dialled = Dialled { finding, binding, resumes };
        Ok(Box::new(QuicTransport::new(make, conn, Some(dialled))))
    }

    fn forget(&mut self, id: ConnId) {
        if self.routes.forget(id) == Some(Side::Client) {
            self.resets.forget(id);
        }
    }

    fn set_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), Misuse> {
        let identity = Identity { chain_pem: chain_pem.to_vec(), key_pem: key_pem.to_vec() };
        let config = self.config.server(&identity)?;
        match &mut self.server {
            Some(server) => {
                *server = config;
                Ok(())
            }
            None => Err(Misuse::WrongRole("a certificate")),
        }
    }
}
