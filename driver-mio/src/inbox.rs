//! The bounded inbox: commands from other threads to the loop.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anabranch_core::limits;
use anabranch_driver::{Gone, Message, Sockets, TrySendError};
use mio::Waker;

struct Queue<C> {
    messages: VecDeque<Message<C>>,
    /// The driver is gone.
    closed: bool,
}

struct Shared<C> {
    queue: Mutex<Queue<C>>,
    /// There is room again, or the driver is gone.
    room: Condvar,
    waker: Waker,
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, Queue<C>> {
        // No code of ours panics while it holds the lock, so the queue is whole in any case.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the loop. The lock is not held.
    fn wake(&self) {
        if let Err(e) = self.waker.wake() {
            log::error!("cannot wake the loop: {e}");
        }
    }
}

/// The way into a driver, from any thread. Clones lead to the same one.
///
/// At most [`limits::MAX_COMMANDS`] commands wait; a sender that is faster than the loop has to
/// wait or to do without.
pub struct Handle<C> {
    shared: Arc<Shared<C>>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl<C> Handle<C> {
    /// Sends a command if there is room for it.
    ///
    /// # Errors
    /// The inbox is full, or the driver is gone.
    pub fn try_send(&self, command: C) -> Result<(), TrySendError<C>> {
        let queue = self.shared.lock();
        if queue.closed {
            return Err(TrySendError::Gone(command));
        }
        if queue.messages.len() >= limits::MAX_COMMANDS {
            return Err(TrySendError::Full(command));
        }
        self.push(queue, Message::Command(command));
        Ok(())
    }

    /// Sends a command, and waits until there is room for it. Not for use on the loop itself
    /// (inside an [`App`](anabranch_core::App)), which would wait for itself.
    ///
    /// # Errors
    /// The driver is gone.
    pub fn send(&self, command: C) -> Result<(), Gone<C>> {
        match self.wait_for_room() {
            Some(queue) => {
                self.push(queue, Message::Command(command));
                Ok(())
            }
            None => Err(Gone(command)),
        }
    }

    /// Gives the driver more sockets. Commands sent after this find them in use. Waits for room,
    /// like [`Handle::send`].
    ///
    /// # Errors
    /// The driver is gone.
    pub fn adopt(&self, sockets: Sockets) -> Result<(), Gone<Sockets>> {
        match self.wait_for_room() {
            Some(queue) => {
                self.push(queue, Message::Adopt(sockets));
                Ok(())
            }
            None => Err(Gone(sockets)),
        }
    }

    fn wait_for_room(&self) -> Option<MutexGuard<'_, Queue<C>>> {
        let full =
            |queue: &mut Queue<C>| !queue.closed && queue.messages.len() >= limits::MAX_COMMANDS;
        let waited = self.shared.room.wait_while(self.shared.lock(), full);
        let queue = waited.unwrap_or_else(PoisonError::into_inner);
        (!queue.closed).then_some(queue)
    }

    fn push(&self, mut queue: MutexGuard<'_, Queue<C>>, message: Message<C>) {
        // One wake-up is enough for all that comes before the loop looks.
        let was_empty = queue.messages.is_empty();
        queue.messages.push_back(message);
        drop(queue);
        if was_empty {
            self.shared.wake();
        }
    }
}

/// The loop's end of the inbox.
pub(crate) struct Inbox<C> {
    shared: Arc<Shared<C>>,
    /// Taken out, not yet given to the application.
    taken: VecDeque<Message<C>>,
}

impl<C> Inbox<C> {
    pub(crate) fn new(waker: Waker) -> io::Result<(Self, Handle<C>)> {
        let queue = Queue { messages: VecDeque::new(), closed: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), room: Condvar::new(), waker });
        let inbox = Self { shared: Arc::clone(&shared), taken: VecDeque::new() };
        Ok((inbox, Handle { shared }))
    }

    /// The next message, if there is one.
    pub(crate) fn take(&mut self) -> Option<Message<C>> {
        if self.taken.is_empty() {
            let mut queue = self.shared.lock();
            let was_full = queue.messages.len() >= limits::MAX_COMMANDS;
            std::mem::swap(&mut queue.messages, &mut self.taken);
            drop(queue);
            if was_full {
                self.shared.room.notify_all();
            }
        }
        self.taken.pop_front()
    }

    /// Whether messages are there that [`Inbox::take`] gives without a wake-up.
    pub(crate) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }
}

impl<C> Drop for Inbox<C> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let left = std::mem::take(&mut queue.messages);
        drop(queue);
        self.shared.room.notify_all();
        // Outside the lock: dropping a command may run anybody's code.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll, Token};
    use std::time::Duration;

    use super::*;

    fn inbox() -> (Poll, Inbox<usize>, Handle<usize>) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        let (inbox, handle) = Inbox::new(waker).unwrap();
        (poll, inbox, handle)
    }

    fn next(inbox: &mut Inbox<usize>) -> Option<usize> {
        match inbox.take()? {
            Message::Command(n) => Some(n),
            Message::Adopt(_) => None,
        }
    }

    fn wakes(poll: &mut Poll) -> usize {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().count()
    }

    #[test]
    fn commands_keep_their_order_and_are_bounded() {
        let (_poll, mut inbox, handle) = inbox();
        for n in 0..limits::MAX_COMMANDS {
            handle.try_send(n).unwrap();
        }
        assert_eq!(handle.try_send(0), Err(TrySendError::Full(0)));
        assert_eq!(next(&mut inbox), Some(0));
        assert!(inbox.has_taken());
        handle.try_send(limits::MAX_COMMANDS).unwrap();
        for n in 1..=limits::MAX_COMMANDS {
            assert_eq!(next(&mut inbox), Some(n));
        }
        assert_eq!(next(&mut inbox), None);
    }

    #[test]
    fn only_the_first_of_many_commands_wakes_the_loop() {
        let (mut poll, mut inbox, handle) = inbox();
        handle.try_send(1).unwrap();
        assert_eq!(wakes(&mut poll), 1);
        handle.try_send(2).unwrap();
        assert_eq!(wakes(&mut poll), 0);
        while next(&mut inbox).is_some() {}
        handle.try_send(3).unwrap();
        assert_eq!(wakes(&mut poll), 1);
    }

    #[test]
    fn a_sender_waits_for_room() {
        let (_poll, mut inbox, handle) = inbox();
        let sender = std::thread::spawn(move || {
            (0..4 * limits::MAX_COMMANDS).try_for_each(|n| handle.send(n))
        });
        let mut expected = 0;
        while expected < 4 * limits::MAX_COMMANDS {
            if let Some(n) = next(&mut inbox) {
                assert_eq!(n, expected);
                expected += 1;
            } else {
                std::thread::yield_now();
            }
        }
        assert_eq!(sender.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_waiting_sender_learns_that_the_driver_is_gone() {
        let (_poll, inbox, handle) = inbox();
        let clone = handle.clone();
        for n in 0..limits::MAX_COMMANDS {
            handle.try_send(n).unwrap();
        }
        let sender = std::thread::spawn(move || clone.send(77));
        drop(inbox);
        assert_eq!(sender.join().unwrap(), Err(Gone(77)));
        assert_eq!(handle.try_send(78), Err(TrySendError::Gone(78)));
    }
}
