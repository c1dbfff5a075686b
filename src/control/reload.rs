//! Reading the configuration again, on a thread that gives way to workers.
//!
//! In scope: running the load. Out of scope: who asked and what they are told (`state::reload`), what the
//! text means and whether it is the one in force (`config`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Load;
use super::aside::aside;
use super::state::{Event, Reading};
use crate::config::{Fault, InForce};

/// What reads.
pub(super) struct Reader {
    file: PathBuf,
    load: Arc<Load>,
}

impl Reader {
    /// Reads `file` by `load`.
    pub(super) fn new(file: PathBuf, load: Arc<Load>) -> Self {
        Self { file, load }
    }

    /// Starts a load; `Event::Loaded` answers.
    pub(super) fn start(&self, in_force: InForce, events: mpsc::Sender<Event>) {
        let (file, load) = (self.file.clone(), Arc::clone(&self.load));
        let named = self.file.clone();
        tokio::spawn(async move {
            let reading = aside(move || read(&file, &*load, &in_force)).await;
            let reading = reading.unwrap_or_else(|why| broken(named, &why));
            let _ = events.send(Event::Loaded(reading)).await;
        });
    }
}

fn read(file: &Path, load: &Load, in_force: &InForce) -> Reading {
    match load(file, in_force) {
        Ok(Some(loaded)) => Reading::New(Box::new(loaded)),
        Ok(None) => Reading::Same,
        Err(faults) => Reading::Faulty(faults),
    }
}

fn broken(file: PathBuf, why: &str) -> Reading {
    let message = format!("the load broke down: {why}");
    Reading::Faulty(vec![Fault { warning: false, file, line: 0, column: 0, message, help: None }])
}
