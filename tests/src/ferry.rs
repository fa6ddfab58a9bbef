//! Carries a transfer from one worker to another, as the core would, without a network: fast
//! enough to stop it at every step.

mod books;

use std::collections::VecDeque;

use anabranch_core::Code;
use anabranch_core::files::{Command, End, Ended, Event, Stats};
use anabranch_transfers::{Giver, Keeper, Out, Report, Task, Worker};

use books::Books;

/// How a transfer went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Both know that it is complete.
    pub complete: bool,
    /// The receiver or the sender has cancelled it.
    pub cancelled: Option<(Code, String)>,
    /// Files that failed.
    pub failed: Vec<(u32, Code, String)>,
    /// Pieces that were acknowledged.
    pub stored: Vec<(u32, u64)>,
    /// Pieces that were sent.
    pub sent: Vec<(u32, u64)>,
    /// Pieces that were there.
    pub kept: u64,
    /// What both have said to people.
    pub reports: Vec<Report>,
}

/// A transfer under way.
pub struct Ferry {
    giver: Giver,
    keeper: Keeper,
    books: Books,
    to_giver: VecDeque<Task>,
    to_keeper: VecDeque<Task>,
    outcome: Outcome,
    over: bool,
    giver_first: bool,
}

impl Ferry {
    /// A transfer that was accepted.
    #[must_use]
    pub fn new(giver: Giver, keeper: Keeper) -> Self {
        let to_giver = [Task::Event(Event::WantedEntries { most: 16 })].into();
        Self {
            giver,
            keeper,
            books: Books::default(),
            to_giver,
            to_keeper: VecDeque::new(),
            outcome: Outcome::default(),
            over: false,
            giver_first: false,
        }
    }

    /// The sender does all it can before the receiver does anything: many things are then to be
    /// done at once.
    #[must_use]
    pub const fn giver_first(mut self) -> Self {
        self.giver_first = true;
        self
    }

    /// One task of one of them. False: there is nothing more to do.
    pub fn step(&mut self) -> bool {
        let mut out = Vec::new();
        let waits = self.giver_first && !self.to_giver.is_empty();
        if !waits && let Some(task) = self.to_keeper.pop_front() {
            self.keeper.run(task, &mut |given| out.push(given));
            if self.to_keeper.is_empty() {
                self.keeper.rest(&mut |given| out.push(given));
            }
            self.hear(out, false);
        } else if let Some(task) = self.to_giver.pop_front() {
            self.giver.run(task, &mut |given| out.push(given));
            self.hear(out, true);
        } else {
            return false;
        }
        true
    }

    /// To its end, or until somebody says to stop. `None`: stopped.
    pub fn run(mut self, mut stop: impl FnMut() -> bool) -> (Outcome, bool) {
        while self.step() {
            if stop() {
                return (self.outcome, true);
            }
        }
        (self.outcome, false)
    }

    fn hear(&mut self, out: Vec<Out>, from_giver: bool) {
        for out in out {
            match out {
                Out::Buffer(_) => {}
                Out::Report(report) => self.outcome.reports.push(report),
                Out::Command(_) if self.over => {}
                Out::Command(command) => self.obey(command, from_giver),
            }
        }
    }

    fn obey(&mut self, command: Command, from_giver: bool) {
        match command {
            Command::Cancel { code, reason } => {
                self.outcome.cancelled = Some((code, reason));
                self.end(&End::Local(code));
            }
            Command::Finish => {
                self.outcome.complete = true;
                self.end(&End::Complete);
            }
            Command::Fail { file, code, reason } => {
                if self.books.fail(file) {
                    self.outcome.failed.push((file, code, reason.clone()));
                    let told = |by_peer| {
                        Task::Event(Event::Failed { file, code, reason: reason.clone(), by_peer })
                    };
                    // The core tells the side that did not say it.
                    match from_giver {
                        true => self.to_keeper.push_back(told(true)),
                        false => self.to_giver.push_back(told(true)),
                    }
                }
                self.look_done();
            }
            other => {
                let Self { books, to_giver, to_keeper, outcome, .. } = self;
                books.obey(other, to_giver, to_keeper, outcome);
                self.look_done();
            }
        }
    }

    fn look_done(&mut self) {
        if self.books.is_settled() && !self.over {
            self.books.finishing = true;
            self.to_keeper.push_back(Task::Event(Event::Finishing));
        }
    }

    fn end(&mut self, how: &End) {
        self.over = true;
        self.to_giver.clear();
        self.to_keeper.clear();
        for queue in [&mut self.to_giver, &mut self.to_keeper] {
            let ended = Ended { how: how.clone(), stats: Stats::default() };
            queue.push_back(Task::Event(Event::Ended(Box::new(ended))));
        }
    }
}
