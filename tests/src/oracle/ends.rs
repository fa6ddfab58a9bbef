//! Both ends of a session, compared: what the client has can be no more than what the server has
//! sent, nothing is sent after a pause has reached the server, and nothing piles up in between.
//!
//! A session is known at both ends by its *tag*: a bitrate that no other session was granted.

use std::collections::BTreeMap;

use anabranch_core::limits;

/// A session: which host, and whatever names it there.
type Name = (usize, super::Key);

#[derive(Clone, Copy, Debug, Default)]
struct Both {
    /// Payload bytes that the server has sent, if it is known which session of it this is.
    sent: Option<u64>,
    /// Payload bytes that the client has pulled.
    pulled: u64,
    /// What the server had sent when the client's pause reached it.
    paused_at: Option<u64>,
}

/// All sessions with a tag.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    sessions: BTreeMap<u32, Both>,
    tags: BTreeMap<Name, u32>,
}

impl Ends {
    /// An end of a session has been granted.
    ///
    /// # Panics
    /// If one end has a tag twice.
    pub fn granted(&mut self, name: Name, tag: u32) {
        let before = self.tags.insert(name, tag);
        assert_eq!(before, None, "granted twice");
        self.sessions.entry(tag).or_default();
    }

    /// A process has died, and its ends of sessions with it.
    pub fn forget(&mut self, host: usize) {
        self.tags.retain(|name, _| name.0 != host);
    }

    fn both(&mut self, name: Name) -> Option<&mut Both> {
        self.sessions.get_mut(self.tags.get(&name)?)
    }

    /// The server has sent so many payload bytes.
    ///
    /// # Panics
    /// If it sends although it is paused, or far more than the client can hold.
    pub fn sent(&mut self, name: Name, bytes: u64) {
        let Some(both) = self.both(name) else { return };
        if let Some(at) = both.paused_at {
            assert!(bytes <= at, "pause: {} bytes were sent after it", bytes - at);
        }
        both.sent = Some(bytes);
        let between = bytes.saturating_sub(both.pulled);
        // What the client lets come unread, a chunk, and what waits behind it to be sent.
        let limit = limits::STREAM_WINDOW + 2 * limits::MAX_SUPPLIED as u64;
        assert!(between <= limit, "memory: {between} bytes are between server and client");
    }

    /// A pause has reached the server, which has sent so many bytes until then.
    pub fn paused(&mut self, name: Name, bytes: u64) {
        if let Some(both) = self.both(name) {
            both.paused_at = Some(bytes);
        }
    }

    /// A resume has reached the server.
    pub fn resumed(&mut self, name: Name) {
        if let Some(both) = self.both(name) {
            both.paused_at = None;
        }
    }

    /// The client has pulled so many payload bytes.
    ///
    /// # Panics
    /// If that is more than the server has sent.
    pub fn pulled(&mut self, name: Name, bytes: u64) {
        let Some(both) = self.both(name) else { return };
        let sent = both.sent.unwrap_or(bytes);
        assert!(bytes <= sent, "delivery: {bytes} bytes pulled, of {sent} sent");
        both.pulled = bytes;
    }
}

#[cfg(test)]
mod tests {
    use anabranch_core::{ConnId, SessionId};

    use super::*;

    const KEY: super::super::Key = (ConnId { slot: 0, generation: 0 }, SessionId(0));
    const SERVER: Name = (0, KEY);
    const CLIENT: Name = (1, KEY);

    fn ends() -> Ends {
        let mut ends = Ends::default();
        ends.granted(SERVER, 7);
        ends.granted(CLIENT, 7);
        ends.sent(SERVER, 100);
        ends
    }

    #[test]
    fn what_was_sent_may_be_pulled_also_in_a_pause() {
        let mut ends = ends();
        ends.paused(SERVER, 100);
        ends.pulled(CLIENT, 100);
        ends.resumed(SERVER);
        ends.sent(SERVER, 200);
        ends.pulled(CLIENT, 200);
    }

    #[test]
    #[should_panic(expected = "101 bytes pulled, of 100 sent")]
    fn more_than_was_sent_is_caught() {
        ends().pulled(CLIENT, 101);
    }

    #[test]
    #[should_panic(expected = "pause: 1 bytes were sent after it")]
    fn a_leak_in_a_pause_is_caught() {
        let mut ends = ends();
        ends.paused(SERVER, 100);
        ends.sent(SERVER, 101);
    }

    #[test]
    #[should_panic(expected = "memory: ")]
    fn a_hoard_is_caught() {
        ends().sent(SERVER, 1 << 30);
    }
}
