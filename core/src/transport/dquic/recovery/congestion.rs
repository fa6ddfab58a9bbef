//! Congestion control: CUBIC (RFC 9438) in whole numbers. Windows are bytes, times milliseconds.

use std::time::Duration;

use crate::limits::DQUIC_MAX_WINDOW;
use crate::time::Instant;

/// The first window, in bytes, unless packets are large (RFC 9002 section 7.2).
const INITIAL_BYTES: u64 = 14_720;

/// The congestion window.
#[derive(Debug)]
pub(super) struct Cubic {
    mtu: u64,
    window: u64,
    /// Where slow start ends.
    threshold: u64,
    /// Packets sent before this are part of a loss that has been answered.
    recovery: Option<Instant>,
    /// The window before the last reduction.
    max: u64,
    epoch: Option<Epoch>,
}

/// Congestion avoidance since the last reduction.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    /// The last acknowledgement: time without need for the window does not count.
    last: Instant,
    /// When the window will be what it was, in milliseconds after the start.
    k: u64,
    /// What Reno would have, in 256ths of a byte.
    reno: u64,
}

impl Cubic {
    /// The first window for packets of this size.
    pub(super) fn new(mtu: usize) -> Self {
        let mtu = mtu as u64;
        let window = (10 * mtu).min(INITIAL_BYTES.max(2 * mtu));
        let (max, threshold) = (0, u64::MAX);
        Self { mtu, window, threshold, recovery: None, max, epoch: None }
    }

    /// The window.
    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// Whether the window is still being looked for.
    pub(super) const fn is_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// Packets have this size from now on. Two of them always fit (RFC 9002 section 7.2).
    pub(super) fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu as u64;
        self.window = self.window.max(2 * self.mtu);
    }

    /// A packet of `bytes` that was sent at `sent` has arrived. The window grows only if it was
    /// `used`.
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        rtt: Duration,
        used: bool,
    ) {
        if self.recovery.is_some_and(|start| sent <= start) {
            return;
        }
        if !used {
            if let Some(epoch) = &mut self.epoch {
                epoch.start = epoch.start + now.since(epoch.last);
                epoch.last = now;
            }
            return;
        }
        if self.is_slow_start() {
            self.window += bytes;
        } else {
            self.avoid(now, bytes, rtt);
        }
        self.window = self.window.min(DQUIC_MAX_WINDOW);
    }

    /// Congestion avoidance (RFC 9438 section 4).
    fn avoid(&mut self, now: Instant, bytes: u64, rtt: Duration) {
        let window = self.window;
        let mut epoch = self.epoch.unwrap_or_else(|| {
            let missing = u128::from(self.max.saturating_sub(window));
            let k = cube_root(missing * 10_000_000_000 / (4 * u128::from(self.mtu)));
            self.max = self.max.max(window);
            Epoch { start: now, last: now, k, reno: window * 256 }
        });
        epoch.last = now;
        // Reno grows by 9/17 of a packet for each window until it is where it was, and then by a
        // whole one: as fast as a flow that halves its window (section 4.3).
        let share = if epoch.reno < self.max * 256 { 9 } else { 17 };
        epoch.reno += 256 * self.mtu * bytes / window * share / 17;
        self.epoch = Some(epoch);
        let reno = epoch.reno / 256;
        let time = millis(now.since(epoch.start));
        if self.cubic(epoch.k, time) < reno {
            self.window = window.max(reno);
            return;
        }
        let target = self.cubic(epoch.k, time.saturating_add(millis(rtt)));
        let target = target.clamp(window, window + window / 2);
        self.window = window + (target - window) * bytes.min(window) / window;
    }

    /// The cubic function (section 4.2).
    fn cubic(&self, k: u64, time: u64) -> u64 {
        let distance = u128::from(time.abs_diff(k)).min(10_000_000);
        let change = u128::from(self.mtu) * 4 * distance.pow(3) / 10_000_000_000;
        let change = u64::try_from(change).unwrap_or(u64::MAX);
        if time < k { self.max.saturating_sub(change) } else { self.max.saturating_add(change) }
    }

    /// A packet that was sent at `sent` is lost. Answered once for each round trip.
    pub(super) fn on_loss(&mut self, now: Instant, sent: Instant) {
        if self.recovery.is_some_and(|start| sent <= start) {
            return;
        }
        self.recovery = Some(now);
        // Makes room for others if the last maximum was not reached again (section 4.7).
        self.max = if self.window < self.max { self.window * 17 / 20 } else { self.window };
        self.reduce(self.window * 7 / 10);
        self.threshold = self.window;
    }

    /// Nothing has arrived for long (RFC 9002 section 7.6).
    pub(super) fn on_persistent_congestion(&mut self) {
        self.recovery = None;
        self.reduce(0);
    }

    fn reduce(&mut self, window: u64) {
        self.window = window.max(2 * self.mtu);
        self.epoch = None;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The largest number whose cube is not above `n`, or 2^32 - 1.
fn cube_root(n: u128) -> u64 {
    (0..32).rev().fold(0u64, |root, bit| {
        let more = root | 1 << bit;
        if u128::from(more).pow(3) <= n { more } else { root }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: usize = 1_000;
    const RTT: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    /// Acknowledges a window's worth of packets.
    fn round(cubic: &mut Cubic, now: Instant) {
        for _ in 0..cubic.window() / MTU as u64 {
            cubic.on_ack(now, now, MTU as u64, RTT, true);
        }
    }

    #[test]
    fn cube_roots_are_exact() {
        for root in (0..2_000).chain([(1 << 20) - 1, 1 << 20, (1 << 31) + 7]) {
            let cube = u128::from(root).pow(3);
            assert_eq!(cube_root(cube), root);
            assert_eq!(cube_root(u128::from(root + 1).pow(3) - 1), root);
        }
        assert_eq!(cube_root(u128::MAX), (1 << 32) - 1);
    }

    #[test]
    fn slow_start_doubles_in_each_round_trip() {
        let mut cubic = Cubic::new(MTU);
        for expected in [10_000, 20_000, 40_000, 80_000] {
            assert_eq!(cubic.window(), expected);
            round(&mut cubic, at(0));
        }
        assert_eq!(Cubic::new(9_000).window(), 18_000, "at least two packets");
        assert_eq!(Cubic::new(1_472).window(), 14_720);
    }

    #[test]
    fn a_loss_takes_three_tenths_and_one_round_trip_counts_as_one() {
        let mut cubic = Cubic::new(MTU);
        (0..3).for_each(|_| round(&mut cubic, at(0)));
        cubic.on_loss(at(500), at(400));
        assert_eq!(cubic.window(), 56_000);
        cubic.on_loss(at(510), at(500));
        assert_eq!(cubic.window(), 56_000, "sent before the first loss was answered");
        cubic.on_ack(at(520), at(500), 1_000, RTT, true);
        assert_eq!(cubic.window(), 56_000);
        cubic.on_loss(at(620), at(501));
        assert_eq!((cubic.window(), cubic.max), (39_200, 56_000 * 17 / 20), "fast convergence");
    }

    #[test]
    fn the_window_is_back_after_k_and_grows_faster_from_there() {
        let mut cubic = Cubic::new(MTU);
        (0..7).for_each(|_| round(&mut cubic, at(0)));
        assert_eq!(cubic.window(), 1_280_000);
        cubic.on_loss(at(1), at(0));
        // K = cbrt(384 packets / 0.4) s.
        let k = 9_864;
        round(&mut cubic, at(100));
        assert_eq!(cubic.epoch.unwrap().k, k);
        let mut reached = Vec::new();
        for ms in (200..20_000).step_by(100) {
            round(&mut cubic, at(ms));
            reached.push(cubic.window());
        }
        let back = &reached[usize::try_from(k / 100 - 2).unwrap()];
        assert!(back.abs_diff(1_280_000) < 3_000, "{back}");
        let growth: Vec<u64> = reached.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(growth[10] > growth[60] && growth[60] > growth[90], "slower towards the maximum");
        assert!(growth[110] < growth[140] && growth[140] < growth[180], "faster beyond it");
    }

    #[test]
    fn on_a_short_path_it_is_no_slower_than_reno() {
        let rtt = Duration::from_millis(1);
        let mut cubic = Cubic::new(MTU);
        cubic.on_loss(at(1), at(0));
        assert_eq!(cubic.window(), 7_000);
        for ms in 2..102 {
            for _ in 0..cubic.window() / MTU as u64 {
                cubic.on_ack(at(ms), at(ms), MTU as u64, rtt, true);
            }
        }
        // 9/17 of a packet for each of six round trips up to 10 packets, then one for each.
        let reno = 10_000 + (100 - 6) * 1_000;
        assert!(cubic.window().abs_diff(reno) < 6_000, "{}", cubic.window());
    }

    #[test]
    fn time_in_which_the_window_was_not_used_does_not_count() {
        let mut cubic = Cubic::new(MTU);
        (0..5).for_each(|_| round(&mut cubic, at(0)));
        cubic.on_loss(at(1), at(0));
        round(&mut cubic, at(100));
        let before = cubic.window();
        for ms in (200..60_000).step_by(100) {
            cubic.on_ack(at(ms), at(ms), 1_000, RTT, false);
        }
        assert_eq!(cubic.window(), before);
        round(&mut cubic, at(60_000));
        assert!(cubic.window() < before + before / 8, "no jump: {}", cubic.window());
    }
}
