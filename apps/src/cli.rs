//! The command lines of both programs.

pub mod client;
pub mod dquic;
pub mod files;
pub mod server;
pub mod trace;

use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// How much to say.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Verbosity {
    /// Say more (twice: for debugging; three times: every packet)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say only what goes wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// Commands that help with the program itself.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Help {
    /// Print the completion script of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The folder to write them to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Does a command that helps with the program itself.
///
/// # Errors
/// If the output cannot be written.
pub fn help(help: &Help, mut command: clap::Command) -> Result<(), Failure> {
    let name = command.get_name().to_owned();
    match help {
        Help::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, name, &mut script);
            use std::io::Write as _;
            let written = std::io::stdout().lock().write_all(&script);
            written.map_err(|error| Failure::writing("standard output", &error))
        }
        Help::Man { out } => man(command, out),
    }
}

fn man(command: clap::Command, out: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(out).map_err(|error| Failure::creating(out, &error))?;
    clap_mangen::generate_to(command, out)
        .map_err(|error| Failure::new(Exit::CantCreate, format!("{}: {error}", out.display())))
}
