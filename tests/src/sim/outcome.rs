//! One run of a world from its seed to its verdict.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anabranch_core::Instant;

use super::seed::WorldSeed;
use super::swarm::Swarm;
use super::world::{Tally, World};
use crate::deterministic;
use crate::network::Fates;
use crate::stack::Kind;
use crate::virtual_clock::START;

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What decided it.
    pub seed: WorldSeed,
    /// What carried its connections.
    pub transport: Kind,
    /// What the seed drew.
    pub options: String,
    /// How long it was, in the world's time.
    pub time: Duration,
    /// What happened, counted.
    pub tally: Tally,
    /// What became of the datagrams.
    pub fates: Fates,
    /// All of it in one number.
    pub hash: u64,
    /// What went wrong.
    pub failure: Option<Failure>,
}

/// What an oracle found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The rule that was broken, and where it is in the sources.
    pub what: String,
    /// When, in the world's time.
    pub at: Instant,
    /// The last steps before it.
    pub steps: String,
}

thread_local! {
    static WHERE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on panics of this process are kept for the verdict, instead of being printed at once.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without words");
        let what = format!("{text} ({})", place.unwrap_or_default());
        WHERE.with_borrow_mut(|kept| *kept = what);
    }));
}

/// Runs the world of a seed. With `loud`, every step is printed as it happens.
#[must_use]
pub fn simulate(seed: WorldSeed, transport: Kind, loud: bool) -> Outcome {
    deterministic::run(seed.0, || run(seed, transport, loud))
}

/// Runs the world of a seed with a bug in it.
#[cfg(feature = "planted")]
#[must_use]
pub fn simulate_with(bug: anabranch_core::planted::Bug, seed: WorldSeed, on: Kind) -> Outcome {
    deterministic::run(seed.0, || {
        anabranch_core::planted::choose(Some(bug));
        run(seed, on, false)
    })
}

fn run(seed: WorldSeed, transport: Kind, loud: bool) -> Outcome {
    let swarm = Swarm::draw(&seed.seed(), transport);
    let options = swarm.to_string();
    let mut world = World::new(seed.seed(), swarm);
    world.set_loud(loud);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = result.err().map(|panic| {
        world.give_up();
        let kept = WHERE.take();
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let what = if kept.is_empty() { text } else { kept };
        Failure { what, at: world.now(), steps: world.last_steps() }
    });
    Outcome {
        seed,
        transport,
        options,
        time: world.now() - START,
        tally: world.tally().clone(),
        fates: world.fates(),
        hash: world.hash(),
        failure,
    }
}

/// Runs it twice, and says so if the two are not the same.
#[must_use]
pub fn simulate_twice(seed: WorldSeed, transport: Kind, loud: bool) -> Outcome {
    let mut first = simulate(seed, transport, loud);
    let second = simulate(seed, transport, false);
    if first.failure.is_none() && first.hash != second.hash {
        let what = format!(
            "determinism: the same seed gives {:016x} and then {:016x}",
            first.hash, second.hash
        );
        first.failure = Some(Failure { what, at: START + first.time, steps: String::new() });
    }
    first
}

/// Everything in one line, but for the reasons of a failure.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failure.is_none() { "ok" } else { "FAILED" };
        write!(
            f,
            "seed {} {} {verdict} {:.1} s, {} datagrams, {} events, hash {:016x}, {}",
            self.seed,
            self.transport.name(),
            self.time.as_secs_f32(),
            self.tally.datagrams,
            self.tally.events,
            self.hash,
            self.options
        )
    }
}
