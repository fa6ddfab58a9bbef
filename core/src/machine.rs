//! State machines as total tables with three answers.

use std::fmt::Debug;

use crate::session::media;
use crate::transport::dquic::classic;

/// What a state machine answers to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<S> {
    /// Legal, and the state is now this one (it may be the same again).
    Go(S),
    /// Legal, and without effect: a duplicate or a late message.
    Stay,
    /// Not legal in this state. Who is to blame depends on who gave the input.
    Illegal,
}

/// A control state with a total transition table, in one `match` without wildcard arms.
pub trait Machine: Copy + Eq + Debug + 'static {
    /// Everything that can happen to it.
    type Input: Copy + Eq + Debug + 'static;
    /// Every state, the first one first.
    const STATES: &'static [Self];
    /// Every input.
    const INPUTS: &'static [Self::Input];
    /// States that nothing leaves.
    const FINAL: &'static [Self];
    /// The transition function: pure.
    fn next(self, input: Self::Input) -> Step<Self>;
}

/// Gives a machine an input that only this code decides on, so that an illegal one is a bug here.
pub(crate) fn advance<M: Machine>(state: &mut M, input: M::Input) {
    match state.next(input) {
        Step::Go(next) => *state = next,
        Step::Stay => {}
        Step::Illegal => debug_assert!(false, "{state:?} x {input:?}"),
    }
}

/// The whole table as text, one line for each state and input, for snapshots and documents.
#[must_use]
pub fn matrix<M: Machine>() -> String {
    let mut out = String::new();
    for state in M::STATES {
        for input in M::INPUTS {
            let answer = match state.next(*input) {
                Step::Go(to) => format!("{to:?}"),
                Step::Stay => "stay".to_owned(),
                Step::Illegal => "ILLEGAL".to_owned(),
            };
            out.push_str(&format!("{state:?} x {input:?} -> {answer}\n"));
        }
    }
    out
}

/// The legal, effective transitions as a Mermaid state diagram.
#[must_use]
pub fn mermaid<M: Machine>() -> String {
    let mut out = String::from("stateDiagram-v2\n");
    if let Some(first) = M::STATES.first() {
        out.push_str(&format!("    [*] --> {first:?}\n"));
    }
    for state in M::STATES {
        for input in M::INPUTS {
            if let Step::Go(to) = state.next(*input) {
                out.push_str(&format!("    {state:?} --> {to:?}: {input:?}\n"));
            }
        }
    }
    for state in M::FINAL {
        out.push_str(&format!("    {state:?} --> [*]\n"));
    }
    out
}

/// One of this crate's machines, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The name it has in `docs/protocol.md`.
    pub name: &'static str,
    /// Its [`matrix`].
    pub matrix: String,
    /// Its diagram: see [`mermaid`].
    pub diagram: String,
    /// What [`check`] says against it.
    pub flaw: Option<String>,
}

/// Every machine of this crate, for documents and tests.
#[must_use]
pub fn drawings() -> Vec<Drawing> {
    fn draw<M: Machine>(name: &'static str) -> Drawing {
        Drawing { name, matrix: matrix::<M>(), diagram: mermaid::<M>(), flaw: check::<M>().err() }
    }
    vec![
        draw::<crate::conn::state::State>("connection"),
        draw::<crate::transport::dquic::state::State>("dquic-connection"),
        draw::<crate::transport::dquic::streams::send_state::State>("dquic-send"),
        draw::<crate::transport::dquic::streams::recv_state::State>("dquic-receive"),
        draw::<media::client::state::State>("media-client"),
        draw::<media::server::state::State>("media-server"),
        draw::<classic::send_state::State>("dquic-classic-sender"),
        draw::<classic::receive_state::State>("dquic-classic-receiver"),
    ]
}

/// Checks what every table has to fulfil: every state can be reached, final states are left by
/// nothing, and every other state can reach a final one.
///
/// # Errors
/// Says which state breaks which rule.
pub fn check<M: Machine>() -> Result<(), String> {
    let reachable = |from: M| {
        let mut seen = vec![from];
        let mut at = 0;
        while at < seen.len() {
            for input in M::INPUTS {
                if let Step::Go(to) = seen[at].next(*input)
                    && !seen.contains(&to)
                {
                    seen.push(to);
                }
            }
            at += 1;
        }
        seen
    };
    let first = *M::STATES.first().ok_or("no states")?;
    let from_first = reachable(first);
    for state in M::STATES {
        if !from_first.contains(state) {
            return Err(format!("{state:?} cannot be reached"));
        }
        let onward = reachable(*state);
        if M::FINAL.contains(state) && onward.len() > 1 {
            return Err(format!("{state:?} is final and is left"));
        }
        if !M::FINAL.iter().any(|end| onward.contains(end)) {
            return Err(format!("{state:?} can never end"));
        }
    }
    Ok(())
}
