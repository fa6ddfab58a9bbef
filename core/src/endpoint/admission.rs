//! Who gets in: limits on half-open connections, and when to ask for proof of address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{Config, Retry};
use crate::limits;
use crate::time::Instant;
use crate::transport::Dropped;

/// What to do with an offered connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it.
    Admit,
    /// Ask for proof of address first.
    Challenge,
    /// Leave it.
    Drop(Dropped),
}

/// Counts handshakes that are under way.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    half_open: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// One customer: an IPv4 address, or an IPv6 /64.
fn customer(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            segments[4..].fill(0);
            IpAddr::V6(segments.into())
        }
    }
}

impl Admission {
    /// Judges an offer from `ip`; `validated`: the address has been proved.
    pub(crate) fn judge(
        &self,
        ip: IpAddr,
        validated: bool,
        connections: usize,
        config: &Config,
    ) -> Verdict {
        if connections >= config.max_connections {
            return Verdict::Drop(Dropped::ConnectionsLimited);
        }
        let challenge = match config.retry {
            Retry::Always => true,
            Retry::UnderLoad => self.half_open >= limits::HALF_OPEN_BEFORE_RETRY,
            Retry::Never => false,
        };
        if challenge && !validated {
            return Verdict::Challenge;
        }
        let of_address = self.by_address.get(&customer(ip)).copied().unwrap_or(0);
        if self.half_open >= config.max_half_open || of_address >= config.max_half_open_per_address
        {
            return Verdict::Drop(Dropped::HalfOpenLimited);
        }
        Verdict::Admit
    }

    /// A handshake with `ip` has begun.
    pub(crate) fn begin(&mut self, ip: IpAddr) {
        self.half_open += 1;
        *self.by_address.entry(customer(ip)).or_default() += 1;
    }

    /// It is complete, or was given up.
    pub(crate) fn finish(&mut self, ip: IpAddr) {
        self.half_open = self.half_open.saturating_sub(1);
        if let Some(count) = self.by_address.get_mut(&customer(ip)) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&customer(ip));
            }
        }
    }
}

/// A token bucket in whole numbers: so many answers a second, saved up for one second.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    tokens: u32,
    filled: Instant,
}

impl RateLimit {
    /// Full at first.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, tokens: per_second, filled: Instant::ZERO }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let nanos = now.since(self.filled).as_nanos();
        let earned = nanos * u128::from(self.per_second) / 1_000_000_000;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(earned).min(self.per_second);
            self.filled = now;
        }
        let some = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn config(retry: Retry) -> Config {
        Config {
            retry,
            max_half_open: 200,
            max_half_open_per_address: 150,
            max_connections: 300,
            ..Config::default()
        }
    }

    #[test]
    fn proof_is_asked_for_as_configured() {
        let mut admission = Admission::default();
        let judge = |a: &Admission, retry, validated| a.judge(HERE, validated, 0, &config(retry));
        assert_eq!(judge(&admission, Retry::Always, false), Verdict::Challenge);
        assert_eq!(judge(&admission, Retry::Always, true), Verdict::Admit);
        assert_eq!(judge(&admission, Retry::UnderLoad, false), Verdict::Admit);
        for _ in 0..limits::HALF_OPEN_BEFORE_RETRY {
            admission.begin(HERE);
        }
        assert_eq!(judge(&admission, Retry::UnderLoad, false), Verdict::Challenge);
        assert_eq!(judge(&admission, Retry::Never, false), Verdict::Admit);
        admission.finish(HERE);
        assert_eq!(judge(&admission, Retry::UnderLoad, false), Verdict::Admit);
    }

    #[test]
    fn limits_hold_for_each_address_and_in_all() {
        let mut admission = Admission::default();
        let config = config(Retry::Never);
        for _ in 0..150 {
            admission.begin(HERE);
        }
        let full = Verdict::Drop(Dropped::HalfOpenLimited);
        assert_eq!(admission.judge(HERE, true, 0, &config), full);
        let other = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, n, 0, 0, 0, 7]);
        assert_eq!(admission.judge(other(0), true, 0, &config), Verdict::Admit);
        (0..50).for_each(|n| admission.begin(other(n)));
        assert_eq!(admission.judge(other(60), true, 0, &config), full);
        admission.finish(HERE);
        assert_eq!(admission.judge(other(60), true, 0, &config), Verdict::Admit);
        let many = Verdict::Drop(Dropped::ConnectionsLimited);
        assert_eq!(admission.judge(other(60), true, 300, &config), many);
    }

    #[test]
    fn an_ipv6_network_is_one_customer() {
        let at = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 1, 2, 3, last]);
        assert_eq!(customer(at(1)), customer(at(2)));
        assert_ne!(customer(at(1)), customer(IpAddr::from([0x2001, 0xdb8, 0, 2, 1, 2, 3, 1])));
    }

    #[test]
    fn counts_return_to_nothing() {
        let mut admission = Admission::default();
        admission.begin(HERE);
        admission.finish(HERE);
        admission.finish(HERE);
        assert_eq!((admission.half_open, admission.by_address.len()), (0, 0));
    }

    #[test]
    fn the_rate_limit_is_exact() {
        let mut limit = RateLimit::new(10);
        let taken = |limit: &mut RateLimit, at: u64| {
            let now = Instant::ZERO + Duration::from_millis(at);
            (0..100).filter(|_| limit.take(now)).count()
        };
        assert_eq!(taken(&mut limit, 0), 10);
        assert_eq!(taken(&mut limit, 99), 0);
        assert_eq!(taken(&mut limit, 100), 1);
        assert_eq!(taken(&mut limit, 5_000), 10);
    }
}
