//! Keys pressed on the terminal while media play or files move.
//!
//! Only line editing and echo are switched off. Ctrl-C, Ctrl-Z and line ends work as ever, and
//! the terminal is restored on every way out: [`restore`] is called by the guard, by the panic
//! hook and by the thread that handles signals.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use signal_hook::consts::SIGCONT;
use signal_hook::iterator::Signals;
use smol::channel::{Receiver, bounded};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Space or p: pause or resume.
    Toggle,
    /// q: stop.
    Quit,
}

/// The terminal as it was found.
static BEFORE: Mutex<Option<(File, Termios)>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Restores the terminal when it is dropped.
#[derive(Debug)]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was. Does nothing the second time.
pub fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((tty, modes)) = before
        && let Err(error) = termios::tcsetattr(&tty, OptionalActions::Now, &modes)
    {
        log::debug!("cannot restore the terminal: {error}");
    }
}

/// Listens to the keys of the terminal, if this program is in its foreground. `None`: there are
/// no keys to be had.
#[must_use]
pub fn listen() -> Option<(Guard, Receiver<Key>)> {
    let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
    if termios::tcgetpgrp(&tty).ok()? != rustix::process::getpgrp() {
        return None;
    }
    let guard = silence(&tty).ok()?;
    let (sender, keys) = bounded(8);
    let listener = move || {
        let mut tty = tty;
        let mut bytes = [0; 64];
        loop {
            let len = match tty.read(&mut bytes) {
                Ok(len @ 1..) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return,
            };
            for key in understood(&bytes[..len]) {
                if sender.send_blocking(key).is_err() {
                    return;
                }
            }
        }
    };
    // The thread ends with the process: a read from a terminal cannot be called off.
    thread::Builder::new().name("keys".to_owned()).spawn(listener).ok()?;
    come_back().ok()?;
    Some((guard, keys))
}

fn silence(tty: &File) -> io::Result<Guard> {
    HOOK.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            earlier(info);
        }));
    });
    let before = termios::tcgetattr(tty)?;
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((tty.try_clone()?, before.clone()));
    let guard = Guard(());
    switch_off(tty, before)?;
    Ok(guard)
}

fn switch_off(tty: &File, mut modes: Termios) -> io::Result<()> {
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    Ok(termios::tcsetattr(tty, OptionalActions::Now, &modes)?)
}

/// After Ctrl-Z the shell has given the terminal modes of its own; `fg` leaves it to us to
/// change them again.
fn come_back() -> io::Result<()> {
    let mut signals = Signals::new([SIGCONT])?;
    let watch = move || {
        for _ in signals.forever() {
            let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((tty, modes)) = before.as_ref() else { return };
            // In the background (`bg`) the terminal is not ours to change.
            let ours =
                termios::tcgetpgrp(tty).is_ok_and(|group| group == rustix::process::getpgrp());
            if ours && let Err(error) = switch_off(tty, modes.clone()) {
                log::debug!("no keys any more: {error}");
            }
        }
    };
    thread::Builder::new().name("continue".to_owned()).spawn(watch).map(drop)
}

/// The keys in what one read gave. A sequence of a cursor key starts with an escape and means
/// nothing here, whatever letters it is made of.
fn understood(bytes: &[u8]) -> impl Iterator<Item = Key> + '_ {
    bytes.iter().take_while(|byte| **byte != 0x1b).filter_map(|byte| match byte {
        b' ' | b'p' | b'P' => Some(Key::Toggle),
        b'q' | b'Q' => Some(Key::Quit),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_understood_and_escapes_are_not() {
        let keys = |bytes: &[u8]| understood(bytes).collect::<Vec<_>>();
        assert_eq!(keys(b" "), [Key::Toggle]);
        assert_eq!(keys(b"x q"), [Key::Toggle, Key::Quit]);
        assert_eq!(keys(b"pP"), [Key::Toggle, Key::Toggle]);
        assert_eq!(keys(b"\x1b[q"), []);
    }
}
