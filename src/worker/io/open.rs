//! The list of a thread's connections, by descriptor. Unlike what owns them, it can be reached after a panic.

use std::cell::RefCell;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::net::{Shutdown, shutdown};
use slab::Slab;

thread_local! {
    static OPEN: RefCell<Slab<RawFd>> = const { RefCell::new(Slab::new()) };
}

/// A connection's descriptor, on the list for as long as the connection surely has it: a field of what holds the
/// stream, before the stream itself.
pub(super) struct Listed {
    fd: RawFd,
    place: u32,
}

impl Listed {
    pub(super) fn new(fd: RawFd) -> Self {
        let place = OPEN.with_borrow_mut(|open| open.insert(fd));
        Self { fd, place: u32::try_from(place).expect("fewer places than descriptors") }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        borrow(&self.fd)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| open.remove(self.place as usize));
    }
}

/// Breaks every connection of this thread, both ways: for a worker that cannot end them one by one.
pub fn sever_all() {
    OPEN.with_borrow(|open| {
        for (_, fd) in open {
            // A connection that is broken already needs no shutdown.
            let _ = shutdown(borrow(fd), Shutdown::Both);
        }
    });
}

#[expect(unsafe_code, reason = "the runtime's stream gives only a raw descriptor")]
fn borrow(listed: &RawFd) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is that of a `Listed`, or on the list that they keep. A `Listed` is dropped before the
    // stream that it stands beside, and the runtime closes a descriptor only when the last part of its stream and
    // the last operation on it are gone. Nothing on this thread drops a stream while the result is used.
    unsafe { BorrowedFd::borrow_raw(*listed) }
}
