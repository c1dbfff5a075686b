//! Telling of what the journal's thread cannot tell, because a disk holds it up: what never reached it.

use std::time::Duration;

use super::Journal;
use super::notes::TROUBLE;
use crate::limits::JOURNAL_WATCH_MS;

/// Looks for as long as the process lives. Trouble is told when it begins and when it is over.
pub(in crate::control) async fn watch(journal: Journal) {
    let mut every = tokio::time::interval(Duration::from_millis(JOURNAL_WATCH_MS));
    let (mut seen, mut before) = (journal.unseen(), None);
    loop {
        every.tick().await;
        let unseen = journal.unseen();
        match before {
            None if unseen > seen => {
                tracing::error!(target: TROUBLE, "the journal does not keep up: records of requests are dropped");
                before = Some(seen);
            }
            Some(start) if unseen == seen => {
                tracing::warn!(target: TROUBLE, "the journal keeps up again; {} records or lines were dropped", unseen - start);
                before = None;
            }
            _ => {}
        }
        seen = unseen;
    }
}
