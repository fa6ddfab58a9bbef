//! The server's shared state as a state machine: the catalogue of its media, and what is
//! granted from it. Live channels, rooms and names will live here too.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::config::{MediaPolicy, Pacing};
use crate::conn::Answer;
use crate::error::Misuse;
use crate::event::Entry;
use crate::id::MediaId;
use crate::limits;
use crate::session::media::pdu::OpenStream;
use crate::session::media::{Grant, Nack, Pace, Request, Start};
use crate::trace::{self, Data, Trace};

/// The server's shared state.
#[derive(Debug, Default)]
pub struct Hub {
    catalogue: BTreeMap<String, (MediaId, Entry)>,
    default: Option<String>,
    trace: Trace,
}

impl Hub {
    /// With everything that is told to it written down.
    pub(crate) fn recorded(trace: Trace) -> Self {
        Self { trace, ..Self::default() }
    }

    /// Replaces the catalogue. Running sessions go on with what they have.
    ///
    /// `default` is what a client gets that asks for no name; without it, the first entry in
    /// order of name.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`] for too many entries or a name or media type that is too long;
    /// [`Misuse::Config`] for an empty or repeated name, or a default that is not there.
    /// The old catalogue stays.
    pub fn set_catalogue(
        &mut self,
        entries: Vec<(MediaId, Entry)>,
        default: Option<&str>,
    ) -> Result<(), Misuse> {
        self.trace.say(|_| trace::Entry::Catalogue {
            entries: entries.clone(),
            default: default.map(str::to_owned),
        });
        let result = self.replace_catalogue(entries, default);
        self.trace.say(|_| trace::Entry::answer(&result.map(|()| Answer::Done), Data::default()));
        result
    }

    fn replace_catalogue(
        &mut self,
        entries: Vec<(MediaId, Entry)>,
        default: Option<&str>,
    ) -> Result<(), Misuse> {
        let bound = |what, len: usize, limit| match len > limit {
            true => Err(Misuse::TooMuch { what, limit }),
            false => Ok(()),
        };
        bound("catalogue entries", entries.len(), limits::MAX_CATALOGUE)?;
        let mut catalogue = BTreeMap::new();
        for (id, entry) in entries {
            bound("bytes of name", entry.name.len(), limits::MAX_NAME)?;
            bound("bytes of media type", entry.kind.len(), limits::MAX_KIND)?;
            if entry.name.is_empty() {
                return Err(Misuse::Config("a catalogue entry without a name"));
            }
            if catalogue.insert(entry.name.clone(), (id, entry)).is_some() {
                return Err(Misuse::Config("two catalogue entries of one name"));
            }
        }
        if default.is_some_and(|name| !catalogue.contains_key(name)) {
            return Err(Misuse::Config("the default is not in the catalogue"));
        }
        self.catalogue = catalogue;
        self.default = default.map(str::to_owned);
        Ok(())
    }

    /// A page of the catalogue: up to `most` entries behind the name `after` (from the first
    /// one without it), and the name behind which the next page starts.
    pub(crate) fn page(&self, after: Option<&str>, most: usize) -> (Vec<Entry>, Option<String>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.catalogue.range::<str, _>((from, Bound::Unbounded));
        let page: Vec<Entry> =
            rest.by_ref().take(most).map(|(_, (_, entry))| entry.clone()).collect();
        let next = rest.next().and(page.last()).map(|entry| entry.name.clone());
        (page, next)
    }

    /// What a client gets that asks for this.
    ///
    /// * Encryption 0 and 1 are the same: the transport always encrypts, or the operator has
    ///   chosen one that does not. Delivery is unicast only.
    /// * Any codec is accepted that is not empty: the server does not look into the media.
    /// * Bitrate: the highest one offered that the policy allows; if all are above it, the
    ///   policy's. If none is offered, the entry's own, so that it plays in real time, but
    ///   not above the policy's. If that is not known either: the policy's default.
    /// * Chunk: what was asked for, but not above the policy's, and within
    ///   [`limits::MIN_CHUNK`] and [`limits::MAX_WANTED`] (a chunk is sent when all of it has
    ///   been supplied).
    /// * Keepalive and timeout: the shorter one of what was asked for and the policy's, at
    ///   least a second, and the timeout at least twice the keepalive.
    /// * Start: a sequence number means its place in chunks of the granted size. The end itself
    ///   may be asked for: nothing is left then.
    pub(crate) fn grant(
        &self,
        open: &OpenStream,
        policy: &MediaPolicy,
    ) -> Result<(MediaId, Grant), Nack> {
        let request = &open.request;
        if request.codec.is_empty() {
            return Err(Nack::UnsupportedCodec);
        }
        if open.encryption > 1 {
            return Err(Nack::UnsupportedEncryption);
        }
        if open.delivery != 0 {
            return Err(Nack::MulticastUnsupported);
        }
        let (media, entry) = self.find(request.name.as_deref()).ok_or(Nack::NoSuchMedia)?;
        let most = policy.max_chunk.clamp(limits::MIN_CHUNK, limits::MAX_WANTED as u32);
        let chunk = request.max_chunk.unwrap_or(most).clamp(limits::MIN_CHUNK, most);
        let keepalive = request.keepalive.unwrap_or(u32::MAX).min(policy.keepalive).max(1);
        let timeout = request.timeout.unwrap_or(u32::MAX).min(policy.timeout);
        let grant = Grant {
            bitrate: bitrate(request, entry, policy),
            chunk,
            keepalive,
            timeout: timeout.max(keepalive.saturating_mul(2)),
            name: Some(entry.name.clone()),
            size: entry.size,
            kind: entry.kind.clone(),
            start: start(request.start, chunk, entry.size)?,
            pause: request.pause,
            pace: match policy.pacing {
                Pacing::ByClient => request.pace,
                Pacing::On => Pace::Bitrate,
                Pacing::Off => Pace::Unpaced,
            },
        };
        Ok((media, grant))
    }

    fn find(&self, name: Option<&str>) -> Option<(MediaId, &Entry)> {
        let found = match name.or(self.default.as_deref()) {
            Some(name) => self.catalogue.get(name),
            None => self.catalogue.values().next(),
        };
        found.map(|(id, entry)| (*id, entry))
    }
}

fn bitrate(request: &Request, entry: &Entry, policy: &MediaPolicy) -> u32 {
    let most = policy.max_bitrate.max(1);
    let offered = || request.bitrates.iter().copied().filter(|rate| *rate > 0);
    if let Some(rate) = offered().filter(|rate| *rate <= most).max() {
        return rate;
    }
    if offered().next().is_some() {
        return most;
    }
    entry.bitrate.unwrap_or(policy.default_bitrate).clamp(1, most)
}

/// The byte to start at. It has to exist, and its chunk has to have a number.
fn start(start: Start, chunk: u32, size: Option<u64>) -> Result<u64, Nack> {
    let chunk = u64::from(chunk);
    let byte = match start {
        Start::Beginning => 0,
        Start::Sequence(sequence) => u64::from(sequence.saturating_sub(1)) * chunk,
        Start::Byte(byte) => byte,
    };
    if size.is_some_and(|size| byte > size) || byte / chunk >= u64::from(u32::MAX) {
        return Err(Nack::StartOutOfRange);
    }
    Ok(byte)
}

#[cfg(test)]
mod tests;
