//! Even cores: a fresh connection goes to a worker that has fewer. A named exception to "nothing shared".
//!
//! The kernel deals connections out by a hash, which with 64 connections for each of 48 workers leaves the
//! fullest with 1.28 times the mean. So each worker publishes how many it has, and one that is above the mean by
//! a margin gives what it accepts to the better of two others taken at random.
//!
//! Who writes: each worker its own count, in a cache line of its own, when a connection opens or ends. Who reads:
//! any worker that accepts: the counts of two others, and of all once per tick for the mean. The error: a count
//! may miss what its worker has not been told of yet, so what waits in its inlet is added; the mean is up to a
//! tick old. Neither can lose a connection or make one wait: only one core be fuller than it had to be.
//!
//! A connection moves once, before its first byte is read, as plain data: the socket and its peer's address
//! through a bounded channel, with a doorbell. A worker that is stopping, dead or not accepting yet is given
//! none, and an inlet that is full means that the connection stays. The inlet outlives its worker: what waits in
//! it when the worker dies is served by the one that takes its place. Out of scope: what a connection says.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::ids::{EpochId, WorkerId};
use crate::limits::{HANDOVER_INLET_MAX, HANDOVER_MARGIN_MIN, HANDOVER_MARGIN_PARTS};
use crate::wall::link::{Bell, doorbell};
use crate::wall::listen::Entrance;
use crate::worker::shard::dice::Dice;

/// The count of a worker that takes none.
const CLOSED: usize = usize::MAX;

/// A connection that another worker accepted.
#[derive(Debug)]
pub struct Fresh {
    /// Its socket.
    pub stream: TcpStream,
    /// Who connected.
    pub peer: SocketAddr,
    /// What it came in by.
    pub entrance: Entrance,
}

/// Every worker's count and inlet.
#[derive(Debug)]
pub struct Handovers {
    places: Box<[Place]>,
}

/// One worker's; the alignment keeps it off its neighbours' cache lines, and off the pairs that are fetched
/// together.
#[derive(Debug)]
#[repr(align(128))]
struct Place {
    open: AtomicUsize,
    epoch: AtomicU64,
    give: Sender<Fresh>,
    take: Receiver<Fresh>,
    bell: Bell,
    heard: UnixStream,
}

impl Handovers {
    /// For so many workers, none of which takes any yet.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new(workers: usize) -> io::Result<Self> {
        let place = |_| {
            let (give, take) = bounded(HANDOVER_INLET_MAX);
            let (bell, heard) = doorbell()?;
            Ok(Place { open: AtomicUsize::new(CLOSED), epoch: AtomicU64::new(0), give, take, bell, heard })
        };
        Ok(Self { places: (0..workers).map(place).collect::<io::Result<_>>()? })
    }

    fn place(&self, worker: WorkerId) -> &Place {
        &self.places[worker.index()]
    }

    /// How many connections that worker has open; `None` where it takes none.
    pub fn publish(&self, worker: WorkerId, open: Option<usize>) {
        self.place(worker).open.store(open.unwrap_or(CLOSED), Ordering::Relaxed);
    }

    /// That worker runs on this epoch. One that runs on an older one than the listener is of is given nothing, as it may
    /// not know what the connection came in by.
    pub fn adopted(&self, worker: WorkerId, epoch: EpochId) {
        self.place(worker).epoch.store(epoch.0, Ordering::Relaxed);
    }

    /// What has been given to that worker and not taken.
    #[must_use]
    pub fn inlet(&self, worker: WorkerId) -> &Receiver<Fresh> {
        &self.place(worker).take
    }

    /// That worker's doorbell, readable when something was given to it.
    #[must_use]
    pub fn heard(&self, worker: WorkerId) -> &UnixStream {
        &self.place(worker).heard
    }

    /// Gives that worker a connection.
    ///
    /// # Errors
    /// When its inlet is full; the connection comes back.
    pub fn give(&self, worker: WorkerId, fresh: Fresh) -> Result<(), Fresh> {
        let place = self.place(worker);
        place.give.try_send(fresh).map_err(crossbeam_channel::TrySendError::into_inner)?;
        place.bell.ring();
        Ok(())
    }

    /// Rings that worker's doorbell though nothing was given to it: a line of its has a place (`concurrency`).
    pub fn ring(&self, worker: WorkerId) {
        self.place(worker).bell.ring();
    }

    /// What that worker has, and is about to have. `None` where it takes none, or not yet.
    fn load(&self, position: usize, epoch: u64) -> Option<usize> {
        let place = &self.places[position];
        if place.epoch.load(Ordering::Relaxed) < epoch {
            return None;
        }
        let open = place.open.load(Ordering::Relaxed);
        (open != CLOSED).then(|| open + place.take.len())
    }

    fn mean(&self) -> usize {
        let loads = (0..self.places.len()).filter_map(|position| self.load(position, 0));
        let (count, sum) = loads.fold((0, 0), |(count, sum), load| (count + 1, sum + load));
        sum / count.max(1)
    }
}

/// One worker's view of the others.
pub struct Evenness {
    own: usize,
    mean: Cell<usize>,
    mean_of_ms: Cell<u64>,
    dice: Dice,
}

impl fmt::Debug for Evenness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evenness").field("mean", &self.mean.get()).finish_non_exhaustive()
    }
}

impl Evenness {
    /// That worker's.
    #[must_use]
    pub fn new(worker: WorkerId) -> Self {
        Self {
            own: worker.index(),
            mean: Cell::new(0),
            mean_of_ms: Cell::new(u64::MAX),
            dice: Dice::new(worker.0.into()),
        }
    }

    /// Who should have a connection that was accepted here, on a listener that workers know from epoch `since` on.
    /// `None`: whoever accepted it.
    #[must_use]
    pub fn better(&self, all: &Handovers, open: usize, since: EpochId, now_ms: u64) -> Option<WorkerId> {
        let workers = all.places.len();
        // What others have given counts, too: on a busy machine much waits while this worker accepts.
        let open = open + all.places[self.own].take.len();
        if workers < 2 || open < HANDOVER_MARGIN_MIN {
            return None;
        }
        if self.mean_of_ms.replace(now_ms) != now_ms {
            self.mean.set(all.mean());
        }
        let mean = self.mean.get();
        let margin = HANDOVER_MARGIN_MIN.max(mean / HANDOVER_MARGIN_PARTS);
        if open < mean + margin {
            return None;
        }
        let candidate = |position: usize| all.load(position, since.0).map(|load| (load, position));
        let (load, position) =
            [(); 2].map(|()| self.dice.below(workers as u64) as usize).into_iter().filter_map(candidate).min()?;
        let gains = position != self.own && load + margin <= open;
        gains.then(|| WorkerId(u16::try_from(position).expect("fewer workers than limits::WORKERS_MAX")))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn with(loads: &[usize]) -> Handovers {
        let all = Handovers::new(loads.len()).expect("descriptors");
        for (worker, load) in (0..).map(WorkerId).zip(loads) {
            all.publish(worker, Some(*load));
            all.adopted(worker, EpochId(1));
        }
        all
    }

    /// Who is chosen, over many tries on one tick.
    fn chosen(all: &Handovers, open: usize) -> Vec<u16> {
        let evenness = Evenness::new(WorkerId(0));
        let mut chosen: Vec<u16> =
            (0..1_000).filter_map(|_| evenness.better(all, open, EpochId(1), 1)).map(|to| to.0).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    #[test]
    fn a_worker_near_the_mean_keeps_its_connections() {
        let all = with(&[64, 66, 60, 66]);
        assert!(chosen(&all, 64).is_empty());
        assert!(chosen(&all, 69).is_empty());
    }

    #[test]
    fn a_full_worker_gives_to_those_with_fewer_only() {
        let all = with(&[80, 79, 50, 60, 75]);
        assert_eq!(chosen(&all, 80), [2, 3]);
    }

    #[test]
    fn a_worker_that_takes_none_is_given_none() {
        let all = with(&[80, 40, 40, 40]);
        all.publish(WorkerId(2), None);
        assert_eq!(chosen(&all, 80), [1, 3]);
    }

    #[test]
    fn a_worker_on_an_older_epoch_is_given_none() {
        let all = with(&[80, 40, 40, 40]);
        all.adopted(WorkerId(2), EpochId(0));
        assert_eq!(chosen(&all, 80), [1, 3]);
    }

    #[test]
    fn what_waits_in_its_own_inlet_makes_a_worker_give_more() {
        let all = with(&[25, 25, 20]);
        let (listener, evenness) = (TcpListener::bind("127.0.0.1:0").expect("a port"), Evenness::new(WorkerId(0)));
        let peer = listener.local_addr().expect("bound");
        let gives = |tick| (0..100).any(|_| evenness.better(&all, 25, EpochId(1), tick).is_some());
        assert!(!gives(1));
        for _ in 0..20 {
            let stream = TcpStream::connect(peer).expect("listens");
            all.give(WorkerId(0), Fresh { stream, peer, entrance: Entrance::Http }).expect("room");
        }
        assert!(gives(2));
    }

    #[test]
    fn an_idle_machine_and_one_worker_hand_nothing_over() {
        assert!(chosen(&with(&[1, 0, 0]), 1).is_empty());
        assert!(chosen(&with(&[5_000]), 5_000).is_empty());
    }

    #[test]
    fn a_full_inlet_gives_the_connection_back_and_what_waits_counts() {
        let all = with(&[0, 0]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(address).expect("listens");
        let fresh =
            || Fresh { stream: stream.try_clone().expect("descriptors"), peer: address, entrance: Entrance::Http };
        for _ in 0..HANDOVER_INLET_MAX {
            assert!(all.give(WorkerId(1), fresh()).is_ok());
        }
        assert!(all.give(WorkerId(1), fresh()).is_err());
        assert_eq!(all.load(1, 0), Some(HANDOVER_INLET_MAX));
        assert_eq!(all.inlet(WorkerId(1)).try_iter().count(), HANDOVER_INLET_MAX);
    }
}
