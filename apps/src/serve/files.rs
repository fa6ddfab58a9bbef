//! Files: who may do what with them, and what becomes of it.

mod limits;
mod pool;
mod questions;
mod register;
mod store;
mod view;
