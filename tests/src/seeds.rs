//! Runs a test over many seeds, and says how to run a failing one again.

use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// Calls `body` with `count` different seeds.
///
/// `ANABRANCH_SEED=n` runs that one seed, `ANABRANCH_SEEDS=n` another number of them. A panic
/// prints the seed and the command that repeats it.
///
/// # Panics
/// If `body` does, or for a variable that is not a number.
#[track_caller]
pub fn each(count: u64, body: impl Fn(u64)) {
    let (first, count) = range(count);
    let file = Location::caller().file();
    for seed in first..first + count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(seed))) {
            eprintln!("seed {seed} failed. Again: {}", replay(file, seed));
            resume_unwind(panic);
        }
    }
}

/// The first seed, and how many, if a test would run `count` by itself.
fn range(count: u64) -> (u64, u64) {
    let number = |name: &str| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    match number("ANABRANCH_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("ANABRANCH_SEEDS").unwrap_or(count)),
    }
}

/// How many seeds [`each`] runs, if a test would run `count` by itself.
///
/// # Panics
/// For a variable that is not a number.
#[must_use]
pub fn count(count: u64) -> u64 {
    range(count).1
}

fn replay(file: &str, seed: u64) -> String {
    let inside = file.rsplit_once("tests/tests/").map_or(file, |(_, inside)| inside);
    let binary = inside.split(['/', '.']).next().unwrap_or_default();
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default().to_owned();
    format!("ANABRANCH_SEED={seed} cargo test -p anabranch-tests --test {binary} {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replay_command_names_binary_test_and_seed() {
        for file in ["tests/tests/net.rs", "/x/tests/tests/net/media.rs"] {
            let command = replay(file, 7);
            let expected = "ANABRANCH_SEED=7 cargo test -p anabranch-tests --test net seeds::";
            assert!(command.starts_with(expected), "{command}");
        }
    }
}
