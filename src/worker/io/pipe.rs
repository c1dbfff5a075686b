//! Pipes of a core: what is spliced through one is never copied to this program.
//!
//! A pipe is leased while a tunnel's bytes flow, as a buffer is, and given back when it is empty. They are few:
//! the kernel grants a user only so much pipe memory, and where it does not grant all that was asked for, a buffer
//! does. Out of scope: when splicing is worth it (`tunnel`).

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::limits::{PIPE_BYTES, PIPE_REFUSALS_PAUSE, PIPES_MAX};

/// The pipes of one core.
#[derive(Debug, Default)]
pub struct Pipes(Rc<RefCell<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    free: Vec<Ends>,
    leased: usize,
    /// Leases to refuse before the kernel is asked again.
    pause: u32,
}

#[derive(Debug)]
struct Ends {
    outlet: OwnedFd,
    inlet: OwnedFd,
}

/// A pipe on loan from the core.
#[derive(Debug)]
pub struct Pipe {
    ends: Option<Ends>,
    held: usize,
    home: Rc<RefCell<Shelf>>,
}

impl Pipes {
    /// An empty pipe of full size, if there is one to be had.
    #[must_use]
    pub fn lease(&self) -> Option<Pipe> {
        let mut shelf = self.0.borrow_mut();
        let ends = match shelf.free.pop() {
            Some(ends) => ends,
            None => shelf.make()?,
        };
        shelf.leased += 1;
        Some(Pipe { ends: Some(ends), held: 0, home: self.0.clone() })
    }
}

impl Shelf {
    fn make(&mut self) -> Option<Ends> {
        if self.leased >= PIPES_MAX {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let made = pipe_with(PipeFlags::CLOEXEC).ok().map(|(outlet, inlet)| Ends { outlet, inlet });
        let made = made.filter(|ends| fcntl_setpipe_size(&ends.inlet, PIPE_BYTES).is_ok_and(|got| got >= PIPE_BYTES));
        if made.is_none() {
            self.pause = PIPE_REFUSALS_PAUSE;
        }
        made
    }
}

impl Pipe {
    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn put(&mut self, bytes: usize) {
        self.held += bytes;
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.held -= bytes;
    }

    pub(super) fn outlet(&self) -> &OwnedFd {
        &self.ends().outlet
    }

    pub(super) fn inlet(&self) -> &OwnedFd {
        &self.ends().inlet
    }

    fn ends(&self) -> &Ends {
        self.ends.as_ref().expect("taken only in drop")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut shelf = self.home.borrow_mut();
        shelf.leased -= 1;
        // What is still in it belongs to a tunnel that is gone.
        shelf.free.extend(self.ends.take().filter(|_| self.held == 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_comes_back_only_when_it_is_empty() {
        let pipes = Pipes::default();
        let mut pipe = pipes.lease().expect("the kernel has one pipe");
        pipe.put(1);
        drop(pipe);
        assert_eq!((pipes.0.borrow().free.len(), pipes.0.borrow().leased), (0, 0));
        drop(pipes.lease());
        assert_eq!((pipes.0.borrow().free.len(), pipes.0.borrow().leased), (1, 0));
    }

    #[test]
    fn there_is_an_end_of_pipes() {
        let pipes = Pipes::default();
        let leased: Vec<_> = (0..PIPES_MAX + 1).map_while(|_| pipes.lease()).collect();
        assert!(leased.len() <= PIPES_MAX && pipes.lease().is_none());
    }
}
