//! Runs that can be repeated to the byte, with all of QUIC and its encryption in them.
//!
//! quiche and BoringSSL read the clock and draw random numbers themselves. A binary whose runs
//! are to be equal answers both ([`answer_clocks!`](crate::answer_clocks),
//! [`answer_randomness!`](crate::answer_randomness)) and is built with the feature
//! `deterministic`, which needs a BoringSSL of its own flavour (see `scripts/sim`): its generator
//! then counts calls from zero, while everything is encrypted as always. Without the feature runs
//! repeat their times but not the bytes of QUIC.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::virtual_clock::Virtual;
use crate::virtual_random::Seeded;

/// Whether the bytes of QUIC repeat too: the feature is on.
pub const BYTES: bool = cfg!(feature = "deterministic");

/// What a run may nest. More than a thread's usual stack, as debug builds need.
const STACK: usize = 16 << 20;

/// BoringSSL's count of calls is one for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `body` in a world that depends on nothing but the seed: in a fresh thread (hash keys and
/// generators are per thread), in virtual time from [`START`](crate::virtual_clock::START), with
/// every source of randomness reset. Runs of one process take turns. Nothing else may use
/// BoringSSL meanwhile.
///
/// # Panics
/// If `body` does, with its payload; within a run; or if the binary does not answer its clocks and
/// its randomness itself.
pub fn run<T: Send>(seed: u64, body: impl FnOnce() -> T + Send) -> T {
    assert!(!Seeded::is_on(), "runs do not nest");
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let reset_and_run = || {
            let _clock = Virtual::start();
            let _seeded = Seeded::start(seed);
            reset(seed);
            body()
        };
        let name = thread::current().name().unwrap_or("run").to_owned();
        let thread = thread::Builder::new().name(name).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, reset_and_run).expect("a thread");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(not(feature = "deterministic"))]
const fn reset(_seed: u64) {}

/// Resets BoringSSL's generator, and moves it to a place that the seed picks.
#[cfg(feature = "deterministic")]
fn reset(seed: u64) {
    unsafe extern "C" {
        fn RAND_reset_for_fuzzing();
    }
    // SAFETY: it sets a counter that only [`run`]'s threads use, one after the other.
    unsafe { RAND_reset_for_fuzzing() };
    // The generator knows no seed. Its state after a draw depends on the draw's length in blocks of
    // 16 bytes, so sixteen draws whose lengths spell the seed take it to a state of the seed's own.
    let mut out = [0; 256];
    for nibble in 0..16 {
        let blocks = usize::try_from(seed >> (4 * nibble) & 15).expect("below 16") + 1;
        boring::rand::rand_bytes(&mut out[..16 * blocks]).expect("it cannot fail");
    }
}
