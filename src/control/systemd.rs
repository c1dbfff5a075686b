//! What a service manager is told: systemd's sd_notify protocol, datagrams of `NAME=value` lines.
//!
//! In scope: the words and the socket, and how often the watchdog wants to hear. Out of scope: when to tell
//! (`state`), and the sockets that systemd passes (`run`). Nobody listens where `NOTIFY_SOCKET` is not set.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The gateway serves; also the end of a reload.
    Ready,
    /// The files are read again.
    Reloading,
    /// The gateway stops.
    Stopping,
    /// One line for `systemctl status`.
    Status(String),
    /// Another process is the gateway from now on.
    MainProcess(u32),
    /// Control and every worker live.
    Alive,
}

impl Notice {
    fn text(&self) -> String {
        match self {
            Self::Ready => "READY=1".into(),
            Self::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000)
            }
            Self::Stopping => "STOPPING=1".into(),
            Self::Status(line) => format!("STATUS={}", line.replace('\n', " ")),
            Self::MainProcess(pid) => format!("MAINPID={pid}"),
            Self::Alive => "WATCHDOG=1".into(),
        }
    }
}

/// The service manager's ear, where there is one.
#[derive(Debug, Default)]
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// What the environment names.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::of(|name| std::env::var_os(name), std::process::id())
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, own_pid: u32) -> Self {
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(own_pid));
        let watchdog = number("WATCHDOG_USEC").filter(|us| *us > 0 && ours).map(Duration::from_micros);
        let socket = variable("NOTIFY_SOCKET").and_then(|name| match open(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!("the service manager is not told anything: {}: {error}", name.display());
                None
            }
        });
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// The watchdog bites when it has not heard for this long.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells it, without waiting: a manager that does not read must not stop the gateway.
    pub fn tell(&self, notice: &Notice) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(notice.text().as_bytes(), address) {
            tracing::debug!("the service manager does not hear {notice:?}: {error}");
        }
    }
}

/// `@` begins a name that is not a file's.
fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Systemd {
        Systemd::of(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()), 7)
    }

    #[test]
    fn notices_arrive_in_the_words_of_the_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let systemd = of(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
        let said = |notice: Notice| {
            systemd.tell(&notice);
            let mut bytes = [0; 256];
            let read = manager.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..read]).into_owned()
        };
        assert_eq!(said(Notice::Ready), "READY=1");
        assert_eq!(said(Notice::Status("a\nb".into())), "STATUS=a b");
        assert_eq!(said(Notice::MainProcess(42)), "MAINPID=42");
        let reloading = said(Notice::Reloading);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(since.parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn a_manager_that_is_not_there_or_does_not_read_stops_nothing() {
        of(&[]).tell(&Notice::Ready);
        of(&[("NOTIFY_SOCKET", "nonsense")]).tell(&Notice::Ready);
        of(&[("NOTIFY_SOCKET", "@gatekeeper-test-nobody")]).tell(&Notice::Ready);
        let address = SocketAddr::from_abstract_name(format!("gk-deaf-{}", std::process::id())).unwrap();
        let _deaf = UnixDatagram::bind_addr(&address).unwrap();
        let systemd = of(&[("NOTIFY_SOCKET", &format!("@gk-deaf-{}", std::process::id()))]);
        for _ in 0..10_000 {
            systemd.tell(&Notice::Alive);
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_it_names() {
        let with = |pid: Option<&str>| {
            let mut pairs = vec![("NOTIFY_SOCKET", "@gk"), ("WATCHDOG_USEC", "3000000")];
            pairs.extend(pid.map(|pid| ("WATCHDOG_PID", pid)));
            of(&pairs).watchdog()
        };
        assert_eq!(with(Some("7")), Some(Duration::from_secs(3)));
        assert_eq!(with(None), Some(Duration::from_secs(3)));
        assert_eq!(with(Some("8")), None);
        assert_eq!(of(&[("WATCHDOG_USEC", "3000000")]).watchdog(), None);
    }
}
