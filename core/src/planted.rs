//! Bugs that are planted on purpose, to see that the tests find them. They exist only with the
//! feature `planted`, which no program turns on, and then only in the thread that chose one.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A lost range is sent again without its last byte.
    RetransmitRange,
    /// That a stream takes bytes again is forgotten while events wait for the application.
    LostWakeUp,
    /// A pause that comes while the transport takes nothing lets one more chunk go.
    PauseLeaks,
}

#[cfg(feature = "planted")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Chooses the bug that this thread runs with from now on, or none.
#[cfg(feature = "planted")]
pub fn choose(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

/// Whether this thread runs with this bug.
#[cfg(feature = "planted")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}

/// Whether this thread runs with this bug: never, in this build.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "planted")]
    #[test]
    fn one_bug_is_planted_at_a_time_and_none_by_itself() {
        assert!(!is(Bug::LostWakeUp));
        choose(Some(Bug::LostWakeUp));
        assert!(is(Bug::LostWakeUp) && !is(Bug::PauseLeaks));
        choose(None);
        assert!(!is(Bug::LostWakeUp));
    }

    #[cfg(not(feature = "planted"))]
    #[test]
    fn nothing_is_planted_in_a_build_that_did_not_ask() {
        const { assert!(!is(Bug::RetransmitRange)) };
    }
}
