//! Whole connections, and peers that write packets by hand.

mod acks;
mod closing;
mod handshakes;
mod loss;
mod moving;
mod pair;
mod raw;
mod sizes;
mod violations;
