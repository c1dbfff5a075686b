//! The loop as a whole: real files, real sockets on loopback, fake workers.

mod dns;
mod health;
pub(super) mod house;
mod reload;
