//! Bugs that are planted on purpose: the simulator has to find each of them.

use crate::args::Args;

/// Runs with a planted bug until it is found. Whether each was.
#[cfg(not(feature = "planted"))]
pub(crate) fn hunt(_: &Args) -> Result<bool, String> {
    Err("this build has no planted bugs: build it with --features planted".to_owned())
}

#[cfg(feature = "planted")]
pub(crate) use planted::hunt;

#[cfg(feature = "planted")]
mod planted {
    use anabranch_core::planted::Bug;
    use anabranch_tests::sim::outcome::simulate_with;
    use anabranch_tests::stack::Kind;

    use super::Args;

    /// A bug, where it can be, and the words with which the right oracle speaks.
    struct Canary {
        name: &'static str,
        bug: Bug,
        transports: &'static [Kind],
        oracles: &'static [&'static str],
    }

    const CANARIES: [Canary; 3] = [
        Canary {
            name: "retransmit-range",
            bug: Bug::RetransmitRange,
            transports: &[Kind::Dquic],
            oracles: &["liveness: ", "is wrong"],
        },
        Canary {
            name: "lost-wake-up",
            bug: Bug::LostWakeUp,
            transports: &Kind::ALL,
            oracles: &["liveness: "],
        },
        Canary {
            name: "pause-leaks",
            bug: Bug::PauseLeaks,
            transports: &Kind::ALL,
            oracles: &["pause: "],
        },
    ];

    /// Seeds in which a bug has to show.
    const SEEDS: u64 = 150;

    pub(crate) fn hunt(args: &Args) -> Result<bool, String> {
        let wanted = args.planted.as_deref().unwrap_or("all");
        let chosen = |canary: &&Canary| wanted == "all" || wanted == canary.name;
        let canaries: Vec<&Canary> = CANARIES.iter().filter(chosen).collect();
        if canaries.is_empty() {
            let names = CANARIES.map(|canary| canary.name).join(", ");
            return Err(format!("there is no bug {wanted:?} to plant, only {names}"));
        }
        let mut all = true;
        for canary in canaries {
            for transport in canary.transports {
                if args.transport.is_none_or(|wanted| wanted == *transport) {
                    all &= is_found(args, canary, *transport);
                }
            }
        }
        Ok(all)
    }

    fn is_found(args: &Args, canary: &Canary, transport: Kind) -> bool {
        let (name, on) = (canary.name, transport.name());
        for n in 0..args.seeds.max(SEEDS) {
            let seed = args.from.after(n);
            let outcome = simulate_with(canary.bug, seed, transport);
            let Some(failure) = outcome.failure else { continue };
            if canary.oracles.iter().any(|oracle| failure.what.contains(oracle)) {
                println!("planted {name} over {on}: found by seed {seed}: {}", failure.what);
                return true;
            }
            println!(
                "planted {name} over {on}: seed {seed} fails for another reason: {}",
                failure.what
            );
            return false;
        }
        println!("planted {name} over {on}: NOT FOUND in {SEEDS} seeds");
        false
    }
}
