//! The commands of `anabranch`.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use clap::CommandFactory as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli;
use crate::cli::client::{Args, Command, Gen, Play};
use crate::cli::dquic::{Dquic, Verb};
use crate::cli::files::{self, Get, Transfers};
use crate::dial::{Executor, Interrupts};
use crate::exit::{Exit, Failure};
use crate::generate::{self, Amount, Source};
use crate::play::keys;
use crate::play::sink::Target;
use crate::report::{Json, Report};
use crate::transfer::{Invocation, Scene};
use crate::units::show_size;
use crate::{dquic, list, orders, ping, play, questions, signals, trace, transfer};

/// From this size on, making a file shows its progress.
const LARGE: u64 = 64 << 20;

/// Runs a command line, and says how it went.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let report = Arc::new(Report::new("anabranch", json_target(args), args.verbosity.quiet));
    report.log(args.verbosity);
    report.hello(name(&args.command));
    let outcome = command(args, &report);
    keys::restore();
    match outcome {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            report.failure(&failure);
            failure.exit
        }
    }
}

fn command(args: &Args, report: &Arc<Report>) -> Result<(), Failure> {
    match &args.command {
        Command::Help(help) => return cli::help(help, Args::command()),
        Command::Gen(args) => return generate_file(args, report),
        Command::Trace(command) => return trace::run(command, report),
        Command::Play(_)
        | Command::Ls(_)
        | Command::Ping(_)
        | Command::Send(_)
        | Command::Get(_)
        | Command::Rm(_)
        | Command::Transfers(_)
        | Command::Dquic(_) => {}
    }
    let interrupts = interrupts()?;
    if let Command::Dquic(args) = &args.command {
        return dquic::run(args, report, &interrupts);
    }
    let executor = Rc::new(Executor::new());
    let scene = Scene { report, interrupts: &interrupts, executor: &executor };
    smol::block_on(executor.run(async {
        match &args.command {
            Command::Play(args) => play::run(args, report, &interrupts, &executor).await,
            Command::Ls(args) => list::run(args, report, &interrupts, &executor).await,
            Command::Ping(args) => ping::run(args, report, &interrupts, &executor).await,
            Command::Send(args) => transfer::send(args, &Invocation::of_process(), scene).await,
            Command::Get(args) => transfer::get(args, &Invocation::of_process(), scene).await,
            Command::Rm(args) => questions::remove(args, report, &interrupts, &executor).await,
            Command::Transfers(args) => orders::run(args, scene).await,
            Command::Gen(_) | Command::Trace(_) | Command::Dquic(_) | Command::Help(_) => Ok(()),
        }
    }))
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Play(_) => "play",
        Command::Ls(_) => "ls",
        Command::Ping(_) => "ping",
        Command::Send(_) => "send",
        Command::Get(_) => "get",
        Command::Rm(_) => "rm",
        Command::Transfers(Transfers { verb }) => match verb {
            None | Some(files::Verb::List(_)) => "transfers list",
            Some(files::Verb::Pause(_)) => "transfers pause",
            Some(files::Verb::Resume(_)) => "transfers resume",
            Some(files::Verb::Cancel(_)) => "transfers cancel",
        },
        Command::Gen(_) => "gen",
        Command::Dquic(Dquic { verb: Verb::Send(_) }) => "dquic send",
        Command::Dquic(Dquic { verb: Verb::Recv(_) }) => "dquic recv",
        Command::Trace(command) => command.name(),
        Command::Help(cli::Help::Completions { .. }) => "completions",
        Command::Help(cli::Help::Man { .. }) => "man",
    }
}

fn json_target(args: &Args) -> Json {
    let to_stdout = |output: Option<&Path>| output.is_none_or(|path| path == Path::new("-"));
    match &args.command {
        _ if !args.json => Json::Off,
        Command::Play(Play { output, .. }) if to_stdout(output.as_deref()) => Json::Stderr,
        Command::Gen(Gen { out, .. }) if to_stdout(Some(out)) => Json::Stderr,
        Command::Get(Get { output: Some(out), .. }) if to_stdout(Some(out)) => Json::Stderr,
        Command::Help(_) => Json::Off,
        Command::Play(_)
        | Command::Gen(_)
        | Command::Ls(_)
        | Command::Ping(_)
        | Command::Send(_)
        | Command::Get(_)
        | Command::Rm(_)
        | Command::Transfers(_)
        | Command::Dquic(_)
        | Command::Trace(_) => Json::Stdout,
    }
}

/// The first signal is for the command, the second ends the program.
fn interrupts() -> Result<Interrupts, Failure> {
    let (sender, interrupts) = smol::channel::bounded(1);
    let mut asked = false;
    let watching = signals::watch(false, move |signal| {
        if asked {
            keys::restore();
            std::process::exit(i32::from(signal.exit().number()));
        }
        asked = true;
        // It is empty: this happens once.
        let _ = sender.try_send(signal);
    });
    watching.map_err(|error| Failure::new(Exit::Temporary, format!("no signals: {error}")))?;
    Ok(interrupts)
}

fn generate_file(args: &Gen, report: &Report) -> Result<(), Failure> {
    let amount = args.duration.map_or(Amount::Bytes(args.size), Amount::Time);
    let mut source = Source::new(args.kind, amount, args.seed)?;
    let target = Target::new(Some(&args.out))?;
    let (mut out, _) = target.open(args.force, false)?;
    let total = source.left();
    let bar = (report.is_interactive() && total >= LARGE && target != Target::Stdout).then(|| {
        let bar = report.bars().add(ProgressBar::new(total));
        let template = "{elapsed_precise} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar
    });
    let written = generate::write(&mut source, &mut out, |at| {
        if let Some(bar) = &bar {
            bar.set_position(at);
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let bytes = written.map_err(|error: io::Error| Failure::writing(&target.name(), &error))?;
    let words = match target {
        Target::Stdout => String::new(),
        Target::File(_) => format!("made {}, {} ({bytes} bytes)", target.name(), show_size(bytes)),
    };
    report.summary(json!({"output": target.name(), "bytes": bytes, "seed": args.seed}), &words);
    Ok(())
}
