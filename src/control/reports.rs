//! Hears the workers: their doorbell becomes readable, their reports become events.

use std::io;

use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::state::Event;
use crate::wall::link::Reports;

/// Listens until the loop or every worker has gone.
///
/// # Errors
/// When the doorbell cannot be registered with the loop.
pub(super) fn listen(reports: Reports, events: mpsc::Sender<Event>) -> io::Result<()> {
    let Reports { reports, heard } = reports;
    let heard = UnixStream::from_std(heard)?;
    tokio::spawn(async move {
        let mut open = true;
        while open && heard.readable().await.is_ok() {
            // Silence first: what is reported after it rings again.
            open = silence(&heard);
            for report in reports.try_iter() {
                if events.send(Event::Report(report)).await.is_err() {
                    return;
                }
            }
        }
        let _ = events.send(Event::Silence).await;
    });
    Ok(())
}

/// Empties the doorbell; false when nobody is left to ring it.
fn silence(heard: &UnixStream) -> bool {
    let mut scrap = [0; 256];
    loop {
        match heard.try_read(&mut scrap) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }
}
