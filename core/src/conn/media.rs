//! A borrowed handle to a media session.

use bytes::Bytes;

use super::command::Answer;
use crate::error::Misuse;
use crate::id::SessionId;
use crate::session::media::{self, Command, Pulled};
use crate::session::{Cx, Session};
use crate::trace::{Data, Entry};

/// A borrowed handle to one media session, for commands.
pub struct Media<'a> {
    id: SessionId,
    session: &'a mut Session,
    cx: Cx<'a>,
}

impl<'a> Media<'a> {
    pub(super) const fn new(id: SessionId, session: &'a mut Session, cx: Cx<'a>) -> Self {
        Self { id, session, cx }
    }

    /// Does what a command says: the one place where commands to a media session take effect.
    /// The other methods are the same with types of their own. `buf` is what
    /// [`Command::Pull`] writes to; the others leave it alone.
    ///
    /// # Errors
    /// Those of the method that the command is named after.
    pub fn apply(&mut self, command: Command, buf: &mut [u8]) -> Result<Answer, Misuse> {
        let trace = self.cx.story.trace();
        trace.say(|contents| Entry::session(self.id, command.clone().into(), contents));
        let result = self.execute(command, buf);
        trace.say(|contents| {
            let pulled = match result {
                Ok(Answer::Pulled(Pulled::Bytes { len, .. })) => len,
                Ok(_) | Err(_) => 0,
            };
            Entry::answer(&result, Data::new(&buf[..pulled], contents.payload))
        });
        result
    }

    fn execute(&mut self, command: Command, buf: &mut [u8]) -> Result<Answer, Misuse> {
        let cx = &mut self.cx;
        match &mut *self.session {
            Session::MediaClient(client) => match command {
                Command::Pause => client.pause(cx)?,
                Command::Resume => client.resume(cx)?,
                Command::Close => client.close(cx)?,
                Command::Pull { room } => {
                    let room = room.min(buf.len());
                    return Ok(Answer::Pulled(client.pull(cx, &mut buf[..room])));
                }
                Command::Supply { .. } | Command::SourceFailed => {
                    return Err(Misuse::WrongRole("supplying"));
                }
            },
            Session::MediaServer(server) => match command {
                Command::Pause => return Err(Misuse::WrongRole("pausing")),
                Command::Resume => return Err(Misuse::WrongRole("resuming")),
                Command::Close => server.close(cx)?,
                Command::Pull { .. } => return Err(Misuse::WrongRole("pulling")),
                Command::Supply { offset, bytes, end } => server.supply(cx, offset, bytes, end)?,
                Command::SourceFailed => server.source_failed(cx),
            },
        }
        Ok(Answer::Done)
    }

    /// Client: asks the server to stop sending. Chunks on their way still arrive.
    ///
    /// # Errors
    /// [`Misuse::WrongState`], [`Misuse::WrongRole`].
    pub fn pause(&mut self) -> Result<(), Misuse> {
        self.apply(Command::Pause, &mut []).map(Answer::done)
    }

    /// Client: asks the server to go on.
    ///
    /// # Errors
    /// [`Misuse::WrongState`], [`Misuse::WrongRole`].
    pub fn resume(&mut self) -> Result<(), Misuse> {
        self.apply(Command::Resume, &mut []).map(Answer::done)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] if it is ending already.
    pub fn close(&mut self) -> Result<(), Misuse> {
        self.apply(Command::Close, &mut []).map(Answer::done)
    }

    /// Client: takes payload bytes into `buf`, at most to the end of a chunk. What is pulled
    /// gives the server room to send more.
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn pull(&mut self, buf: &mut [u8]) -> Result<Pulled, Misuse> {
        self.apply(Command::Pull { room: buf.len() }, buf).map(Answer::pulled)
    }

    /// Server: gives the bytes that [`media::Event::Wanted`] asked for. `end`: the media ends
    /// after them.
    ///
    /// # Errors
    /// [`Misuse::NotWanted`], [`Misuse::WrongRole`].
    pub fn supply(&mut self, offset: u64, bytes: Bytes, end: bool) -> Result<(), Misuse> {
        self.apply(Command::Supply { offset, bytes, end }, &mut []).map(Answer::done)
    }

    /// Server: the bytes cannot be had. The session is ended with [`crate::Code::SourceFailed`].
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn source_failed(&mut self) -> Result<(), Misuse> {
        self.apply(Command::SourceFailed, &mut []).map(Answer::done)
    }

    /// What was granted; `None` before that.
    #[must_use]
    pub fn grant(&self) -> Option<&media::Grant> {
        match &*self.session {
            Session::MediaClient(client) => client.grant(),
            Session::MediaServer(server) => server.grant(),
        }
    }

    /// Numbers of the session.
    #[must_use]
    pub fn stats(&self) -> media::Stats {
        self.session.media_stats(self.cx.now)
    }
}
