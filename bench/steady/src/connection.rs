//! A connection: at most one request on its way, and the answer to it.
//!
//! In scope: opening, sending whole requests, receiving. Out of scope: which request, and when (`load`).

use crate::answer::{Answer, Step};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long opening may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    answer: Answer,
    /// When the request on its way was due.
    pub(crate) due: Option<Duration>,
}

impl Connection {
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, CONNECT_PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, answer: Answer::default(), due: None })
    }

    /// Sends a request, which was due then.
    ///
    /// # Errors
    ///
    /// The kernel's, and when an empty socket does not take so few bytes at once.
    pub(crate) fn ask(&mut self, request: &[u8], due: Duration) -> io::Result<()> {
        self.due = Some(due);
        match self.socket.write(request)? {
            sent if sent == request.len() => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }

    /// Receives what there is: whether the answer is whole, and whether it is a good one.
    ///
    /// # Errors
    ///
    /// The kernel's, the end of the connection, and bytes that nobody asked for or that are no answer.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Option<bool>> {
        let bytes = match self.socket.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => &scratch[..bytes],
            Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        if self.due.is_none() {
            return Err(io::Error::other("bytes that nobody asked for"));
        }
        match self.answer.take(bytes) {
            Step::Unfinished => Ok(None),
            Step::Whole(is_good) => Ok(Some(is_good)),
            Step::Strange => Err(io::Error::other("an answer that is not understood")),
        }
    }
}
