//! Over QUIC. Certificates, tickets and 0-RTT are TLS's: DQUIC has nothing like them.

suite!(Kind::Quic);

mod resumption;
mod secrets;
mod trust;
