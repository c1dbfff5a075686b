//! Questions to control that a session waits on, matched to their answers by number.
//!
//! In scope: `/reload`, the only such question. Out of scope: what is asked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Control's answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What to say.
    pub text: Box<str>,
}

/// The open questions of one core.
#[derive(Debug, Default)]
pub struct Tickets {
    next: Cell<u64>,
    open: RefCell<HashMap<u64, State>>,
}

#[derive(Debug)]
enum State {
    Asked(Option<Waker>),
    Answered(Answer),
}

impl Tickets {
    /// Opens a question.
    pub fn open(&self) -> u64 {
        let ticket = self.next.get() + 1;
        self.next.set(ticket);
        self.open.borrow_mut().insert(ticket, State::Asked(None));
        ticket
    }

    /// Brings the answer. A question nobody waits for any more is ignored.
    pub fn answer(&self, ticket: u64, answer: Answer) {
        if let Some(state) = self.open.borrow_mut().get_mut(&ticket)
            && let State::Asked(Some(waker)) = std::mem::replace(state, State::Answered(answer))
        {
            waker.wake();
        }
    }

    /// Waits for the answer.
    pub async fn wait(&self, ticket: u64) -> Answer {
        poll_fn(|cx| {
            let mut open = self.open.borrow_mut();
            match open.remove(&ticket) {
                Some(State::Answered(answer)) => Poll::Ready(answer),
                _ => {
                    open.insert(ticket, State::Asked(Some(cx.waker().clone())));
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Forgets a question.
    pub fn close(&self, ticket: u64) {
        self.open.borrow_mut().remove(&ticket);
    }
}
