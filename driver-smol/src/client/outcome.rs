//! A value that is set once and awaited by anybody, any number of times.

use std::sync::{Arc, OnceLock};

use smol::channel::{self, Receiver, Sender};

/// Sets the value. Dropped without that, the waiting ends with nothing.
pub(super) struct Setter<T> {
    value: Arc<OnceLock<T>>,
    /// Nothing is ever sent: that it is gone is the message.
    _open: Sender<()>,
}

/// Awaits the value.
pub(super) struct Outcome<T> {
    value: Arc<OnceLock<T>>,
    open: Receiver<()>,
}

impl<T> Clone for Outcome<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), open: self.open.clone() }
    }
}

pub(super) fn outcome<T>() -> (Setter<T>, Outcome<T>) {
    let value = Arc::new(OnceLock::new());
    let (sender, open) = channel::bounded(1);
    (Setter { value: Arc::clone(&value), _open: sender }, Outcome { value, open })
}

impl<T> Setter<T> {
    /// Sets it, and wakes everybody who waits.
    pub(super) fn set(self, value: T) {
        // Only the one setter sets it, and it is gone after this.
        let _ = self.value.set(value);
    }
}

impl<T: Clone> Outcome<T> {
    /// The value, if it is there.
    pub(super) fn get(&self) -> Option<T> {
        self.value.get().cloned()
    }

    /// Waits for the value. `None` if it will never come.
    pub(super) async fn wait(&self) -> Option<T> {
        // An error is all this can answer.
        let _ = self.open.recv().await;
        self.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_value() {
        let (setter, outcome) = outcome();
        let other = outcome.clone();
        assert_eq!(outcome.get(), None);
        setter.set(5);
        assert_eq!(smol::block_on(outcome.wait()), Some(5));
        assert_eq!(smol::block_on(other.wait()), Some(5));
        assert_eq!(smol::block_on(other.wait()), Some(5));
    }

    #[test]
    fn a_setter_that_is_gone_ends_the_waiting() {
        let (setter, outcome) = outcome::<u8>();
        drop(setter);
        assert_eq!(smol::block_on(outcome.wait()), None);
    }
}
