//! Over the DQUIC extension.

use anabranch_tests::stack::Kind;

/// The transport of these tests.
const ON: Kind = Kind::Dquic;

#[expect(clippy::duplicate_mod, reason = "one source, and two transports")]
mod conformance;
#[expect(clippy::duplicate_mod, reason = "one source, and two transports")]
mod files;
