//! One io_uring: operations go in, completions come out.
//!
//! In scope: what is in the kernel's hands and for how long. An operation's slot owns everything the kernel may touch
//! (bytes, an address, the descriptor) from before it is submitted until its completion was seen, whoever has lost
//! interest. Out of scope: tasks (`executor`), what the results mean (`io`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, Probe, SubmissionQueue, Submitter, cqueue, opcode};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::SendFlags;
use slab::Slab;
use socket2::SockAddr;

use super::operation::{Descriptor, Key};
use super::provided::Provided;
use super::stream::{Flow, Stream};
use crate::limits::{
    COMPLETION_ENTRIES, PROVIDED_BUFFERS, ROOMY_BUFFER_BYTES, ROOMY_BUFFERS, SMALL_BUFFER_BYTES, SUBMISSION_ENTRIES,
};
use crate::worker::shard::buffer::{Buffers, Class, Lease};

/// How much of everything a ring has; powers of two.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct Sizes {
    /// Operations handed over in one call.
    pub(in crate::worker) submissions: u32,
    /// Completions that wait to be seen; more wait in the kernel.
    pub(in crate::worker) completions: u32,
    /// Provided buffers of each group; none where 0.
    pub(in crate::worker) buffers: [u16; 2],
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            submissions: SUBMISSION_ENTRIES,
            completions: COMPLETION_ENTRIES,
            buffers: [PROVIDED_BUFFERS, ROOMY_BUFFERS],
        }
    }
}

/// Of which provided buffers a receive takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Group {
    /// For what anybody sends.
    Small = 0,
    /// For what services send.
    Roomy = 1,
}

impl Group {
    /// The size of its buffers.
    pub(super) const fn buffer_bytes(self) -> usize {
        match self {
            Self::Small => SMALL_BUFFER_BYTES,
            Self::Roomy => ROOMY_BUFFER_BYTES,
        }
    }
}

/// What is asked of the kernel.
pub(in crate::worker) enum Work {
    /// Receive into a provided buffer; `quiet` where nothing is expected to be there yet.
    Receive { buffers: Buffers, quiet: bool, group: Group },
    /// Receive into this empty lease.
    ReceiveInto(Lease),
    /// Receive again and again into provided buffers, until it is stopped.
    Stream(Stream),
    /// Send what is readable in the lease, or the first part of it.
    Send(Lease),
    /// The same of the last that is sent: what fills no segment waits to go out with the end, in one.
    SendLast(Lease),
    /// Wait until it is readable.
    Readable,
    /// Wait until it is writable.
    Writable,
    /// Connect.
    Connect(Box<SockAddr>),
}

impl Work {
    /// Its lease is the kernel's for a while.
    fn lent(mut self) -> Self {
        if let Self::ReceiveInto(lease) | Self::Send(lease) | Self::SendLast(lease) = &mut self {
            lease.lend_in_place();
        }
        self
    }
}

/// What became of an operation.
pub(in crate::worker) struct Outcome {
    /// A count of bytes, or what it failed with.
    pub(in crate::worker) result: io::Result<usize>,
    /// What was received, or what was to be sent.
    pub(in crate::worker) lease: Option<Lease>,
    /// The socket held more than was received.
    pub(in crate::worker) more: bool,
}

/// How long a turn may wait for the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    No,
    For(Duration),
    Ever,
}

struct Flight {
    stage: Stage,
    work: Work,
    descriptor: Rc<Descriptor>,
}

enum Stage {
    /// In the kernel's hands; somebody may wait for it.
    Under(Option<Waker>),
    /// Completed; the outcome was not taken yet.
    Over { result: i32, more: bool },
    /// In the kernel's hands, and nobody wants to know.
    Abandoned,
}

/// The ring of one thread.
pub(in crate::worker) struct Ring {
    submitter: Submitter<'static>,
    submissions: SubmissionQueue<'static>,
    completions: CompletionQueue<'static>,
    provided: Option<[Provided; 2]>,
    flights: Slab<Flight>,
    /// Who was woken before all completions were seen.
    early: Vec<Waker>,
    enter_flags: EnterFlags,
    streams: bool,
}

/// The completion of a cancellation, which nobody waits for.
const NOBODY: u64 = u64::MAX;
/// `IORING_RECVSEND_POLL_FIRST`: do not try before there is something.
const POLL_FIRST: u16 = 1;

impl Ring {
    /// Whether the kernel can do what is needed here (Linux 5.11): waits with a timeout, completions that are never
    /// dropped, receives that wait without a thread.
    ///
    /// # Errors
    /// When it cannot.
    pub(in crate::worker) fn check(uring: &IoUring) -> io::Result<()> {
        let known = uring.params();
        let fits = known.is_feature_ext_arg() && known.is_feature_nodrop() && known.is_feature_fast_poll();
        fits.then_some(()).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Takes the thread's ring over; it is never freed.
    #[must_use]
    pub(in crate::worker) fn new(uring: IoUring, buffers: [u16; 2]) -> Self {
        let no_iowait = uring.params().is_feature_no_iowait();
        let (mut submitter, submissions, completions) = Box::leak(Box::new(uring)).split();
        let mut enter_flags = EnterFlags::GETEVENTS;
        if no_iowait {
            // A worker that waits for its peers is idle, not held up by a disk.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        // Linux 5.18: spares a look-up on each call. Linux 5.19: waiting holds no buffer.
        let _ = submitter.register_ring_fd();
        let provide = |group| Provided::register(&submitter, group, buffers[group as usize]);
        let provided = || Some([provide(Group::Small).ok()?, provide(Group::Roomy).ok()?]);
        let provided = if buffers.contains(&0) { None } else { provided() };
        let streams = provided.is_some() && knows_streams(&submitter);
        let (flights, early) = (Slab::new(), Vec::new());
        Self { submitter, submissions, completions, provided, flights, early, enter_flags, streams }
    }

    /// Begins an operation; it goes to the kernel with the next turn.
    pub(super) fn begin(&mut self, descriptor: Rc<Descriptor>, work: Work) -> Key {
        let work = match work {
            Work::Receive { buffers, .. } if self.provided.is_none() => Work::ReceiveInto(buffers.lease(Class::Small)),
            work => work,
        };
        let work = work.lent();
        let key = self.flights.insert(Flight { stage: Stage::Under(None), work, descriptor });
        self.submit(key);
        u32::try_from(key).expect("fewer operations than memory has room for")
    }

    fn submit(&mut self, key: usize) {
        let flight = &mut self.flights[key];
        let entry = entry(&mut flight.work, Fd(flight.descriptor.as_fd().as_raw_fd())).user_data(key as u64);
        self.push(&entry);
    }

    #[expect(unsafe_code, reason = "the kernel is given addresses")]
    fn push(&mut self, entry: &Entry) {
        // SAFETY: the addresses in the entry are of the flight that it names: heap memory of its lease or its address,
        // which does not move with them. The flight keeps them, and the descriptor open, until the completion was
        // seen (`reap`), and nothing reads or changes the bytes meanwhile: `poll` gives the lease away only then.
        while unsafe { self.submissions.push(entry) }.is_err() {
            self.make_room();
        }
    }

    /// Hands over what was begun without waiting. Before Linux 5.19 that may be refused until completions were seen.
    fn make_room(&mut self) {
        self.call(0, self.enter_flags, None);
        if self.submissions.is_full() {
            self.completions.sync();
            while let Some(waker) = self.reap_next() {
                self.early.push(waker);
            }
        }
    }

    /// Hands over what was begun and waits.
    pub(super) fn enter(&mut self, wait: Wait) {
        match wait {
            _ if !self.early.is_empty() => self.call(0, self.enter_flags, None),
            Wait::No => self.call(0, self.enter_flags, None),
            Wait::Ever => self.call(1, self.enter_flags, None),
            Wait::For(time) => self.call(1, self.enter_flags, Some(Timespec::from(time))),
        }
        self.completions.sync();
    }

    #[expect(unsafe_code, reason = "io_uring_enter takes what its flags say")]
    fn call(&mut self, wanted: u32, flags: EnterFlags, time: Option<Timespec>) {
        self.submissions.sync();
        let queued = u32::try_from(self.submissions.len()).unwrap_or(u32::MAX);
        let called = match &time {
            Some(time) => {
                let arguments = SubmitArgs::new().timespec(time);
                let flags = (flags | EnterFlags::EXT_ARG).bits();
                // SAFETY: EXT_ARG says that the argument is of this type; it and the time it names outlive the call.
                unsafe { self.submitter.enter(queued, wanted, flags, Some(&arguments)) }
            }
            // SAFETY: without EXT_ARG the argument is a signal mask, of which there is none.
            None => unsafe { self.submitter.enter::<()>(queued, wanted, flags.bits(), None) },
        };
        self.submissions.sync();
        if let Err(error) = called {
            // The time is over, a signal came, or completions must be seen first.
            let passing = [Errno::TIME, Errno::INTR, Errno::AGAIN, Errno::BUSY];
            let known = passing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
            assert!(known, "io_uring_enter: {error}");
        }
    }

    /// Sees one completion, and gives whom it is for. `None` when all have been seen.
    pub(super) fn reap(&mut self) -> Option<Waker> {
        self.early.pop().or_else(|| self.reap_next())
    }

    fn reap_next(&mut self) -> Option<Waker> {
        loop {
            let Some(completion) = self.completions.next() else {
                self.completions.sync();
                if self.completions.is_empty() {
                    return None;
                }
                continue;
            };
            if completion.user_data() != NOBODY
                && let Some(waker) = self.complete(&completion)
            {
                return Some(waker);
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number came from a usize")]
    fn complete(&mut self, completion: &cqueue::Entry) -> Option<Waker> {
        let key = completion.user_data() as usize;
        let result = completion.result();
        let flight = self.flights.get_mut(key)?;
        if let Work::Stream(_) = flight.work {
            return self.flow(key, completion);
        }
        if let Some(buffer) = cqueue::buffer_select(completion.flags())
            && let Some(provided) = &mut self.provided
        {
            let Work::Receive { buffers, group, .. } = &flight.work else { return None };
            let provided = &mut provided[*group as usize];
            if result > 0 && matches!(flight.stage, Stage::Under(_)) {
                let lease = provided.filled(buffer, result.unsigned_abs() as usize).into_lease(buffers);
                flight.work = Work::ReceiveInto(lease);
            }
            provided.give(buffer);
        }
        if matches!(flight.stage, Stage::Abandoned) {
            self.flights.remove(key);
            return None;
        }
        // Others took all buffers. They are given again as completions are seen, so there are some next time.
        if result == -Errno::NOBUFS.raw_os_error() && matches!(flight.work, Work::Receive { .. }) {
            self.submit(key);
            return None;
        }
        let over = Stage::Over { result, more: cqueue::sock_nonempty(completion.flags()) };
        match std::mem::replace(&mut flight.stage, over) {
            Stage::Under(waker) => waker,
            Stage::Over { .. } | Stage::Abandoned => None,
        }
    }

    /// Sees what a stream brought, or its end.
    fn flow(&mut self, key: usize, completion: &cqueue::Entry) -> Option<Waker> {
        let Self { flights, provided, .. } = self;
        let Flight { stage, work: Work::Stream(stream), .. } = flights.get_mut(key)? else { return None };
        let (result, goes_on) = (completion.result(), cqueue::more(completion.flags()));
        if let (Some(buffer), Some(provided)) = (cqueue::buffer_select(completion.flags()), provided) {
            let provided = &mut provided[stream.group() as usize];
            if let (Stage::Under(_), 1..) = (&stage, result) {
                let filled = provided.filled(buffer, result.unsigned_abs() as usize);
                stream.bring(filled, cqueue::sock_nonempty(completion.flags()));
            }
            provided.give(buffer);
        }
        let waiting = match stage {
            Stage::Under(waiting) => waiting,
            Stage::Abandoned if goes_on => return None,
            Stage::Abandoned | Stage::Over { .. } => {
                flights.remove(key);
                return None;
            }
        };
        if result == -Errno::NOBUFS.raw_os_error() && !stream.stopping {
            // As in `complete`: who waits goes on waiting.
            self.submit(key);
            return None;
        }
        let (waker, floods) = (waiting.take(), stream.floods());
        if !goes_on {
            *stage = Stage::Over { result, more: false };
        } else if floods {
            self.stop(key);
        }
        waker
    }

    /// What a stream brought, or what ended it; its slot is free then. Wakes the waker when there is either.
    pub(super) fn poll_stream(&mut self, key: Key, waker: &Waker) -> Poll<Flow> {
        let flight = &mut self.flights[key as usize];
        let Work::Stream(stream) = &mut flight.work else { return Poll::Pending };
        if let Some(lease) = stream.take() {
            return Poll::Ready(Flow::Data(lease, stream.has_more()));
        }
        match &mut flight.stage {
            Stage::Over { result, .. } => {
                let result = *result;
                self.flights.remove(key as usize);
                Poll::Ready(Flow::of(result))
            }
            Stage::Under(Some(kept)) if kept.will_wake(waker) => Poll::Pending,
            stage => {
                *stage = Stage::Under(Some(waker.clone()));
                Poll::Pending
            }
        }
    }

    /// A stream is to end; what it has brought, and what comes until it does, is still there to be taken.
    pub(super) fn stop(&mut self, key: usize) {
        if let Some(Flight { stage: Stage::Under(_), work: Work::Stream(stream), .. }) = self.flights.get_mut(key)
            && !std::mem::replace(&mut stream.stopping, true)
        {
            self.cancel(key);
        }
    }

    fn cancel(&mut self, key: usize) {
        // Operations are handed over in order, so one that takes this slot later is not what is cancelled.
        let cancel = opcode::AsyncCancel::new(key as u64).build();
        self.push(&cancel.user_data(NOBODY));
    }

    /// Whether the kernel knows streams of receives (Linux 6.0).
    pub(super) fn streams(&self) -> bool {
        self.streams
    }

    /// What became of an operation; its slot is free then. Wakes the waker when there is an outcome.
    pub(super) fn poll(&mut self, key: Key, waker: &Waker) -> Poll<Outcome> {
        let flight = &mut self.flights[key as usize];
        match &mut flight.stage {
            Stage::Over { result, more } => {
                let (result, more) = (*result, *more);
                let Flight { work, .. } = self.flights.remove(key as usize);
                Poll::Ready(Outcome::new(result, more, work))
            }
            Stage::Under(Some(kept)) if kept.will_wake(waker) => Poll::Pending,
            stage => {
                *stage = Stage::Under(Some(waker.clone()));
                Poll::Pending
            }
        }
    }

    /// Nobody waits for the operation any more: it is cancelled, and its slot is free when the kernel says so.
    pub(super) fn abandon(&mut self, key: Key) {
        let flight = &mut self.flights[key as usize];
        if let Stage::Over { .. } = flight.stage {
            self.flights.remove(key as usize);
            return;
        }
        flight.stage = Stage::Abandoned;
        self.cancel(key as usize);
    }

    /// Operations of which the outcome was not taken.
    #[cfg(test)]
    pub(super) fn flights(&self) -> usize {
        self.flights.len()
    }
}

impl Outcome {
    #[expect(unsafe_code, reason = "the kernel filled the vector")]
    fn new(result: i32, more: bool, work: Work) -> Self {
        let count = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        let lease = match work {
            Work::ReceiveInto(mut lease) => {
                // What came by a provided buffer is in the lease already.
                if let (Ok(count), true) = (&count, lease.vec().is_empty()) {
                    // SAFETY: the vector is empty, so that its spare room is all of it; the kernel was given that and its
                    // length, and says that it has filled the first `count` bytes of it.
                    unsafe { lease.vec().set_len(*count) };
                }
                lease.regain();
                Some(lease)
            }
            Work::Send(mut lease) | Work::SendLast(mut lease) => {
                lease.regain();
                Some(lease)
            }
            Work::Receive { .. } | Work::Stream(_) | Work::Readable | Work::Writable | Work::Connect(_) => None,
        };
        Self { result: count, lease, more }
    }
}

/// There is no asking for a flag of an operation; this operation came with the same Linux, 6.0.
fn knows_streams(submitter: &Submitter<'_>) -> bool {
    let mut probe = Probe::new();
    submitter.register_probe(&mut probe).is_ok() && probe.is_supported(opcode::SendZc::CODE)
}

/// What the kernel is told of the work.
fn entry(work: &mut Work, fd: Fd) -> Entry {
    match work {
        Work::Receive { quiet, group, .. } => {
            let first = if *quiet { POLL_FIRST } else { 0 };
            let receive = opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(*group as u16).ioprio(first);
            receive.build().flags(Flags::BUFFER_SELECT)
        }
        Work::Stream(stream) => opcode::RecvMulti::new(fd, stream.group() as u16).build(),
        Work::ReceiveInto(lease) => {
            let room = lease.vec().spare_capacity_mut();
            let length = u32::try_from(room.len()).unwrap_or(u32::MAX);
            opcode::Recv::new(fd, room.as_mut_ptr().cast(), length).build()
        }
        Work::Send(lease) => send(fd, lease.bytes(), SendFlags::NOSIGNAL),
        Work::SendLast(lease) => send(fd, lease.bytes(), SendFlags::NOSIGNAL | SendFlags::MORE),
        Work::Readable => opcode::PollAdd::new(fd, u32::from(PollFlags::IN.bits())).build(),
        Work::Writable => opcode::PollAdd::new(fd, u32::from(PollFlags::OUT.bits())).build(),
        Work::Connect(address) => opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build(),
    }
}

fn send(fd: Fd, bytes: &[u8], flags: SendFlags) -> Entry {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    #[expect(clippy::cast_possible_wrap, reason = "a flag's bits")]
    let flags = flags.bits() as i32;
    opcode::Send::new(fd, bytes.as_ptr(), length).flags(flags).build()
}
