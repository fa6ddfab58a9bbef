//! `anabranch trace`: what can be done with recordings and captures.

pub mod import;

use crate::cli::trace::Command;
use crate::exit::Failure;
use crate::report::Report;

/// Does what is asked for.
///
/// # Errors
/// Whatever is in the way, and differences that were found.
pub fn run(command: &Command, report: &Report) -> Result<(), Failure> {
    match command {
        Command::Import(args) => import::run(args, report),
    }
}
