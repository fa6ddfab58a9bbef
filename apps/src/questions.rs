//! Questions to a server about its files and transfers: `anabranch rm`, and what `ls` and
//! `transfers` ask.

use std::sync::Arc;

use anabranch_core::Code;
use anabranch_core::files::{Listed, Query, Reply, Transferring};
use serde_json::json;

use crate::cli::files::Rm;
use crate::dial::{self, Executor, Interrupts, Link};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::transfer::exit_of;
use crate::units::{clean, count};

/// Entries of one page.
const PAGE: u32 = 512;
/// Pages taken from a server, which might never stop sending them.
const MAX_PAGES: usize = 4_096;

/// Asks, and takes a refusal for the failure that it is.
///
/// # Errors
/// The connection cannot ask, or the server refuses.
pub async fn ask(link: &Link, query: Query) -> Result<Reply, Failure> {
    let reply = link.connection.ask_files(query).await;
    match reply.map_err(|error| dial::request(&error, &link.name))? {
        Reply::Refused { code, reason } => Err(refused(code, &reason, &link.name)),
        reply => Ok(reply),
    }
}

fn refused(code: Code, reason: &str, server: &str) -> Failure {
    let why = if reason.is_empty() { code.to_string() } else { clean(reason) };
    Failure::new(exit_of(code), format!("{server} refuses: {why}"))
}

/// An answer to another question.
fn astray(link: &Link) -> Failure {
    Failure::new(Exit::Protocol, format!("{} answers another question", link.name))
}

fn endless(link: &Link) -> Failure {
    Failure::new(Exit::Protocol, format!("{} sends a list without an end", link.name))
}

/// What is in a folder of the server's.
///
/// # Errors
/// As [`ask`].
pub async fn folder(link: &Link, folder: &str) -> Result<Vec<Listed>, Failure> {
    let mut all: Vec<Listed> = Vec::new();
    for _ in 0..MAX_PAGES {
        let after = all.last().map(|last| name(last).to_owned()).unwrap_or_default();
        let query = Query::List { folder: folder.to_owned(), after: after.clone(), most: PAGE };
        let Reply::Listing { entries, more } = ask(link, query).await? else {
            return Err(astray(link));
        };
        // A page that does not go on would be asked for again and again.
        let goes_on = entries.last().is_some_and(|last| *name(last) > *after);
        all.extend(entries);
        match (more, goes_on) {
            (false, _) => return Ok(all),
            (true, true) => {}
            (true, false) => break,
        }
    }
    Err(endless(link))
}

/// The name of an entry.
#[must_use]
pub fn name(listed: &Listed) -> &str {
    match listed {
        Listed::Entry(entry) => &entry.name,
        Listed::Other(name) => name,
    }
}

/// The server's transfers.
///
/// # Errors
/// As [`ask`].
pub async fn transfers(link: &Link) -> Result<Vec<Transferring>, Failure> {
    let mut all: Vec<Transferring> = Vec::new();
    for _ in 0..MAX_PAGES {
        let after = all.last().map(|last| last.token);
        let Reply::Transfers { transfers, more } =
            ask(link, Query::Transfers { after, most: PAGE }).await?
        else {
            return Err(astray(link));
        };
        let goes_on = transfers.last().is_some_and(|last| Some(last.token) > after);
        all.extend(transfers);
        match (more, goes_on) {
            (false, _) => return Ok(all),
            (true, true) => {}
            (true, false) => break,
        }
    }
    Err(endless(link))
}

/// Removes files and folders.
///
/// # Errors
/// Whatever is in the way.
pub async fn remove(
    args: &Rm,
    report: &Arc<Report>,
    interrupts: &Interrupts,
    executor: &Executor,
) -> Result<(), Failure> {
    let link = dial::dial(&args.server, report, interrupts, executor).await?;
    let removed = dial::unless(interrupts, remove_all(&link, &args.names)).await;
    let server = link.name.clone();
    link.close().await;
    let codes = removed?;
    let mut failed = Vec::new();
    for (name, code) in args.names.iter().zip(&codes) {
        let result = if *code == Code::None { "removed" } else { "failed" };
        report.event(
            "file",
            json!({"server": server, "name": name, "result": result, "code": number(*code)}),
        );
        if *code != Code::None {
            failed.push(*code);
            report.warning(&format!("{}: {code}", clean(name)));
        }
    }
    let done = codes.len() - failed.len();
    let words = format!("removed {} from {server}", count(done, "entry"));
    let words = words.replace("entrys", "entries");
    report.summary(json!({"removed": done, "failed": failed.len()}), &words);
    let Some(first) = failed.first() else { return Ok(()) };
    let same = done == 0 && failed.iter().all(|code| exit_of(*code) == exit_of(*first));
    let exit = if same { exit_of(*first) } else { Exit::Partial };
    let files = count(failed.len(), "name");
    Err(Failure::new(exit, format!("{files} could not be removed from {server}")))
}

fn number(code: Code) -> Exit {
    if code == Code::None { Exit::Ok } else { exit_of(code) }
}

/// As many at once as one question takes.
async fn remove_all(link: &Link, names: &[String]) -> Result<Vec<Code>, Failure> {
    let mut codes = Vec::new();
    while codes.len() < names.len() {
        let left = &names[codes.len()..];
        let fits = |len: &usize| Query::Remove { names: left[..*len].to_vec() }.fits();
        let len = (1..=left.len()).take_while(fits).last().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the name {:?} is too long", clean(&left[0])))
        })?;
        let query = Query::Remove { names: left[..len].to_vec() };
        match ask(link, query).await? {
            Reply::Removed { codes: some } if some.len() == len => codes.extend(some),
            _ => return Err(astray(link)),
        }
    }
    Ok(codes)
}
