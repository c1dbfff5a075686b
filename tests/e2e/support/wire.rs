//! A socket with a read buffer and a deadline: reading up to a mark, a count or the end.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::PATIENCE;

/// Why no more bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The peer closed its sending half.
    Closed,
    /// The peer reset the connection.
    Reset,
    /// The peer neither sent nor closed before the deadline.
    Silent,
}

/// One connection, client's or origin's side.
pub(crate) struct Wire {
    socket: Socket,
    buffer: Vec<u8>,
    /// Every byte ever received, for exact comparison.
    pub(crate) received: Vec<u8>,
    /// How long a read waits.
    pub(crate) patience: Duration,
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, buffer: Vec::new(), received: Vec::new(), patience: PATIENCE }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends everything, or says that the peer would not take it.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.socket.set_write_timeout(Some(self.patience)).expect("a positive timeout");
        self.socket.write_all(bytes).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Gone::Silent,
            _ => Gone::Reset,
        })
    }

    /// Closes the sending half.
    pub(crate) fn finish(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Closes so that the peer sees a reset.
    pub(crate) fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).expect("linger is settable");
    }

    /// Receives at least one more byte into the buffer.
    pub(crate) fn fill(&mut self, until: Instant) -> Result<(), Gone> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left)).expect("a positive timeout");
        let mut chunk = [0; 64 * 1024];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(Gone::Closed),
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    self.received.extend_from_slice(&chunk[..n]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Gone::Silent),
                    _ => return Err(Gone::Reset),
                },
            }
        }
    }

    /// The bytes up to and including the mark.
    pub(crate) fn through(&mut self, mark: &[u8]) -> Result<Vec<u8>, Gone> {
        let until = Instant::now() + self.patience;
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..].windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Ok(self.buffer.drain(..searched + at + mark.len()).collect());
            }
            searched = self.buffer.len().saturating_sub(mark.len() - 1);
            self.fill(until)?;
        }
    }

    /// Exactly so many bytes, in pieces: each piece may take the whole patience.
    pub(crate) fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Gone> {
        while self.buffer.len() < count {
            self.fill(Instant::now() + self.patience)?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Everything until the peer closes, resets, or is silent for the whole patience.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Gone) {
        loop {
            if let Err(gone) = self.fill(Instant::now() + self.patience) {
                return (std::mem::take(&mut self.buffer), gone);
            }
        }
    }

    /// Whatever has been received and not been taken.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer
    }
}
