//! Transfers between disks: what they leave behind, whatever happens to them.

#[path = "transfers/common.rs"]
mod common;
#[path = "transfers/death.rs"]
mod death;
#[path = "transfers/existing.rs"]
mod existing;
#[path = "transfers/trouble.rs"]
mod trouble;
