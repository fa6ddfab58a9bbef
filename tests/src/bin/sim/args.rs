//! The command line.

use anabranch_tests::sim::seed::WorldSeed;
use anabranch_tests::stack::Kind;
use clap::Parser;

/// How a person calls this program.
pub(crate) const PROGRAM: &str = if anabranch_tests::deterministic::BYTES {
    "scripts/sim"
} else {
    "cargo run -p anabranch-tests --bin sim --"
};

/// Simulates whole worlds of servers, clients and faults, each from a seed.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Args {
    /// Run this seed: a number, or the hash of a commit
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    pub(crate) seed: Option<WorldSeed>,
    /// Run so many seeds
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// The first of them
    #[arg(long, default_value = "0")]
    pub(crate) from: WorldSeed,
    /// What carries the connections: quic or dquic; both unless said
    #[arg(long, value_parser = transport)]
    pub(crate) transport: Option<Kind>,
    /// Print every step on standard error
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Print the seed, the transport and the hash of each run, and nothing else
    #[arg(long)]
    pub(crate) hash_only: bool,
    /// Run each seed once: do not check that it gives the same twice
    #[arg(long)]
    pub(crate) once: bool,
    /// Plant a bug on purpose, and succeed if it is found ("all": one after the other)
    #[arg(long, value_name = "BUG")]
    pub(crate) planted: Option<String>,
    /// Processes to run at once; one for each processor unless said
    // A worker gets the arguments of its parent, and then its own.
    #[arg(long, overrides_with = "jobs")]
    pub(crate) jobs: Option<u64>,
    /// This process runs every n-th trial, beginning with this one
    #[arg(long, hide = true)]
    pub(crate) worker: Option<u64>,
}

/// A seed over a transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) seed: WorldSeed,
    pub(crate) transport: Kind,
}

fn transport(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| format!("there is no transport {text:?}"))
}

impl Args {
    /// How many processes run.
    pub(crate) fn jobs(&self) -> u64 {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let all =
            self.seed.map_or(self.seeds, |_| 1) * if self.transport.is_some() { 1 } else { 2 };
        let jobs = if self.verbose { 1 } else { self.jobs.unwrap_or_else(processors) };
        jobs.clamp(1, all.max(1))
    }

    /// What this process runs.
    pub(crate) fn trials(&self) -> impl Iterator<Item = Trial> {
        let (first, count) = self.seed.map_or((self.from, self.seeds), |seed| (seed, 1));
        let transports = self.transport.map_or(Kind::ALL.to_vec(), |one| vec![one]);
        let all = (0..count).flat_map(move |n| {
            let seed = first.after(n);
            transports.clone().into_iter().map(move |transport| Trial { seed, transport })
        });
        let (skip, step) = self.worker.map_or((0, 1), |worker| (worker, self.jobs()));
        let index = |n: u64| usize::try_from(n).expect("few processes");
        all.skip(index(skip)).step_by(index(step))
    }
}
