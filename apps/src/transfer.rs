//! `anabranch send` and `anabranch get`.

mod course;
mod outcome;
mod plan;
pub mod record;
mod screen;
mod summary;
mod view;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anabranch_core::files::Token;
use serde_json::json;
use smol::Timer;
use smol::channel::{self, Receiver, Sender};
use smol::future::or;

use crate::cli::client::Server;
use crate::cli::files::{Course as Settings, Get, Send};
use crate::dial::{self, Executor, Interrupts};
use crate::exit::{Exit, Failure};
use crate::known_hosts::host_key;
use crate::next::next;
use crate::play::keys::{self, Key};
use crate::report::Report;
use crate::signals::Signal;
use course::{Course, Finish, STOP, Wish};
use plan::{Getting, Plan, Sending};
use record::{Held, Record, Records};
use screen::Screen;
use view::View;

pub(crate) use outcome::exit as exit_of;

/// How often the screen is renewed.
const TICK: Duration = Duration::from_millis(100);

/// How the command was called, to be remembered: it goes on with what it began.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The arguments, without the program. `None`: they are not UTF-8.
    pub arguments: Option<Vec<String>>,
    /// Where.
    pub folder: PathBuf,
}

impl Invocation {
    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let arguments = std::env::args_os().skip(1).map(|word| word.into_string().ok()).collect();
        Self { arguments, folder: std::env::current_dir().unwrap_or_default() }
    }
}

/// What a command runs in.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Where it says things.
    pub report: &'a Arc<Report>,
    /// What the user can do.
    pub interrupts: &'a Interrupts,
    /// Where network loops run.
    pub executor: &'a Rc<Executor>,
}

/// Sends files.
///
/// # Errors
/// Whatever is in the way.
pub async fn send(args: &Send, called: &Invocation, scene: Scene<'_>) -> Result<(), Failure> {
    let mut servers: Vec<Server> = Vec::new();
    for to in &args.to {
        let mut server = args.server.clone();
        server.host = Some(to.host.clone());
        server.port = to.port.unwrap_or(server.port);
        if servers.iter().any(|one| (one.host(), one.port) == (server.host(), server.port)) {
            return Err(Failure::new(Exit::Usage, format!("{} is named twice", name_of(&server))));
        }
        servers.push(server);
    }
    if servers.is_empty() {
        servers.push(args.server.clone());
    }
    if servers.len() > 1 && args.server.record.place().is_some() {
        return Err(Failure::new(Exit::Usage, "a recording is of one server"));
    }
    let looking = Sending::new(args, servers.len());
    let plan = Plan::Send(dial::unless(scene.interrupts, looking).await?);
    all(plan, &args.course, servers, called, scene).await
}

/// Gets files.
///
/// # Errors
/// Whatever is in the way.
pub async fn get(args: &Get, called: &Invocation, scene: Scene<'_>) -> Result<(), Failure> {
    let plan = Plan::Get(Getting::new(args)?);
    all(plan, &args.course, vec![args.server.clone()], called, scene).await
}

fn name_of(server: &Server) -> String {
    host_key(server.host(), server.port)
}

/// Runs a course for each server until all are over.
async fn all(
    plan: Plan,
    settings: &Settings,
    servers: Vec<Server>,
    called: &Invocation,
    scene: Scene<'_>,
) -> Result<(), Failure> {
    let plan = Rc::new(plan);
    let (done, finished) = channel::bounded(servers.len());
    let mut running = Running { views: Vec::new(), stops: Vec::new(), wishes: Vec::new() };
    for (index, server) in servers.into_iter().enumerate() {
        let (token, held) = identify(&plan, settings, &server, called)?;
        let mut view = View::new(name_of(&server), token.to_string(), plan.way());
        (view.total, view.entries) = plan.size();
        view.speaks = index == 0;
        let view = Rc::new(RefCell::new(view));
        let (stop, stopped) = channel::bounded(1);
        let (wish, wishes) = channel::bounded(8);
        running.views.push(Rc::clone(&view));
        running.stops.push(stop);
        running.wishes.push(wish);
        let course = Course {
            plan: Rc::clone(&plan),
            server,
            token,
            held,
            view,
            report: Arc::clone(scene.report),
            executor: Rc::clone(scene.executor),
            stop: stopped,
            wishes,
            patience: settings.patience(),
            cancelled: false,
        };
        let done = done.clone();
        let run = async move {
            let finish = course.run().await;
            // There is room for all of them.
            let _ = done.send((index, finish)).await;
        };
        scene.executor.spawn(run).detach();
    }
    let keys = if scene.report.is_interactive() { keys::listen() } else { None };
    let (guard, keys) = keys.map_or((None, None), |(guard, keys)| (Some(guard), Some(keys)));
    if keys.is_some() {
        scene.report.hint("p pauses and resumes, q stops");
    }
    let (finishes, signal) =
        running.watch(&finished, keys.as_ref(), settings.stream_view, scene).await;
    drop(guard);
    running.sum_up(&finishes, signal, scene.report)
}

/// The token of an earlier transfer of the same things to the same place, or a new one.
fn identify(
    plan: &Plan,
    settings: &Settings,
    server: &Server,
    called: &Invocation,
) -> Result<(Token, Option<Held>), Failure> {
    let seed = anabranch_driver_smol::seed().map_err(|error| {
        Failure::new(Exit::Temporary, format!("the system has no randomness: {error}"))
    })?;
    let token = Token(seed.stream("token of a transfer").array());
    let records = Records::of_user().filter(|_| plan.is_repeatable());
    let Some(records) = records else { return Ok((token, None)) };
    let mut hasher = blake3::Hasher::new();
    hasher.update(name_of(server).as_bytes()).update(b"\0").update(&plan.identity());
    let key = hasher.finalize().to_hex().to_string();
    if let Some(held) = records.earlier(&key) {
        match held.token().filter(|_| !settings.no_resume) {
            Some(token) => return Ok((token, Some(held))),
            None => held.forget(),
        }
    }
    let Some(arguments) = called.arguments.clone() else { return Ok((token, None)) };
    let record = Record {
        token: token.to_string(),
        key,
        host: server.host().to_owned(),
        port: server.port,
        label: plan.label(),
        arguments,
        folder: called.folder.clone(),
        bytes: 0,
        total: plan.size().0,
        begun: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    let held = records.begin(record);
    if let Err(error) = &held {
        log::warn!("this transfer cannot be listed or taken up by its token: {error}");
    }
    Ok((token, held.ok()))
}

/// Courses on their way.
struct Running {
    views: Vec<Rc<RefCell<View>>>,
    stops: Vec<Sender<Signal>>,
    wishes: Vec<Sender<Wish>>,
}

/// What happened next.
enum Step {
    Finish(usize, Finish),
    Signal(Signal),
    Key(Key),
    Tick,
}

impl Running {
    /// Shows what happens, and passes on what the user wants.
    async fn watch(
        &self,
        finished: &Receiver<(usize, Finish)>,
        keys: Option<&Receiver<Key>>,
        streams: bool,
        scene: Scene<'_>,
    ) -> (Vec<Finish>, Option<Signal>) {
        let mut screen = Screen::new(scene.report, self.views.len(), streams);
        let mut finishes = vec![Finish::Stopped; self.views.len()];
        let (mut left, mut signal) = (self.views.len(), None);
        let mut tick = Timer::interval(TICK);
        while left > 0 {
            match step(finished, keys, scene.interrupts, &mut tick).await {
                Step::Finish(index, finish) => {
                    finishes[index] = finish;
                    left -= 1;
                }
                Step::Signal(given) => {
                    signal = Some(given);
                    self.stop();
                }
                Step::Key(Key::Quit) => self.stop(),
                Step::Key(Key::Toggle) => {
                    for wishes in &self.wishes {
                        // Who does not heed eight of them heeds none.
                        let _ = wishes.try_send(Wish::Toggle);
                    }
                }
                Step::Tick => {}
            }
            for (index, view) in self.views.iter().enumerate() {
                screen.tell(index, &view.borrow());
            }
        }
        (finishes, signal)
    }

    fn stop(&self) {
        for stop in &self.stops {
            // Once is enough.
            let _ = stop.try_send(STOP);
        }
    }

    /// Says how it all ended.
    fn sum_up(
        &self,
        finishes: &[Finish],
        signal: Option<Signal>,
        report: &Report,
    ) -> Result<(), Failure> {
        let views: Vec<_> = self.views.iter().map(|view| view.borrow()).collect();
        let mut failures = Vec::new();
        let mut parts = Vec::new();
        for (view, finish) in views.iter().zip(finishes) {
            parts.push((&**view, *finish == Finish::Complete));
            failures.extend(failure(view, finish, signal));
        }
        summary::tell(&parts, report);
        if finishes.contains(&Finish::Stopped) && views.iter().any(|view| view.there() > 0) {
            report.phase("stopped", json!({}), outcome::AGAIN);
        }
        match failures.len() {
            0 => Ok(()),
            1 if parts.len() == 1 => Err(failures.remove(0)),
            failed => Err(some(&failures, failed, parts.len())),
        }
    }
}

/// What was in the way of one course.
fn failure(view: &View, finish: &Finish, signal: Option<Signal>) -> Option<Failure> {
    match finish {
        Finish::Complete => {
            let last = view.last.as_ref()?;
            let fine = view.done + view.skipped;
            Some(outcome::partial(&view.failed, last, fine, &view.server))
        }
        Finish::Stopped => {
            let failure = match signal {
                Some(signal) => dial::interrupted(signal),
                None => Failure::new(Exit::Temporary, "stopped"),
            };
            Some(failure)
        }
        Finish::Failed(failure) => Some(failure.clone()),
    }
}

/// Some of several servers did not get everything.
fn some(failures: &[Failure], failed: usize, of: usize) -> Failure {
    let same = failures.iter().all(|failure| failure.exit == failures[0].exit);
    let exit = if same && failed == of { failures[0].exit } else { Exit::Partial };
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    Failure::new(exit, format!("{failed} of {of} servers do not have everything"))
        .hint(texts.join("\n"))
}

async fn step(
    finished: &Receiver<(usize, Finish)>,
    keys: Option<&Receiver<Key>>,
    interrupts: &Interrupts,
    tick: &mut Timer,
) -> Step {
    let finish = async {
        let (index, finish) = next(Some(finished)).await;
        Step::Finish(index, finish)
    };
    let key = async { Step::Key(next(keys).await) };
    let signal = async { Step::Signal(next(Some(interrupts)).await) };
    let ticks = async {
        smol::stream::StreamExt::next(tick).await;
        Step::Tick
    };
    or(or(finish, signal), or(key, ticks)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_end_with_what_they_have_in_common() {
        let fail = |exit| Failure::new(exit, "x");
        let all = some(&[fail(Exit::Temporary), fail(Exit::Temporary)], 2, 2);
        assert_eq!(all.exit, Exit::Temporary);
        assert_eq!(some(&[fail(Exit::Temporary)], 1, 2).exit, Exit::Partial);
        let mixed = some(&[fail(Exit::Temporary), fail(Exit::Io)], 2, 2);
        assert_eq!((mixed.exit, mixed.hint.as_deref()), (Exit::Partial, Some("x\nx")));
    }

    #[test]
    fn an_interrupt_has_its_own_code_and_a_key_is_none() {
        let view = View::new("h".into(), "t".into(), view::Way::Get);
        let of = |signal| failure(&view, &Finish::Stopped, signal).unwrap().exit;
        assert_eq!(of(Some(Signal::Interrupt)), Exit::Interrupted);
        assert_eq!(of(Some(Signal::Terminate)), Exit::Terminated);
        assert_eq!(of(None), Exit::Temporary);
        assert_eq!(failure(&view, &Finish::Complete, None), None);
    }
}
