//! Real processes on loopback.
#![expect(unreachable_pub, reason = "it is a module of a test")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};

/// A folder with a home of its own, so that nothing of the user's is touched.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars() {
            if name.starts_with("ANABRANCH_") || name.starts_with("XDG_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", self.dir.path())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM");
        command
    }

    /// The client, not yet started.
    pub fn client(&self, line: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_anabranch"));
        command.args(line.split_whitespace());
        command
    }

    /// Runs the client to its end.
    pub fn run(&self, line: &str) -> Ran {
        Ran(self.client(line).output().unwrap())
    }

    /// The server, not yet started.
    pub fn daemon(&self, line: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_anabranchd"));
        command.args(line.split_whitespace());
        command
    }

    /// Starts a server on a free port, and waits until it listens.
    pub fn serve(&self, line: &str) -> Server {
        let mut daemon = self.daemon(&format!("--listen 127.0.0.1 {line}"));
        daemon.env("ANABRANCH_PORT", "0");
        Server::started(daemon)
    }
}

/// What a program did.
pub struct Ran(pub Output);

impl Ran {
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Asserts the exit code, and that standard error says these things.
    #[track_caller]
    pub fn expect(self, code: i32, says: &[&str]) -> Self {
        let err = self.err();
        assert_eq!(self.code(), code, "stderr: {err}stdout: {}", self.out());
        for text in says {
            assert!(err.contains(text), "{text:?} is missing in: {err}");
        }
        self
    }
}

/// A running server. Killed when it is dropped.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    pub port: u16,
}

impl Server {
    /// Starts it, and waits until it listens.
    #[track_caller]
    pub fn started(mut command: Command) -> Self {
        let mut server = Self::new(command.stderr(Stdio::piped()).spawn().unwrap());
        let listening = server.wait_for("listening on UDP ");
        let port = listening.rsplit(':').next().unwrap();
        server.port = port.trim().parse().unwrap();
        server.wait_for("key: SHA256:");
        server
    }

    fn new(mut child: Child) -> Self {
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, seen: Vec::new(), port: 0 }
    }

    /// Waits for a line of its log that contains this.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv() else {
                panic!("the server ended without {text:?}: {:#?}", self.seen)
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> (i32, Vec<String>) {
        let status = self.child.wait().unwrap();
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.lines.iter());
        (status.code().unwrap_or(-1), seen)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The hash of a file.
pub fn hash(path: &Path) -> blake3::Hash {
    blake3::hash(&std::fs::read(path).unwrap())
}
