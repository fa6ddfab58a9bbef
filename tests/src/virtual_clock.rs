//! Virtual time for code that reads the clock itself.
//!
//! quiche and BoringSSL do not take the time as an argument. A test binary that runs them under
//! virtual time therefore defines the C symbols `clock_gettime`, `gettimeofday` and `time`
//! (with [`answer_clocks!`](crate::answer_clocks), once, at its root) in front of the C library's.
//! They answer from the calling thread's virtual time while one is set, and from the kernel
//! otherwise, so that the test runner and other threads see real time.
//!
//! Time stands still between two calls of [`Virtual::set`], so that every read of the clock
//! within one call into the code under test gives the same answer.
//!
//! This is the only unsafe code of the tests.

use std::cell::Cell;
use std::marker::PhantomData;

use anabranch_core::{Instant, UnixMillis};

/// Where virtual time starts. Far from zero, since quiche subtracts durations from points in
/// time.
pub const START: Instant = Instant::from_nanos(1_000_000_000_000);
/// The wall-clock time at [`Instant::ZERO`]: 2023-11-14T22:13:20Z.
pub const EPOCH: UnixMillis = UnixMillis(1_700_000_000_000);

const NANOS: u64 = 1_000_000_000;

thread_local! {
    // Constant and without a destructor: reading it neither allocates nor registers anything,
    // so it is safe in any place a clock can be read from.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// While this lives, the thread that made it has virtual time.
#[derive(Debug)]
pub struct Virtual {
    before: u64,
    // Bound to its thread.
    not_send: PhantomData<*const ()>,
}

impl Virtual {
    /// Starts virtual time on this thread, at [`START`].
    ///
    /// # Panics
    /// If the binary does not answer the clocks with it: it needs
    /// [`answer_clocks!`](crate::answer_clocks).
    #[must_use]
    pub fn start() -> Self {
        let before = NOW.replace(START.as_nanos());
        let first = std::time::Instant::now();
        let clock = Self { before, not_send: PhantomData };
        clock.set(START + std::time::Duration::from_secs(1));
        let passed = std::time::Instant::now() - first;
        assert_eq!(passed.as_secs(), 1, "put anabranch_tests::answer_clocks!() at the root");
        clock.set(START);
        clock
    }

    /// It is now `now`, until the next call.
    pub fn set(&self, now: Instant) {
        NOW.set(now.as_nanos());
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        NOW.set(self.before);
    }
}

/// What a clock answers: seconds and nanoseconds.
type Reading = (u64, u64);

/// The answer for one of the kernel's clocks while virtual time is set.
fn read(clock: libc::clockid_t) -> Option<Reading> {
    let now = NOW.get();
    if now == 0 {
        return None;
    }
    let offset = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => EPOCH.0 / 1_000,
        _ => 0,
    };
    Some((offset + now / NANOS, now % NANOS))
}

/// The kernel's answer. Not through the C library, whose symbol is ours now.
fn kernel(clock: libc::clockid_t) -> (libc::c_long, libc::timespec) {
    let mut out = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `clock_gettime(2)` writes one `timespec` to the place it is given, and `out` is one.
    let status = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut out) };
    (status, out)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The C function `clock_gettime`.
///
/// # Safety
/// As in C: `out` is valid for a write of one `timespec`.
#[doc(hidden)]
pub unsafe fn clock_gettime(clock: libc::clockid_t, out: *mut libc::timespec) -> libc::c_int {
    let (status, answer) = match read(clock) {
        Some((s, n)) => (0, libc::timespec { tv_sec: signed(s), tv_nsec: signed(n) }),
        None => kernel(clock),
    };
    if status != 0 {
        return -1;
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(answer) };
    0
}

/// The C function `gettimeofday`.
///
/// # Safety
/// As in C: `out` is valid for a write of one `timeval`.
#[doc(hidden)]
pub unsafe fn gettimeofday(out: *mut libc::timeval) -> libc::c_int {
    let answer = wall();
    let answer = libc::timeval { tv_sec: answer.tv_sec, tv_usec: answer.tv_nsec / 1_000 };
    // SAFETY: the caller's promise.
    unsafe { out.write(answer) };
    0
}

/// The C function `time`.
///
/// # Safety
/// As in C: `out` is null or valid for a write of one `time_t`.
#[doc(hidden)]
pub unsafe fn time(out: *mut libc::time_t) -> libc::time_t {
    let answer = wall().tv_sec;
    if !out.is_null() {
        // SAFETY: the caller's promise, and it is not null.
        unsafe { out.write(answer) };
    }
    answer
}

fn wall() -> libc::timespec {
    match read(libc::CLOCK_REALTIME) {
        Some((s, n)) => libc::timespec { tv_sec: signed(s), tv_nsec: signed(n) },
        None => kernel(libc::CLOCK_REALTIME).1,
    }
}

/// Makes this binary's clocks answer from [`Virtual`](crate::virtual_clock::Virtual) time on
/// threads that have it. Once, at the root of a test binary.
#[macro_export]
macro_rules! answer_clocks {
    () => {
        mod answered_clocks {
            use $crate::virtual_clock as clock;

            // SAFETY: the three have the C library's signatures and meaning, and stand in front
            // of its symbols in this binary only.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn clock_gettime(
                id: $crate::libc::clockid_t,
                out: *mut $crate::libc::timespec,
            ) -> $crate::libc::c_int {
                // SAFETY: the caller's promise is handed on.
                unsafe { clock::clock_gettime(id, out) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn gettimeofday(
                out: *mut $crate::libc::timeval,
                _zone: *mut $crate::libc::c_void,
            ) -> $crate::libc::c_int {
                // SAFETY: the caller's promise is handed on.
                unsafe { clock::gettimeofday(out) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn time(out: *mut $crate::libc::time_t) -> $crate::libc::time_t {
                // SAFETY: the caller's promise is handed on.
                unsafe { clock::time(out) }
            }
        }
    };
}
