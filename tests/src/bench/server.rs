//! Starts `anabranchd` for a benchmark.

use super::Outcome;
use super::proc::Running;
use super::programs::Programs;

/// Starts it on loopback with one file, named from the scratch folder.
///
/// # Errors
/// It does not start.
pub fn start(programs: &Programs, media: &str, flags: &[&str]) -> Outcome<(Running, u16)> {
    let mut args = vec!["--listen", "127.0.0.1", "--port", "0", "--quiet", "--media", media];
    args.extend(flags);
    programs.serve("anabranchd", &args)
}
