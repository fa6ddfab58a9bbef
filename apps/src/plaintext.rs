//! DQUIC is plaintext: it is never used by accident, and never on a network without leave.

use std::net::SocketAddr;

use crate::exit::{Exit, Failure};

/// What is said whenever DQUIC is used.
pub const WARNING: &str = "DQUIC IS PLAINTEXT: nothing is encrypted and nobody is authenticated; \
                           whoever is on the way can read and change everything";

/// Leave to use a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Leave {
    /// Use DQUIC on addresses that are not loopback addresses, where others can read and change
    /// everything
    #[arg(long)]
    pub i_know_this_is_plaintext: bool,
}

impl Leave {
    /// Refuses an address that others can reach.
    ///
    /// # Errors
    /// [`Exit::Usage`] for such an address without leave.
    pub fn check(self, address: SocketAddr) -> Result<(), Failure> {
        if address.ip().to_canonical().is_loopback() || self.i_know_this_is_plaintext {
            return Ok(());
        }
        let what = format!("{address} is not a loopback address, and DQUIC is plaintext");
        Err(Failure::new(Exit::Usage, what)
            .hint("add --i-know-this-is-plaintext if everybody on that network may read it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_need_no_leave() {
        let check = |address: &str, leave| {
            Leave { i_know_this_is_plaintext: leave }.check(address.parse().unwrap())
        };
        for loopback in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(check(loopback, false), Ok(()), "{loopback}");
        }
        for other in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            let failure = check(other, false).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{other}");
            assert!(failure.to_string().contains("--i-know-this-is-plaintext"), "{failure}");
            assert_eq!(check(other, true), Ok(()), "{other}");
        }
    }
}
