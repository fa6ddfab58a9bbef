//! The server's log, on standard error: for people, or for the journal.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use env_logger::{Builder, Env};
use log::Level;

use crate::cli::Verbosity;

/// Starts the log. `RUST_LOG` wins over the command line.
pub fn init(verbosity: Verbosity) {
    let default = match (verbosity.quiet, verbosity.verbose) {
        (true, _) => "error",
        (false, 0) => "warn,anabranch_apps=info",
        (false, 1) => "info,anabranch_apps=debug",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    // systemd sets this; it adds the time itself, and wants the level as a number.
    let journal = to_journal().unwrap_or(false);
    let mut builder = Builder::from_env(Env::default().default_filter_or(default));
    builder.format(move |out, record| {
        let level = record.level();
        if journal {
            return writeln!(out, "<{}>{}", priority(level), record.args());
        }
        let time = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
        let style = out.default_level_style(level);
        match level {
            Level::Info => writeln!(out, "{time} {}", record.args()),
            Level::Error | Level::Warn => {
                writeln!(out, "{time} {style}{}{style:#} {}", level.as_str(), record.args())
            }
            Level::Debug | Level::Trace => {
                writeln!(out, "{time} {} {}: {}", level.as_str(), record.target(), record.args())
            }
        }
    });
    // Only a second call in one process can fail, and then there is a log already.
    let _ = builder.try_init();
}

/// Whether standard error is the stream that the journal gave, and not only inherited its name.
fn to_journal() -> Option<bool> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
    let meta = std::fs::File::from(stderr).metadata().ok()?;
    Some(stream == format!("{}:{}", meta.dev(), meta.ino()))
}

/// As in syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
