//! A server and its clients over emulated links, in virtual time. One binary, since each links
//! all of QUIC.

anabranch_tests::answer_clocks!();

mod net {
    mod control;
    mod faults;
    mod flood;
    mod handshake;
    mod lifetime;
    mod media;
    mod paths;
    mod resumption;
    mod rogue;
    mod sessions;
    mod traces;
}
