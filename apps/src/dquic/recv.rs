//! `anabranch dquic recv`.

mod extended;
mod store;

use anabranch_core::Code;
use anabranch_core::transport::dquic::classic::{Config, Event};
use anabranch_driver::dquic::{Happened, Runner};
use serde_json::json;

use self::extended::Connections;
use self::store::Store;
use super::files::{Files, Key};
use super::progress::Progress;
use crate::cli::dquic::Recv;
use crate::dial::{self, Interrupts};
use crate::exit::Failure;
use crate::plaintext;
use crate::report::Report;
use crate::units::count;

/// Receives until it is enough.
///
/// # Errors
/// Whatever is in the way.
pub(super) fn run(args: &Recv, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    report.warning(plaintext::WARNING);
    args.plaintext.check(args.listen)?;
    let files = Files::new(&args.out, args.force)?;
    let config = Config { quiet_after: Some(args.quiet_after), ..Config::default() };
    let mut runner = super::bind(args.listen, config, super::Plain::Server)?;
    let (address, out) = (runner.local_addr(), args.out.display().to_string());
    let words = format!("listening on {address}; streams become files in {out}");
    report.phase("listening", json!({"address": address.to_string(), "out": out}), &words);
    let mut receiver =
        Receiver { args, store: Store::new(report, files), connections: Connections::default() };
    let outcome = receiver.run(&mut runner, report, interrupts);
    let (code, words) = match &outcome {
        Ok(()) => (Code::None, ""),
        Err(failure) => (Code::Internal, failure.what.as_str()),
    };
    receiver.connections.close(&mut runner, &mut receiver.store, code, words);
    receiver.store.finish(runner.classic());
    outcome?;
    receiver.store.verdict()
}

struct Receiver<'a> {
    args: &'a Recv,
    store: Store<'a>,
    connections: Connections,
}

impl Receiver<'_> {
    /// One turn after another.
    fn run(
        &mut self,
        runner: &mut Runner,
        report: &Report,
        interrupts: &Interrupts,
    ) -> Result<(), Failure> {
        let mut progress = Progress::start(report, None);
        loop {
            if let Ok(signal) = interrupts.try_recv() {
                // Ctrl-C is how a receiver without end is ended.
                let is_endless = !self.args.once && self.args.count.is_none();
                let is_done = self.is_idle() && is_endless;
                return if is_done { Ok(()) } else { Err(dial::interrupted(signal)) };
            }
            let event = runner.step(super::next_tick());
            match event.map_err(|error| super::network(&error))? {
                Some(Happened::Classic(event)) => self.classic(&event)?,
                Some(Happened::Plain(id, signal)) => {
                    self.connections.take(runner, &mut self.store, id, &signal)?;
                }
                None => {}
            }
            let open = || format!("{} open", count(self.store.open(), "stream"));
            progress.tell(self.store.bytes(), open);
            let ended = self.store.ended();
            let enough = match self.args.count {
                Some(count) => ended >= count,
                None => self.args.once && ended > 0 && self.is_idle(),
            };
            if enough {
                return Ok(());
            }
        }
    }

    /// Nothing is under way.
    fn is_idle(&self) -> bool {
        self.store.open() == 0 && self.connections.is_empty()
    }

    /// A classic sender has done something.
    fn classic(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Received(packet) => self.store.packet(packet)?,
            Event::Quiet { peer, stream, stats } => {
                self.store.end(Key::classic(*peer, *stream), "quiet", (*stats).into());
            }
            Event::Broken { peer, stream, stats } => {
                self.store.warn(&format!(
                    "stream {stream} of {peer} is damaged: a frame declares more than it has"
                ));
                self.store.end(Key::classic(*peer, *stream), "damaged", (*stats).into());
            }
            Event::Forgotten { peer, streams } => {
                for (stream, stats) in streams {
                    self.store.forget(Key::classic(*peer, *stream), (*stats).into());
                }
            }
            Event::Wanted { .. } | Event::Sent { .. } | Event::Failed { .. } => {}
        }
        Ok(())
    }
}
