//! `[module.default_answer]`: what a client is told where no endpoint is asked, or none has answered.
//!
//! In scope: the answer, and for which ends it stands in. Out of scope: sending it (`worker/relay/reply`).

use crate::end::{End, Side};

/// The answer of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultAnswer {
    /// When it is given.
    pub when: When,
    /// Its status.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: Box<str>,
    /// Its body.
    pub body: Box<[u8]>,
}

/// When a default answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Where the service is switched off, or every endpoint has failed.
    Failure,
    /// Always: no endpoint is asked.
    Always,
}

impl DefaultAnswer {
    /// Whether the client is given it in place of this end: the service has failed, and not the client or the gateway.
    #[must_use]
    pub fn stands_in_for(&self, end: End) -> bool {
        let of_service = matches!(
            end,
            End::ServiceDown
                | End::NoEndpoint
                | End::QueueFull
                | End::QueueTimeout
                | End::RequestTimeout
                | End::Exhausted
                | End::BreakerOpen
                | End::ConcurrencyFull
                | End::ConcurrencyTimeout
        );
        self.when == When::Failure && (of_service || end.meaning().side == Side::Upstream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(when: When) -> DefaultAnswer {
        DefaultAnswer { when, status: 200, content_type: "text/plain".into(), body: Box::default() }
    }

    #[test]
    fn it_stands_in_for_the_service_and_for_nobody_else() {
        let answer = answer(When::Failure);
        for end in [
            End::ServiceDown,
            End::NoEndpoint,
            End::ConnectRefused,
            End::ResponseTimeout,
            End::BadResponse,
            End::QueueFull,
            End::BreakerOpen,
        ] {
            assert!(answer.stands_in_for(end), "{end:?}");
        }
        for end in [End::ClientRate, End::TenantSign, End::BadRequestLine, End::NoRoute, End::Drained, End::Loop] {
            assert!(!answer.stands_in_for(end), "{end:?}");
        }
    }

    #[test]
    fn an_answer_that_is_always_given_stands_in_for_no_end() {
        assert!(!answer(When::Always).stands_in_for(End::NoEndpoint));
    }
}
