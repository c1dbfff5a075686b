//! Room 1: bytes and rules. Slices in, values out; every function is total on hostile bytes.
//!
//! In scope: the syntax and the rules of HTTP/1.1 as a strict intermediary keeps them: heads
//! ([`head`], [`field`], [`target`], [`authority`]), the one certain length of a message
//! ([`framing`]), chunks ([`chunked`]), the heads we send on ([`forward`]), our own answers
//! ([`reply`]), form text ([`form`]), cookies ([`cookie`]) and content codings ([`coding`]). Out of scope: sockets, clocks,
//! waiting, routes, and the heap beyond a caller's `Vec<u8>` (and what decoders keep: a few bytes of trailers, the window
//! of a content coding).
//!
//! The rule above all: no framing byte that was received is ever sent on. Heads and chunk lines are
//! written anew from what was understood.

pub mod authority;
pub mod authorization;
pub mod chunked;
pub mod coding;
pub mod cookie;
pub mod edits;
pub mod field;
pub mod form;
pub mod forward;
pub mod framing;
pub mod head;
mod hex;
pub mod json;
pub mod proxy_header;
pub mod redact;
pub mod reply;
mod request_line;
mod scan;
mod survey;
pub mod target;
pub mod trace_context;
pub mod websocket;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;
