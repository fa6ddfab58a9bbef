//! The handle to a file transfer, and how one is started.

use bytes::Bytes;

use super::command::{Answer, Command as ConnCommand};
use super::handle::Conn;
use super::state::State;
use super::streams::rank;
use crate::code::Code;
use crate::error::Misuse;
use crate::event::Dialect;
use crate::files::{
    Accept, Channel, Command, Entry, Hash, Have, Offer, Pulled, Query, Reply, Request, Stats,
};
use crate::id::{Dir, SessionId, StreamId};
use crate::limits;
use crate::session::files::{Transfer, receiver, sender};
use crate::session::{Cx, Session};
use crate::trace::{Data, Entry as Record};

impl Conn<'_> {
    /// Offers files to the peer. What becomes of it, [`crate::files::Event`]s say.
    ///
    /// # Errors
    /// [`Misuse::ClassicPeer`], [`Misuse::Config`] for an offer that breaks a limit,
    /// [`Misuse::Draining`], [`Misuse::TooMuch`], [`Misuse::WrongState`].
    pub fn offer_files(&mut self, offer: &Offer) -> Result<SessionId, Misuse> {
        self.apply(ConnCommand::OfferFiles(offer.clone())).map(Answer::session)
    }

    pub(super) fn start_offer(&mut self, offer: &Offer) -> Result<SessionId, Misuse> {
        sender::check_offer(offer)?;
        self.open_transfer("offering files", |id, stream, cx| {
            Transfer::offer(id, stream, offer, cx)
        })
    }

    /// Asks the peer for files.
    ///
    /// # Errors
    /// As [`Conn::offer_files`].
    pub fn request_files(&mut self, request: &Request) -> Result<SessionId, Misuse> {
        self.apply(ConnCommand::RequestFiles(request.clone())).map(Answer::session)
    }

    pub(super) fn start_request(&mut self, request: &Request) -> Result<SessionId, Misuse> {
        receiver::check_request(request)?;
        self.open_transfer("asking for files", |id, stream, cx| {
            Ok(Transfer::request(id, stream, request, cx))
        })
    }

    /// Asks the peer about its files and transfers. The answer is
    /// [`crate::files::Event::Replied`].
    ///
    /// # Errors
    /// As [`Conn::offer_files`].
    pub fn ask_files(&mut self, query: Query) -> Result<SessionId, Misuse> {
        self.apply(ConnCommand::AskFiles(query)).map(Answer::session)
    }

    pub(super) fn start_query(&mut self, query: Query) -> Result<SessionId, Misuse> {
        if !query.fits() {
            return Err(Misuse::Config("a question with too much in it, or too little"));
        }
        self.open_transfer("asking about files", |id, stream, cx| {
            Ok(Transfer::ask(id, stream, query, cx))
        })
    }

    fn open_transfer(
        &mut self,
        command: &'static str,
        make: impl FnOnce(SessionId, StreamId, &mut Cx<'_>) -> Result<Transfer, Misuse>,
    ) -> Result<SessionId, Misuse> {
        match self.conn.state {
            State::Open if !self.conn.carrier.draining => {}
            State::Open | State::Draining => return Err(Misuse::Draining),
            State::Handshaking | State::Closing | State::Closed => {
                return Err(Misuse::WrongState { command, state: self.conn.state.name() });
            }
        }
        if self.conn.carrier.dialect != Some(Dialect::V1) {
            return Err(Misuse::ClassicPeer(command));
        }
        if self.conn.transfers() >= limits::MAX_TRANSFERS {
            return Err(Misuse::TooMuch { what: "transfers", limit: limits::MAX_TRANSFERS });
        }
        // The control stream is the first one, even if the peer made it wait.
        let greeted = self.conn.may_open(&self.shared);
        let stream = greeted.then(|| self.conn.carrier.transport.open(Dir::Bidi)).flatten();
        let Some(stream) = stream else {
            return Err(Misuse::TooMuch { what: "streams for the peer", limit: 0 });
        };
        self.conn.carrier.transport.prioritize(stream, rank::FILE_CONTROL);
        let id = self.conn.new_session(stream);
        let mut cx = self.conn.carrier.cx(&mut self.shared);
        let transfer = make(id, stream, &mut cx)?;
        self.conn.sessions.insert(id, Session::Files(transfer));
        Ok(id)
    }

    /// Refuses whatever the peer wants with files, for an application that has none. To be called
    /// with every [`crate::Event::Files`].
    pub fn decline_files(&mut self, id: SessionId) {
        if let Ok(mut files) = self.files(id) {
            // Legal but for a transfer that is over.
            let _ = files.refuse(Code::Refused, "no files here");
        }
    }

    /// A handle to a file transfer, or to a question.
    ///
    /// # Errors
    /// [`Misuse::Gone`], [`Misuse::WrongRole`] for a session that is something else.
    pub fn files(&mut self, id: SessionId) -> Result<Files<'_>, Misuse> {
        let session = self.conn.sessions.get_mut(&id).filter(|session| !session.has_ended());
        let session = session.ok_or(Misuse::Gone)?;
        let transfer = session.transfer().ok_or(Misuse::WrongRole("files in a media session"))?;
        let cx = self.conn.carrier.cx(&mut self.shared);
        Ok(Files { id, transfer, cx })
    }
}

/// A borrowed handle to one file transfer or question, for commands. Every command can answer
/// [`Misuse::WrongRole`], and [`Misuse::WrongState`] where it means nothing in the present state.
///
/// Commands about a file that is dealt with answer [`Misuse::Gone`]: the peer may have given it up
/// meanwhile, so that is nothing to worry about.
pub struct Files<'a> {
    id: SessionId,
    transfer: &'a mut Transfer,
    cx: Cx<'a>,
}

impl Files<'_> {
    /// Does what a command says: the one place where commands to a transfer take effect. The
    /// other methods are the same with types of their own. `buf` is what [`Command::Pull`] writes
    /// to; the others leave it alone.
    ///
    /// # Errors
    /// Those of the method that the command is named after.
    pub fn apply(&mut self, command: Command, buf: &mut [u8]) -> Result<Answer, Misuse> {
        let trace = self.cx.story.trace();
        trace.say(|contents| Record::session(self.id, command.clone().into(), contents));
        let result = self.execute(command, buf);
        trace.say(|contents| {
            let pulled = match result {
                Ok(Answer::PulledFile(Pulled::Bytes { len, .. })) => len,
                Ok(_) | Err(_) => 0,
            };
            Record::answer(&result, Data::new(&buf[..pulled], contents.payload))
        });
        result
    }

    fn execute(&mut self, command: Command, buf: &mut [u8]) -> Result<Answer, Misuse> {
        let (transfer, cx) = (&mut *self.transfer, &mut self.cx);
        match command {
            Command::Offer(offer) => transfer.answer(&offer, cx)?,
            Command::SupplyEntries { entries, last } => {
                transfer.sender()?.supply_entries(entries, last)?;
            }
            Command::Supply { file, piece, bytes, hash } => {
                transfer.sender()?.supply(cx, file, piece, bytes, hash)?;
            }
            Command::Checked { file, first, hashes } => {
                transfer.sender()?.checked(cx, file, first, &hashes)?;
            }
            Command::SetStreams(streams) => transfer.sender()?.set_streams(streams),
            Command::Accept(accept) => transfer.receiver()?.accept(accept)?,
            Command::Take { file, haves } => transfer.receiver()?.take(file, haves)?,
            Command::Skip { file } => transfer.receiver()?.skip(file)?,
            Command::Pull { channel, room } => {
                let room = room.min(buf.len());
                let pulled = transfer.receiver()?.pull(cx, channel, &mut buf[..room]);
                return Ok(Answer::PulledFile(pulled));
            }
            Command::Stored { file, piece, hash } => {
                transfer.receiver()?.stored(cx, file, piece, hash)?;
            }
            Command::Committed { file } => transfer.receiver()?.committed(file)?,
            Command::Finish => transfer.receiver()?.finish()?,
            Command::SetWindow(window) => transfer.receiver()?.set_window(window)?,
            Command::Fail { file, code, reason } => transfer.fail(file, code, &reason, cx)?,
            Command::Pause { reason } => transfer.pause(&reason, cx)?,
            Command::Resume => transfer.resume(cx)?,
            Command::Cancel { code, reason } => transfer.cancel(code, &reason, cx)?,
            Command::SetLimit(rate) => transfer.set_limit(rate, cx)?,
            Command::Reply(reply) => transfer.reply(reply, cx)?,
        }
        Ok(Answer::Done)
    }

    fn give(&mut self, command: Command) -> Result<(), Misuse> {
        self.apply(command, &mut []).map(Answer::done)
    }

    /// Sender: answers [`crate::files::Event::Requested`] with what there is. The token is the one
    /// of the request.
    ///
    /// # Errors
    /// [`Misuse::Config`], [`Misuse::TooMuch`] for an offer that breaks a limit.
    pub fn offer(&mut self, offer: Offer) -> Result<(), Misuse> {
        self.give(Command::Offer(offer))
    }

    /// Sender: answers [`crate::files::Event::WantedEntries`] with the next entries, in the order
    /// in which they are numbered from 0. At least one, unless they are the `last` ones.
    ///
    /// # Errors
    /// [`Misuse::NotWanted`] for more than were wanted; [`Misuse::Config`] for an entry that
    /// cannot be sent; nothing is taken then.
    pub fn supply_entries(&mut self, entries: Vec<Entry>, last: bool) -> Result<(), Misuse> {
        self.give(Command::SupplyEntries { entries, last })
    }

    /// Sender: answers [`crate::files::Event::Wanted`] with all bytes of the piece and their
    /// [`crate::files::hash::piece`]. Of a file of unknown size, fewer bytes than were wanted mean
    /// that it ends after them; there may be none. The bytes are not copied.
    ///
    /// Of a file of known size, another number of bytes means that it has changed: it is given up
    /// with [`Code::SourceChanged`]. So is a file that gives other bytes when a piece is wanted
    /// again. An application that sees a change by itself says [`Files::fail`].
    ///
    /// # Errors
    /// [`Misuse::NotWanted`], [`Misuse::Gone`].
    pub fn supply(
        &mut self,
        file: u32,
        piece: u64,
        bytes: Bytes,
        hash: Hash,
    ) -> Result<(), Misuse> {
        self.give(Command::Supply { file, piece, bytes, hash })
    }

    /// Sender: answers [`crate::files::Event::Check`] with the hashes of pieces from `first` on, in
    /// order; as many at once as it likes, all of them in the end.
    ///
    /// # Errors
    /// [`Misuse::NotWanted`], [`Misuse::Gone`].
    pub fn checked(&mut self, file: u32, first: u64, hashes: Vec<Hash>) -> Result<(), Misuse> {
        self.give(Command::Checked { file, first, hashes })
    }

    /// Sender: so many streams, within 1 and [`limits::MAX_DATA_STREAMS`]. `None`: as many as it
    /// finds to be best, up to [`limits::MAX_AUTO_STREAMS`].
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn set_streams(&mut self, streams: Option<usize>) -> Result<(), Misuse> {
        self.give(Command::SetStreams(streams))
    }

    /// Receiver: accepts the offer.
    ///
    /// # Errors
    /// [`Misuse::Config`] for a window outside of its limits.
    pub fn accept(&mut self, accept: Accept) -> Result<(), Misuse> {
        self.give(Command::Accept(accept))
    }

    /// Either side: refuses what was offered or asked for, or a question.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] when it is over.
    pub fn refuse(&mut self, code: Code, reason: &str) -> Result<(), Misuse> {
        self.cancel(code, reason)
    }

    /// Receiver: wants an entry, but for pieces that it has: in order, none twice, at most
    /// [`limits::MAX_HAVES`] ranges, and only of a file of known size. Say only what was looked
    /// at. For a folder: it is there.
    ///
    /// # Errors
    /// [`Misuse::Gone`], [`Misuse::Config`] for pieces that such a file has not.
    pub fn take(&mut self, file: u32, haves: Vec<Have>) -> Result<(), Misuse> {
        self.give(Command::Take { file, haves })
    }

    /// Receiver: does not want an entry.
    ///
    /// # Errors
    /// [`Misuse::Gone`].
    pub fn skip(&mut self, file: u32) -> Result<(), Misuse> {
        self.give(Command::Skip { file })
    }

    /// Receiver: takes bytes of a piece into `buf`, at most to its end. What is pulled gives the
    /// sender room to send more.
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn pull(&mut self, channel: Channel, buf: &mut [u8]) -> Result<Pulled, Misuse> {
        self.apply(Command::Pull { channel, room: buf.len() }, buf).map(Answer::pulled_file)
    }

    /// Receiver: a piece is stored, and this is the [`crate::files::hash::piece`] of its bytes. If
    /// it is not the one that the sender announced, the piece is asked for again
    /// ([`crate::files::Event::Wrong`]).
    ///
    /// # Errors
    /// [`Misuse::NotWanted`] for a piece that was not pulled to its end, [`Misuse::Gone`].
    pub fn stored(&mut self, file: u32, piece: u64, hash: Hash) -> Result<(), Misuse> {
        self.give(Command::Stored { file, piece, hash })
    }

    /// Receiver: answers [`crate::files::Event::Complete`]: the file is in its place.
    ///
    /// # Errors
    /// [`Misuse::Gone`].
    pub fn committed(&mut self, file: u32) -> Result<(), Misuse> {
        self.give(Command::Committed { file })
    }

    /// Receiver: answers [`crate::files::Event::Finishing`]: everything is durable.
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn finish(&mut self) -> Result<(), Misuse> {
        self.give(Command::Finish)
    }

    /// Receiver: so many bytes may be on their way from now on.
    ///
    /// # Errors
    /// [`Misuse::Config`] for a window outside of its limits.
    pub fn set_window(&mut self, window: u64) -> Result<(), Misuse> {
        self.give(Command::SetWindow(window))
    }

    /// Either side: gives a file up; the others go on. The sender says why it cannot be read, the
    /// receiver why it cannot be written or is not accepted.
    ///
    /// # Errors
    /// [`Misuse::Gone`].
    pub fn fail(&mut self, file: u32, code: Code, reason: &str) -> Result<(), Misuse> {
        self.give(Command::Fail { file, code, reason: reason.to_owned() })
    }

    /// Either side: starts no piece until this side resumes. What is on its way arrives.
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn pause(&mut self, reason: &str) -> Result<(), Misuse> {
        self.give(Command::Pause { reason: reason.to_owned() })
    }

    /// Either side: goes on, if the other side has not paused it as well.
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn resume(&mut self) -> Result<(), Misuse> {
        self.give(Command::Resume)
    }

    /// Either side: ends the transfer. What the receiver has, it keeps.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] when it is over.
    pub fn cancel(&mut self, code: Code, reason: &str) -> Result<(), Misuse> {
        self.give(Command::Cancel { code, reason: reason.to_owned() })
    }

    /// Either side: at most so many bytes for each second. The lower limit of both sides counts.
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn set_limit(&mut self, rate: Option<u64>) -> Result<(), Misuse> {
        self.give(Command::SetLimit(rate))
    }

    /// Answers [`crate::files::Event::Asked`]. A page that is too long is cut to what fits.
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn reply(&mut self, reply: Reply) -> Result<(), Misuse> {
        self.give(Command::Reply(reply))
    }

    /// Numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.transfer.stats(self.cx.now)
    }
}
