//! `anabranch trace`: what can be done with recordings and captures.

mod diff;
pub mod import;
mod reading;
mod replay;
mod show;
mod stats;
mod story;

use crate::cli::trace::Command;
use crate::exit::Failure;
use crate::report::Report;

/// Does what is asked for.
///
/// # Errors
/// Whatever is in the way, and differences that were found.
pub fn run(command: &Command, report: &Report) -> Result<(), Failure> {
    match command {
        Command::Show(args) => show::run(args, report),
        Command::Stats(args) => stats::run(args, report),
        Command::Replay(args) => replay::run(args, report),
        Command::Diff(args) => diff::run(args, report),
        Command::Import(args) => import::run(args, report),
    }
}
