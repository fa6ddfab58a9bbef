//! How the programs end: exit codes, and failures that say what happened, to what, and what to
//! do next.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

/// The exit codes, one for each kind of end. `docs/operations.md` holds the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything asked for was done.
    Ok,
    /// Something else.
    Other,
    /// The command line is wrong.
    Usage,
    /// Some files were transferred, and some not.
    Partial,
    /// A file has changed while it was sent.
    SourceChanged,
    /// Something took too long.
    Timeout,
    /// A file is not in order.
    Data,
    /// A file to read, or the media asked for, is not there.
    NoInput,
    /// The host name is unknown.
    HostUnknown,
    /// Nobody answers, the server is shutting down, or the port is taken.
    Unavailable,
    /// A bug.
    Internal,
    /// The output cannot be made.
    CantCreate,
    /// Reading or writing failed.
    Io,
    /// It failed this time, and trying again later is safe.
    Temporary,
    /// The peer speaks another protocol, or broke the rules of ours.
    Protocol,
    /// The server refused, or is not trusted.
    Refused,
    /// The settings, the certificate or the key are wrong.
    Config,
    /// The server's key is not the one that is known.
    HostKeyChanged,
    /// What was compared is not the same.
    Different,
    /// Ended by an interrupt (Ctrl-C).
    Interrupted,
    /// The reader of the output went away.
    BrokenPipe,
    /// Ended by SIGTERM.
    Terminated,
}

impl Exit {
    /// Every exit code, in order of number.
    pub const ALL: [Self; 22] = [
        Self::Ok,
        Self::Other,
        Self::Usage,
        Self::Partial,
        Self::SourceChanged,
        Self::Timeout,
        Self::Data,
        Self::NoInput,
        Self::HostUnknown,
        Self::Unavailable,
        Self::Internal,
        Self::CantCreate,
        Self::Io,
        Self::Temporary,
        Self::Protocol,
        Self::Refused,
        Self::Config,
        Self::HostKeyChanged,
        Self::Different,
        Self::Interrupted,
        Self::BrokenPipe,
        Self::Terminated,
    ];

    /// The number given to the operating system: those of sysexits where they fit, and 128 plus
    /// the signal's number where a signal ended the program.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Partial => 23,
            Self::SourceChanged => 24,
            Self::Timeout => 30,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::HostUnknown => 68,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::CantCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Protocol => 76,
            Self::Refused => 77,
            Self::Config => 78,
            Self::HostKeyChanged => 80,
            Self::Different => 81,
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
            Self::Terminated => 143,
        }
    }

    /// The meaning, as in the table of `docs/operations.md`.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "everything asked for was done",
            Self::Other => "something else went wrong",
            Self::Usage => "the command line is wrong",
            Self::Partial => "some files were transferred, and some were not",
            Self::SourceChanged => "a file has changed while it was sent",
            Self::Timeout => "something took too long",
            Self::Data => "a trace, a capture or a file that was sent is damaged, or of no use",
            Self::NoInput => "a file to read, or what was asked for, is not there",
            Self::HostUnknown => "the host name is unknown",
            Self::Unavailable => {
                "nobody answers, the server is shutting down, or the port is taken"
            }
            Self::Internal => "a bug in the program",
            Self::CantCreate => "the output cannot be made, or is there already",
            Self::Io => "reading or writing failed (a full disk, for example)",
            Self::Temporary => "it failed this time; trying again later is safe",
            Self::Protocol => "the peer speaks another protocol, or broke the rules of ours",
            Self::Refused => "the server refused, or is not trusted",
            Self::Config => "the settings, the certificate or the key are wrong",
            Self::HostKeyChanged => "the server's key is not the one that is known",
            Self::Different => "what was compared is not the same",
            Self::Interrupted => "ended by an interrupt (Ctrl-C, SIGINT)",
            Self::BrokenPipe => "the reader of standard output went away (SIGPIPE)",
            Self::Terminated => "ended by SIGTERM",
        }
    }

    /// Rows of a Markdown table.
    #[must_use]
    pub fn table() -> String {
        Self::ALL
            .iter()
            .map(|exit| format!("| {} | {} |\n", exit.number(), exit.meaning()))
            .collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

impl Serialize for Exit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// Why a program ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, and to what.
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None }
    }

    /// The same, with advice on what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file that could not be read.
    #[must_use]
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::IsADirectory => Exit::NoInput,
            _ => Exit::Io,
        };
        Self::new(exit, format!("cannot read {}: {}", path.display(), plain(error)))
    }

    /// A file that could not be made.
    #[must_use]
    pub fn creating(path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::CantCreate, format!("cannot create {}: {}", path.display(), plain(error)))
    }

    /// A file that could not be written to.
    #[must_use]
    pub fn writing(what: &str, error: &io::Error) -> Self {
        let failure = Self::new(Exit::Io, format!("cannot write to {what}: {}", plain(error)));
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::BrokenPipe, "the reader went away"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                failure.hint("make room on that file system, or write to another place")
            }
            _ => failure,
        }
    }
}

/// The error's words without "(os error 2)".
#[must_use]
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  {}", hint.replace('\n', "\n  ")))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_this_one() {
        let docs = include_str!("../../docs/operations.md");
        assert!(
            docs.contains(&Exit::table()),
            "docs/operations.md should hold:\n{}",
            Exit::table()
        );
    }

    #[test]
    fn numbers_are_in_order_and_used_once() {
        assert!(Exit::ALL.is_sorted_by(|a, b| a.number() < b.number()));
    }

    #[test]
    fn a_full_disk_and_a_broken_pipe_have_their_own_codes() {
        let full = Failure::writing("x", &io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit, Exit::Io);
        assert!(full.hint.is_some());
        let pipe = Failure::writing("x", &io::ErrorKind::BrokenPipe.into());
        assert_eq!(pipe.exit, Exit::BrokenPipe);
    }
}
