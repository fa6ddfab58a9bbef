//! The command lines of `anabranch send`, `get`, `rm` and `transfers`.

use std::path::PathBuf;
use std::time::Duration;

use anabranch_core::files::{Existing, Token};
use anabranch_core::limits;
use clap::Subcommand;

use super::client::Server;
use crate::units;

/// What becomes of files that the receiver has already, with other content.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Policy {
    /// Write over files that are there with other content
    #[arg(long, group = "existing")]
    pub overwrite: bool,
    /// Leave files that are there alone, and go on
    #[arg(long, group = "existing")]
    pub skip: bool,
    /// Give new files another name where one is taken
    #[arg(long, group = "existing")]
    pub rename: bool,
}

impl Policy {
    /// As the protocol calls it.
    #[must_use]
    pub const fn existing(self) -> Existing {
        match (self.overwrite, self.skip, self.rename) {
            (true, _, _) => Existing::Overwrite,
            (_, true, _) => Existing::Skip,
            (_, _, true) => Existing::Rename,
            (false, false, false) => Existing::Refuse,
        }
    }
}

/// What every transfer has.
#[derive(Clone, Debug, clap::Args)]
pub struct Course {
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub policy: Policy,
    /// At most so much in a second: 100MiB/s, 500kB/s
    #[arg(long, value_name = "RATE", value_parser = units::byte_rate)]
    pub limit: Option<u64>,
    /// Leave out permission bits
    #[arg(long)]
    pub no_modes: bool,
    /// Leave out times of modification
    #[arg(long)]
    pub no_times: bool,
    /// Begin a transfer of its own, and do not take up an earlier one with the same command
    #[arg(long)]
    pub no_resume: bool,
    /// How long to try again when the connection is lost
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = units::duration)]
    pub reconnect: Duration,
    /// The same as --reconnect 0
    #[arg(long, conflicts_with = "reconnect")]
    pub no_reconnect: bool,
    /// Show a line for each stream, if the terminal has room for it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub stream_view: bool,
}

impl Course {
    /// How long to try again.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        if self.no_reconnect { Duration::ZERO } else { self.reconnect }
    }
}

/// Send files and folders to a server
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  anabranch send report.pdf photos/ --host media.example
  anabranch send disk.img --to one.example --to two.example:9001
  tar c src | anabranch send - --name src.tar --into backups
The same command again goes on where it was interrupted.")]
pub struct Send {
    /// The files and folders, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// The name at the server, of a single file or folder
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The folder at the server to put them into
    #[arg(long, value_name = "FOLDER", default_value = "", hide_default_value = true)]
    pub into: String,
    /// Send to this server instead of --host; several times: to each of them, read once
    #[arg(long, value_name = "HOST[:PORT]", value_parser = host)]
    pub to: Vec<Host>,
    /// How many streams carry the bytes: auto, or 1 to 16
    #[arg(long, value_name = "N", default_value = "auto", value_parser = streams)]
    pub streams: Streams,
    /// Send what symbolic links point to; otherwise they are left out
    #[arg(long)]
    pub follow: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub course: Course,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// Get files and folders from a server
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  anabranch get shared/report.pdf
  anabranch get shared/photos shared/notes.txt -o here
  anabranch get shared/clip.y4m -o - | ffplay -
The same command again goes on where it was interrupted.")]
pub struct Get {
    /// The files and folders, as `anabranch ls` shows them
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// The folder to put them into, the new name of a single one, or - for standard output
    /// [default: this folder]
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Do not wait until the disk has it: faster, and a crash of the system may damage files
    #[arg(long)]
    pub no_sync: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub course: Course,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// Remove files and folders from a server
#[derive(Clone, Debug, clap::Args)]
pub struct Rm {
    /// The files and folders, as `anabranch ls` shows them
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// Transfers that are not complete: list them, pause, resume, cancel
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Without a command: those that were begun here, as `transfers list`.")]
pub struct Transfers {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub verb: Option<Verb>,
}

/// What to do about transfers.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List those that were begun here and are not complete; with --host, those of a server
    List(List),
    /// Pause one at its server
    Pause(Named),
    /// Go on with one that was begun here; or resume a paused one at its server
    Resume(Named),
    /// End one, at its server and here; what has arrived stays where it is
    Cancel(Named),
}

/// List transfers
#[derive(Clone, Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// One transfer.
#[derive(Clone, Debug, clap::Args)]
pub struct Named {
    /// Its token, as `anabranch transfers list` shows it; of one that was begun here, the first
    /// letters will do, and its server is known
    pub token: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// A server, in one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name or address.
    pub host: String,
    /// Its UDP port, if it is given.
    pub port: Option<u16>,
}

/// How many streams carry the bytes. `None`: as many as are good for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams(pub Option<usize>);

fn host(text: &str) -> Result<Host, String> {
    let wrong = || format!("{text:?} is not a server; write HOST, HOST:PORT or [IPV6]:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (
                host,
                if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':').ok_or_else(wrong)?)
                },
            )
        }
        // More than one colon: an IPv6 address without a port.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    let port = port.map(|port| port.parse().map_err(|_| wrong())).transpose()?;
    if host.is_empty() { Err(wrong()) } else { Ok(Host { host: host.to_owned(), port }) }
}

fn streams(text: &str) -> Result<Streams, String> {
    if text == "auto" {
        return Ok(Streams(None));
    }
    let most = limits::MAX_DATA_STREAMS;
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.map(|number| Streams(Some(number))).ok_or(format!("write auto, or 1 to {most}"))
}

/// Parses the whole token of a transfer.
#[must_use]
pub fn token(text: &str) -> Option<Token> {
    let mut token = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in token.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(Token(token))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::client::{Args, Command};

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Args::try_parse_from(line.split(' ')).map(|args| args.command)
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "anabranch send",
            "anabranch get",
            "anabranch rm",
            "anabranch send a --overwrite --skip",
            "anabranch get a --skip --rename",
            "anabranch send a --streams 0",
            "anabranch send a --streams 17",
            "anabranch send a --limit fast",
            "anabranch send a --no-reconnect --reconnect 3s",
            "anabranch send a --to :80",
            "anabranch transfers pause",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_transfer_has_its_switches() {
        let line = "anabranch send a b --streams 3 --limit 2MiB/s --rename --to h:1 --to ::1";
        let Ok(Command::Send(send)) = parse(line) else { panic!("{line}") };
        assert_eq!((send.paths.len(), send.streams), (2, Streams(Some(3))));
        assert_eq!(send.course.limit, Some(2 << 20));
        assert_eq!(send.course.policy.existing(), Existing::Rename);
        let to = |host: &str, port| Host { host: host.into(), port };
        assert_eq!(send.to, [to("h", Some(1)), to("::1", None)]);
        assert!(send.course.stream_view);

        let line = "anabranch get x -o - --no-reconnect --stream-view=false";
        let Ok(Command::Get(get)) = parse(line) else { panic!("{line}") };
        assert_eq!(get.course.policy.existing(), Existing::Refuse);
        assert_eq!(get.course.patience(), Duration::ZERO);
        assert!(!get.course.stream_view && get.course.limit.is_none());
    }

    #[test]
    fn a_server_fits_one_word() {
        let of = |host: &str, port| Ok(Host { host: host.into(), port });
        assert_eq!(host("media.example"), of("media.example", None));
        assert_eq!(host("media.example:9"), of("media.example", Some(9)));
        assert_eq!(host("[::1]:9"), of("::1", Some(9)));
        assert_eq!(host("[::1]"), of("::1", None));
        assert_eq!(host("fe80::1"), of("fe80::1", None));
        for wrong in ["", ":1", "[::1", "[]:4", "[::1]9", "h:x", "h:70000"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_read_as_it_is_shown() {
        let shown = Token([0xa5; 16]).to_string();
        assert_eq!(token(&shown), Some(Token([0xa5; 16])));
        for wrong in ["", "a5", &shown[1..], &shown.replace('a', "x"), &"é".repeat(16)] {
            assert_eq!(token(wrong), None, "{wrong}");
        }
    }
}
