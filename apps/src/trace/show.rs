//! `anabranch trace show`: a trace as a story.

use std::io::{self, BufWriter, Write as _};

use anabranch_core::trace::{Entry, Record};
use serde_json::{Map, Value, json};

use super::reading::{self, Reached, seconds};
use super::story::{Teller, Told};
use crate::cli::trace::Show;
use crate::exit::Failure;
use crate::report::Report;

/// Prints what happened.
///
/// # Errors
/// [`crate::exit::Exit::Data`] if the trace cannot be read to its end, after what can be.
pub(super) fn run(args: &Show, report: &Report) -> Result<(), Failure> {
    let (header, records) = reading::open(&args.file)?;
    let mut out = BufWriter::new(io::stdout());
    let failure = |error: io::Error| Failure::writing("standard output", &error);
    if report.is_json() {
        report.event("trace", describe(&header));
    } else {
        writeln!(out, "{}", reading::describe(&header)).map_err(failure)?;
    }
    let mut teller = Teller::default();
    let mut reached = Reached::default();
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                out.flush().map_err(failure)?;
                return Err(reading::failure(&args.file, &error, reached));
            }
        };
        reached.pass(&record);
        let told = teller.tell(&record);
        if !args.wants(&record, &told) {
            continue;
        }
        if report.is_json() {
            report.event("record", fields(&record, &told));
        } else {
            writeln!(out, "{}", line(&record, &told)).map_err(failure)?;
        }
    }
    out.flush().map_err(failure)
}

impl Show {
    fn wants(&self, record: &Record, told: &Told) -> bool {
        let at = std::time::Duration::from_nanos(record.at.as_nanos());
        (told.in_story || self.all)
            && self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at <= to)
            && self
                .conn
                .as_ref()
                .is_none_or(|wanted| told.conn.is_some_and(|conn| *wanted == conn.to_string()))
    }
}

/// Time, connection, session, and what happened.
fn line(record: &Record, told: &Told) -> String {
    let name = |name: Option<String>| name.unwrap_or_default();
    let conn = name(told.conn.map(|conn| conn.to_string()));
    let session = name(told.session.map(|session| session.to_string()));
    let text = without(&without(&told.text, &conn), &session);
    let line = format!("{:>12}  {conn:<6} {session:<4} {text}", seconds(record.at));
    line.trim_end().to_owned()
}

/// The text without a name that stands in a column of its own: at its beginning or behind the
/// arrow.
fn without(text: &str, name: &str) -> String {
    if name.is_empty() {
        return text.to_owned();
    }
    let text = text.trim_start();
    let (arrow, rest) = match text.split_at_checked(3) {
        Some((arrow @ ("<- " | "-> "), rest)) => (arrow, rest),
        _ => ("", text),
    };
    match rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) => format!("{arrow}{rest}"),
        None => text.to_owned(),
    }
}

fn describe(header: &anabranch_core::trace::Header) -> Value {
    let anabranch_core::trace::Header { about, contents, .. } = header;
    json!({
        "recorder": about.program, "side": format!("{:?}", about.side).to_lowercase(),
        "transport": about.transport, "settings": String::from_utf8_lossy(&about.settings),
        "calls": contents.transport, "payload": contents.payload,
        "datagrams": contents.datagrams,
    })
}

/// An entry for programs.
pub(super) fn fields(record: &Record, told: &Told) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("number", record.number.into());
    put("offset", record.offset.into());
    put("at_us", (record.at.as_nanos() / 1_000).into());
    put("class", format!("{:?}", record.entry.class()).to_lowercase().into());
    put("conn", told.conn.map(|conn| conn.to_string()).into());
    put("session", told.session.map(|session| session.to_string()).into());
    put("text", told.text.clone().into());
    if let Entry::Step(step) = &record.entry {
        put("machine", step.machine.clone().into());
        put("from", step.from.clone().into());
        put("input", step.input.clone().into());
        put("to", step.to.clone().into());
    }
    Value::Object(fields)
}
