//! What is known of one server's part of a transfer: for the screen, and for the summary.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anabranch_core::Code;
use anabranch_core::files::{ChannelStats, Kind, LimitedBy, Stats};
use anabranch_core::transport;
use anabranch_transfers::Report as Said;
use serde_json::{Value, json};

use super::outcome::Failed;
use crate::report::Report;
use crate::units::clean;

/// Failures that are told one by one.
const TOLD: u64 = 20;
/// Streams of earlier connections whose numbers are kept.
const STREAMS: usize = 256;

/// What is happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Looking for the server.
    Connecting,
    /// The server has to answer.
    Asking,
    /// Bytes move.
    Moving,
    /// What is there is being compared: done, total.
    Checking(u64, u64),
    /// By this side, by the server.
    Paused { here: bool, there: bool },
    /// The connection was lost; then it is tried again.
    Lost(Instant),
    /// It is over.
    Over,
}

impl State {
    /// As events call it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Asking => "asking",
            Self::Moving => "moving",
            Self::Checking(..) => "checking",
            Self::Paused { .. } => "paused",
            Self::Lost(_) => "lost",
            Self::Over => "over",
        }
    }
}

/// An entry that is not dealt with.
#[derive(Clone, Debug)]
struct Open {
    name: String,
    kind: Kind,
    size: Option<u64>,
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the server.
    Send,
    /// From the server.
    Get,
}

/// One server's part.
#[derive(Debug)]
pub(super) struct View {
    pub(super) server: String,
    pub(super) token: String,
    pub(super) way: Way,
    /// Says what is the same for all servers.
    pub(super) speaks: bool,
    pub(super) state: State,
    pub(super) paused: (bool, bool),
    started: Instant,
    /// How long it took.
    took: Option<Duration>,
    /// When bytes could move for the first time.
    pub(super) accepted: Option<Instant>,
    /// Bytes and entries that were announced.
    pub(super) total: Option<u64>,
    pub(super) entries: Option<u64>,
    /// Of this connection.
    pub(super) stats: Stats,
    pub(super) transport: Option<transport::Stats>,
    open: BTreeMap<u32, Open>,
    checked: BTreeMap<u32, (u64, u64)>,
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) done: u64,
    bytes: u64,
    /// Of one file nobody knew the size.
    piped: bool,
    pub(super) skipped: u64,
    pub(super) ignored: u64,
    pub(super) failed: BTreeMap<Code, u64>,
    pub(super) last: Option<Failed>,
    left_out: u64,
    /// Of all connections before this one.
    pub(super) before: Sums,
    pub(super) connections: u64,
}

/// Numbers that go on from connection to connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) acked: u64,
    pub(super) moved: u64,
    pub(super) again: u64,
    pub(super) packets_sent: u64,
    pub(super) packets_received: u64,
    pub(super) packets_lost: u64,
    /// With the number of the connection.
    pub(super) streams: Vec<(u64, ChannelStats)>,
    pub(super) limited: BTreeMap<LimitedBy, Duration>,
}

impl Sums {
    /// How long it was limited by this.
    pub(super) fn limited_by(&self, by: LimitedBy) -> Duration {
        self.limited.get(&by).copied().unwrap_or_default()
    }

    fn add(&mut self, connection: u64, stats: &Stats, transport: Option<&transport::Stats>) {
        self.acked += stats.acked;
        self.moved += stats.moved;
        self.again += stats.again;
        if let Some(transport) = transport {
            self.packets_sent += transport.packets_sent;
            self.packets_received += transport.packets_received;
            self.packets_lost += transport.packets_lost;
        }
        let room = STREAMS.saturating_sub(self.streams.len());
        let streams = stats.channels.iter().take(room);
        self.streams.extend(streams.map(|channel| (connection, *channel)));
        for by in LimitedBy::ALL {
            *self.limited.entry(by).or_default() += stats.limited.of(by);
        }
    }
}

impl View {
    pub(super) fn new(server: String, token: String, way: Way) -> Self {
        Self {
            server,
            token,
            way,
            speaks: true,
            state: State::Connecting,
            paused: (false, false),
            started: Instant::now(),
            took: None,
            accepted: None,
            total: None,
            entries: None,
            stats: Stats::default(),
            transport: None,
            open: BTreeMap::new(),
            checked: BTreeMap::new(),
            files: 0,
            folders: 0,
            done: 0,
            bytes: 0,
            piped: false,
            skipped: 0,
            ignored: 0,
            failed: BTreeMap::new(),
            last: None,
            left_out: 0,
            before: Sums::default(),
            connections: 0,
        }
    }

    /// A connection begins, on which all entries are announced again.
    pub(super) fn begin(&mut self) {
        self.before = self.sums();
        self.state = State::Asking;
        self.paused = (false, false);
        self.connections += 1;
        self.stats = Stats::default();
        self.transport = None;
        self.open.clear();
        self.checked.clear();
        self.failed.clear();
        self.last = None;
        (self.files, self.folders, self.done, self.bytes) = (0, 0, 0, 0);
        (self.skipped, self.ignored, self.left_out) = (0, 0, 0);
        self.piped = false;
    }

    /// A connection is over.
    pub(super) fn end(&mut self, stats: Stats) {
        // What was never told is not worth less than what was heard last.
        if stats.state != Stats::default().state {
            self.stats = stats;
        }
        self.checked.clear();
    }

    /// The numbers of all connections.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = self.before.clone();
        sums.add(self.connections, &self.stats, self.transport.as_ref());
        sums
    }

    /// Nothing more will be done.
    pub(super) fn close(&mut self) {
        self.state = State::Over;
        self.took = Some(self.started.elapsed());
    }

    /// How long it takes, or took.
    pub(super) fn elapsed(&self) -> Duration {
        self.took.unwrap_or_else(|| self.started.elapsed())
    }

    /// It was accepted.
    pub(super) fn accept(&mut self) {
        self.accepted.get_or_insert_with(Instant::now);
        self.settle();
    }

    /// What is happening, from what is known.
    pub(super) fn settle(&mut self) {
        if self.accepted.is_none() || matches!(self.state, State::Over | State::Lost(_)) {
            return;
        }
        self.state = match self.paused {
            (false, false) => match self.checking() {
                Some((done, total)) => State::Checking(done, total),
                None => State::Moving,
            },
            (here, there) => State::Paused { here, there },
        };
    }

    fn checking(&self) -> Option<(u64, u64)> {
        let sums = self.checked.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (sums.0 < sums.1).then_some(sums)
    }

    /// Bytes that the receiver has, as far as is known, those that it had before included.
    pub(super) const fn there(&self) -> u64 {
        self.stats.acked + self.stats.kept
    }

    /// Bytes of the files that are complete.
    pub(super) fn placed(&self) -> u64 {
        if self.piped { self.bytes.max(self.there()) } else { self.bytes }
    }

    /// Bytes that it will have at the end, where that is known.
    pub(super) fn goal(&self) -> Option<u64> {
        self.total.map(|total| total.saturating_sub(self.left_out).max(self.there()))
    }

    /// Bytes that were stored in this run.
    pub(super) const fn stored(&self) -> u64 {
        self.before.acked + self.stats.acked
    }

    /// Bytes that did not have to be moved in this run.
    pub(super) const fn kept(&self) -> u64 {
        self.stats.kept.saturating_sub(self.before.acked)
    }

    /// The first entry that is not dealt with.
    pub(super) fn current(&self) -> Option<String> {
        self.open.values().next().map(|open| clean(&open.name))
    }

    /// How many entries were dealt with, and how many there are.
    pub(super) fn progress(&self) -> (u64, u64) {
        let announced = self.files + self.folders;
        (announced - self.open.len() as u64, self.entries.unwrap_or(0).max(announced))
    }

    /// The worker has said something.
    pub(super) fn hear(&mut self, said: Said, report: &Report) {
        match said {
            Said::Entry { file, name, kind, size } => {
                match kind {
                    Kind::File => self.files += 1,
                    Kind::Folder => self.folders += 1,
                }
                self.open.insert(file, Open { name, kind, size });
            }
            Said::Checking { file, done, total } => {
                self.checked.insert(file, (done, total));
                if done >= total {
                    self.checked.remove(&file);
                }
                self.settle();
            }
            Said::Resumed { file, bytes } => {
                if let Some(open) = self.open.get(&file) {
                    self.tell(report, &open.name, "resumed", json!({"bytes": bytes}));
                }
            }
            Said::Outdated { name, .. } => {
                self.tell(report, &name, "outdated", json!({}));
                log::info!("{}: what is there is of another version", clean(&name));
            }
            Said::Placed { file, path, size, how } => {
                let result = match how {
                    anabranch_transfers::How::New => "new",
                    anabranch_transfers::How::Replaced => "replaced",
                    anabranch_transfers::How::Same => "same",
                };
                let open = self.finish(file, size);
                let name = open.map_or_else(|| path.clone(), |open| open.name);
                self.tell(report, &name, result, json!({"bytes": size, "path": path}));
            }
            Said::Sent { file, name, size } => {
                self.finish(file, size);
                self.tell(report, &name, "sent", json!({"bytes": size}));
            }
            Said::Skipped { file, name } => {
                self.skipped += 1;
                self.leave_out(file);
                self.tell(report, &name, "skipped", json!({}));
            }
            Said::Ignored { path, reason } => {
                self.ignored += 1;
                self.tell(report, &path, "ignored", json!({"reason": reason}));
                if self.speaks && self.connections == 1 {
                    report.warning(&format!("left out: {}: {}", clean(&path), clean(&reason)));
                }
            }
            Said::Failed { file, name, code, reason, by_peer } => {
                self.fail(file, Failed { name, code, reason, by_peer }, report);
            }
        }
    }

    fn fail(&mut self, file: Option<u32>, failed: Failed, report: &Report) {
        if let Some(file) = file {
            self.leave_out(file);
        }
        *self.failed.entry(failed.code).or_default() += 1;
        let fields = json!({
            "code": super::outcome::exit(failed.code), "reason": failed.words(&self.server),
        });
        self.tell(report, &failed.name, "failed", fields);
        match self.failed.values().sum::<u64>() {
            0..TOLD => report.warning(&failed.words(&self.server)),
            TOLD => report.warning("more files failed; --json names them all"),
            _ => {}
        }
        self.last = Some(failed);
    }

    fn finish(&mut self, file: u32, size: u64) -> Option<Open> {
        self.checked.remove(&file);
        let open = self.open.remove(&file);
        if open.as_ref().is_none_or(|open| open.kind == Kind::File) {
            self.done += 1;
            self.bytes += size;
            self.piped |= open.as_ref().is_some_and(|open| open.size.is_none());
        }
        open
    }

    fn leave_out(&mut self, file: u32) {
        self.checked.remove(&file);
        if let Some(open) = self.open.remove(&file) {
            self.left_out += open.size.unwrap_or(0);
        }
    }

    fn tell(&self, report: &Report, name: &str, result: &str, more: Value) {
        let mut fields = json!({
            "id": self.token, "server": self.server, "name": name, "result": result,
        });
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more);
        }
        report.event("file", fields);
    }
}
