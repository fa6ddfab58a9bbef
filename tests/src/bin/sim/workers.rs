//! Several processes, each with its share of the trials: runs within one process take turns.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anabranch_tests::sim::summary::Summary;

use crate::args::Args;

/// Runs everything. Whether all is well.
pub(crate) fn run(args: &Args) -> Result<bool, String> {
    let children: Vec<Child> =
        (0..args.jobs()).map(|n| start(args, n)).collect::<Result<_, _>>()?;
    let summary = Mutex::new(Summary::default());
    let well = std::thread::scope(|scope| {
        let follow = |child| scope.spawn(|| follow(child, &summary));
        let followers: Vec<_> = children.into_iter().map(follow).collect();
        followers.into_iter().all(|follower| follower.join().is_ok_and(|well| well))
    });
    let summary = summary.into_inner().map_err(|_| "a worker was lost".to_owned())?;
    if !args.hash_only {
        print!("{}", summary.report());
    }
    Ok(well)
}

fn start(args: &Args, worker: u64) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| format!("its own path: {e}"))?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    command.args(["--jobs", &args.jobs().to_string(), "--worker", &worker.to_string()]);
    command.stdout(Stdio::piped()).spawn().map_err(|e| format!("a worker: {e}"))
}

/// Prints what a worker prints, and adds up its counts. Whether it ended well.
fn follow(mut child: Child, summary: &Mutex<Summary>) -> bool {
    let Some(out) = child.stdout.take() else { return false };
    for line in BufReader::new(out).lines() {
        let (Ok(line), Ok(mut summary)) = (line, summary.lock()) else { return false };
        if !summary.take_line(&line) {
            println!("{line}");
        }
    }
    child.wait().is_ok_and(|status| status.success())
}
