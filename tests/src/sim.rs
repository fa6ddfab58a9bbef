//! A simulated world: servers, clients and people who mean ill, on an emulated network, in
//! virtual time.
//!
//! A run has two phases. While there is *chaos*, faults happen and applications do what they
//! like, legal or not; whatever happens must be right. Then everything *heals*, and whatever
//! runs has to come to its end by a deadline. All of it is decided by one [seed](swarm::Swarm).

pub mod agenda;
pub mod draw;
mod errands;
mod faults;
mod heal;
mod known;
pub mod outcome;
mod process;
mod saver;
pub mod seed;
pub mod summary;
pub mod swarm;
mod trail;
mod turn;
mod verdict;
mod workload;
mod world;

pub use world::{Tally, World};
