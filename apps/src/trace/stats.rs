//! `anabranch trace stats`: a trace in numbers.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use anabranch_core::conn::Answer;
use anabranch_core::media::{self, EndReason};
use anabranch_core::trace::{Class, Entry, Record};
use anabranch_core::{ConnId, Event, SessionId};
use serde_json::json;

use super::reading::{self, Reached};
use super::story::Teller;
use crate::cli::trace::Stats;
use crate::exit::Failure;
use crate::report::Report;
use crate::units::{clean, count, show_duration, show_size};

/// Prints counts, bytes and durations.
///
/// # Errors
/// [`crate::exit::Exit::Data`] if the trace cannot be read to its end, after the numbers of what
/// can be.
pub(super) fn run(args: &Stats, report: &Report) -> Result<(), Failure> {
    let (header, records) = reading::open(&args.file)?;
    let mut all = All::default();
    let mut reached = Reached::default();
    let mut end = Ok(());
    for record in records {
        match record {
            Ok(record) => {
                reached.pass(&record);
                all.take(&record);
            }
            Err(error) => end = Err(reading::failure(&args.file, &error, reached)),
        }
    }
    if report.is_json() {
        all.report(report);
        return end;
    }
    let text = format!("{}\n{}", reading::describe(&header), all.text());
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Failure::writing("standard output", &error))?;
    end
}

/// Datagrams one way.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    datagrams: u64,
    bytes: u64,
}

impl Traffic {
    const fn add(&mut self, datagrams: u64, bytes: u64) {
        self.datagrams += datagrams;
        self.bytes += bytes;
    }
}

#[derive(Debug, Default)]
struct Connection {
    remote: Option<String>,
    began: Duration,
    last: Duration,
    came: Traffic,
    went: Traffic,
    sessions: BTreeMap<SessionId, Session>,
    end: Option<String>,
}

#[derive(Debug, Default)]
struct Session {
    name: Option<String>,
    began: Duration,
    last: Duration,
    bytes: u64,
    chunks: u64,
    pauses: u64,
    end: Option<EndReason>,
}

/// The whole trace.
#[derive(Debug, Default)]
struct All {
    teller: Teller,
    last: Duration,
    classes: BTreeMap<Class, u64>,
    dropped: u64,
    out_of_place: u64,
    came: Traffic,
    went: Traffic,
    /// A datagram whose connection is not known yet.
    pending: u64,
    /// The session of the last command.
    session: Option<SessionId>,
    connections: BTreeMap<ConnId, Connection>,
}

impl All {
    fn take(&mut self, record: &Record) {
        let entry = &record.entry;
        let at = Duration::from_nanos(record.at.as_nanos());
        self.last = at;
        *self.classes.entry(entry.class()).or_default() += 1;
        let conn = self.teller.conn(entry);
        self.traffic(entry, conn);
        match entry {
            Entry::Dropped(_) => self.dropped += 1,
            Entry::Step(step) => self.out_of_place += u64::from(step.to.is_none()),
            Entry::Session { session, .. } => self.session = Some(*session),
            Entry::Event(conn, event) => self.event(at, *conn, event),
            Entry::Answer { result: Ok(Answer::Pulled(pulled)), .. } => self.pulled(conn, pulled),
            _ => {}
        }
        if let Some(conn) = conn {
            self.connection(at, conn);
        }
    }

    fn connection(&mut self, at: Duration, conn: ConnId) -> &mut Connection {
        let new = || Connection { began: at, ..Connection::default() };
        let found = self.connections.entry(conn).or_insert_with(new);
        found.last = at;
        found
    }

    fn traffic(&mut self, entry: &Entry, conn: Option<ConnId>) {
        match entry {
            Entry::Datagram { data, .. } => {
                self.pending = data.len() as u64;
                self.came.add(1, self.pending);
            }
            Entry::Stack(_) => {
                // Without a connection it was answered or dropped.
                let bytes = std::mem::take(&mut self.pending);
                let found = conn.and_then(|conn| self.connections.get_mut(&conn));
                match found {
                    Some(found) if bytes > 0 => found.came.add(1, bytes),
                    _ if conn.is_none() => {}
                    _ => self.pending = bytes,
                }
            }
            Entry::Transmit { transmit, .. } => {
                let (len, segment) = (transmit.len, transmit.segment.unwrap_or(transmit.len));
                let datagrams = len.div_ceil(segment.max(1)) as u64;
                self.went.add(datagrams, len as u64);
                if let Some(found) = conn.and_then(|conn| self.connections.get_mut(&conn)) {
                    found.went.add(datagrams, len as u64);
                }
            }
            _ => {}
        }
    }

    fn event(&mut self, at: Duration, conn: ConnId, event: &Event) {
        let connection = self.connection(at, conn);
        match event {
            Event::Connected { remote, .. } => connection.remote = Some(remote.to_string()),
            Event::Moved(path) => connection.remote = Some(path.remote.to_string()),
            Event::Closed(why) => connection.end = Some(why.to_string()),
            Event::Media(id, event) => {
                let new = || Session { began: at, ..Session::default() };
                let session = connection.sessions.entry(*id).or_insert_with(new);
                session.last = at;
                session.take(event);
            }
            _ => {}
        }
    }

    fn pulled(&mut self, conn: Option<ConnId>, pulled: &media::Pulled) {
        let connection = conn.and_then(|conn| self.connections.get_mut(&conn));
        let (Some(connection), Some(id)) = (connection, self.session) else { return };
        let Some(session) = connection.sessions.get_mut(&id) else { return };
        if let media::Pulled::Bytes { len, last, .. } = pulled {
            session.bytes += *len as u64;
            session.chunks += u64::from(*last);
        }
    }

    fn class(&self, class: Class) -> u64 {
        self.classes.get(&class).copied().unwrap_or(0)
    }

    fn text(&self) -> String {
        let class = |class| self.class(class);
        let mut text = format!(
            "{} in {}: {} inputs, {} outputs, {} steps, {} calls of the transport\n\
             {} datagrams came ({}), {} went ({}); {} dropped, {} steps out of place\n",
            reading::entries(self.classes.values().sum()),
            show_duration(self.last),
            class(Class::Input),
            class(Class::Output),
            class(Class::Step),
            class(Class::Transport),
            self.came.datagrams,
            show_size(self.came.bytes),
            self.went.datagrams,
            show_size(self.went.bytes),
            self.dropped,
            self.out_of_place,
        );
        for (id, connection) in &self.connections {
            text.push_str(&connection.text(*id));
            for (id, session) in &connection.sessions {
                text.push_str(&session.text(*id));
            }
        }
        text
    }

    fn report(&self, report: &Report) {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        for (id, connection) in &self.connections {
            let name = id.to_string();
            let Connection { remote, began, last, came, went, sessions, end } = connection;
            report.event(
                "connection",
                json!({"conn": name, "remote": remote, "at_us": us(*began),
                    "elapsed_us": us(last.saturating_sub(*began)), "datagrams_in": came.datagrams,
                    "bytes_in": came.bytes, "datagrams_out": went.datagrams,
                    "bytes_out": went.bytes, "sessions": sessions.len(), "end": end}),
            );
            for (id, session) in sessions {
                let Session { name: media, began, last, bytes, chunks, pauses, end } = session;
                report.event(
                    "session",
                    json!({"conn": name, "session": id.to_string(), "name": media,
                        "at_us": us(*began), "elapsed_us": us(last.saturating_sub(*began)),
                        "bytes": bytes, "chunks": chunks, "pauses": pauses,
                        "end": end.map(crate::serve::how)}),
                );
            }
        }
        let class = |class| self.class(class);
        report.event(
            "summary",
            json!({"entries": self.classes.values().sum::<u64>(), "inputs": class(Class::Input),
                "outputs": class(Class::Output), "steps": class(Class::Step),
                "calls": class(Class::Transport), "elapsed_us": us(self.last),
                "datagrams_in": self.came.datagrams, "bytes_in": self.came.bytes,
                "datagrams_out": self.went.datagrams, "bytes_out": self.went.bytes,
                "dropped": self.dropped, "out_of_place": self.out_of_place,
                "connections": self.connections.len()}),
        );
    }
}

impl Connection {
    fn text(&self, id: ConnId) -> String {
        let remote = self.remote.as_deref().unwrap_or("not connected");
        let end = self.end.as_deref().map_or("still there at the end".into(), clean);
        format!(
            "{id} {remote}: {}, {} datagrams came ({}), {} went ({}), {}; {end}\n",
            show_duration(self.last.saturating_sub(self.began)),
            self.came.datagrams,
            show_size(self.came.bytes),
            self.went.datagrams,
            show_size(self.went.bytes),
            count(self.sessions.len(), "session"),
        )
    }
}

impl Session {
    fn take(&mut self, event: &media::Event) {
        match event {
            media::Event::Opened(grant) => self.name.clone_from(&grant.name),
            media::Event::Paused => self.pauses += 1,
            media::Event::Ended(ended) => {
                (self.bytes, self.chunks) = (ended.bytes, ended.chunks);
                self.end = Some(ended.reason);
            }
            media::Event::Refused(_)
            | media::Event::Readable
            | media::Event::Wanted { .. }
            | media::Event::Resumed { .. } => {}
        }
    }

    fn text(&self, id: SessionId) -> String {
        let Self { name, bytes, chunks, .. } = self;
        let name = name.as_deref().map_or("media".into(), clean);
        let pauses = match usize::try_from(self.pauses) {
            Ok(0) => String::new(),
            pauses => format!(", {}", count(pauses.unwrap_or(usize::MAX), "pause")),
        };
        let end = self.end.map_or("still running at the end".to_owned(), crate::serve::how);
        let time = show_duration(self.last.saturating_sub(self.began));
        let size = show_size(*bytes);
        format!("  {id} {name}: {size} in {chunks} chunks, {time}{pauses}; {end}\n")
    }
}
