//! The new process's side of an upgrade: hearing what the old process says.
//!
//! In scope: listening on a thread of its own, speaking from the loop. Out of scope: what it means
//! (`state::upgrade`).

use std::sync::Arc;

use tokio::sync::mpsc;

use super::line::{Heard, Line, Said};
use crate::control::state::{Event, Predecessor};

/// The line to the old process.
#[derive(Debug)]
pub(crate) struct Listener(Arc<Line>);

impl Listener {
    /// Listens until it has gone.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub(crate) fn start(line: Line, events: mpsc::Sender<Event>) -> std::io::Result<Self> {
        let line = Arc::new(line);
        let heard = Arc::clone(&line);
        std::thread::Builder::new().name("gk-handover".into()).spawn(move || listen(&heard, &events))?;
        Ok(Self(line))
    }

    /// Says it, if the other side is still there.
    pub(crate) fn say(&self, said: &Said) {
        if let Err(error) = self.0.say(said) {
            tracing::debug!("the old process does not hear {said:?}: {error}");
        }
    }
}

fn listen(line: &Line, events: &mpsc::Sender<Event>) {
    loop {
        let news = match line.hear(None) {
            Ok(Heard::Said(Said::Serve, _)) => Predecessor::HandsOver,
            Ok(Heard::Said(..) | Heard::Nothing) => continue,
            Ok(Heard::Gone) | Err(_) => Predecessor::Gone,
        };
        if events.blocking_send(Event::Predecessor(news)).is_err() || news == Predecessor::Gone {
            return;
        }
    }
}
