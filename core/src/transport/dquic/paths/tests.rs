use super::*;
use crate::rng::Seed;

const WAIT: Duration = Duration::from_millis(300);

fn path(port: u16) -> Path {
    let addr = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    Path { local: addr(9_000), remote: addr(port) }
}

fn server() -> Paths {
    let mut paths = Paths::new(Side::Server, path(1), Seed::from_u64(1).stream("paths"));
    paths.set_validated();
    paths
}

#[test]
fn an_address_that_is_not_proved_gets_three_times_its_bytes() {
    let mut paths = Paths::new(Side::Server, path(1), Seed::from_u64(1).stream("paths"));
    assert_eq!(paths.allowance(), 0);
    paths.received(path(1), 100);
    paths.received(path(2), 5_000);
    assert_eq!(paths.allowance(), 300);
    paths.sent(path(1), 250);
    assert_eq!(paths.allowance(), 50);
    paths.sent(path(1), 250);
    assert_eq!(paths.allowance(), 0);
    paths.set_validated();
    assert_eq!(paths.allowance(), u64::MAX);
}

#[test]
fn a_move_is_followed_and_proved() {
    let mut paths = server();
    assert!(!paths.follow(Instant::ZERO, path(1), 100), "it is there already");
    assert!(paths.follow(Instant::ZERO, path(2), 100));
    assert_eq!((paths.current(), paths.allowance()), (path(2), 300));
    let first = paths.challenge(Instant::ZERO, WAIT).expect("a challenge");
    assert_eq!(paths.challenge(Instant::ZERO, WAIT), None, "not yet again");
    let again = paths.deadline().unwrap();
    let second = paths.challenge(again, WAIT).expect("another one");
    assert_ne!(first, second);
    assert_eq!(paths.answered([0; 8]), Proof::None);
    assert_eq!(paths.answered(first), Proof::Validated(path(2)), "a late answer is good too");
    assert_eq!(paths.answered(second), Proof::None);
    assert!(paths.is_validated() && paths.deadline().is_none());
}

#[test]
fn a_path_that_never_answers_is_left_for_the_last_good_one() {
    let mut paths = server();
    paths.follow(Instant::ZERO, path(2), 100);
    let mut asked = 0;
    // Another move before the first one was proved: the way back stays the proved path.
    let at = paths.deadline().unwrap();
    assert!(paths.challenge(at, WAIT).is_some());
    paths.follow(at, path(3), 100);
    while let Some(at) = paths.deadline() {
        assert!(asked < 20, "it never ends");
        asked += usize::from(paths.challenge(at, WAIT).is_some());
    }
    assert_eq!(asked, MAX_CHALLENGES);
    assert_eq!((paths.current(), paths.is_validated()), (path(1), true));
    // And it is followed there again.
    assert!(paths.follow(Instant::ZERO, path(3), 100));
}

#[test]
fn the_way_back_needs_no_proof() {
    let mut paths = server();
    paths.follow(Instant::ZERO, path(2), 100);
    assert!(paths.follow(Instant::ZERO, path(1), 100));
    assert!(paths.is_validated());
}

#[test]
fn servers_do_not_move_and_clients_move_themselves() {
    let mut paths = Paths::new(Side::Client, path(1), Seed::from_u64(1).stream("paths"));
    assert!(paths.is_validated());
    let elsewhere = path(2);
    assert!(!paths.accepts(elsewhere) && !paths.follow(Instant::ZERO, elsewhere, 100));
    let home = Path { local: std::net::SocketAddr::from(([10, 0, 0, 1], 5)), ..path(1) };
    assert!(paths.accepts(home));
    paths.rebind(home);
    assert_eq!((paths.current(), paths.allowance()), (home, u64::MAX));
}

#[test]
fn answers_are_bounded() {
    let mut paths = server();
    for n in 0..100 {
        paths.asked(path(1), [n; 8], false);
    }
    let answers = std::iter::from_fn(|| paths.answer()).collect::<Vec<_>>();
    assert_eq!(answers.len(), limits::MAX_PATH_ANSWERS);
    assert_eq!(answers.last(), Some(&(path(1), [99; 8], false)), "the newest are kept");
}
