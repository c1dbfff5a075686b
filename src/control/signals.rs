//! Signals become events: SIGHUP reloads, SIGUSR1 opens the logs anew, SIGUSR2 upgrades, SIGTERM and SIGINT stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::state::{Asker, Event, Wisher};

/// Listens until the loop has gone.
///
/// # Errors
/// When a signal cannot be registered.
pub(super) fn listen(events: mpsc::Sender<Event>) -> io::Result<()> {
    forward(signal(SignalKind::hangup())?, events.clone(), || Event::Asked(Asker::Operator));
    forward(signal(SignalKind::terminate())?, events.clone(), || Event::Stop);
    forward(signal(SignalKind::interrupt())?, events.clone(), || Event::Stop);
    let upgrade = || Event::UpgradeAsked { wisher: Wisher::Signal, cores: None };
    forward(signal(SignalKind::user_defined1())?, events.clone(), || Event::ReopenLogs);
    forward(signal(SignalKind::user_defined2())?, events, upgrade);
    #[cfg(debug_assertions)]
    if std::env::var_os("GATEKEEPER_FAULTS").is_some() {
        get_stuck(signal(SignalKind::window_change())?);
    }
    Ok(())
}

fn forward(mut signal: Signal, events: mpsc::Sender<Event>, event: impl Fn() -> Event + Send + 'static) {
    tokio::spawn(async move { while signal.recv().await.is_some() && events.send(event()).await.is_ok() {} });
}

/// A fault on demand, in debug builds only: the loop, which is this thread, does nothing for a while.
#[cfg(debug_assertions)]
fn get_stuck(mut signal: Signal) {
    tokio::spawn(async move {
        while signal.recv().await.is_some() {
            std::thread::sleep(std::time::Duration::from_millis(STUCK_MS));
        }
    });
}

#[cfg(debug_assertions)]
const STUCK_MS: u64 = 5_000;
