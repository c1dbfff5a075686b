//! When the steps of an exchange took place, and HAProxy's timers, which follow from that.
//!
//! Every stamp is in microseconds since `Shared::origin`; 0 means that the step did not take place. Stamps are as fine
//! as a turn of the core's loop (`clock`). Out of scope: who keeps them (`account`), what is made of them (`meter`).

/// When what took place. From `queued_us` to `sent_us` it is the last attempt that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The first bytes of the request's head came; of a tcp connection: it was accepted.
    pub begun_us: u64,
    /// The head was complete and understood.
    pub head_us: u64,
    /// It began to wait for a connection to the endpoint.
    pub queued_us: u64,
    /// It was its turn to dial one; 0 where a kept one was used.
    pub dialled_us: u64,
    /// It got one.
    pub connected_us: u64,
    /// The request was handed over whole.
    pub sent_us: u64,
    /// The head of the final answer came.
    pub first_us: u64,
    /// It was over.
    pub end_us: u64,
}

/// The time between two stamps, where both steps took place.
fn between(from_us: u64, to_us: u64) -> Option<u64> {
    (from_us > 0 && to_us > 0).then(|| to_us.saturating_sub(from_us))
}

impl Timing {
    /// How long the client took for its head (HAProxy's `TR`).
    #[must_use]
    pub fn client_head_us(&self) -> Option<u64> {
        between(self.begun_us, self.head_us)
    }

    /// How long the request waited for its turn (`Tw`).
    #[must_use]
    pub fn queue_us(&self) -> Option<u64> {
        between(self.queued_us, if self.dialled_us > 0 { self.dialled_us } else { self.connected_us })
    }

    /// How long it took to connect (`Tc`): 0 for a kept connection.
    #[must_use]
    pub fn connect_us(&self) -> Option<u64> {
        if self.dialled_us > 0 {
            between(self.dialled_us, self.connected_us)
        } else {
            (self.connected_us > 0).then_some(0)
        }
    }

    /// How long the service took to its answer's head (`Tr`): 0 where it answered before it had the whole request.
    #[must_use]
    pub fn response_us(&self) -> Option<u64> {
        if self.sent_us > 0 { between(self.sent_us, self.first_us) } else { (self.first_us > 0).then_some(0) }
    }

    /// Whether the endpoint is what is waited for: a connection to it, or its answer to the whole request.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        let is_dialled = self.dialled_us > 0 && self.connected_us == 0;
        self.first_us == 0 && (self.sent_us > 0 || is_dialled)
    }

    /// From the first byte to the end (`Ta`).
    #[must_use]
    pub fn total_us(&self) -> Option<u64> {
        between(self.begun_us, self.end_us)
    }

    /// Forgets the attempt before: another one begins to wait for a connection now.
    pub fn begin_attempt(&mut self, now_us: u64) {
        self.queued_us = now_us;
        (self.dialled_us, self.connected_us, self.sent_us, self.first_us) = (0, 0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_follow_from_the_stamps() {
        let dialled = Timing {
            begun_us: 100,
            head_us: 110,
            queued_us: 111,
            dialled_us: 131,
            connected_us: 161,
            sent_us: 165,
            first_us: 205,
            end_us: 300,
        };
        assert_eq!(dialled.client_head_us(), Some(10));
        assert_eq!((dialled.queue_us(), dialled.connect_us()), (Some(20), Some(30)));
        assert_eq!((dialled.response_us(), dialled.total_us()), (Some(40), Some(200)));
        let kept = Timing { dialled_us: 0, ..dialled };
        assert_eq!((kept.queue_us(), kept.connect_us()), (Some(50), Some(0)));
    }

    #[test]
    fn what_did_not_take_place_has_no_timer() {
        let refused = Timing { begun_us: 100, head_us: 110, end_us: 120, ..Timing::default() };
        assert_eq!((refused.queue_us(), refused.connect_us(), refused.response_us()), (None, None, None));
    }

    #[test]
    fn an_answer_before_the_whole_request_took_no_time() {
        let early = Timing { first_us: 50, ..Timing::default() };
        assert_eq!(early.response_us(), Some(0));
    }

    #[test]
    fn another_attempt_forgets_the_one_before() {
        let mut timing = Timing {
            begun_us: 1,
            head_us: 2,
            dialled_us: 3,
            connected_us: 4,
            sent_us: 5,
            first_us: 6,
            ..Timing::default()
        };
        timing.begin_attempt(9);
        assert_eq!(timing, Timing { begun_us: 1, head_us: 2, queued_us: 9, ..Timing::default() });
    }
}
