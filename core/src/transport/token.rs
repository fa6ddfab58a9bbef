//! Tokens that need no memory: Retry tokens and stateless reset tokens.

use std::net::{IpAddr, SocketAddr};

use super::CidBytes;
use crate::limits::RETRY_TOKEN_LIFETIME;
use crate::rng::Seed;
use crate::time::Instant;

/// What our Retry tokens begin with. Anything else is somebody's `NEW_TOKEN` token.
const MARKER: [u8; 4] = *b"aR1\xbe";
const MAC: usize = 16;

/// What the token of a first datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ours, and good: the id of the client's very first datagram.
    Valid(CidBytes),
    /// A Retry token of ours in form, but expired, forged or of another address. The client
    /// has no other one and would not take a second Retry, so the datagram is of no use
    /// (RFC 9000 section 8.1.2).
    Bad,
    /// None, or one of another kind: the address counts as not validated, and nothing more
    /// (RFC 9000 section 8.1.3).
    Foreign,
}

/// Makes and checks tokens.
#[derive(Clone)]
pub(super) struct Tokens {
    reset: [u8; 32],
    retry: [u8; 32],
}

impl Tokens {
    /// Reset tokens depend on `static_key` alone, so that they survive a restart. Retry tokens
    /// depend on the seed as well and do not: their expiry is in a clock that starts anew.
    pub(super) fn new(static_key: &[u8; 32], seed: &Seed) -> Self {
        let boot: [u8; 32] = seed.stream("retry").array();
        let mut retry = blake3::Hasher::new_keyed(static_key);
        retry.update(b"retry").update(&boot);
        Self {
            reset: *blake3::keyed_hash(static_key, b"reset").as_bytes(),
            retry: *retry.finalize().as_bytes(),
        }
    }

    /// The stateless reset token of one of our ids (RFC 9000 section 10.3.2).
    pub(super) fn reset(&self, cid: &[u8]) -> [u8; 16] {
        first_half(&blake3::keyed_hash(&self.reset, cid))
    }

    /// A Retry token for a client at `remote` that first sent to `odcid` and is told to send
    /// to `scid`.
    pub(super) fn retry(
        &self,
        now: Instant,
        remote: SocketAddr,
        odcid: &CidBytes,
        scid: &[u8],
    ) -> Vec<u8> {
        let expiry = (now + RETRY_TOKEN_LIFETIME).as_nanos();
        let mut token = Vec::with_capacity(MARKER.len() + 8 + 20 + MAC);
        token.extend_from_slice(&MARKER);
        token.extend_from_slice(&expiry.to_be_bytes());
        token.extend_from_slice(odcid.as_slice());
        token.extend_from_slice(&self.mac(expiry, remote, odcid.as_slice(), scid));
        token
    }

    /// Checks the token of a datagram from `remote` to `dcid`.
    pub(super) fn check(
        &self,
        now: Instant,
        remote: SocketAddr,
        dcid: &[u8],
        token: &[u8],
    ) -> Verdict {
        let Some(body) = token.strip_prefix(&MARKER) else { return Verdict::Foreign };
        self.check_body(now, remote, dcid, body).map_or(Verdict::Bad, Verdict::Valid)
    }

    fn check_body(
        &self,
        now: Instant,
        remote: SocketAddr,
        dcid: &[u8],
        body: &[u8],
    ) -> Option<CidBytes> {
        let (expiry, rest) = body.split_first_chunk::<8>()?;
        let (odcid, mac) = rest.split_last_chunk::<MAC>()?;
        let expiry = u64::from_be_bytes(*expiry);
        let expected = self.mac(expiry, remote, odcid, dcid);
        let genuine = blake3::Hash::from(widen(*mac)) == blake3::Hash::from(widen(expected));
        // The comparison of hashes takes the same time wherever they differ.
        let fresh = now.as_nanos() <= expiry;
        (genuine && fresh).then(|| CidBytes::new(odcid))?
    }

    fn mac(&self, expiry: u64, remote: SocketAddr, odcid: &[u8], scid: &[u8]) -> [u8; MAC] {
        let mut hash = blake3::Hasher::new_keyed(&self.retry);
        hash.update(&expiry.to_be_bytes());
        match remote.ip() {
            IpAddr::V4(ip) => hash.update(&[4]).update(&ip.octets()),
            IpAddr::V6(ip) => hash.update(&[6]).update(&ip.octets()),
        };
        hash.update(&remote.port().to_be_bytes());
        let len = |cid: &[u8]| [u8::try_from(cid.len()).unwrap_or(u8::MAX)];
        hash.update(&len(odcid)).update(odcid).update(&len(scid)).update(scid);
        first_half(&hash.finalize())
    }
}

fn first_half(hash: &blake3::Hash) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash.as_bytes()[..16]);
    out
}

fn widen(half: [u8; 16]) -> [u8; 32] {
    let mut out = [0; 32];
    out[..16].copy_from_slice(&half);
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn made() -> (Tokens, Instant, SocketAddr, CidBytes, Vec<u8>) {
        let tokens = Tokens::new(&[9; 32], &Seed::from_u64(1));
        let now = Instant::from_nanos(77);
        let remote = SocketAddr::from(([127, 0, 0, 1], 4433));
        let odcid = CidBytes::new(&[1; 8]).unwrap();
        let token = tokens.retry(now, remote, &odcid, b"the new scid");
        (tokens, now, remote, odcid, token)
    }

    #[test]
    fn a_token_is_good_for_its_address_id_and_time_only() {
        let (tokens, now, remote, odcid, token) = made();
        let check = |at, from, dcid: &[u8]| tokens.check(at, from, dcid, &token);
        assert_eq!(check(now, remote, b"the new scid"), Verdict::Valid(odcid));
        let end = now + RETRY_TOKEN_LIFETIME;
        assert_eq!(check(end, remote, b"the new scid"), Verdict::Valid(odcid));
        let late = end + Duration::from_nanos(1);
        assert_eq!(check(late, remote, b"the new scid"), Verdict::Bad);
        assert_eq!(check(now, remote, b"another scid"), Verdict::Bad);
        let port = SocketAddr::new(remote.ip(), 4434);
        assert_eq!(check(now, port, b"the new scid"), Verdict::Bad);
        let address = SocketAddr::from(([127, 0, 0, 2], 4433));
        assert_eq!(check(now, address, b"the new scid"), Verdict::Bad);
    }

    #[test]
    fn forged_tokens_are_bad_and_others_are_foreign() {
        let (tokens, now, remote, _, token) = made();
        for bit in 0..token.len() * 8 {
            let mut bent = token.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 32 { Verdict::Foreign } else { Verdict::Bad };
            assert_eq!(tokens.check(now, remote, b"the new scid", &bent), expected, "bit {bit}");
        }
        for len in 4..token.len() {
            assert_eq!(tokens.check(now, remote, b"the new scid", &token[..len]), Verdict::Bad);
        }
        assert_eq!(tokens.check(now, remote, b"the new scid", b""), Verdict::Foreign);
    }

    #[test]
    fn reset_tokens_survive_a_restart_and_retry_tokens_do_not() {
        let (tokens, now, remote, _, token) = made();
        let restarted = Tokens::new(&[9; 32], &Seed::from_u64(2));
        assert_eq!(tokens.reset(b"an id"), restarted.reset(b"an id"));
        assert_ne!(tokens.reset(b"an id"), tokens.reset(b"another id"));
        assert_eq!(restarted.check(now, remote, b"the new scid", &token), Verdict::Bad);
    }
}
