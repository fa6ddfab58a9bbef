//! `recording`: the same as `play`, with both programs recording what they do.

use std::path::Path;
use std::time::Duration;

use super::Outcome;
use super::play::{self, Plan};
use super::proc;
use super::programs::Programs;
use super::report::{Section, table};
use super::samples::Samples;

/// Where files are in memory, so that no disk is measured.
const MEMORY: &str = "/dev/shm";
const FILE: &str = "random.bin";
const MEDIA: &str = "media/random.bin";
/// The writing threads look this often at least, so this long after a run everything is written.
const SETTLE: Duration = Duration::from_millis(500);

/// What is recorded.
const CASES: [(&str, &[&str]); 3] = [
    ("nothing", &[]),
    ("everything but the media", &["--trace"]),
    ("everything", &["--trace", "--trace-payloads", "--trace-limit", "64GiB"]),
];

/// What one case came to.
#[derive(Default)]
struct Case {
    rate: Samples,
    client: Samples,
    serving: Samples,
    /// Bytes of both traces for each MiB of media.
    size: Samples,
    /// Runs in which the client's recording had to end early.
    early: usize,
}

/// Measures, and makes a table of it.
///
/// # Errors
/// A program fails.
pub fn run(programs: &Programs, plan: Plan) -> Outcome<Section> {
    play::prepare(programs, FILE, plan.bytes)?;
    let mut all = [Case::default(), Case::default(), Case::default()];
    // Round after round, so that whatever disturbs the machine disturbs all of them.
    for round in 0..plan.runs {
        for ((name, flags), case) in CASES.iter().zip(&mut all) {
            proc::wait_for_quiet()?;
            case.run(programs, flags, plan.bytes)?;
            eprintln!("recording {}/{}: {name}", round + 1, plan.runs);
        }
    }
    Ok(section(&all, plan))
}

impl Case {
    fn run(&mut self, programs: &Programs, flags: &[&str], bytes: u64) -> Outcome<()> {
        let folder = match Path::new(MEMORY) {
            memory if memory.is_dir() => memory.join("anabranch-recordings"),
            _ => programs.scratch().join("recordings"),
        };
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(folder.join("server"))?;
        let (here, there) = (folder.join("client.trace"), folder.join("server"));
        let (here, there) = (here.display().to_string(), there.display().to_string());
        let with = |place: &str| -> Vec<String> {
            let value = |flag: &&str| (*flag == "--trace").then(|| place.to_owned());
            flags
                .iter()
                .flat_map(|flag| [(*flag).to_owned()].into_iter().chain(value(flag)))
                .collect()
        };
        let serving = with(&there);
        let mut args = vec!["--pacing", "off"];
        args.extend(serving.iter().map(String::as_str));
        let (server, port) = super::server::start(programs, MEDIA, &args)?;
        let mut client = programs.command("anabranch");
        client.args(["--json", "play", FILE, "--output", "/dev/null", "--no-pacing"]);
        client.args(["--insecure", "--port", &port.to_string()]).args(with(&here));
        let before = proc::cpu(server.pid())?;
        let run = play::measure(client, server.pid(), bytes)?;
        std::thread::sleep(SETTLE);
        let serving = proc::cpu(server.pid())? - before;
        drop(server);
        self.early += usize::from(run.warned);
        let bytes = bytes as f64;
        self.rate.push(bytes * 8.0 / run.time.as_secs_f64() / 1e9);
        self.client.push(run.client.as_secs_f64() * 1e9 / bytes);
        self.serving.push(serving.as_secs_f64() * 1e9 / bytes);
        self.size.push(size(&folder)? as f64 / (bytes / f64::from(1 << 20)) / 1024.0);
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }
}

/// Bytes of all files in a folder.
fn size(folder: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(sum)
}

fn section(all: &[Case], plan: Plan) -> Section {
    let row = |((name, _), case): (&(&str, &[&str]), &Case)| {
        let cpu = case.client.median() + case.serving.median();
        vec![
            (*name).to_owned(),
            case.rate.show(2),
            case.client.show(3),
            case.serving.show(3),
            format!("{cpu:.3}"),
            format!("{:.1}", case.size.median()),
        ]
    };
    let head = [
        "recorded",
        "Gbit/s",
        "client ns/byte",
        "server ns/byte",
        "both ns/byte",
        "KiB of both traces per MiB",
    ];
    let mut text = table(&head, &CASES.iter().zip(all).map(row).collect::<Vec<_>>());
    let cpu = |case: &Case| case.client.median() + case.serving.median();
    for ((name, _), case) in CASES.iter().zip(all).skip(1) {
        let rate = case.rate.median() / all[0].rate.median();
        let cpu = cpu(case) / cpu(&all[0]);
        text.push_str(&format!("\n{name} : nothing = {rate:.2} in speed, {cpu:.2} in CPU time.\n"));
    }
    let early: usize = all.iter().map(|case| case.early).sum();
    if early > 0 {
        text.push_str(&format!("\nIn {early} runs the client's recording had to end early.\n"));
    }
    let (mib, runs) = (plan.bytes >> 20, plan.runs);
    Section {
        title: format!("recording: {mib} MiB, median (lowest..highest) of {runs} runs"),
        text,
    }
}
