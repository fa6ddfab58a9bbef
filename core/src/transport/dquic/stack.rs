//! [`Stack`]: what exists before and between connections of the extension.

use super::config::DquicConfig;
use super::conn::{Connection, Make};
use super::packet::{self, Header, Packet};
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

/// The DQUIC stack of one endpoint.
pub(super) struct DquicStack {
    config: DquicConfig,
    routes: Routes,
    tokens: Tokens,
    resets: Resets,
    rng: Rng,
}

impl DquicStack {
    pub(super) fn new(config: DquicConfig, seed: &Seed) -> Result<Self, Misuse> {
        config.check()?;
        Ok(Self {
            routes: Routes::new(Cids::new(config.worker, seed)),
            tokens: Tokens::new(&config.static_key, seed),
            resets: Resets::new(seed),
            rng: seed.stream("dquic"),
            config,
        })
    }

    fn make(&mut self, id: ConnId, side: Side, now: Instant, path: Path) -> Make {
        Make {
            id,
            side,
            now,
            path,
            config: self.config.clone(),
            cids: self.routes.cids().clone(),
            tokens: self.tokens.clone(),
            resets: self.resets.clone(),
            rng: Seed(self.rng.array()).stream("connection"),
        }
    }

    /// A packet for a connection that is not there.
    fn unknown(&self, dcid: &[u8], len: usize, out: &mut Vec<u8>) -> Route {
        // An answer is never longer than what it answers.
        if !self.config.serves || len <= packet::RESET_LEN {
            return Route::Drop(Dropped::UnknownConnection);
        }
        Route::Answer(packet::reset(out, &self.tokens.reset(dcid)))
    }

    /// A packet with both ids, for a connection that is there or may come to be.
    fn handshake(&mut self, now: Instant, header: &Header, packet: &Packet<'_>) -> Option<Route> {
        let dcid = header.dcid.as_slice();
        if let Some(id) = self.routes.find_any(now, dcid) {
            let is_hello = matches!(packet, Packet::Hello { .. });
            let is_server = self.routes.side(id) == Some(Side::Server);
            // Each side has packets of its own.
            let fits = is_hello == is_server;
            return Some(if fits { Route::To(id) } else { Route::Drop(Dropped::Malformed) });
        }
        let ours = self.routes.cids().decode(dcid).is_some();
        let asks = matches!(packet, Packet::Hello { .. } | Packet::OtherVersion(_));
        if ours || !asks {
            return Some(Route::Drop(Dropped::UnknownConnection));
        }
        (!self.config.serves).then_some(Route::Drop(Dropped::NotAccepting))
    }

    fn hello(&self, now: Instant, path: Path, header: &Header, token: &[u8]) -> Route {
        let mut offer = Offer {
            validated: false,
            version: header.version,
            dcid: header.dcid,
            scid: header.scid,
            original_dcid: None,
        };
        match self.tokens.check(now, path.remote, header.dcid.as_slice(), token) {
            Verdict::Valid(original) => {
                offer.validated = true;
                offer.original_dcid = Some(original);
            }
            Verdict::Foreign => {}
            Verdict::Bad => return Route::Drop(Dropped::BadToken),
        }
        Route::New(offer)
    }
}

impl Stack for DquicStack {
    fn classify(&mut self, now: Instant, path: Path, bytes: &[u8], out: &mut Vec<u8>) -> Route {
        if bytes.is_empty() || path.remote.port() == 0 {
            return Route::Drop(Dropped::Impossible);
        }
        if let Some(id) = packet::data_id(bytes).and_then(|dcid| self.routes.find(dcid)) {
            return Route::To(id);
        }
        let Some(packet) = Packet::read(bytes) else { return Route::Drop(Dropped::Malformed) };
        let header = match &packet {
            Packet::Data { dcid, .. } => {
                // A client that gives up before it knows an id of ours says so to its own.
                let known = self.routes.find_any(now, dcid);
                return known.map_or_else(|| self.unknown(dcid, bytes.len(), out), Route::To);
            }
            Packet::Reset { token } => {
                let known = self.resets.find(path.remote, token);
                return known.map_or(Route::Drop(Dropped::UnknownConnection), Route::To);
            }
            Packet::Hello { header, .. }
            | Packet::OtherVersion(header)
            | Packet::Retry { header, .. }
            | Packet::Version { header, .. }
            | Packet::Welcome { header, .. } => *header,
        };
        if let Some(route) = self.handshake(now, &header, &packet) {
            return route;
        }
        let first_id = header.dcid.as_slice().len() >= packet::MIN_FIRST_ID;
        if bytes.len() < limits::MIN_INITIAL_DATAGRAM || !first_id {
            return Route::Drop(Dropped::ShortInitial);
        }
        match packet {
            Packet::Hello { token, .. } => self.hello(now, path, &header, token),
            Packet::OtherVersion(header) => Route::Answer(packet::version(out, &header)),
            Packet::Retry { .. }
            | Packet::Version { .. }
            | Packet::Welcome { .. }
            | Packet::Data { .. }
            | Packet::Reset { .. } => Route::Drop(Dropped::UnknownConnection),
        }
    }

    fn challenge(&mut self, now: Instant, path: Path, offer: &Offer, out: &mut Vec<u8>) -> Route {
        // No state is kept, so this id cannot say which connection it is for. It is only used
        // until the client sees an id of the connection that comes of it. It keeps the worker.
        let mut scid: [u8; cid::LEN] = self.rng.array();
        scid[0] = self.routes.cids().worker();
        let token = self.tokens.retry(now, path.remote, &offer.dcid, &scid);
        let Some(scid) = CidBytes::new(&scid) else { return Route::Drop(Dropped::Malformed) };
        let header = Header { version: offer.version, dcid: offer.scid, scid };
        Route::Answer(packet::retry(out, &header, &token))
    }

    fn admit(
        &mut self,
        now: Instant,
        id: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        if !self.config.serves {
            return Err(Dropped::NotAccepting);
        }
        self.routes.admitted(now, id, offer.dcid);
        let make = self.make(id, Side::Server, now, path);
        Ok(Box::new(Connection::accept(make, offer)))
    }

    fn dial(
        &mut self,
        now: Instant,
        id: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse> {
        target.check_addresses()?;
        if target.trust != Trust::Any {
            return Err(Misuse::Config("DQUIC proves no key: only trust in anyone can be had"));
        }
        self.routes.dialled(id);
        let path = Path { local: target.local, remote: target.remote };
        let make = self.make(id, Side::Client, now, path);
        Ok(Box::new(Connection::dial(make, target.offered)))
    }

    fn forget(&mut self, id: ConnId) {
        if self.routes.forget(id) == Some(Side::Client) {
            self.resets.forget(id);
        }
    }

    fn set_identity(&mut self, _: &[u8], _: &[u8]) -> Result<(), Misuse> {
        Err(Misuse::WrongRole("a certificate"))
    }
}
