//! Questions of peers, and orders for transfers.

use anabranch_core::files::{Order, Query, Reply, Token};
use anabranch_core::{Code, Endpoint, Instant};
use anabranch_transfers::Key;

use super::limits::MAX_PAGE;
use super::questions::{self, Refusal, Remover};
use super::register::State;
use super::session::Phase;
use super::view::Sight;
use super::{Files, News, files};

type Answer = Box<dyn FnOnce() -> Reply + Send>;

impl Files {
    /// A peer asks something.
    pub(super) fn on_asked(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        query: Query,
    ) {
        let reply = match self.answer(endpoint, now, key, query) {
            Ok(Ok(reply)) => reply,
            Ok(Err(answer)) => {
                let mail = self.mail.clone();
                if self.pool.give(move || mail.send(News::Answered(key, answer()))) {
                    return;
                }
                Refusal::new(Code::Limit, "too much to do; try again later").into()
            }
            Err(refusal) => refusal.into(),
        };
        if let Err(misuse) = files(endpoint, now, key, |files| files.reply(reply)) {
            log::debug!("{} {}: {misuse}", key.0, key.1);
        }
    }

    /// The answer, or how a thread that may wait for the disk finds it.
    fn answer(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: Key,
        query: Query,
    ) -> Result<Result<Reply, Answer>, Refusal> {
        let stranger = || Refusal::new(Code::Refused, "nobody knows who you are");
        let peer = self.peers.get(&key.0).copied().ok_or_else(stranger)?;
        match query {
            Query::List { folder, after, most } => {
                self.policy.may_read(peer)?;
                let mut view = self.policy.tree.view(self.policy.sight(peer));
                Ok(Err(Box::new(move || questions::list(&mut view, &folder, &after, most))))
            }
            Query::Remove { names } => {
                self.policy.may_remove(peer)?;
                let inbox = self.policy.sight(peer).inbox;
                log::info!("{}: removing {}", peer.now, crate::units::clean(&names.join(", ")));
                let mut remover = Remover {
                    disk: self.policy.tree.view(Sight { inbox, private: true, write: true }),
                    claims: self.claims.clone(),
                    quota: self.policy.quota.clone(),
                };
                Ok(Err(Box::new(move || remover.remove(&names))))
            }
            Query::Transfers { after, most } => {
                self.policy.may_manage(peer)?;
                let most = usize::try_from(most).unwrap_or(MAX_PAGE).min(MAX_PAGE);
                let (transfers, more) = self.register.page(after, most);
                Ok(Ok(Reply::Transfers { transfers, more }))
            }
            Query::Order { token, order } => {
                self.policy.may_manage(peer)?;
                self.order(endpoint, now, token, order)?;
                // What was ordered holds, whatever happens next.
                self.save();
                let written = self.store.flush();
                Ok(Err(Box::new(move || match written.recv() {
                    Ok(true) => Reply::Ordered,
                    Ok(false) | Err(_) => {
                        let words = "it is done, but the server may forget it: its list of \
                                     transfers cannot be written";
                        Refusal::new(Code::Internal, words).into()
                    }
                })))
            }
        }
    }

    /// Does something with a transfer, and remembers it if nobody is connected for it.
    fn order(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        token: Token,
        order: Order,
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::new(Code::NotFound, "there is no such transfer");
        let state = self.register.get(token).ok_or_else(unknown)?.state;
        match state {
            State::Running | State::Waiting => {}
            State::Complete | State::Failed | State::Cancelled => {
                return Err(Refusal::new(Code::Refused, "it is over"));
            }
        }
        let wall = self.clock.wall().0;
        self.register.change(token, wall, |record| match order {
            Order::Pause => record.held = true,
            Order::Resume => record.held = false,
            Order::Cancel => {
                record.state = State::Cancelled;
                record.why = Some("cancelled by an order".to_owned());
            }
        });
        log::info!("transfer {token}: {order:?} ordered");
        let runs = self.sessions.iter_mut().find(|(_, session)| session.token == token);
        let Some((key, session)) = runs else { return Ok(()) };
        session.cancelled |= order == Order::Cancel;
        // One that has not begun is held when it begins.
        let has_begun = matches!(session.phase, Phase::Moving);
        let done = files(endpoint, now, *key, |files| match order {
            Order::Pause if has_begun => files.pause("paused at the server"),
            Order::Resume if has_begun => files.resume(),
            Order::Pause | Order::Resume => Ok(()),
            Order::Cancel => files.cancel(Code::Cancelled, "cancelled at the server"),
        });
        // It may have ended in this moment.
        done.map_err(|misuse| Refusal::new(Code::Refused, misuse.to_string()))
    }
}
