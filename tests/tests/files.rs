//! Files between real programs: `anabranch send` and `get` against `anabranchd --files`, killed in
//! the middle, again and again.

#[path = "files/kills.rs"]
mod kills;
#[path = "files/orders.rs"]
mod orders;
#[path = "files/place.rs"]
mod place;
#[path = "files/use.rs"]
mod uses;
