//! `anabranch play`.

mod alarm;
pub mod keys;
mod opening;
mod outcome;
pub mod progress;
pub mod sink;

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anabranch_core::media::{EndReason, Ended};
use anabranch_driver_smol::client::{Connection, MediaStream, Notice, Piece, RequestError};
use bytes::Bytes;
use serde_json::json;
use smol::channel::Receiver;
use smol::future::or;

use crate::cli::client::Play;
use crate::dial::{self, Executor, Interrupts, Link};
use crate::exit::{Exit, Failure};
use crate::next::next;
use crate::report::Report;
use crate::signals::Signal;
use crate::units::{clean, show_bitrate, show_duration, show_size};
use alarm::Alarm;
use keys::Key;
use progress::{Progress, State};
use sink::{Sink, Target, Written};

/// Plays media to the end.
///
/// # Errors
/// Whatever is in the way.
pub async fn run(
    args: &Play,
    report: &Arc<Report>,
    interrupts: &Interrupts,
    executor: &Executor,
) -> Result<(), Failure> {
    let target = Target::new(args.output.as_deref())?;
    let have = existing(args, &target)?;
    let link = dial::dial(&args.server, report, interrupts, executor).await?;
    let outcome = on(&link, args, &target, have, report, interrupts).await;
    link.close().await;
    outcome
}

/// What the output file has already, with `--continue`.
fn existing(args: &Play, target: &Target) -> Result<u64, Failure> {
    let Target::File(path) = target else { return Ok(0) };
    match std::fs::metadata(path) {
        Ok(meta) if args.continue_ => Ok(meta.len()),
        // Said before a connection is made for nothing.
        Ok(meta) if meta.is_file() && !args.force => Err(outcome::exists(path)),
        Ok(meta) if meta.is_dir() => {
            Err(Failure::creating(path, &io::ErrorKind::IsADirectory.into()))
        }
        Ok(_) | Err(_) => Ok(0),
    }
}

async fn on(
    link: &Link,
    args: &Play,
    target: &Target,
    have: u64,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let request = opening::request(args, have);
    let opening = async {
        let opened = link.connection.open_media(request.clone()).await;
        opened.map_err(|error| outcome::open(&error, link, args, have))
    };
    let (stream, grant) = dial::unless(interrupts, opening).await?;
    outcome::check_start(&request.start, &grant, &link.name)?;
    let (out, _) = target.open(args.force, args.continue_)?;
    let sink = Sink::start(out, target.name(), args.hash)?;
    opening::announce(report, &grant, target);
    let keys = if report.is_interactive() { keys::listen() } else { None };
    let (guard, keys) = keys.map_or((None, None), |(guard, keys)| (Some(guard), Some(keys)));
    let progress = Progress::start(report, grant.start, grant.size);
    if keys.is_some() {
        report.hint("space pauses and resumes, q stops");
    }
    let mut player = Player {
        stream,
        connection: link.connection.clone(),
        sink,
        keys,
        interrupts,
        report,
        progress,
        pending: None,
        received: 0,
        chunks: 0,
        pauses: 0,
        pause_at: args.pause_at,
        resume_after: args.resume_after,
        resume_at: None,
        alarm: Alarm::new(),
        stop_at: args.duration.map(|time| Instant::now() + time),
    };
    let played = player.play().await;
    player.progress.tell(report, true);
    player.progress.finish();
    drop(guard);
    player.end(played, args, target, link).await
}

/// What happened next.
enum Step {
    Piece(Option<Piece>),
    Written(Result<(), Failure>),
    Key(Key),
    Signal(Signal),
    Notice(Notice),
    Tick,
}

/// Why playing stopped on this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The session is over.
    End,
    /// The user has had enough.
    Quit,
    /// A signal.
    Signal(Signal),
}

struct Player<'a> {
    stream: MediaStream,
    connection: Connection,
    sink: Sink,
    keys: Option<Receiver<Key>>,
    interrupts: &'a Interrupts,
    report: &'a Report,
    progress: Progress,
    /// Not yet taken by the sink.
    pending: Option<Bytes>,
    received: u64,
    chunks: u64,
    pauses: u32,
    pause_at: Option<u32>,
    resume_after: Duration,
    resume_at: Option<Instant>,
    stop_at: Option<Instant>,
    alarm: Alarm,
}

impl Player<'_> {
    async fn play(&mut self) -> Result<Stop, Failure> {
        loop {
            match self.step().await {
                Step::Piece(None) => return Ok(Stop::End),
                Step::Piece(Some(piece)) => self.piece(piece).await?,
                Step::Written(outcome) => {
                    self.pending = None;
                    outcome?;
                }
                Step::Key(Key::Toggle) => self.toggle().await?,
                Step::Key(Key::Quit) => return Ok(Stop::Quit),
                Step::Signal(signal) => return Ok(Stop::Signal(signal)),
                Step::Notice(notice) => self.notice(&notice),
                Step::Tick => {}
            }
            let now = Instant::now();
            if self.stop_at.is_some_and(|at| at <= now) {
                return Ok(Stop::Quit);
            }
            if self.resume_at.is_some_and(|at| at <= now) {
                self.resume_at = None;
                self.resume().await?;
            }
            self.progress.tell(self.report, false);
        }
    }

    /// Waits for what comes first. Bytes wait while the sink is busy, and the rest does not.
    async fn step(&mut self) -> Step {
        self.alarm.set([self.resume_at, self.stop_at]);
        let Self { stream, connection, sink, keys, interrupts, pending, alarm, .. } = self;
        let bytes = async {
            match pending {
                Some(piece) => Step::Written(sink.write(piece.clone()).await),
                None => Step::Piece(stream.next().await),
            }
        };
        let key = async { Step::Key(next(keys.as_ref()).await) };
        let signal = async { Step::Signal(next(Some(*interrupts)).await) };
        let notice = async {
            match connection.next_event().await {
                Some(notice) => Step::Notice(notice),
                None => smol::future::pending().await,
            }
        };
        let tick = async {
            (&mut alarm.timer).await;
            Step::Tick
        };
        or(or(signal, key), or(or(bytes, notice), tick)).await
    }

    async fn piece(&mut self, piece: Piece) -> Result<(), Failure> {
        self.received += piece.bytes.len() as u64;
        self.progress.bytes += piece.bytes.len() as u64;
        for part in piece.parts.iter().filter(|part| part.last) {
            self.chunks += 1;
            self.progress.chunk = part.sequence;
        }
        if !piece.bytes.is_empty() {
            self.pending = self.sink.offer(piece.bytes);
        }
        if self.pause_at.is_some_and(|at| self.progress.chunk >= at) {
            self.pause_at = None;
            self.pause().await?;
            self.resume_at = Some(Instant::now() + self.resume_after);
        }
        Ok(())
    }

    async fn toggle(&mut self) -> Result<(), Failure> {
        self.resume_at = None;
        match self.progress.state {
            State::Streaming => self.pause().await,
            State::Paused => self.resume().await,
        }
    }

    async fn pause(&mut self) -> Result<(), Failure> {
        if self.progress.state == State::Streaming && went(self.stream.pause().await)? {
            self.pauses += 1;
            self.change(State::Paused, "paused");
        }
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), Failure> {
        if self.progress.state == State::Paused && went(self.stream.resume().await)? {
            self.change(State::Streaming, "resumed");
        }
        Ok(())
    }

    fn change(&mut self, state: State, phase: &str) {
        self.progress.state = state;
        self.progress.tell(self.report, true);
        let Progress { chunk, bytes, .. } = self.progress;
        // A bar shows it already.
        let words = format!("{phase} after chunk {chunk}, at {}", show_size(bytes));
        let words = if self.report.is_interactive() { "" } else { &words };
        self.report.phase(phase, json!({"chunk": chunk, "bytes": bytes}), words);
    }

    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Hello { agent } => log::info!("the server is {}", clean(agent)),
            Notice::Moved(path) => log::info!("the connection moved to {}", path.remote),
            Notice::GoAway { left } => {
                let left = show_duration(*left);
                self.report
                    .warning(&format!("the server is shutting down, in {left} at the latest"));
            }
        }
    }

    /// Ends the session and the output, and says what came of them.
    async fn end(
        mut self,
        played: Result<Stop, Failure>,
        args: &Play,
        target: &Target,
        link: &Link,
    ) -> Result<(), Failure> {
        let mut missed = 0;
        if played != Ok(Stop::End) {
            // It may have ended by itself meanwhile, which is as good.
            missed = self.stream.stats().await.map_or(0, |stats| stats.missed);
            drop(self.stream.close().await);
        }
        let stop = played?;
        if let Some(piece) = self.pending.take() {
            self.sink.write(piece).await?;
        }
        let written = self.sink.finish().await?;
        let ended = match stop {
            Stop::End => self.stream.ended().await,
            Stop::Quit | Stop::Signal(_) => {
                let reason = EndReason::Local;
                Ended { reason, bytes: self.received, chunks: self.chunks, missed }
            }
        };
        let failure = match stop {
            Stop::Signal(signal) => Some(dial::interrupted(signal)),
            Stop::Quit => None,
            Stop::End => outcome::ended(&ended, link).await,
        };
        self.summary(&ended, &written, failure.is_none())?;
        if let (Some(hash), Target::File(path), false) =
            (written.hash, target, self.report.is_json())
        {
            print_hash(&hash, path)?;
        }
        match failure {
            Some(failure) => Err(outcome::with_way_on(failure, args, target)),
            None => Ok(()),
        }
    }

    fn summary(&self, ended: &Ended, written: &Written, good: bool) -> Result<(), Failure> {
        let time = self.progress.elapsed();
        let rate = crate::units::rate(written.bytes, time);
        let hash = written.hash.map(|hash| hash.to_hex().to_string());
        let how = crate::serve::how(ended.reason);
        let (pauses, missed, chunks) = (self.pauses, ended.missed, self.chunks);
        let mut words = format!(
            "{how}: {} ({} bytes) in {chunks} chunks, {}, {}",
            show_size(written.bytes),
            written.bytes,
            show_duration(time),
            show_bitrate(rate)
        );
        if pauses > 0 {
            words.push_str(&format!(", {pauses} {}", if pauses == 1 { "pause" } else { "pauses" }));
        }
        if missed > 0 {
            words.push_str(&format!(", {missed} chunks missed"));
        }
        if let Some(hash) = &hash {
            words.push_str(&format!("\n  BLAKE3 {hash}"));
        }
        let elapsed = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.report.summary(
            json!({
                "end": how, "complete": good && ended.reason == EndReason::Complete,
                "bytes": written.bytes, "chunks": chunks, "missed": missed, "pauses": pauses,
                "elapsed_ms": elapsed, "bitrate": rate, "blake3": hash,
            }),
            &words,
        );
        Ok(())
    }
}

/// Whether a command had its effect. The session may have ended meanwhile.
fn went(outcome: Result<(), RequestError>) -> Result<bool, Failure> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error @ RequestError::Misuse(_)) => {
            log::info!("{error}");
            Ok(false)
        }
        // How it was lost is told at the end of the stream.
        Err(RequestError::Lost(_)) => Ok(false),
        Err(RequestError::Gone) => Err(Failure::new(Exit::Internal, "the network loop has ended")),
    }
}

/// On standard output, as b3sum does, for `b3sum --check`.
fn print_hash(hash: &blake3::Hash, path: &Path) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{}  {}", hash.to_hex(), path.display())
        .map_err(|error| Failure::writing("standard output", &error))
}
