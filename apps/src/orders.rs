//! `anabranch transfers`.

use std::io::{self, IsTerminal as _, Write as _};

use anabranch_core::files::{Order, Query, Reply, TransferState, Transferring};
use clap::Parser as _;
use serde_json::json;

use crate::cli::client::{Args, Command, Server};
use crate::cli::files::{Host, Named, Transfers, Verb, token};
use crate::dial;
use crate::exit::{Exit, Failure};
use crate::questions;
use crate::transfer::record::{Record, Records};
use crate::transfer::{self, Invocation, Scene};
use crate::units::{clean, show_size};

/// Lists transfers, or does something with one.
///
/// # Errors
/// Whatever is in the way.
pub async fn run(args: &Transfers, scene: Scene<'_>) -> Result<(), Failure> {
    match &args.verb {
        None => list_here(scene),
        Some(Verb::List(list)) if list.server.host.is_none() => list_here(scene),
        Some(Verb::List(list)) => list_there(&list.server, scene).await,
        Some(Verb::Pause(named)) => order(named, Order::Pause, scene).await,
        Some(Verb::Cancel(named)) => order(named, Order::Cancel, scene).await,
        Some(Verb::Resume(named)) => match found(named) {
            Some((record, false)) => go_on(record, scene).await,
            // A process is at work on it, or it was not begun here.
            Some((_, true)) | None => order(named, Order::Resume, scene).await,
        },
    }
}

/// The record of a transfer that was begun here, and whether a process is at work on it.
fn found(named: &Named) -> Option<(Record, bool)> {
    Records::of_user()?.find(&named.token)
}

fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Failure::writing("standard output", &error))
}

fn list_here(scene: Scene<'_>) -> Result<(), Failure> {
    let records = Records::of_user().map(|records| records.all()).unwrap_or_default();
    let server = |record: &Record| crate::known_hosts::host_key(&record.host, record.port);
    if scene.report.is_json() {
        for (record, busy) in &records {
            scene.report.event(
                "transfer",
                json!({
                    "token": record.token, "server": server(record), "label": record.label,
                    "state": if *busy { "running" } else { "waiting" }, "bytes": record.bytes,
                    "total": record.total, "begun": record.begun, "command": record.command(),
                }),
            );
        }
    } else if records.is_empty() && io::stdout().is_terminal() {
        print("Nothing that was begun here is incomplete.\n")?;
    } else {
        print(&records.iter().map(|(record, busy)| block(record, *busy)).collect::<String>())?;
    }
    scene.report.event("summary", json!({"transfers": records.len()}));
    Ok(())
}

/// One transfer that was begun here, for people.
fn block(record: &Record, busy: bool) -> String {
    let of = record.total.map(|total| format!(" of {}", show_size(total))).unwrap_or_default();
    let state = if busy { "running" } else { "waiting" };
    format!(
        "{}  {state}  {}{of}  {} ({})\n  {}\n",
        record.token,
        show_size(record.bytes),
        clean(&record.label),
        crate::known_hosts::host_key(&record.host, record.port),
        clean(&record.command()),
    )
}

async fn list_there(server: &Server, scene: Scene<'_>) -> Result<(), Failure> {
    let link = dial::dial(server, scene.report, scene.interrupts, scene.executor).await?;
    let listed = dial::unless(scene.interrupts, questions::transfers(&link)).await;
    link.close().await;
    let transfers = listed?;
    if scene.report.is_json() {
        for one in &transfers {
            scene.report.event(
                "transfer",
                json!({
                    "token": one.token.to_string(), "state": state(one.state),
                    "direction": direction(one), "bytes": one.bytes, "total": one.of,
                    "label": one.label,
                }),
            );
        }
    } else if transfers.is_empty() && io::stdout().is_terminal() {
        print("The server has no transfers.\n")?;
    } else {
        print(&transfers.iter().map(line).collect::<String>())?;
    }
    scene.report.event("summary", json!({"transfers": transfers.len()}));
    Ok(())
}

/// One transfer of a server's, for people.
fn line(one: &Transferring) -> String {
    let of = one.of.map(|of| format!(" of {}", show_size(of))).unwrap_or_default();
    format!(
        "{}  {:<8}  {:<4}  {}{of}  {}\n",
        one.token,
        state(one.state),
        direction(one),
        show_size(one.bytes),
        clean(&one.label)
    )
}

/// As the client's commands call it.
const fn direction(one: &Transferring) -> &'static str {
    if one.sending { "get" } else { "send" }
}

const fn state(state: TransferState) -> &'static str {
    match state {
        TransferState::Running => "running",
        TransferState::Paused => "paused",
        TransferState::Waiting => "waiting",
        TransferState::Complete => "complete",
        TransferState::Failed => "failed",
    }
}

/// Has a server do something with a transfer.
async fn order(named: &Named, order: Order, scene: Scene<'_>) -> Result<(), Failure> {
    let record = found(named);
    let mut server = named.server.clone();
    let mut whole = named.token.clone();
    if let Some((record, _)) = &record {
        whole.clone_from(&record.token);
        if server.host.is_none() {
            (server.host, server.port) = (Some(record.host.clone()), record.port);
        }
    }
    let token = token(&whole).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{:?} is no token of a transfer", clean(&named.token)))
            .hint("see them with `anabranch transfers list`, or those of a server with --host")
    })?;
    let link = dial::dial(&server, scene.report, scene.interrupts, scene.executor).await?;
    let query = Query::Order { token, order };
    let answer = dial::unless(scene.interrupts, questions::ask(&link, query)).await;
    let name = link.name.clone();
    link.close().await;
    // What is cancelled is over here, whatever the server knows of it.
    let cancelled = order == Order::Cancel && record.as_ref().is_some_and(|(_, busy)| !busy);
    if let (Some(records), true) = (Records::of_user(), cancelled) {
        records.forget(&whole);
    }
    let done = match (order, answer) {
        (_, Ok(Reply::Ordered)) => "carried out",
        (_, Ok(_)) => {
            return Err(Failure::new(Exit::Protocol, format!("{name} answers another question")));
        }
        (_, Err(failure)) if cancelled && failure.exit == Exit::NoInput => "forgotten here",
        (_, Err(failure)) => return Err(failure),
    };
    let verb = match order {
        Order::Pause => "paused",
        Order::Resume => "resumed",
        Order::Cancel => "cancelled",
    };
    let fields = json!({"token": whole, "server": name, "order": verb, "result": done});
    scene.report.summary(fields, &format!("{verb} {whole} at {name}"));
    Ok(())
}

/// Runs the command of a transfer that was begun here.
async fn go_on(record: Record, scene: Scene<'_>) -> Result<(), Failure> {
    let Record { arguments, folder, host, port, .. } = record;
    std::env::set_current_dir(&folder).map_err(|error| Failure::reading(&folder, &error))?;
    let words = ["anabranch".to_owned()].into_iter().chain(arguments.iter().cloned());
    let args = Args::try_parse_from(words).map_err(|_| {
        let text = format!("the command was of another version: {}", arguments.join(" "));
        Failure::new(Exit::Usage, text).hint("begin it anew; what has arrived is used")
    })?;
    let called = Invocation { arguments: Some(arguments), folder };
    match args.command {
        Command::Send(mut send) => {
            send.to = vec![Host { host, port: Some(port) }];
            send.course.no_resume = false;
            transfer::send(&send, &called, scene).await
        }
        Command::Get(mut get) => {
            (get.server.host, get.server.port) = (Some(host), port);
            get.course.no_resume = false;
            transfer::get(&get, &called, scene).await
        }
        _ => Err(Failure::new(Exit::Usage, "that was no transfer")),
    }
}

#[cfg(test)]
mod tests {
    use anabranch_core::files::Token;

    use super::*;

    #[test]
    fn people_see_what_is_there_and_how_to_go_on() {
        let record = Record {
            token: Token([7; 16]).to_string(),
            key: String::new(),
            host: "::1".into(),
            port: 9000,
            label: "a\x1b and 1 other".into(),
            arguments: vec!["send".into(), "a".into(), "b".into()],
            folder: "/x".into(),
            bytes: 1024,
            total: Some(2048),
            begun: String::new(),
        };
        let want = format!(
            "{}  waiting  1.0 KiB of 2.0 KiB  a\u{fffd} and 1 other ([::1]:9000)\n  \
             cd /x && anabranch send a b\n",
            record.token
        );
        assert_eq!(block(&record, false), want);
        let there = Transferring {
            token: Token([7; 16]),
            state: TransferState::Paused,
            sending: true,
            bytes: 5,
            of: None,
            label: "x\ny".into(),
        };
        let want = format!("{}  paused    get   5 B  x\u{fffd}y\n", record.token);
        assert_eq!(line(&there), want);
    }
}
