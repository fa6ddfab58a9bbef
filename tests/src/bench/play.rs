//! `play`: a file from `anabranchd` to `anabranch play`, as fast as it goes, beside a download
//! of as many bytes over plain quiche.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Outcome;
use super::proc::{self, Running};
use super::programs::{Programs, number};
use super::report::{Section, table};
use super::samples::Samples;

/// The file that is played.
const FILE: &str = "random.bin";
/// The same, seen from the scratch folder.
const MEDIA: &str = "media/random.bin";

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Runs of each contestant.
    pub runs: usize,
    /// Bytes of the file.
    pub bytes: u64,
}

/// The size of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Datagrams {
    /// So many bytes, and nothing else is tried.
    Fixed(&'static str),
    /// What the path is found to take.
    Discovered,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Anabranch,
    Bare,
}

const CONTESTANTS: [(Who, Datagrams, &str); 4] = [
    (Who::Anabranch, Datagrams::Fixed("1350"), "anabranch, 1350 bytes"),
    (Who::Bare, Datagrams::Fixed("1350"), "plain quiche, 1350 bytes"),
    (Who::Anabranch, Datagrams::Discovered, "anabranch, found by discovery"),
    (Who::Bare, Datagrams::Fixed("16383"), "plain quiche, 16383 bytes"),
];

/// One contestant, its server running.
struct Contestant {
    who: Who,
    datagrams: Datagrams,
    name: &'static str,
    server: Running,
    port: u16,
    rate: Samples,
    client: Samples,
    serving: Samples,
}

/// One run.
pub(super) struct Run {
    /// Of the transfer.
    pub(super) time: Duration,
    /// CPU time of the client.
    pub(super) client: Duration,
    /// CPU time of the server.
    pub(super) server: Duration,
    /// The client could not record everything.
    pub(super) warned: bool,
}

/// Measures, and makes a table of it.
///
/// # Errors
/// A program fails.
pub fn run(programs: &Programs, plan: Plan) -> Outcome<Section> {
    prepare(programs, FILE, plan.bytes)?;
    let mut all = Vec::new();
    for (who, datagrams, name) in CONTESTANTS {
        all.push(Contestant::start(programs, who, datagrams, name)?);
    }
    let mut noisy = 0;
    // Round after round, so that whatever disturbs the machine disturbs all of them.
    for round in 0..plan.runs {
        for contestant in &mut all {
            noisy += usize::from(!proc::wait_for_quiet()?);
            let client = contestant.client(programs, plan.bytes);
            let run = measure(client, contestant.server.pid(), plan.bytes)?;
            contestant.note(&run, plan.bytes);
            let (name, seconds) = (contestant.name, run.time.as_secs_f64());
            eprintln!("play {}/{}: {name}: {seconds:.3} s", round + 1, plan.runs);
        }
    }
    Ok(section(&all, plan, noisy))
}

/// Makes the file if it is not there, and reads it once, so that it is in memory.
///
/// # Errors
/// The file cannot be made.
pub(super) fn prepare(programs: &Programs, name: &str, bytes: u64) -> Outcome<()> {
    let folder = programs.scratch().join("media");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(name);
    if std::fs::metadata(&file).map_or(0, |meta| meta.len()) != bytes {
        let mut make = programs.command("anabranch");
        make.arg("gen").arg(&file).args(["--force", "--kind", "random", "--size"]);
        succeed(make.arg(bytes.to_string()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    }
    std::io::copy(&mut File::open(file)?, &mut std::io::sink())?;
    Ok(())
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ends with {status}").into()) }
}

impl Contestant {
    fn start(
        programs: &Programs,
        who: Who,
        datagrams: Datagrams,
        name: &'static str,
    ) -> Outcome<Self> {
        let (server, port) = match (who, datagrams) {
            (Who::Anabranch, Datagrams::Discovered) => {
                super::server::start(programs, MEDIA, &["--pacing", "off"])?
            }
            (Who::Anabranch, Datagrams::Fixed(size)) => {
                let flags = ["--pacing", "off", "--no-mtu-discovery", "--max-datagram", size];
                super::server::start(programs, MEDIA, &flags)?
            }
            (Who::Bare, Datagrams::Fixed(size)) => {
                programs.serve("bare_quiche", &["server", "--datagram", size])?
            }
            (Who::Bare, Datagrams::Discovered) => {
                programs.serve("bare_quiche", &["server", "--discover", "--datagram", "16383"])?
            }
        };
        let (rate, client, serving) = Default::default();
        Ok(Self { who, datagrams, name, server, port, rate, client, serving })
    }

    fn client(&self, programs: &Programs, bytes: u64) -> Command {
        let port = self.port.to_string();
        match self.who {
            Who::Anabranch => {
                let mut command = programs.command("anabranch");
                command.args(["--json", "play", FILE, "--output", "/dev/null", "--no-pacing"]);
                command.args(["--insecure", "--port", &port]);
                command
            }
            Who::Bare => {
                let mut command = programs.command("bare_quiche");
                command.args(["client", "--port", &port, "--bytes", &bytes.to_string()]);
                match self.datagrams {
                    Datagrams::Fixed(size) => command.args(["--datagram", size]),
                    Datagrams::Discovered => command.args(["--discover", "--datagram", "16383"]),
                };
                command
            }
        }
    }

    fn note(&mut self, run: &Run, bytes: u64) {
        let bytes = bytes as f64;
        self.rate.push(bytes * 8.0 / run.time.as_secs_f64() / 1e9);
        self.client.push(run.client.as_secs_f64() * 1e9 / bytes);
        self.serving.push(run.server.as_secs_f64() * 1e9 / bytes);
    }
}

/// Runs a client to its end, and tells what that took. It has to get so many bytes.
///
/// # Errors
/// It does not.
pub(super) fn measure(mut command: Command, server: u32, bytes: u64) -> Outcome<Run> {
    let (serving, client) = (proc::cpu(server)?, proc::children_cpu()?);
    let start = Instant::now();
    let output = command.stderr(Stdio::piped()).stdout(Stdio::piped()).output()?;
    let wall = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    // A warning may come behind the summary.
    let summary = |line: &&str| number(line, "bytes").is_some();
    let last = text.lines().rfind(summary).or(text.lines().last()).unwrap_or_default();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ends with {}: {said}{last}", output.status).into());
    }
    if number(last, "bytes") != Some(bytes as f64) {
        return Err(format!("{command:?} did not get every byte: {last}").into());
    }
    Ok(Run {
        time: transfer(last).unwrap_or(wall),
        client: proc::children_cpu()? - client,
        server: proc::cpu(server)? - serving,
        warned: text.contains("ended early"),
    })
}

/// How long the transfer took, as the client tells: without its start and its handshake.
fn transfer(summary: &str) -> Option<Duration> {
    let seconds = number(summary, "seconds");
    let seconds = seconds.or_else(|| Some(number(summary, "elapsed_ms")? / 1e3))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn section(all: &[Contestant], plan: Plan, noisy: usize) -> Section {
    let row = |c: &Contestant| {
        let cpu = c.client.median() + c.serving.median();
        vec![
            c.name.to_owned(),
            c.rate.show(2),
            c.client.show(3),
            c.serving.show(3),
            format!("{cpu:.3}"),
        ]
    };
    let head = ["program, datagrams", "Gbit/s", "client ns/byte", "server ns/byte", "both ns/byte"];
    let mut text = table(&head, &all.iter().map(row).collect::<Vec<_>>());
    for pair in all.chunks_exact(2) {
        let rate = pair[0].rate.median() / pair[1].rate.median();
        let cpu = |c: &Contestant| c.client.median() + c.serving.median();
        let cpu = cpu(&pair[0]) / cpu(&pair[1]);
        let (ours, bare) = (pair[0].name, pair[1].name);
        text.push_str(&format!("\n{ours} : {bare} = {rate:.2} in speed, {cpu:.2} in CPU time.\n"));
    }
    if noisy > 0 {
        text.push_str(&format!("\nBefore {noisy} runs the machine did not become quiet.\n"));
    }
    let (mib, runs) = (plan.bytes >> 20, plan.runs);
    Section { title: format!("play: {mib} MiB, median (lowest..highest) of {runs} runs"), text }
}
