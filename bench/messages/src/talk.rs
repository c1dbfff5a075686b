//! Where a connection is in its exchanges: one message being sent or received at a time.
//!
//! In scope: partial sends, the check of what is received. Out of scope: when to try (`origin`, `load`).

use crate::message::Message;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::io;

/// What is left of the message in hand, and its number.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// Exchanges done.
    pub(crate) number: u64,
    offset: usize,
}

impl Talk {
    /// Sends as much as the socket takes; true when that was the message's end.
    ///
    /// # Errors
    ///
    /// The kernel's, when the connection is gone.
    pub(crate) fn send(&mut self, socket: &OwnedFd, message: &Message, scratch: &mut [u8]) -> io::Result<bool> {
        while self.offset < message.wire_bytes() {
            let bytes = message.write(self.number, self.offset, scratch);
            match send(socket, &scratch[..bytes], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => self.offset += sent,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        self.offset = 0;
        Ok(true)
    }

    /// Takes received bytes; true when they end the message.
    ///
    /// # Errors
    ///
    /// When they are not the message's.
    pub(crate) fn take(&mut self, message: &Message, bytes: &[u8]) -> io::Result<bool> {
        if !message.is(self.number, self.offset, bytes) {
            return Err(io::Error::other(format!("message {} is wrong behind byte {}", self.number, self.offset)));
        }
        self.offset += bytes.len();
        let whole = self.offset == message.wire_bytes();
        if whole {
            self.offset = 0;
        }
        Ok(whole)
    }
}
