//! A client's application: pulls what arrives, and checks it.

use std::collections::{BTreeMap, BTreeSet};

use anabranch_core::media::{Event as Media, Nack, Pulled};
use anabranch_core::{ConnId, Endpoint, Event, Instant, Misuse};

use crate::content::Clip;
use crate::oracle::{Key, Playback};

/// A client's application.
#[derive(Debug, Default)]
pub struct ClientApp {
    /// All sessions, over or not.
    pub playbacks: BTreeMap<Key, Playback>,
    /// Sessions that were refused.
    pub refused: BTreeMap<Key, Nack>,
    /// Sessions that it does not pull from.
    unread: BTreeSet<Key>,
    readable: BTreeSet<Key>,
}

impl ClientApp {
    /// A session was opened, and should play this clip.
    pub fn opened(&mut self, key: Key, clip: Clip) {
        self.playbacks.insert(key, Playback::new(clip));
    }

    /// Stops pulling from a session.
    pub fn stop_reading(&mut self, key: Key) {
        self.unread.insert(key);
    }

    /// Pulls from a session again.
    pub fn start_reading(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key) {
        self.unread.remove(&key);
        if self.readable.contains(&key) {
            self.pull(endpoint, now, key);
        }
    }

    /// The endpoint has told this.
    ///
    /// # Panics
    /// If it breaks a rule of the oracle.
    pub fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, conn: ConnId, event: &Event) {
        let Event::Media(session, event) = event else { return };
        let key = (conn, *session);
        let playback = self.playbacks.get_mut(&key).expect("an event of a session we opened");
        match event {
            Media::Opened(grant) => playback.opened(grant),
            Media::Refused(nack) => {
                self.refused.insert(key, *nack);
            }
            Media::Readable => {
                let new = self.readable.insert(key);
                assert!(new, "{key:?}: Readable again without a pull that was blocked");
                if !self.unread.contains(&key) {
                    self.pull(endpoint, now, key);
                }
            }
            Media::Ended(ended) => playback.ended(*ended),
            Media::Wanted { .. } | Media::Paused | Media::Resumed { .. } => {
                panic!("{event:?} on a client")
            }
        }
    }

    /// Pulls until nothing is there.
    fn pull(&mut self, endpoint: &mut Endpoint, now: Instant, key: Key) {
        let playback = self.playbacks.get_mut(&key).expect("a session we opened");
        let mut buf = [0; 10_007];
        loop {
            let answer =
                endpoint.conn(now, key.0).and_then(|mut conn| conn.media(key.1)?.pull(&mut buf));
            match answer {
                Ok(bytes @ Pulled::Bytes { .. }) => playback.pulled(now, bytes, &buf),
                Ok(Pulled::Blocked) => {
                    self.readable.remove(&key);
                    return;
                }
                Ok(Pulled::End) | Err(Misuse::Gone) => return,
                Err(misuse) => panic!("{key:?}: pull: {misuse}"),
            }
        }
    }
}
