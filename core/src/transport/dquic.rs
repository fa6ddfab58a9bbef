//! DQUIC: streams over plaintext UDP, for laboratories, teaching and simulation. Nothing is
//! encrypted and nobody is authenticated, so it is never a default on a network.

pub mod classic;
