//! The sessions of media: what they want is read, what happens to them is said.

use anabranch_core::media::{self, EndReason, Ended, Grant, Pace};
use anabranch_core::{Endpoint, Instant, MediaId, Misuse};
use bytes::Bytes;

use super::{Running, Server};
use crate::reader::{Done, Job, Key};
use crate::units::{count, show_bitrate, show_duration, show_size};

impl Server {
    pub(super) fn on_media(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        event: media::Event,
    ) {
        match event {
            media::Event::Opened(grant) => self.opened(now, key, &grant),
            media::Event::Wanted { media, offset, len } => {
                self.wanted(endpoint, now, key, media, offset, len);
            }
            media::Event::Paused => {
                if let Some(running) = self.sessions.get_mut(&key) {
                    running.pauses += 1;
                    log::info!("{}: paused", running.title);
                }
            }
            media::Event::Resumed { skipped } => {
                if let Some(running) = self.sessions.get(&key) {
                    match skipped {
                        0 => log::info!("{}: resumed", running.title),
                        _ => log::info!("{}: resumed, {skipped} chunks further on", running.title),
                    }
                }
            }
            media::Event::Ended(ended) => self.ended(now, key, &ended),
            // These come to clients.
            media::Event::Refused(_) | media::Event::Readable => {}
        }
    }

    fn opened(&mut self, now: Instant, key: Key, grant: &Grant) {
        let name = grant.name.as_deref().or(self.catalogue.default.as_deref()).unwrap_or("media");
        let title = format!("{} {name}", self.peer(key.0));
        let pace = match grant.pace {
            Pace::Bitrate => show_bitrate(u64::from(grant.bitrate)),
            Pace::Unpaced => "all speed".to_owned(),
        };
        let from = match grant.start {
            0 => String::new(),
            byte => format!(", from byte {byte}"),
        };
        let (chunk, keepalive) = (show_size(u64::from(grant.chunk)), grant.keepalive);
        log::info!("{title}: opened at {pace}, chunks of {chunk}, heartbeat {keepalive} s{from}");
        self.sessions.insert(key, Running::new(title, now));
    }

    fn wanted(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        media: MediaId,
        offset: u64,
        len: usize,
    ) {
        let Some(running) = self.sessions.get_mut(&key) else { return };
        if running.source.is_none() {
            running.source = self.catalogue.sources.get(&media).cloned();
        }
        let Some(source) = running.source.clone() else {
            log::warn!("{}: its file is not in the catalogue any more", self.title(key));
            fail(endpoint, now, key);
            return;
        };
        let file = running.file.as_deref().filter(|_| running.reading == 0);
        if let Some((bytes, end)) =
            file.and_then(|file| self.readers.read_cached(file, &source, offset, len))
        {
            self.supply(endpoint, now, key, offset, bytes, end);
            return;
        }
        running.reading += 1;
        self.readers.read(Job { key, source, offset, len });
    }

    fn supply(
        &self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        offset: u64,
        bytes: Bytes,
        end: bool,
    ) {
        // The session may have ended, or skipped ahead, while the disk was at work.
        if let Err(misuse) = session(endpoint, now, key, |media| media.supply(offset, bytes, end)) {
            log::debug!("{}: {misuse}", self.title(key));
        }
    }

    pub(super) fn read(&mut self, endpoint: &mut Endpoint, now: Instant, done: Done) {
        let file = done.file.clone();
        let (key, offset, outcome) = done.take();
        if let Some(running) = self.sessions.get_mut(&key) {
            running.reading = running.reading.saturating_sub(1);
            running.file = file;
        }
        match outcome {
            Ok((bytes, end)) => self.supply(endpoint, now, key, offset, bytes, end),
            Err(error) => {
                let path = self.sessions.get(&key).and_then(|running| running.source.as_ref());
                let path = path.map(|source| source.path.display().to_string()).unwrap_or_default();
                log::error!("{}: cannot read {path}: {error}", self.title(key));
                fail(endpoint, now, key);
            }
        }
    }

    fn ended(&mut self, now: Instant, key: Key, ended: &Ended) {
        self.readers.forget(key);
        let Some(running) = self.sessions.remove(&key) else { return };
        let Running { title, opened, pauses, .. } = running;
        let Ended { bytes, chunks, missed, .. } = *ended;
        let how = how(ended.reason);
        let time = show_duration(now.since(opened));
        let mut extra = String::new();
        if pauses > 0 {
            extra.push_str(&format!(", {}", count(pauses as usize, "pause")));
        }
        if missed > 0 {
            extra.push_str(&format!(", {missed} chunks skipped"));
        }
        let size = show_size(bytes);
        log::info!("{title}: {how}: {size} in {chunks} chunks, {time}{extra}");
    }
}

/// How a session ended, as people read it.
#[must_use]
pub fn how(reason: EndReason) -> String {
    match reason {
        EndReason::Complete => "complete".to_owned(),
        EndReason::Local => "closed".to_owned(),
        EndReason::Peer => "closed by the peer".to_owned(),
        EndReason::Reset(code) => format!("reset by the peer ({code})"),
        EndReason::Violation(violation) => format!("the peer broke a rule ({violation})"),
        EndReason::Timeout => "the peer went silent".to_owned(),
        EndReason::SourceFailed => "the file could not be read".to_owned(),
        EndReason::ConnectionLost => "the connection was lost".to_owned(),
    }
}

fn session<T>(
    endpoint: &mut Endpoint,
    now: Instant,
    (conn, id): Key,
    then: impl FnOnce(&mut anabranch_core::Media<'_>) -> Result<T, Misuse>,
) -> Result<T, Misuse> {
    let mut conn = endpoint.conn(now, conn)?;
    then(&mut conn.media(id)?)
}

fn fail(endpoint: &mut Endpoint, now: Instant, key: Key) {
    if let Err(misuse) = session(endpoint, now, key, |media| media.source_failed()) {
        log::debug!("{}: {misuse}", key.1);
    }
}
