//! Real programs as child processes: our binaries and the Python peers. A program that a test
//! leaves behind, or that runs for too long, is killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// No program of a test needs longer.
const LIMIT: Duration = Duration::from_secs(120);

/// The root of the project.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace").to_owned()
}

/// One of our binaries, of the same build as the test.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there: cargo build --workspace --bins", path.display());
    path
}

/// The Python of `target/venv`, which `scripts/setup test` makes. `None`, and a loud message, if
/// it is not there; but under `CI` it has to be.
///
/// # Panics
/// If it is not there, and `CI` is set.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let path = root().join("target/venv/bin/python");
    if path.exists() {
        return Some(path);
    }
    let what = format!("{} is not there: scripts/setup test", path.display());
    assert!(std::env::var_os("CI").is_none(), "{what}");
    println!("SKIPPED: {what}");
    eprintln!("SKIPPED: {what}");
    None
}

/// A fresh folder for one test, below the target folder. It stays for whoever looks for the
/// reason of a failure, and is emptied by the next run.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn fresh_dir(parent: &str, test: &str) -> PathBuf {
    let dir = Path::new(parent).join(test);
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("{}: {e}", dir.display()),
        _ => {}
    }
    std::fs::create_dir_all(&dir).expect("a fresh folder");
    dir
}

/// A running program.
pub struct Program {
    name: &'static str,
    child: Arc<Mutex<Child>>,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    /// Dropped when the program is over: the watchdog then goes home.
    done: Option<Sender<()>>,
}

/// How a program ended, and what it had to say.
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output, from where it was read last.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Program {
    /// Starts a program without input, in the folder `dir`, where its standard error goes to
    /// `<name>.log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: &'static str, dir: &Path, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let stderr = File::create(&log).expect("a log file");
        let started = command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn();
        let mut child = started.unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let child = Arc::new(Mutex::new(child));
        let (done, watched) = (mpsc::channel(), child.clone());
        let (sender, receiver) = done;
        std::thread::spawn(move || {
            if receiver.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} is killed: it runs for more than {LIMIT:?}");
                let _ = lock(&watched).kill();
            }
        });
        Self { name, child, stdout, log, done: Some(sender) }
    }

    /// The next line of its standard output.
    ///
    /// # Panics
    /// If there is none, with what the program said.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).expect("readable output");
        assert!(read > 0, "{} said no more; its standard error:\n{}", self.name, self.log());
        line
    }

    /// Waits until the program has written the file `path`, and returns what is in it.
    ///
    /// # Panics
    /// If the program ends without.
    #[must_use]
    pub fn wait_for_file(&mut self, path: &Path) -> String {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => {}
            }
            let ended = lock(&self.child).try_wait().expect("a child of ours");
            if let Some(status) = ended {
                panic!("{} ended with {status} and said:\n{}", self.name, self.log());
            }
            // Looks again soon: nothing depends on how soon.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If the operating system does not know.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.child).try_wait().expect("a child of ours").is_none()
    }

    /// Asks it to end, with SIGTERM.
    ///
    /// # Panics
    /// If the operating system has never heard of it.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&lock(&self.child));
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a child of ours");
    }

    /// Kills it at once, without warning, and waits until it is gone.
    ///
    /// # Panics
    /// If it is no child of ours.
    pub fn kill(&self) {
        let mut child = lock(&self.child);
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().expect("a child of ours");
    }

    /// What it has written to its standard error.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If its output cannot be read.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).expect("readable output");
        let status = lock(&self.child).wait().expect("a child of ours");
        self.done = None;
        Finished { status, stdout, stderr: self.log() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}
