//! What goes on beside the loop: signals, reloading, the daily look at the certificate, and the
//! service manager.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anabranch_driver_mio::{Clock, Handle};
use sd_notify::NotifyState;

use super::files::Policy;
use super::{Command, Reloaded};
use crate::catalogue::Catalogue;
use crate::cert::{self, Files, Made};
use crate::cli::server::Args;
use crate::exit::{Exit, Failure};
use crate::settings;
use crate::signals::{self, Signal};

const DAY: Duration = Duration::from_secs(86_400);
const TICK: Duration = Duration::from_secs(60);

/// Tells systemd, if it asked to be told.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("cannot tell the service manager: {error}");
    }
}

/// Starts the threads beside the loop.
///
/// # Errors
/// If the operating system gives no threads.
pub(super) fn start(
    args: &Args,
    server: &settings::Server,
    catalogue: Catalogue,
    clock: Clock,
    handle: &Handle<Command>,
) -> Result<(), Failure> {
    let (reload, reloads) = mpsc::channel();
    let to_loop = handle.clone();
    let mut stops = 0;
    let spawned = signals::watch(true, move |signal| {
        match signal {
            Signal::Reload => drop(reload.send(())),
            Signal::Interrupt | Signal::Terminate => {
                stops += 1;
                // The loop does not react any more: there is nothing left to be polite with.
                if stops > 2 {
                    std::process::exit(i32::from(signal.exit().number()));
                }
                // The inbox may be full for a moment, and a third signal must not wait for it.
                let to_loop = to_loop.clone();
                thread::spawn(move || drop(to_loop.send(Command::Stop(signal))));
            }
        }
    });
    let keeper = Keeper {
        args: args.clone(),
        serves_files: server.files.is_some(),
        identity: server.identity.clone(),
        media: server.media.clone(),
        catalogue,
        handle: handle.clone(),
    };
    let ticks = handle.clone();
    let threads = spawned
        .and_then(|()| {
            thread::Builder::new().name("upkeep".to_owned()).spawn(move || keeper.run(&reloads))
        })
        .and_then(|_| {
            thread::Builder::new().name("ticks".to_owned()).spawn(move || tick(clock, &ticks))
        });
    threads.map(drop).map_err(|error| Failure::new(Exit::Temporary, format!("no threads: {error}")))
}

fn tick(clock: Clock, handle: &Handle<Command>) {
    let period = sd_notify::watchdog_enabled().map_or(TICK, |limit| TICK.min(limit / 3));
    // Through the loop, so that systemd learns that the loop is alive and not only this thread.
    while handle.send(Command::Tick(clock.wall())).is_ok() {
        thread::sleep(period);
    }
}

struct Keeper {
    args: Args,
    serves_files: bool,
    identity: Files,
    media: Option<std::path::PathBuf>,
    catalogue: Catalogue,
    handle: Handle<Command>,
}

impl Keeper {
    fn run(mut self, reloads: &mpsc::Receiver<()>) {
        loop {
            let sent = match reloads.recv_timeout(DAY) {
                Ok(()) => self.reload(),
                Err(RecvTimeoutError::Timeout) => self.renew(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !sent {
                return;
            }
        }
    }

    fn reload(&mut self) -> bool {
        log::info!("reading certificate, media and settings of files again");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => log::debug!("no clock to tell the service manager: {error}"),
        }
        let identity = cert::load_or_make(&self.identity).map(|(identity, _)| Some(identity));
        let catalogue = Catalogue::read(self.media.as_deref(), &self.catalogue);
        if let Ok(new) = &catalogue {
            self.catalogue = new.clone();
        }
        let (catalogue, files) = (catalogue.map(Some), self.files());
        let reloaded = Reloaded { identity, catalogue, files };
        let sent = self.handle.send(Command::Reloaded(Box::new(reloaded)));
        notify(&[NotifyState::Ready]);
        sent.is_ok()
    }

    fn renew(&mut self) -> bool {
        let identity = match cert::load_or_make(&self.identity) {
            Ok((_, Made::Nothing)) => return true,
            Ok((identity, _)) => Ok(Some(identity)),
            Err(failure) => Err(failure),
        };
        let reloaded = Reloaded { identity, catalogue: Ok(None), files: Ok(None) };
        self.handle.send(Command::Reloaded(Box::new(reloaded))).is_ok()
    }

    /// Of all settings, those of files are read again.
    fn files(&self) -> Result<Option<Policy>, Failure> {
        let mut server = settings::Server::new(&self.args)?;
        server.check_files()?;
        match (server.files, self.serves_files) {
            (Some(files), true) => Policy::new(files).map(Some),
            (None, false) => Ok(None),
            (Some(_), false) | (None, true) => {
                let what = "whether files are served at all is settled at the start";
                Err(Failure::new(Exit::Config, what).hint("start anabranchd again"))
            }
        }
    }
}
