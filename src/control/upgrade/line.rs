//! What an old process and a new one say to each other, and the listening sockets that go over with it.
//!
//! A pair of Unix sockets that keeps messages apart (SOCK_SEQPACKET). The old one hands its sockets over and, once
//! the new one has proven itself, tells it to serve alone; the new one says that it is ready, and that it lives. In scope: the words and their transport. Out of scope: when to say them
//! (`successor`, `predecessor`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The variable that names the new process's end of the line, as a descriptor's number.
pub const VARIABLE: &str = "GATEKEEPER_HANDOVER";

/// Sockets in one message; the kernel takes 253.
const SOCKETS_PER_MESSAGE: usize = 200;
/// Bytes of the longest message.
const MESSAGE_BYTES_MAX: usize = 4_096;
/// Before a message that found no room is tried again.
const ROOM_PAUSE: Duration = Duration::from_millis(5);

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Old to new: sockets come with this, and more or no more come after it.
    Sockets {
        /// Whether another such message follows.
        more: bool,
    },
    /// Old to new: you are the gateway now; I drain.
    Serve,
    /// New to old: every worker runs on its first epoch and accepts.
    Ready,
    /// New to old: control and every worker live.
    Alive,
    /// New to old: I give up.
    Failed(String),
}

impl Said {
    fn text(&self) -> String {
        match self {
            Self::Sockets { more } => format!("sockets {}", if *more { "more" } else { "last" }),
            Self::Serve => "serve".into(),
            Self::Ready => "ready".into(),
            Self::Alive => "alive".into(),
            Self::Failed(why) => format!("failed {}", why.chars().take(MESSAGE_BYTES_MAX / 8).collect::<String>()),
        }
    }

    /// `None` for words of a later version.
    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "sockets" => Self::Sockets { more: rest == "more" },
            "serve" => Self::Serve,
            "ready" => Self::Ready,
            "alive" => Self::Alive,
            "failed" => Self::Failed(rest.to_owned()),
            _ => return None,
        })
    }
}

/// What came of listening.
#[derive(Debug)]
pub enum Heard {
    /// This, with these sockets.
    Said(Said, Vec<OwnedFd>),
    /// Nothing in time.
    Nothing,
    /// The other side has gone.
    Gone,
}

/// One end of the line.
#[derive(Debug)]
pub struct Line(OwnedFd);

impl From<OwnedFd> for Line {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Line {
    /// Both ends.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(one), Self(other)))
    }

    /// Says it without waiting.
    ///
    /// # Errors
    /// When the other side has gone, or reads nothing and there is no room left.
    pub fn say(&self, said: &Said) -> io::Result<()> {
        Ok(self.send(said, &[])?)
    }

    fn send(&self, said: &Said, sockets: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_PER_MESSAGE))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
            return Err(Errno::INVAL);
        }
        let text = said.text();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::io::retry_on_intr(|| sendmsg(&self.0, &[IoSlice::new(text.as_bytes())], &mut ancillary, flags))?;
        Ok(())
    }

    /// Hands sockets over, in as many messages as it takes.
    ///
    /// # Errors
    /// When the other side has gone, or has not read them by then.
    pub fn hand_over(&self, sockets: &[BorrowedFd<'_>], until: Instant) -> io::Result<()> {
        // One message even without sockets: the other side waits for the last.
        let messages: Vec<&[BorrowedFd<'_>]> = match sockets.chunks(SOCKETS_PER_MESSAGE).collect::<Vec<_>>() {
            none if none.is_empty() => vec![&[]],
            some => some,
        };
        let last = messages.len() - 1;
        for (index, message) in messages.into_iter().enumerate() {
            let said = Said::Sockets { more: index < last };
            loop {
                match self.send(&said, message) {
                    Ok(()) => break,
                    // The kernel bounds what is on its way: messages by the buffer, descriptors by the limit.
                    Err(Errno::AGAIN | Errno::TOOMANYREFS | Errno::NOBUFS) if Instant::now() < until => {
                        std::thread::sleep(ROOM_PAUSE);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Takes the sockets that the other side hands over.
    ///
    /// # Errors
    /// When it goes, says something else, or does not come to an end by then; when descriptors run out.
    pub fn take_over(&self, until: Instant) -> io::Result<Vec<OwnedFd>> {
        let mut taken = Vec::new();
        loop {
            match self.hear(Some(until.saturating_duration_since(Instant::now())))? {
                Heard::Said(Said::Sockets { more }, sockets) => {
                    taken.extend(sockets);
                    if !more {
                        return Ok(taken);
                    }
                }
                Heard::Said(other, _) => return Err(io::Error::other(format!("`{}` came first", other.text()))),
                Heard::Nothing => return Err(io::ErrorKind::TimedOut.into()),
                Heard::Gone => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Waits for the next thing said, as long as it takes where no time is given.
    ///
    /// # Errors
    /// When the line breaks, or sockets were lost on the way because descriptors ran out.
    pub fn hear(&self, wait: Option<Duration>) -> io::Result<Heard> {
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.map(Timespec::try_from).transpose().map_err(|_| io::ErrorKind::InvalidInput)?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], left.as_ref()) {
                Ok(0) => return Ok(Heard::Nothing),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match self.receive() {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(Heard::Gone),
                Err(error) => return Err(error.into()),
                Ok(None) => return Ok(Heard::Gone),
                Ok(Some((text, sockets))) => {
                    if let Some(said) = Said::parse(&text) {
                        return Ok(Heard::Said(said, sockets));
                    }
                }
            }
        }
    }

    fn receive(&self) -> Result<Option<(String, Vec<OwnedFd>)>, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_PER_MESSAGE))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; MESSAGE_BYTES_MAX];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
        let sockets: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
                _ => None,
            })
            .flatten()
            .collect();
        if message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(Errno::MFILE);
        }
        if message.bytes == 0 {
            return Ok(None);
        }
        Ok(Some((String::from_utf8_lossy(&bytes[..message.bytes]).into_owned(), sockets)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn every_word_comes_as_it_was_said() {
        let (one, other) = Line::pair().unwrap();
        let words =
            [Said::Serve, Said::Ready, Said::Alive, Said::Failed("worker 1: a b".into()), Said::Sockets { more: true }];
        for word in words {
            one.say(&word).unwrap();
            assert!(matches!(other.hear(None).unwrap(), Heard::Said(said, _) if said == word), "{word:?}");
        }
    }

    #[test]
    fn a_word_of_a_later_version_is_passed_over() {
        let (one, other) = Line::pair().unwrap();
        rustix::net::send(&one, b"whatever else", SendFlags::empty()).unwrap();
        one.say(&Said::Ready).unwrap();
        assert!(matches!(other.hear(None).unwrap(), Heard::Said(Said::Ready, _)));
    }

    #[test]
    fn silence_and_an_end_are_told_apart() {
        let (one, other) = Line::pair().unwrap();
        assert!(matches!(other.hear(Some(Duration::from_millis(10))).unwrap(), Heard::Nothing));
        drop(one);
        assert!(matches!(other.hear(None).unwrap(), Heard::Gone));
        assert!(other.say(&Said::Alive).is_err());
    }

    #[test]
    fn sockets_go_over_and_still_accept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (one, other) = Line::pair().unwrap();
        one.hand_over(&[listener.as_fd()], soon()).unwrap();
        drop(listener);
        let taken = other.take_over(soon()).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let listener = TcpListener::from(taken.into_iter().next().unwrap());
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        assert!(rustix::io::fcntl_getfd(&listener).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn thousands_of_sockets_go_over_in_several_messages() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for count in [0, 200, 201, 5_000] {
            let sockets = vec![listener.as_fd(); count];
            let (one, other) = Line::pair().unwrap();
            let taking = std::thread::spawn(move || {
                let mut taken = 0;
                // Dropped as they come, so that the test needs no more descriptors than one message brings.
                while let Heard::Said(Said::Sockets { more }, sockets) = other.hear(None).unwrap() {
                    taken += sockets.len();
                    if !more {
                        break;
                    }
                }
                taken
            });
            one.hand_over(&sockets, soon()).unwrap();
            assert_eq!(taking.join().unwrap(), count);
        }
    }

    #[test]
    fn nobody_waits_for_ever_for_one_who_does_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, _other) = Line::pair().unwrap();
        let sockets = vec![listener.as_fd(); 200_000];
        assert!(one.hand_over(&sockets, Instant::now() + Duration::from_millis(50)).is_err());
    }
}
