//! The client. See `docs/operations.md`.

#[cfg(wrapped_key_usage)]
mod key_usage;

use std::process::ExitCode;

use anabranch_apps::cli::client::Args;
use clap::Parser as _;

fn main() -> ExitCode {
    anabranch_apps::client::run(&Args::parse()).into()
}
