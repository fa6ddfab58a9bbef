//! The clocks of a test binary answer from virtual time.

use std::time::{Duration, Instant, SystemTime};

use anabranch_tests::libc;
use anabranch_tests::virtual_clock::{EPOCH, START, Virtual};

anabranch_tests::answer_clocks!();

#[test]
fn virtual_time_stands_still_until_it_is_set() {
    let clock = Virtual::start();
    let first = Instant::now();
    assert_eq!(Instant::now(), first);
    clock.set(START + Duration::from_nanos(17));
    assert_eq!(Instant::now() - first, Duration::from_nanos(17));
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expected = Duration::from_millis(EPOCH.0) + Duration::from_nanos(START.as_nanos() + 17);
    assert_eq!(wall, expected);
    // SAFETY: a null pointer is allowed.
    let seconds = unsafe { libc::time(std::ptr::null_mut()) };
    assert_eq!(u64::try_from(seconds).unwrap(), expected.as_secs());
}

#[test]
fn other_threads_and_later_times_are_real() {
    let real = SystemTime::now();
    let clock = Virtual::start();
    let elsewhere = std::thread::spawn(SystemTime::now).join().unwrap();
    assert!(elsewhere >= real, "another thread has real time");
    assert!(SystemTime::now() < real, "this one has not");
    drop(clock);
    assert!(SystemTime::now() >= elsewhere, "and has it back");
}
