//! Signals, as values on another thread.

use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;

/// A signal that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: stop.
    Terminate,
    /// SIGHUP: read everything again.
    Reload,
}

impl Signal {
    /// The exit code of a program that this signal ends.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate | Self::Reload => Exit::Terminated,
        }
    }
}

/// Gives every SIGINT and SIGTERM, and SIGHUP if `reload`, to `then`, on a thread of its own.
///
/// # Errors
/// If the operating system does not give what is needed.
pub fn watch<F>(reload: bool, mut then: F) -> io::Result<()>
where
    F: FnMut(Signal) + Send + 'static,
{
    let mut wanted = vec![SIGINT, SIGTERM];
    if reload {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGINT => then(Signal::Interrupt),
                SIGTERM => then(Signal::Terminate),
                _ => then(Signal::Reload),
            }
        }
    })?;
    Ok(())
}
