//! What the application can tell a sender.

use bytes::Bytes;

use super::file::{Checked, FileOut};
use super::{
    Block, Code, Cx, Event, Hash, Head, Input, Message, Party, PieceInput, PieceState, Sender,
    State, limits, tell,
};
use crate::error::Misuse;
use crate::session::files::message::{entries, page};
use crate::session::files::types::{Entry, Offer};
use crate::session::files::{name, party};
use crate::wire::varint;

/// Entries are put into pages of about this many bytes.
const PAGE: usize = limits::MAX_FILE_MESSAGE / 2;

impl Sender {
    /// Makes the offer; if the peer has asked (`window`: what it allows), it begins at once.
    pub(crate) fn offer(
        &mut self,
        cx: &mut Cx<'_>,
        offer: &Offer,
        window: Option<u64>,
    ) -> Result<(), Misuse> {
        self.legal("offering files", Input::Offer)?;
        check_offer(offer)?;
        let asked = self.state == State::Requested;
        if asked && offer.token != self.token {
            return Err(Misuse::Config("an offer with another token than was asked for"));
        }
        (self.token, self.rank) = (offer.token, offer.rank);
        self.line.say(&Message::Offer {
            token: offer.token,
            entries: offer.entries,
            bytes: offer.bytes,
            label: offer.label.clone(),
            target: offer.target.clone(),
            existing: offer.existing,
        });
        self.apply(Input::Offer);
        if let Some(window) = window.filter(|_| asked) {
            self.begin(cx, window);
        }
        self.line.more = true;
        Ok(())
    }

    /// The next entries. `last`: there are no more.
    pub(crate) fn supply_entries(&mut self, entries: Vec<Entry>, last: bool) -> Result<(), Misuse> {
        if !self.is_going() || entries.len() > self.entries_asked || self.no_more_entries {
            let wanted = self.entries_asked as u64;
            return Err(Misuse::NotWanted { wanted, supplied: entries.len() as u64 });
        }
        let total = u64::from(self.next_file) + entries.len() as u64;
        if total > limits::MAX_ENTRIES as u64 {
            return Err(Misuse::TooMuch { what: "entries", limit: limits::MAX_ENTRIES });
        }
        for entry in &entries {
            entries::check_size(entry).map_err(Misuse::Config)?;
            name::check_native(&entry.name)
                .map_err(|_| Misuse::Config("a name that cannot be sent"))?;
        }
        if entries.is_empty() && !last {
            return Err(Misuse::Config("no entries, and not the last ones"));
        }
        self.entries_asked = 0;
        self.no_more_entries = last;
        let mut page_bytes = 0;
        let mut next: Vec<Entry> = Vec::new();
        for entry in entries {
            page_bytes += entry.name.len() + 128;
            if page_bytes > PAGE && !next.is_empty() {
                page_bytes = entry.name.len() + 128;
                self.announce(std::mem::take(&mut next), false);
            }
            next.push(entry);
        }
        if !next.is_empty() || last {
            self.announce(next, last);
        }
        self.line.more = true;
        Ok(())
    }

    fn announce(&mut self, entries: Vec<Entry>, last: bool) {
        let first = self.next_file;
        for entry in &entries {
            self.files.insert(self.next_file, FileOut::new(entry.clone()));
            self.next_file += 1;
        }
        self.line.say(&page(first, last, entries));
    }

    /// The bytes of a piece that was asked for, and their hash.
    pub(crate) fn supply(
        &mut self,
        cx: &mut Cx<'_>,
        file: u32,
        piece: u64,
        bytes: Bytes,
        hash: Hash,
    ) -> Result<(), Misuse> {
        let out = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
        let not_wanted = Misuse::NotWanted { wanted: 0, supplied: piece };
        let asked = self.pieces.get_mut(&(file, piece)).ok_or(not_wanted)?;
        if asked.state != PieceState::Asked {
            return Err(not_wanted);
        }
        let is_first = asked.hash.is_none();
        let whole = usize::try_from(asked.len).unwrap_or(usize::MAX);
        let open_end = is_first && out.entry.size.is_none() && bytes.len() <= whole;
        let same = asked.hash.is_none_or(|before| before == hash);
        if !(bytes.len() == whole || open_end) || !same {
            self.fail_here(cx, file, Code::SourceChanged, "the file has changed while it was sent");
            return Ok(());
        }
        if is_first {
            out.asked -= 1;
        }
        let at = piece * u64::from(out.entry.piece);
        if open_end && bytes.len() < whole {
            out.entry.size = Some(at + bytes.len() as u64);
            out.todo.remove(0..u64::MAX);
        } else if open_end && out.todo.is_empty() {
            self.fail_here(cx, file, Code::TooLarge, "the file is larger than a file can be");
            return Ok(());
        }
        if bytes.is_empty() {
            self.step_piece(file, piece, PieceInput::Drop);
        } else {
            if is_first {
                out.root.put(piece, hash);
            }
            if out.entry.size.is_none() {
                self.order.push_front(file);
            }
            self.make_ready(file, piece, bytes, hash);
        }
        self.check_root(cx, file);
        self.end_file(file);
        self.line.more = true;
        Ok(())
    }

    fn make_ready(&mut self, file: u32, piece: u64, bytes: Bytes, hash: Hash) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if let Some(out) = self.pieces.get_mut(&(file, piece)) {
            out.hash = Some(hash);
            // The last piece of a file of unknown size is shorter than what was asked for.
            let less = u64::from(out.len - len);
            out.len = len;
            self.outstanding -= less;
            self.ahead -= less;
        }
        self.step_piece(file, piece, PieceInput::Supply);
        self.ready.push_back(Block { head: Head { file, piece, len, hash }, bytes });
    }

    /// A content id that was known beforehand has to be the right one.
    fn check_root(&mut self, cx: &mut Cx<'_>, file: u32) {
        let Some(out) = self.files.get(&file) else { return };
        if let (Some((_, root)), Some(known)) = (out.is_supplied(), out.entry.root)
            && root != known
        {
            self.fail_here(cx, file, Code::SourceChanged, "the file is not the one it was");
        }
    }

    /// Hashes of the sender's own pieces, as [`Event::Check`] asks for them: from `first` on, one
    /// or more.
    pub(crate) fn checked(
        &mut self,
        cx: &mut Cx<'_>,
        file: u32,
        first: u64,
        hashes: &[Hash],
    ) -> Result<(), Misuse> {
        let out = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
        let (wanted, have) = (out.check().map_or(0, |check| check.0), out.have);
        let same = match out.checked(first, hashes) {
            Checked::NotWanted => return Err(Misuse::NotWanted { wanted, supplied: first }),
            Checked::More => return Ok(()),
            Checked::Same(bytes) => {
                self.counts.kept += bytes;
                true
            }
            Checked::Other => {
                self.order.push_back(file);
                false
            }
        };
        self.line.say(&Message::Checked { file, have, same });
        if let Some((first, count)) = out.check() {
            tell(cx, self.line.id, Event::Check { file, first, count });
        }
        self.check_root(cx, file);
        self.end_file(file);
        self.line.more = true;
        Ok(())
    }

    /// Gives up one file; the others go on.
    pub(crate) fn fail(
        &mut self,
        cx: &mut Cx<'_>,
        file: u32,
        code: Code,
        reason: &str,
    ) -> Result<(), Misuse> {
        if !self.files.contains_key(&file) {
            return Err(Misuse::Gone);
        }
        self.fail_here(cx, file, code, reason);
        self.line.more = true;
        Ok(())
    }

    /// Starts no piece until it is resumed.
    pub(crate) fn pause(&mut self, cx: &mut Cx<'_>, reason: &str) -> Result<(), Misuse> {
        self.legal("pausing", Input::Pause)?;
        if !std::mem::replace(&mut self.hold.here, true) {
            self.line.say(&Message::Pause { reason: crate::session::files::shorten(reason) });
        }
        self.hold_or_go(cx);
        self.line.more = true;
        Ok(())
    }

    /// Goes on, if the peer has not paused it as well.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        self.legal("resuming", Input::Resume)?;
        if std::mem::replace(&mut self.hold.here, false) {
            self.line.say(&Message::Resume);
        }
        self.hold_or_go(cx);
        self.line.more = true;
        Ok(())
    }

    /// Cancels the transfer, or refuses what was asked for.
    pub(crate) fn cancel(
        &mut self,
        cx: &mut Cx<'_>,
        code: Code,
        reason: &str,
    ) -> Result<(), Misuse> {
        self.legal("cancelling", Input::Cancel)?;
        self.cancel_now(cx, code, reason);
        Ok(())
    }

    /// At most so many bytes for each second.
    pub(crate) fn set_limit(&mut self, cx: &mut Cx<'_>, rate: Option<u64>) {
        self.limits[0] = rate.filter(|rate| *rate > 0);
        self.limit(cx);
        self.line.more = true;
    }

    /// So many streams; `None`: as many as it finds to be best.
    pub(crate) fn set_streams(&mut self, streams: Option<usize>) {
        self.tuner.fix_lanes(streams);
        self.line.more = true;
    }

    fn legal(&self, command: &'static str, input: Input) -> Result<(), Misuse> {
        party::legal(self.state, input, command, self.state.name())
    }
}

/// Whether an offer keeps to the limits.
pub(crate) fn check_offer(offer: &Offer) -> Result<(), Misuse> {
    if offer.label.len() > limits::MAX_LABEL {
        return Err(Misuse::TooMuch { what: "bytes of a label", limit: limits::MAX_LABEL });
    }
    if offer.target.len() > limits::MAX_PATH {
        return Err(Misuse::TooMuch { what: "bytes of a path", limit: limits::MAX_PATH });
    }
    if offer.rank > limits::MAX_TRANSFER_RANK {
        let limit = usize::from(limits::MAX_TRANSFER_RANK);
        return Err(Misuse::TooMuch { what: "rank", limit });
    }
    let numbers = [offer.entries, offer.bytes];
    if numbers.into_iter().flatten().any(|number| number >= varint::MAX) {
        return Err(Misuse::Config("an offer of impossible size"));
    }
    Ok(())
}
