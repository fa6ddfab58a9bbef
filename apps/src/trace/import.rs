//! `anabranch trace import`: what our receiver would have answered to the classic DQUIC packets
//! of a capture, beside what was answered.

mod ours;
mod replay;
mod shape;
mod show;
mod survey;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal as _};
use std::net::SocketAddr;

use self::replay::{Answer, Replay, Verdict};
use self::shape::Kind;
use self::show::{Line, Show};
use self::survey::{Conversation, Role, Survey, Way};
use crate::capture::{self, Datagram};
use crate::cli::trace::Import;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::units::count;

/// Compares the acknowledgements of a capture with ours.
///
/// # Errors
/// [`Exit::Different`] if one of them is not the same, [`Exit::Data`] if the file is not in order
/// or holds no classic DQUIC, and whatever else is in the way.
pub fn run(args: &Import, report: &Report) -> Result<(), Failure> {
    let columns = io::stdout().is_terminal();
    compare(args, report, columns, &mut BufWriter::new(io::stdout()))
}

fn compare(
    args: &Import,
    report: &Report,
    columns: bool,
    out: &mut dyn io::Write,
) -> Result<(), Failure> {
    let wanted = |datagram: &Datagram<'_>| {
        args.port.is_none_or(|port| [datagram.from, datagram.to].iter().any(|a| a.port() == port))
    };
    let mut survey = Survey::default();
    capture::read(&args.file, &mut |datagram| {
        if wanted(&datagram) {
            survey.take(&datagram);
        }
    })?;
    let mut walk = Walk::new(survey.finish(), args.max_bytes);
    let mut show = Show::new(report, args.hex, columns, out);
    let mut written = Ok(());
    let notes = capture::read(&args.file, &mut |datagram| {
        if written.is_ok() && wanted(&datagram) {
            written = walk.take(&datagram, &mut show);
        }
    })?;
    written?;
    notes.warnings().iter().for_each(|text| report.warning(text));
    for (number, replayed) in (1..).zip(&walk.all) {
        show.summary(number, replayed)?;
    }
    show.finish()?;
    verdict(args, &walk.all, &notes)
}

fn verdict(args: &Import, all: &[Replayed], notes: &capture::Notes) -> Result<(), Failure> {
    let name = args.file.display();
    let different: u64 = all.iter().map(|replayed| replayed.differences(args.strict)).sum();
    if different > 0 {
        let what = {
            let number = usize::try_from(different).unwrap_or(usize::MAX);
            let wrong = count(number, "acknowledgement");
            format!("{wrong} of {name} not what ours would be")
        };
        return Err(Failure::new(Exit::Different, what));
    }
    if let Some(damage) = &notes.damage {
        return Err(Failure::new(Exit::Data, format!("{name} is {damage}")));
    }
    if all.is_empty() {
        let datagrams = notes.datagrams;
        let what = format!("no classic DQUIC among {datagrams} UDP datagrams of {name}");
        return Err(Failure::new(Exit::Data, what));
    }
    Ok(())
}

/// A conversation, as far as it has been replayed.
struct Replayed {
    way: Way,
    conversation: Conversation,
    replay: Replay,
    /// SHORT packets, and the number of the last one.
    packets: usize,
    last: Option<u32>,
    repeated: u64,
    /// Times of the first and the last packet.
    time: Option<(u64, u64)>,
    /// ACK packets that have come back.
    acks: usize,
    verdicts: BTreeMap<Verdict, u64>,
}

impl Replayed {
    fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    fn differences(&self, strict: bool) -> u64 {
        let wrong = Verdict::ALL.into_iter().filter(|verdict| verdict.is_difference(strict));
        wrong.map(|verdict| self.of(verdict)).sum()
    }

    fn count(&mut self, time: u64, verdict: Verdict) {
        *self.verdicts.entry(verdict).or_default() += 1;
        let since = self.time.map_or(time, |(since, _)| since);
        self.time = Some((since, time));
    }
}

/// The second reading of a capture.
struct Walk {
    all: Vec<Replayed>,
    ways: BTreeMap<(SocketAddr, SocketAddr), usize>,
    began: Option<u64>,
}

impl Walk {
    fn new(conversations: Vec<Conversation>, max_bytes: u64) -> Self {
        let replayed = |conversation: Conversation| Replayed {
            way: conversation.way,
            replay: Replay::new(conversation.layout, max_bytes),
            conversation,
            packets: 0,
            last: None,
            repeated: 0,
            time: None,
            acks: 0,
            verdicts: BTreeMap::new(),
        };
        let all: Vec<_> = conversations.into_iter().map(replayed).collect();
        let ways = all.iter().enumerate().map(|(index, one)| (one.way, index)).collect();
        Self { all, ways, began: None }
    }

    fn take(&mut self, datagram: &Datagram<'_>, show: &mut Show<'_>) -> Result<(), Failure> {
        let began = *self.began.get_or_insert(datagram.time);
        let Some((kind, number)) = shape::header(datagram.payload) else { return Ok(()) };
        let way = match kind {
            Kind::Short => (datagram.from, datagram.to),
            Kind::Ack => (datagram.to, datagram.from),
        };
        let Some(&index) = self.ways.get(&way) else { return Ok(()) };
        let one = &mut self.all[index];
        let (answer, theirs) = match kind {
            Kind::Short => {
                let theirs = one.conversation.answers.get_mut(one.packets).and_then(Option::take);
                one.packets += 1;
                one.repeated += u64::from(one.last == Some(number));
                one.last = Some(number);
                let Datagram { payload, length, .. } = *datagram;
                (one.replay.packet(number, payload, length, theirs.as_deref()), theirs)
            }
            Kind::Ack => {
                let role = one.conversation.roles.get(one.acks).copied();
                one.acks += 1;
                let theirs = datagram.payload;
                let answer = match role {
                    Some(Role::Again) => one.replay.again(number, theirs),
                    Some(Role::Unasked) => one.replay.unasked(theirs),
                    Some(Role::Answer) | None => return Ok(()),
                };
                (answer, Some(theirs.to_vec()))
            }
        };
        let Answer { ours, verdict } = answer;
        one.count(datagram.time, verdict);
        show.line(&Line {
            conversation: index + 1,
            layout: one.conversation.layout,
            number,
            time: datagram.time,
            since: datagram.time.saturating_sub(began),
            ours: ours.as_deref(),
            theirs: theirs.as_deref(),
            verdict,
        })
    }
}

#[cfg(test)]
mod tests;
