//! The admin listener as the state sees it: where it is wanted, the socket, and whether it answers. Pure.
//!
//! It answers from the start, so that a start can be watched; but in a new process of an upgrade only once that is the
//! gateway, because until then the old one answers at the same socket. Out of scope: answering (`control::admin`).

use std::net::TcpListener;

use super::Effect;
use crate::config::Admin as Wanted;

/// The admin listener.
#[derive(Debug, Default)]
pub(super) struct Admin {
    /// The one that is open; `None` where it is off, or where its default address was taken.
    open: Option<Wanted>,
    /// Its socket, until it answers.
    held: Option<TcpListener>,
    answers: bool,
}

impl Admin {
    /// What has to be opened before this is so.
    pub(super) fn missing(&self, wanted: Option<&Wanted>) -> Option<Wanted> {
        let is_open = |wanted: &&Wanted| self.open.as_ref().is_some_and(|open| open.address == wanted.address);
        wanted.filter(|wanted| !is_open(wanted)).cloned()
    }

    /// From now on this is so; `opened` is what was missing.
    pub(super) fn replace(&mut self, wanted: Option<&Wanted>, opened: Option<TcpListener>, out: &mut Vec<Effect>) {
        let stays = wanted.is_some() && self.missing(wanted).is_none();
        if !stays {
            if self.open.take().is_some() && self.answers {
                out.push(Effect::CloseAdmin);
            }
            self.held = opened;
            if self.held.is_none() {
                return;
            }
        }
        self.open = wanted.cloned();
        if let Some(wanted) = wanted {
            out.push(Effect::AskForToken(wanted.token.clone()));
        }
        if self.answers {
            self.answer(out);
        }
    }

    /// This process is the gateway from now on.
    pub(super) fn answer(&mut self, out: &mut Vec<Effect>) {
        self.answers = true;
        out.extend(self.held.take().map(Effect::OpenAdmin));
    }

    /// Another process is the gateway.
    pub(super) fn leave(&mut self, out: &mut Vec<Effect>) {
        self.answers = false;
        if self.open.take().is_some() {
            out.push(Effect::CloseAdmin);
        }
    }
}
