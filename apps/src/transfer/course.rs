//! One server's part of a transfer: connections, one after another, until all is there.

mod telling;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anabranch_core::files::{End, Ended, Token};
use anabranch_core::{Code, Why};
use anabranch_driver_smol::client::{News, Notice, Transfer};
use serde_json::json;
use smol::Timer;
use smol::channel::Receiver;
use smol::future::or;

use super::outcome::{self, AGAIN};
use super::plan::{Plan, went};
use super::record::Held;
use super::view::{State, View, Way};
use crate::cli::client::Server;
use crate::dial::{self, Executor, Interrupts, Link};
use crate::exit::{Exit, Failure};
use crate::next::next;
use crate::report::Report;
use crate::signals::Signal;
use crate::units::show_duration;

/// How often the numbers are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often numbers are looked at that cost more.
const SLOW: Duration = Duration::from_secs(1);
/// How often the record on the disk is renewed.
const RENEW: Duration = Duration::from_secs(10);
/// The first wait before it is tried again, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How long a worker may take to put everything away after its transfer was stopped.
const TIDY: Duration = Duration::from_secs(10);

/// What the user wants of a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Pause, or resume.
    Toggle,
}

/// How a course has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Everything was dealt with. Some files may have failed.
    Complete,
    /// The user has stopped it.
    Stopped,
    /// Something was in the way.
    Failed(Failure),
}

/// What became of one connection.
enum Attempt {
    Complete,
    Stopped,
    Failed(Failure),
    /// It may be better the next time.
    Lost(Failure),
}

/// One server's part.
pub(super) struct Course {
    pub(super) plan: Rc<Plan>,
    pub(super) server: Server,
    pub(super) token: Token,
    pub(super) held: Option<Held>,
    pub(super) view: Rc<RefCell<View>>,
    pub(super) report: Arc<Report>,
    pub(super) executor: Rc<Executor>,
    /// Wants it stopped.
    pub(super) stop: Interrupts,
    pub(super) wishes: Receiver<Wish>,
    pub(super) patience: Duration,
    /// The server's side has ended it for good.
    pub(super) cancelled: bool,
}

/// What happened next.
enum Step {
    News(Option<News>),
    Notice(Notice),
    Wish(Wish),
    Stop,
    Tick,
}

impl Course {
    /// Transfers everything.
    pub(super) async fn run(mut self) -> Finish {
        let mut wait = WAITS.0;
        let mut until = None;
        let finish = loop {
            let (connections, stored) = self.so_far();
            let failure = match self.attempt().await {
                Attempt::Complete => break Finish::Complete,
                Attempt::Stopped => break Finish::Stopped,
                Attempt::Failed(failure) => break Finish::Failed(failure),
                Attempt::Lost(failure) => failure,
            };
            let now = Instant::now();
            if self.so_far().1 > stored || (until.is_none() && self.so_far().0 > connections) {
                (wait, until) = (WAITS.0, None);
            }
            let until = *until.get_or_insert(now + self.patience);
            if self.patience.is_zero() || now + wait > until || !self.plan.is_repeatable() {
                break Finish::Failed(failure);
            }
            if self.rest(wait, &failure).await {
                break Finish::Stopped;
            }
            wait = WAITS.1.min(2 * wait);
        };
        self.view.borrow_mut().close();
        self.put_away(&finish);
        finish
    }

    /// Connections made, and bytes stored.
    fn so_far(&self) -> (u64, u64) {
        let view = self.view.borrow();
        (view.connections, view.stored())
    }

    /// Waits before it is tried again. Whether the user wants no more.
    async fn rest(&self, wait: Duration, failure: &Failure) -> bool {
        self.view.borrow_mut().state = State::Lost(Instant::now() + wait);
        let words = format!("{}; trying again in {}", failure.what, show_duration(wait));
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let fields = self.about(json!({"text": failure.what, "wait_ms": millis}));
        self.report.phase("lost", fields, &words);
        let stop = async { self.stop.recv().await.is_ok() };
        let rest = async {
            Timer::after(wait).await;
            false
        };
        or(stop, rest).await
    }

    /// With what tells this part from others.
    fn about(&self, mut fields: serde_json::Value) -> serde_json::Value {
        let view = self.view.borrow();
        fields["id"] = view.token.clone().into();
        fields["server"] = view.server.clone().into();
        fields
    }

    async fn attempt(&mut self) -> Attempt {
        let again = self.view.borrow().connections > 0;
        self.view.borrow_mut().state = State::Connecting;
        let dialled = dial::dial(&self.server, &self.report, &self.stop, &self.executor).await;
        let link = match dialled {
            Ok(link) => link,
            Err(failure) if matches!(failure.exit, Exit::Interrupted | Exit::Terminated) => {
                return Attempt::Stopped;
            }
            Err(failure) if again && may_pass(failure.exit) => return Attempt::Lost(failure),
            Err(failure) => return Attempt::Failed(failure),
        };
        self.view.borrow_mut().begin();
        let transfer = match self.plan.begin(&link, self.token).await {
            Ok(transfer) => transfer,
            Err(failure) => {
                link.close().await;
                let lost = again && may_pass(failure.exit);
                return if lost { Attempt::Lost(failure) } else { Attempt::Failed(failure) };
            }
        };
        let stopped = self.follow(&transfer, &link).await;
        if stopped {
            link.connection.close(Code::None, "").await;
            self.tidy(&transfer).await;
        } else {
            self.look_at(&link).await;
        }
        let ended = transfer.ended().await;
        let closed = match &ended.how {
            End::ConnectionLost => Some(link.connection.closed().await),
            _ => None,
        };
        drop(transfer);
        let name = link.name.clone();
        link.close().await;
        self.judge(ended, closed.as_ref(), stopped, &name)
    }

    /// Does what comes until the transfer is over. Whether the user has stopped it.
    async fn follow(&mut self, transfer: &Transfer, link: &Link) -> bool {
        let (mut slow, mut renew) = (Instant::now(), Instant::now() + RENEW);
        let mut tick = Timer::interval(TICK);
        loop {
            match self.step(transfer, link, &mut tick).await {
                Step::News(None) => return false,
                Step::News(Some(news)) => self.hear(news),
                Step::Notice(notice) => self.notice(&notice),
                Step::Wish(Wish::Toggle) => self.toggle(transfer).await,
                Step::Stop => return true,
                Step::Tick => {
                    let stats = transfer.stats().await;
                    let now = Instant::now();
                    if let Ok(stats) = stats {
                        self.view.borrow_mut().stats = stats;
                    }
                    if slow <= now {
                        slow = now + SLOW;
                        self.look_at(link).await;
                    }
                    if renew <= now {
                        renew = now + RENEW;
                        self.renew();
                    }
                }
            }
        }
    }

    async fn step(&self, transfer: &Transfer, link: &Link, tick: &mut Timer) -> Step {
        let stop = async {
            next(Some(&self.stop)).await;
            Step::Stop
        };
        let wish = async { Step::Wish(next(Some(&self.wishes)).await) };
        let notice = async {
            match link.connection.next_event().await {
                Some(notice) => Step::Notice(notice),
                None => smol::future::pending().await,
            }
        };
        let news = async { Step::News(transfer.next().await) };
        let ticks = async {
            smol::stream::StreamExt::next(tick).await;
            Step::Tick
        };
        or(or(stop, wish), or(ticks, or(notice, news))).await
    }

    /// The numbers of the connection.
    async fn look_at(&self, link: &Link) {
        if let Ok(stats) = link.connection.stats().await {
            self.view.borrow_mut().transport = Some(stats);
        }
    }

    fn hear(&self, news: News) {
        match news {
            News::Accepted => self.accepted(),
            News::Offered { entries, bytes } => {
                {
                    let mut view = self.view.borrow_mut();
                    (view.entries, view.total) = (entries, bytes);
                }
                self.accepted();
            }
            News::Paused { reason } => self.paused(true, &reason),
            News::Resumed => self.paused(false, ""),
            News::Report(said) => self.view.borrow_mut().hear(said, &self.report),
        }
    }

    async fn toggle(&self, transfer: &Transfer) {
        let pause = !self.view.borrow().paused.0;
        went(match pause {
            true => transfer.pause("paused by the client").await,
            false => transfer.resume().await,
        });
        {
            let mut view = self.view.borrow_mut();
            view.paused.0 = pause;
            view.settle();
        }
        let fields = self.about(json!({"by": "client", "reason": ""}));
        // A bar shows it already.
        self.report.phase(if pause { "paused" } else { "resumed" }, fields, "");
    }

    /// Waits until the worker has put everything away.
    async fn tidy(&self, transfer: &Transfer) {
        let all = async {
            while let Some(news) = transfer.next().await {
                self.hear(news);
            }
        };
        let limit = async {
            Timer::after(TIDY).await;
        };
        or(all, limit).await;
    }

    /// What the end of a transfer means.
    fn judge(&mut self, ended: Ended, closed: Option<&Why>, stopped: bool, name: &str) -> Attempt {
        self.view.borrow_mut().end(ended.stats);
        if ended.how == End::Complete {
            return Attempt::Complete;
        }
        if stopped {
            return Attempt::Stopped;
        }
        self.cancelled = matches!(ended.how, End::Peer(Code::Cancelled, _));
        let view = self.view.borrow();
        let told = match view.way {
            Way::Send => outcome::ended,
            Way::Get => outcome::ended_getting,
        };
        let mut failure = told(&ended.how, view.there(), view.last.as_ref(), name);
        match (&ended.how, closed) {
            (End::ConnectionLost, Some(why)) => {
                let lost = dial::lost(why, name);
                if may_pass(lost.exit) {
                    failure.what = format!("{}: {}", failure.what, lost.what);
                    return Attempt::Lost(failure);
                }
                Attempt::Failed(lost.hint(AGAIN))
            }
            (End::ConnectionLost, None) => Attempt::Lost(failure),
            // It is shutting down, and may come back.
            (End::Peer(Code::GoingAway, _), _) => Attempt::Lost(failure),
            _ => Attempt::Failed(failure),
        }
    }

    fn renew(&mut self) {
        if let Some(held) = &mut self.held {
            let view = self.view.borrow();
            held.update(view.there(), view.goal());
        }
    }

    /// What is over is forgotten, and what can go on is remembered.
    fn put_away(&mut self, finish: &Finish) {
        self.renew();
        let Some(held) = self.held.take() else { return };
        let begun = self.view.borrow().accepted.is_some() || held.record().bytes > 0;
        match finish {
            Finish::Complete => held.forget(),
            Finish::Stopped | Finish::Failed(_) if self.cancelled || !begun => held.forget(),
            Finish::Stopped | Finish::Failed(_) => drop(held),
        }
    }
}

/// A failure that may be none the next time.
const fn may_pass(exit: Exit) -> bool {
    use Exit::{HostUnknown, Other, Temporary, Timeout, Unavailable};
    matches!(exit, Unavailable | Timeout | Temporary | HostUnknown | Other)
}

/// What stops a course: any signal will do.
pub(super) const STOP: Signal = Signal::Interrupt;
