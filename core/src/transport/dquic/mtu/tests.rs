use super::*;

/// Searches on a path that carries datagrams of `carries` bytes.
fn search(mtu: &mut Mtu, now: Instant, carries: usize) -> usize {
    let mut probes = 0;
    while let Some(size) = mtu.probe(now) {
        mtu.probed(size);
        assert_eq!(mtu.probe(now), None, "one at a time");
        probes += 1;
        assert!(probes < 100, "it never ends");
        if size <= carries {
            assert!(mtu.acked(now, size));
        } else {
            mtu.probe_lost(now, size);
        }
    }
    probes
}

#[test]
fn the_largest_size_is_found() {
    for carries in 1_200..=1_500 {
        for most in [1_200, 1_452, 1_500, 16_383] {
            let mut mtu = Mtu::new(most, true);
            let probes = search(&mut mtu, Instant::ZERO, carries);
            let best = carries.min(most);
            let found = mtu.current();
            assert!(found <= best && found + CLOSE_ENOUGH >= best, "{found} of {best}");
            assert!(probes <= 3 * 12, "{probes} probes");
        }
    }
}

#[test]
fn a_size_that_everything_carries_is_found_at_once() {
    let mut mtu = Mtu::new(16_383, true);
    assert_eq!(search(&mut mtu, Instant::ZERO, 65_000), 1);
    assert_eq!(mtu.current(), 16_383);
}

#[test]
fn without_a_search_nothing_is_asked() {
    let mut mtu = Mtu::new(1_350, false);
    assert_eq!((mtu.current(), mtu.probe(Instant::ZERO)), (1_350, None));
    assert!((0..100).all(|_| !mtu.lost(Instant::ZERO, 1_350)));
}

#[test]
fn it_is_looked_for_again_after_a_while() {
    let mut mtu = Mtu::new(9_000, true);
    search(&mut mtu, Instant::ZERO, 1_500);
    assert_eq!(mtu.probe(Instant::ZERO + RAISE / 2), None);
    search(&mut mtu, Instant::ZERO + RAISE, 4_000);
    assert!(mtu.current() > 3_900);
}

#[test]
fn losses_of_large_packets_alone_show_a_black_hole() {
    let mut mtu = Mtu::new(1_500, true);
    search(&mut mtu, Instant::ZERO, 1_500);
    let now = Instant::ZERO + Duration::from_secs(1);
    for _ in 0..10 {
        // Large packets that arrive in between: it is only loss.
        assert!((1..MAX_LOST).all(|_| !mtu.lost(now, 1_500)));
        mtu.acked(now, 1_400);
    }
    for n in 1..=MAX_LOST {
        // Small ones say nothing.
        mtu.acked(now, 100);
        assert!(!mtu.lost(now, 100));
        assert_eq!(mtu.lost(now, 1_500), n == MAX_LOST);
    }
    assert_eq!((mtu.current(), mtu.probe(now)), (1_200, None));
    search(&mut mtu, now + AFTER_BLACK_HOLE, 1_400);
    assert!(mtu.current() > 1_380);
}
