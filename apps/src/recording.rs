//! Writes what an endpoint records to a file, on a thread of its own: the loop never waits for
//! the disk. What the thread does not take away in time, the recorder leaves out, and the trace
//! says so.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anabranch_core::trace::{About, Cause, Contents, MAGIC, Recorder, Room, Status};
use anabranch_core::transport::Stack;
use anabranch_core::{Config, Endpoint, Side};

use crate::exit::{Exit, Failure};
use crate::units::show_size;

/// How long a trace may become, unless something else is wanted.
pub const DEFAULT_LIMIT: u64 = 1 << 30;
/// What may wait for the disk.
const BUFFER: usize = 32 << 20;
/// How often the thread looks while much is recorded, and while nothing is.
const BUSY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(160);
/// With so much to write at once, the thread looks more often.
const MUCH: usize = 64 << 10;

/// What to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Payload too.
    pub payloads: bool,
    /// Bytes of the whole trace, at most.
    pub limit: u64,
}

/// A recording that is under way. It ends when it is dropped.
#[derive(Debug)]
pub struct Recording {
    end: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// Where warnings go.
type Warn = Box<dyn Fn(&str) + Send>;

impl Recording {
    /// An endpoint whose doings go to this file.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(
        (file, name): (File, String),
        wanted: &Wanted,
        config: Config,
        stack: Box<dyn Stack>,
        about: About,
        warn: impl Fn(&str) + Send + 'static,
    ) -> Result<(Endpoint, Self), Failure> {
        let contents = Contents { payload: wanted.payloads, ..Contents::default() };
        let room = Room { buffer: BUFFER, length: wanted.limit };
        let (endpoint, recorder) = Endpoint::recorded(config, stack, about, contents, room);
        let (end, ended) = mpsc::channel();
        let writer = Writer { file, name, recorder, warn: Box::new(warn), bytes: Vec::new() };
        let thread = thread::Builder::new().name("trace".to_owned());
        let thread = thread.spawn(move || writer.run(&ended)).map_err(|error| {
            Failure::new(Exit::Temporary, format!("no thread for the trace: {error}"))
        })?;
        Ok((endpoint, Self { end, thread: Some(thread) }))
    }
}

/// Writes what is left.
impl Drop for Recording {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.end.send(());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Writer {
    file: File,
    name: String,
    recorder: Recorder,
    warn: Warn,
    bytes: Vec<u8>,
}

impl Writer {
    fn run(mut self, ended: &mpsc::Receiver<()>) {
        let mut pause = BUSY;
        loop {
            let last = match ended.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => self.recorder.status() != Status::Recording,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    self.recorder.finish();
                    true
                }
            };
            let written = match self.write() {
                Ok(written) => written,
                Err(error) => {
                    let failure = Failure::writing(&self.name, &error);
                    let size = self.file.metadata().map_or(0, |meta| meta.len());
                    let size = show_size(size);
                    (self.warn)(&format!("{}; the recording ends after {size}", failure.what));
                    return self.give_up();
                }
            };
            if last {
                return self.tell();
            }
            pause = if written >= MUCH { BUSY } else { (pause * 2).min(IDLE) };
        }
    }

    /// Straight to the file: what is written survives the process.
    fn write(&mut self) -> io::Result<usize> {
        self.bytes.clear();
        self.recorder.take(&mut self.bytes);
        self.file.write_all(&self.bytes)?;
        Ok(self.bytes.len())
    }

    /// Nothing more is recorded.
    fn give_up(&mut self) {
        self.recorder.finish();
        self.bytes = Vec::new();
        self.recorder.take(&mut self.bytes);
    }

    fn tell(&self) {
        let why = match self.recorder.status() {
            Status::Recording | Status::Finished => return,
            Status::Truncated(Cause::Buffer) => "the disk is too slow for it",
            Status::Truncated(Cause::Length) => "it is as long as --trace-limit allows",
        };
        (self.warn)(&format!("the recording {} has ended early: {why}", self.name));
    }
}

/// Makes a file for a trace. One that is there is written over only if it is a trace too.
///
/// # Errors
/// If it cannot be made.
pub fn create(path: &Path) -> Result<(File, String), Failure> {
    // Nothing is lost in a device or a pipe.
    if std::fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
        let old = File::open(path).map_err(|error| Failure::creating(path, &error))?;
        let mut head = Vec::new();
        let read = old.take(MAGIC.len() as u64).read_to_end(&mut head);
        if read.is_err() || !(head.is_empty() || head == MAGIC) {
            let error = io::ErrorKind::AlreadyExists.into();
            return Err(Failure::creating(path, &error)
                .hint("it is no trace, so it is not written over; give another name"));
        }
    }
    open(path, OpenOptions::new().create(true).truncate(true))
}

/// Makes a new file for the trace of a run in a folder, which is made too.
///
/// # Errors
/// If it cannot be made.
pub fn create_in(folder: &Path, program: &str) -> Result<(File, String), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::creating(folder, &error))?;
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = format!("{program}-{now}-{}.trace", std::process::id());
    open(&folder.join(name), OpenOptions::new().create_new(true))
}

/// Names of media and of peers are in a trace: it is its owner's.
fn open(path: &Path, options: &mut OpenOptions) -> Result<(File, String), Failure> {
    let file = options.write(true).mode(0o600).open(path);
    let file = file.map_err(|error| Failure::creating(path, &error))?;
    Ok((file, path.display().to_string()))
}

/// Who records, over QUIC with these settings.
#[must_use]
pub fn about(program: &str, side: Side, settings: &str) -> About {
    About {
        program: format!("{program} {}", env!("CARGO_PKG_VERSION")),
        side,
        transport: "quic".to_owned(),
        settings: settings.as_bytes().to_vec(),
        seed: None,
    }
}

/// The folder or file that a person named, and what they want in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub wanted: Wanted,
}
