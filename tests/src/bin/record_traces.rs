//! Records the traces in `tests/traces` anew, in real runs of the real programs:
//!
//! ```text
//! cargo run --release -p anabranch-tests --bin record_traces
//! ```
//!
//! They are replayed by the test `golden`. Whatever changes what the core does with the same
//! input makes them differ: record them again if that is meant.

#[path = "record_traces/relay.rs"]
mod relay;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anabranch_tests::bench::Outcome;
use anabranch_tests::bench::proc::Running;
use anabranch_tests::bench::programs::Programs;
use anabranch_tests::programs::root;

/// One server, and the clients that come to it one after the other.
struct Scene {
    name: &'static str,
    server: &'static [&'static str],
    /// Every so many datagrams are lost, each way.
    lose: Option<u64>,
    clients: &'static [(&'static str, &'static [&'static str])],
}

/// The pause is longer than what is sent ahead, so something passes.
const LIVE: &[&str] =
    &["play", "a.bin", "--pause-at", "2", "--resume-after", "3s", "--pause-policy", "live"];

const SCENES: &[Scene] = &[
    Scene {
        name: "media",
        server: &["--max-bitrate", "800k", "--chunk", "16KiB"],
        lose: None,
        clients: &[
            ("pause", &["play", "a.bin", "--pause-at", "3", "--resume-after", "50ms"]),
            ("live", LIVE),
            ("close", &["play", "a.bin", "--duration", "100ms"]),
            ("refused", &["play", "nothing"]),
            ("ls", &["ls"]),
            ("ping", &["ping", "--count", "3", "--interval", "10ms"]),
        ],
    },
    Scene {
        name: "loss",
        server: &["--pacing", "off", "--chunk", "16KiB"],
        lose: Some(9),
        clients: &[
            ("all", &["play", "a.bin"]),
            ("part", &["play", "a.bin", "--start-byte", "100000"]),
        ],
    },
    Scene {
        name: "classic",
        server: &["--max-bitrate", "3M", "--chunk", "16KiB", "--retry", "always"],
        lose: None,
        clients: &[("play", &["play", "--classic", "--pause-at", "2", "--resume-after", "50ms"])],
    },
];

fn main() -> Outcome<()> {
    let programs = Programs::build()?;
    let work = programs.scratch().join("traces");
    let media = work.join("media");
    let kept = root().join("tests/traces");
    drop(std::fs::remove_dir_all(&work));
    std::fs::create_dir_all(&media)?;
    run(client(&programs, &work, &["gen", "media/a.bin", "--size", "300KB", "--seed", "1"]), 0)?;
    for scene in SCENES {
        scene.record(&programs, &work)?;
    }
    drop(std::fs::remove_dir_all(&kept));
    std::fs::create_dir_all(&kept)?;
    let mut sum = 0;
    for entry in std::fs::read_dir(work.join("recorded"))? {
        let path = entry?.path();
        let name = path.file_name().ok_or("a file without a name")?;
        sum += std::fs::copy(&path, kept.join(name))?;
    }
    println!("{sum} bytes in {}", kept.display());
    Ok(())
}

impl Scene {
    fn record(&self, programs: &Programs, work: &Path) -> Outcome<()> {
        let recorded = work.join("recorded");
        let traces = work.join(format!("{}-server", self.name));
        std::fs::create_dir_all(&recorded)?;
        let folder = traces.display().to_string();
        let (media, key) = (work.join("media").display().to_string(), work.join("key.pem"));
        let (key, cert) = (key.display().to_string(), work.join("cert.pem"));
        let cert = cert.display().to_string();
        let mut args = vec!["--listen", "127.0.0.1", "--port", "0", "--media", &media];
        args.extend(["--trace", &folder, "--key", &key, "--cert", &cert]);
        args.extend(self.server);
        let (server, mut port) = programs.serve("anabranchd", &args)?;
        if let Some(every) = self.lose {
            port = relay::start(port, every)?;
        }
        for (name, line) in self.clients {
            let trace = recorded.join(format!("{}-{name}.trace", self.name));
            let mut command = client(programs, work, line);
            command.args(["--insecure", "--port", &port.to_string(), "--trace"]).arg(&trace);
            if line.first() == Some(&"play") {
                command.args(["--output", "/dev/null"]);
            }
            // There is no such media.
            run(command, if *name == "refused" { 66 } else { 0 })?;
        }
        stop(server)?;
        std::fs::rename(only(&traces)?, recorded.join(format!("{}-server.trace", self.name)))?;
        Ok(())
    }
}

fn client(programs: &Programs, work: &Path, line: &[&str]) -> Command {
    let mut command = programs.command("anabranch");
    // Nothing of the user's is touched.
    command.args(line).current_dir(work).env("HOME", work).stdout(Stdio::null());
    command.env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME");
    command
}

fn run(mut command: Command, code: i32) -> Outcome<()> {
    let status = command.status()?;
    if status.code() == Some(code) {
        return Ok(());
    }
    Err(format!("{command:?} ends with {status}").into())
}

/// Asks a server to end, and waits for that.
fn stop(mut server: Running) -> Outcome<()> {
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let status = server.0.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the server ends with {status}").into()) }
}

fn only(folder: &Path) -> Outcome<PathBuf> {
    let first = std::fs::read_dir(folder)?.next().ok_or("the server has recorded nothing")?;
    Ok(first?.path())
}
