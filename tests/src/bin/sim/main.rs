//! The simulator: whole worlds from seeds (`make sim SEEDS=100`).
//!
//! Prints a line for each run, with its seed and everything the seed drew. A run that fails
//! prints the rule that was broken, the last steps, and the command that repeats it.

mod args;
mod canaries;
mod workers;

use std::process::ExitCode;

use anabranch_tests::deterministic;
use anabranch_tests::sim::outcome::{self, Failure, Outcome, simulate, simulate_twice};
use anabranch_tests::sim::summary::Summary;
use anabranch_tests::sim::swarm::Swarm;
use anabranch_tests::stack::Kind;
use clap::Parser as _;

use args::{Args, Trial};

anabranch_tests::answer_clocks!();
anabranch_tests::answer_randomness!();

fn main() -> ExitCode {
    let args = Args::parse();
    outcome::keep_panics();
    let done = match (&args.planted, args.worker) {
        (Some(_), _) => canaries::hunt(&args),
        (None, Some(_)) => Ok(work(&args)),
        (None, None) => workers::run(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs this process's share of the trials, and prints its counts at the end. Whether all is well.
fn work(args: &Args) -> bool {
    let mut summary = Summary::default();
    for trial in args.trials() {
        let outcome = run(args, &trial);
        summary.add(&outcome);
        report(args, &outcome);
    }
    print!("{}", summary.lines());
    summary.failed() == 0
}

/// One run, or two that have to be the same.
fn run(args: &Args, trial: &Trial) -> Outcome {
    if args.verbose {
        let swarm = Swarm::draw(&trial.seed.seed(), trial.transport);
        eprintln!("seed {} {}, {swarm}", trial.seed, trial.transport.name());
    }
    // Without the feature, the bytes of QUIC differ from run to run.
    let repeats = deterministic::BYTES || trial.transport == Kind::Dquic;
    match repeats && !args.once {
        true => simulate_twice(trial.seed, trial.transport, args.verbose),
        false => simulate(trial.seed, trial.transport, args.verbose),
    }
}

fn report(args: &Args, outcome: &Outcome) {
    if args.hash_only {
        let (seed, transport) = (outcome.seed, outcome.transport.name());
        println!("{seed} {transport} {:016x}", outcome.hash);
    } else {
        println!("{outcome}");
    }
    if let Some(Failure { what, at, steps }) = &outcome.failure {
        let (seed, transport) = (outcome.seed, outcome.transport.name());
        println!("  FAILED at {at:?}: {}", what.replace('\n', "\n  "));
        if !steps.is_empty() {
            println!("  the last steps:\n{}", steps.trim_end());
        }
        println!("  again: {} --seed {seed} --transport {transport} --verbose", args::PROGRAM);
    }
}
