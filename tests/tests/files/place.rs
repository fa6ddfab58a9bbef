//! A folder with two programs and files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anabranch_core::Seed;
use anabranch_tests::programs::{Finished, Program, binary, fresh_dir};
use serde_json::Value;

/// Where the programs of one test live.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) port: String,
}

/// Bytes that are different for each seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Seed::from_u64(seed).stream("bytes").fill(&mut bytes);
    bytes
}

/// Every file below a folder, by its path, with the hash of its content.
pub(crate) fn tree(at: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![at.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
                let hash = blake3::hash(&fs::read(&path).unwrap());
                found.insert(name, hash.to_hex().to_string());
            }
        }
    }
    found
}

impl Place {
    pub(crate) fn new(test: &str) -> Self {
        let dir = fresh_dir(env!("CARGO_TARGET_TMPDIR"), &format!("files-{test}"));
        for name in ["there", "here"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        Self { dir, port: String::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn ours(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.current_dir(&self.dir);
        // A user's own settings must not change anything.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANABRANCH_") {
                command.env_remove(name);
            }
        }
        for (name, dir) in [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")]
        {
            command.env(name, self.path(dir));
        }
        command.env("XDG_STATE_HOME", self.path("state"));
        command
    }

    /// A server of the folder `there`, on the port of the one before.
    pub(crate) fn server(&mut self, more: &[&str]) -> Program {
        let port_file = self.path("port");
        // The one before has left it behind.
        let _ = fs::remove_file(&port_file);
        let mut command = self.ours("anabranchd");
        let port = if self.port.is_empty() { "0" } else { &self.port };
        command.args(["--listen", "127.0.0.1", "--port", port, "--files", "there"]);
        command.arg("--port-file").arg(&port_file).args(more);
        let mut server = Program::start("anabranchd", &self.dir, &mut command);
        self.port = server.wait_for_file(&port_file).trim().to_owned();
        server
    }

    /// A client that runs.
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let mut command = self.ours("anabranch");
        command.args(args).args(["--insecure", "--host", "127.0.0.1", "--port", &self.port]);
        Program::start("anabranch", &self.dir, &mut command)
    }

    /// A client, to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        self.start(args).finish()
    }

    /// A client that has to succeed. Answers with its summary.
    #[track_caller]
    pub(crate) fn must(&self, args: &[&str]) -> Value {
        let done = self.run(&[args, &["--json"]].concat());
        assert_eq!(done.status.code(), Some(0), "{args:?}:\n{}\n{}", done.stdout, done.stderr);
        summary(&done.stdout)
    }
}

/// The summary of a client.
#[track_caller]
pub(crate) fn summary(stdout: &str) -> Value {
    let mut lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let is_summary = |value: &Value| value.to_string().contains("\"summary\"");
    lines.rfind(is_summary).unwrap_or_else(|| panic!("no summary in:\n{stdout}"))
}
