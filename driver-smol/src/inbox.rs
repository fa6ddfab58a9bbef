//! The bounded inbox: commands from other tasks to the loop.

use std::fmt;

use anabranch_core::limits;
use anabranch_driver::{Gone, Message, Sockets, TrySendError};
use smol::channel::{self, Receiver, Sender, WeakSender};

/// The way into a driver, from any task. Clones lead to the same one.
///
/// At most [`limits::MAX_COMMANDS`] commands wait; a sender that is faster than the loop has to
/// wait or to do without.
pub struct Handle<C> {
    sender: Sender<Message<C>>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<C> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

pub(crate) fn inbox<C>() -> (Handle<C>, Receiver<Message<C>>) {
    let (sender, receiver) = channel::bounded(limits::MAX_COMMANDS);
    (Handle { sender }, receiver)
}

impl<C> Handle<C> {
    /// Sends a command if there is room for it.
    ///
    /// # Errors
    /// The inbox is full, or the driver is gone.
    pub fn try_send(&self, command: C) -> Result<(), TrySendError<C>> {
        self.sender.try_send(Message::Command(command)).map_err(|e| match e {
            channel::TrySendError::Full(message) => TrySendError::Full(command_of(message)),
            channel::TrySendError::Closed(message) => TrySendError::Gone(command_of(message)),
        })
    }

    /// Sends a command, and waits until there is room for it.
    ///
    /// # Errors
    /// The driver is gone.
    pub async fn send(&self, command: C) -> Result<(), Gone<C>> {
        let sent = self.sender.send(Message::Command(command)).await;
        sent.map_err(|channel::SendError(message)| Gone(command_of(message)))
    }

    /// Gives the driver more sockets. Commands sent after this find them in use. Waits for room,
    /// like [`Handle::send`].
    ///
    /// # Errors
    /// The driver is gone, and the sockets with it.
    pub async fn adopt(&self, sockets: Sockets) -> Result<(), Gone<()>> {
        self.sender.send(Message::Adopt(sockets)).await.map_err(|_| Gone(()))
    }

    /// A handle that does not count: the driver's application may keep it.
    pub(crate) fn downgrade(&self) -> WeakHandle<C> {
        WeakHandle { sender: self.sender.downgrade() }
    }
}

fn command_of<C>(message: Message<C>) -> C {
    match message {
        Message::Command(command) => command,
        Message::Adopt(_) => unreachable!("a command was put in, and comes back"),
    }
}

/// See [`Handle::downgrade`].
pub(crate) struct WeakHandle<C> {
    sender: WeakSender<Message<C>>,
}

impl<C> Clone for WeakHandle<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<C> WeakHandle<C> {
    /// `None` when every other handle is gone.
    pub(crate) fn upgrade(&self) -> Option<Handle<C>> {
        self.sender.upgrade().map(|sender| Handle { sender })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_bounded_and_come_back() {
        let (handle, receiver) = inbox();
        for n in 0..limits::MAX_COMMANDS {
            handle.try_send(n).unwrap();
        }
        assert_eq!(handle.try_send(7), Err(TrySendError::Full(7)));
        drop(receiver);
        assert_eq!(handle.try_send(8), Err(TrySendError::Gone(8)));
        assert_eq!(smol::block_on(handle.send(9)), Err(Gone(9)));
    }

    #[test]
    fn a_weak_handle_does_not_keep_the_inbox_open() {
        let (handle, receiver) = inbox::<u8>();
        let weak = handle.downgrade();
        assert!(weak.upgrade().is_some());
        drop(handle);
        assert!(weak.upgrade().is_none() && receiver.is_closed());
    }
}
