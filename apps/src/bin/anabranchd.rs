//! The server. See `docs/operations.md`.

use std::process::ExitCode;

use anabranch_apps::cli::server::Args;
use anabranch_apps::{cli, serve, server_log};
use clap::{CommandFactory as _, Parser as _};

fn main() -> ExitCode {
    let args = Args::parse();
    server_log::init(args.verbosity);
    let outcome = match &args.help {
        Some(help) => cli::help(help, Args::command()).map(|()| anabranch_apps::exit::Exit::Ok),
        None => serve::run(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            log::error!("{failure}");
            failure.exit.into()
        }
    }
}
