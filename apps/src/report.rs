//! What a program says: words for people on standard error, or events as JSON lines.
//!
//! The events are described in `docs/operations.md`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;
use serde_json::{Map, Value, json};

use crate::cli::Verbosity;
use crate::exit::{Exit, Failure};

/// The version of the events.
pub const VERSION: u32 = 1;

/// Where events go as JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    /// Nowhere: words for people.
    Off,
    /// To standard output.
    Stdout,
    /// To standard error, since standard output carries data.
    Stderr,
}

/// Says things.
#[derive(Debug)]
pub struct Report {
    program: &'static str,
    json: Json,
    quiet: bool,
    bars: MultiProgress,
    order: Mutex<()>,
}

impl Report {
    /// For one program.
    #[must_use]
    pub fn new(program: &'static str, json: Json, quiet: bool) -> Self {
        let bars = MultiProgress::new();
        Self { program, json, quiet, bars, order: Mutex::new(()) }
    }

    /// The place of progress bars, which keeps other lines out of them.
    #[must_use]
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether events go out as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json != Json::Off
    }

    /// Whether a person looks at standard error, and wants to.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal()
    }

    /// One event. `fields` is an object.
    pub fn event(&self, name: &str, fields: Value) {
        if !self.is_json() {
            return;
        }
        let mut all = Map::new();
        all.insert("v".into(), VERSION.into());
        all.insert(
            "t".into(),
            jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into(),
        );
        all.insert("event".into(), name.into());
        if let Value::Object(fields) = fields {
            all.extend(fields);
        }
        let line = format!("{}\n", Value::Object(all));
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads the events may go away: the work goes on.
        let written = match self.json {
            Json::Off => Ok(()),
            Json::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Json::Stderr => io::stderr().lock().write_all(line.as_bytes()),
        };
        drop(written);
    }

    /// The first event.
    pub fn hello(&self, command: &str) {
        let version = env!("CARGO_PKG_VERSION");
        self.event(
            "hello",
            json!({"program": self.program, "version": version, "command": command}),
        );
    }

    /// A step of the work: an event, and words for people.
    pub fn phase(&self, phase: &str, fields: Value, words: &str) {
        let mut all = Map::new();
        all.insert("phase".into(), phase.into());
        if let Value::Object(fields) = fields {
            all.extend(fields);
        }
        self.event("phase", Value::Object(all));
        if !self.quiet {
            self.say(words);
        }
    }

    /// Words for people who look at a terminal.
    pub fn hint(&self, words: &str) {
        if self.is_interactive() {
            self.say(words);
        }
    }

    /// Something that is not as it should be, although the work goes on.
    pub fn warning(&self, text: &str) {
        self.event("warning", json!({"text": text}));
        self.say(&format!("warning: {text}"));
    }

    /// Why the work ends early.
    pub fn failure(&self, failure: &Failure) {
        let Failure { exit, what, hint } = failure;
        self.event("error", json!({"code": exit, "text": what, "hint": hint}));
        // A broken pipe and Ctrl-C are nothing to talk about.
        if !matches!(exit, Exit::BrokenPipe | Exit::Interrupted | Exit::Terminated) {
            self.say(&failure.to_string());
        }
    }

    /// The last event, and words for people.
    pub fn summary(&self, fields: Value, words: &str) {
        self.event("summary", fields);
        if !self.quiet {
            self.say(words);
        }
    }

    /// Words for people, on standard error, clear of progress bars.
    fn say(&self, words: &str) {
        if self.is_json() || words.is_empty() {
            return;
        }
        let text = format!("{}: {words}\n", self.program);
        // Nobody may be left to read it.
        self.bars.suspend(|| drop(io::stderr().lock().write_all(text.as_bytes())));
    }

    /// Sends the log to standard error, clear of progress bars. `RUST_LOG` wins over the
    /// command line.
    pub fn log(&self, verbosity: Verbosity) {
        let mut builder = env_logger::Builder::new();
        builder.filter_level(match (verbosity.quiet, verbosity.verbose) {
            (true, _) => log::LevelFilter::Error,
            (false, 0) => log::LevelFilter::Warn,
            (false, 1) => log::LevelFilter::Info,
            (false, 2) => log::LevelFilter::Debug,
            (false, _) => log::LevelFilter::Trace,
        });
        builder.parse_default_env();
        let logger = builder.build();
        let level = logger.filter();
        let wrapped = indicatif_log_bridge::LogWrapper::new(self.bars.clone(), logger);
        if wrapped.try_init().is_ok() {
            log::set_max_level(level);
        }
    }
}
