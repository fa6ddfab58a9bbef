//! Randomness for code that asks the system for it.
//!
//! The standard library keys its hash maps with `getrandom`. A binary whose runs have to be
//! repeatable defines that C symbol (with [`answer_randomness!`](crate::answer_randomness), once,
//! at its root) in front of the C library's. It answers from the calling thread's
//! seed while one is set, and from the kernel otherwise.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    // Constant and without a destructor, so that it can be read from any place.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// While this lives, the thread that made it gets its randomness from a seed.
#[derive(Debug)]
pub struct Seeded {
    before: Option<u64>,
    // Bound to its thread.
    not_send: PhantomData<*const ()>,
}

impl Seeded {
    /// Starts it on this thread.
    ///
    /// # Panics
    /// If the binary does not answer `getrandom` with it: it needs
    /// [`answer_randomness!`](crate::answer_randomness).
    #[must_use]
    pub fn start(seed: u64) -> Self {
        let seeded = Self { before: STATE.replace(Some(seed)), not_send: PhantomData };
        // SAFETY: a length of zero writes nothing, and draws once from ours.
        unsafe { libc::getrandom(std::ptr::null_mut(), 0, 0) };
        let drawn = STATE.replace(Some(seed)) != Some(seed);
        assert!(drawn, "put anabranch_tests::answer_randomness!() at the root");
        seeded
    }

    /// Whether this thread gets its randomness from a seed.
    #[must_use]
    pub fn is_on() -> bool {
        STATE.get().is_some()
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        STATE.set(self.before);
    }
}

/// The next number of `SplitMix64`.
const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The C function `getrandom`.
///
/// # Safety
/// As in C: `out` is valid for a write of `len` bytes.
#[doc(hidden)]
pub unsafe fn getrandom(
    out: *mut libc::c_void,
    len: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    let Some(mut state) = STATE.get() else {
        // SAFETY: `getrandom(2)` writes at most `len` bytes to `out`, by the caller's promise.
        let answer = unsafe { libc::syscall(libc::SYS_getrandom, out, len, flags) };
        return libc::ssize_t::try_from(answer).unwrap_or(-1);
    };
    let mut number = splitmix(&mut state);
    for at in 0..len {
        // SAFETY: `at` is below `len`, and the caller's promise.
        unsafe { out.cast::<u8>().add(at).write(number.to_le_bytes()[at % 8]) };
        if at % 8 == 7 {
            number = splitmix(&mut state);
        }
    }
    STATE.set(Some(state));
    libc::ssize_t::try_from(len).unwrap_or(libc::ssize_t::MAX)
}

/// Makes this binary's `getrandom` answer from [`Seeded`](crate::virtual_random::Seeded)
/// randomness on threads that have it. Once, at the root of a binary.
#[macro_export]
macro_rules! answer_randomness {
    () => {
        mod answered_randomness {
            // SAFETY: it has the C library's signature and meaning, and stands in front of its
            // symbol in this binary only.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn getrandom(
                out: *mut $crate::libc::c_void,
                len: $crate::libc::size_t,
                flags: $crate::libc::c_uint,
            ) -> $crate::libc::ssize_t {
                // SAFETY: the caller's promise is handed on.
                unsafe { $crate::virtual_random::getrandom(out, len, flags) }
            }
        }
    };
}
