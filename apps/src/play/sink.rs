//! Where played media go: a file or standard output, written by a thread of its own, so that a
//! slow disk or player slows the stream down and not the protocol.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use smol::Task;
use smol::channel::{self, Sender};

use crate::exit::{Exit, Failure};
use crate::generate::create;

/// Pieces that wait to be written.
const QUEUE: usize = 16;

/// Where to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Target {
    /// What `-o` (or its absence) means.
    ///
    /// # Errors
    /// If media would go to a terminal.
    pub fn new(output: Option<&Path>) -> Result<Self, Failure> {
        match output {
            Some(path) if path != Path::new("-") => Ok(Self::File(path.to_owned())),
            _ if io::stdout().is_terminal() => {
                Err(Failure::new(Exit::Usage, "media are not written to a terminal").hint(
                    "write them to a file with -o FILE, or pipe them to a player:\n\
                     anabranch play | ffplay -",
                ))
            }
            _ => Ok(Self::Stdout),
        }
    }

    /// How people call it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Opens it. With `append` the file is continued from its end, which is the number given
    /// back.
    ///
    /// # Errors
    /// If the file cannot be made, or is there already.
    pub fn open(&self, force: bool, append: bool) -> Result<(Box<dyn Write + Send>, u64), Failure> {
        match self {
            // The descriptor itself: std's stdout would look for line ends.
            Self::Stdout => {
                use std::os::fd::AsFd as _;
                let own = io::stdout().as_fd().try_clone_to_owned();
                let file = own.map_err(|error| Failure::writing("standard output", &error))?;
                Ok((Box::new(File::from(file)), 0))
            }
            Self::File(path) if append => {
                let fail = |error: io::Error| Failure::creating(path, &error);
                let file = File::options().append(true).create(true).open(path).map_err(fail)?;
                let len = file.metadata().map_err(fail)?.len();
                Ok((Box::new(file), len))
            }
            Self::File(path) => Ok((Box::new(create(path, force)?), 0)),
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
pub struct Sink {
    pieces: Option<Sender<Bytes>>,
    thread: Option<JoinHandle<io::Result<Written>>>,
    /// Its end is waited for.
    ending: Option<Task<Result<Written, Failure>>>,
    /// How it has ended.
    ended: Option<Result<Written, Failure>>,
    name: String,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub bytes: u64,
    /// Their BLAKE3 hash, if it was wanted.
    pub hash: Option<blake3::Hash>,
}

impl Sink {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(
        mut out: Box<dyn Write + Send>,
        name: String,
        hash: bool,
    ) -> Result<Self, Failure> {
        let (pieces, queue) = channel::bounded::<Bytes>(QUEUE);
        let work = move || {
            let mut hasher = hash.then(blake3::Hasher::new);
            let mut bytes = 0;
            while let Ok(piece) = queue.recv_blocking() {
                out.write_all(&piece)?;
                bytes += piece.len() as u64;
                if let Some(hasher) = &mut hasher {
                    hasher.update(&piece);
                }
            }
            out.flush()?;
            Ok(Written { bytes, hash: hasher.map(|hasher| hasher.finalize()) })
        };
        let thread =
            thread::Builder::new().name("sink".to_owned()).spawn(work).map_err(|error| {
                Failure::new(Exit::Temporary, format!("no thread to write: {error}"))
            })?;
        Ok(Self { pieces: Some(pieces), thread: Some(thread), ending: None, ended: None, name })
    }

    /// Hands over bytes if there is room for them, and gives them back otherwise: then
    /// [`Sink::write`] waits for room, or says what is wrong.
    pub fn offer(&self, piece: Bytes) -> Option<Bytes> {
        let Some(pieces) = &self.pieces else { return Some(piece) };
        pieces.try_send(piece).err().map(channel::TrySendError::into_inner)
    }

    /// Hands over bytes, and waits while too many are on their way.
    ///
    /// # Errors
    /// If writing has failed.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        let sent = match &self.pieces {
            Some(pieces) => pieces.send(piece).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { self.finish().await.and_then(|_| Err(self.gone())) }
    }

    /// Waits until everything is written. It can be dropped and called again, and then gives the
    /// same.
    ///
    /// # Errors
    /// If writing has failed.
    pub async fn finish(&mut self) -> Result<Written, Failure> {
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            let name = self.name.clone();
            self.ending = Some(smol::unblock(move || match thread.join() {
                Ok(Ok(written)) => Ok(written),
                Ok(Err(error)) => Err(Failure::writing(&name, &error)),
                Err(_) => Err(Failure::new(Exit::Internal, "the writing thread has died")),
            }));
        }
        if let Some(ending) = &mut self.ending {
            self.ended = Some(ending.await);
            self.ending = None;
        }
        self.ended.clone().unwrap_or_else(|| Err(self.gone()))
    }

    fn gone(&self) -> Failure {
        Failure::new(Exit::Io, format!("{} takes no more", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_is_counted_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let target = Target::File(path.clone());
        let (out, at) = target.open(false, false).unwrap();
        assert_eq!(at, 0);
        let mut sink = Sink::start(out, target.name(), true).unwrap();
        let written = smol::block_on(async {
            for n in 0..100_u8 {
                sink.write(Bytes::from(vec![n; 1000])).await.unwrap();
            }
            sink.finish().await.unwrap()
        });
        let file = std::fs::read(&path).unwrap();
        assert_eq!(written, Written { bytes: 100_000, hash: Some(blake3::hash(&file)) });
        assert_eq!(target.open(false, true).unwrap().1, 100_000);
        assert_eq!(target.open(false, false).map(drop).unwrap_err().exit, Exit::CantCreate);
    }

    #[test]
    fn a_full_disk_is_named_with_its_file() {
        let mut sink = Sink::start(Box::new(Full), "/x/clip".into(), false).unwrap();
        let failure = smol::block_on(async {
            loop {
                if let Err(failure) = sink.write(Bytes::from_static(b"x")).await {
                    break failure;
                }
            }
        });
        assert_eq!(failure.exit, Exit::Io);
        assert!(failure.what.contains("/x/clip"), "{failure}");
    }

    #[test]
    fn a_failure_outlives_whoever_stopped_waiting_for_it() {
        let mut sink = Sink::start(Box::new(Full), "clip".into(), false).unwrap();
        smol::block_on(async {
            assert_eq!(sink.offer(Bytes::from_static(b"x")), None);
            let _ = smol::future::poll_once(sink.finish()).await;
            for _ in 0..2 {
                let failure = sink.write(Bytes::from_static(b"x")).await.unwrap_err();
                assert!(failure.to_string().contains("cannot write to clip"), "{failure}");
            }
        });
    }
}
