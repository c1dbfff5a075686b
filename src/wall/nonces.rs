//! Nonces that were spent: each counts once in the whole process, over reloads and upgrades.
//!
//! This is a named exception to "nothing is shared between workers". **Who writes and reads**: every worker, for signed
//! requests; nobody else. The table is a file in memory without a name, so the process that follows at an upgrade maps
//! the same words: while both serve, a nonce spent in one is spent in the other.
//!
//! A word is empty, or holds a part of what stands for the nonce and the second until which it is remembered; a nonce
//! may stand in [`WINDOW`] places, beginning with the one that its other bits name. A word changes by compare-and-swap
//! only, and one that is still remembered is never overwritten: where every place is taken the request is refused, not
//! let in. **Error bound**: no nonce counts twice. Two requests of one nonce at the very moment at which an old word
//! expires may both be refused. Two different nonces are taken for one with a chance below one in 2^30.
//!
//! Out of scope: what stands for a nonce, and for how long (`wall::signing`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use rustix::fs::{FileType, MemfdFlags, fstat, ftruncate, memfd_create};

use super::slot::Mapping;
use crate::limits::NONCES_MAX;

/// Places that a nonce may stand in: eight cache lines.
const WINDOW: usize = 64;
/// Bits of a word that hold the second: good for more than four years ahead.
const SECOND_BITS: u32 = 28;
const SECOND_MASK: u64 = (1 << SECOND_BITS) - 1;
/// The word behind the last place: another form of the table is not taken over.
const FORM: u64 = 0x6e6f_6e63_6573_0001;

const _: () = assert!(NONCES_MAX.is_power_of_two() && NONCES_MAX >= WINDOW);

/// Why a nonce does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was spent before.
    Spent,
    /// Every place it may stand in is taken.
    Full,
}

/// The table. It takes memory as it fills.
#[derive(Debug)]
pub struct Nonces {
    words: Mapping,
    file: Option<OwnedFd>,
}

impl Nonces {
    /// A new table; where the kernel gives no file for it, one that no other process can take over.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn new() -> io::Result<Self> {
        let file = memfd_create("gatekeeper-nonces", MemfdFlags::CLOEXEC)
            .and_then(|file| ftruncate(&file, bytes()).map(|()| file))
            .ok();
        let words = match &file {
            Some(file) => Mapping::of_file(file, NONCES_MAX + 1, true)?,
            None => Mapping::anonymous(NONCES_MAX + 1)?,
        };
        words.words()[NONCES_MAX].store(FORM, SeqCst);
        Ok(Self { words, file })
    }

    /// The table of the process before, if this is one.
    ///
    /// # Errors
    /// The descriptor, if it is something else.
    pub fn take_over(file: OwnedFd) -> Result<Self, OwnedFd> {
        let is_table = fstat(&file).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && size_of_stat(&stat) == bytes()
        });
        if !is_table {
            return Err(file);
        }
        match Mapping::of_file(&file, NONCES_MAX + 1, true) {
            Ok(words) if words.words()[NONCES_MAX].load(SeqCst) == FORM => Ok(Self { words, file: Some(file) }),
            _ => Err(file),
        }
    }

    /// What the process that follows takes over.
    #[must_use]
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Spends a nonce, to be remembered until then.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn spend(&self, nonce: u64, until_s: u64, now_s: u64) -> Result<(), Refused> {
        spend(&self.words.words()[..NONCES_MAX], nonce, until_s, now_s)
    }
}

fn bytes() -> u64 {
    (NONCES_MAX as u64 + 1) * size_of::<u64>() as u64
}

fn size_of_stat(stat: &rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// A nonce's part of a word, never 0.
fn part(nonce: u64, places: usize) -> u64 {
    (nonce >> places.trailing_zeros() & (u64::MAX >> SECOND_BITS)).max(1)
}

/// Whether the word is still remembered.
fn lives(word: u64, now_s: u64) -> bool {
    let ahead = word.wrapping_sub(now_s) & SECOND_MASK;
    word != 0 && ahead <= SECOND_MASK / 2
}

fn spend(words: &[AtomicU64], nonce: u64, until_s: u64, now_s: u64) -> Result<(), Refused> {
    let part = part(nonce, words.len());
    let mine = part << SECOND_BITS | until_s & SECOND_MASK;
    let place = |step: usize| (usize::try_from(nonce).unwrap_or_default() + step) & (words.len() - 1);
    let holds = |word: u64| word >> SECOND_BITS == part && lives(word, now_s);
    loop {
        let mut free = None;
        for at in (0..WINDOW).map(place) {
            let word = words[at].load(SeqCst);
            if holds(word) {
                return Err(Refused::Spent);
            }
            if free.is_none() && !lives(word, now_s) {
                free = Some((at, word));
            }
        }
        let (at, seen) = free.ok_or(Refused::Full)?;
        if words[at].compare_exchange(seen, mine, SeqCst, SeqCst).is_err() {
            // Somebody took the place: perhaps for the same nonce.
            continue;
        }
        // Another place may have been free for somebody whose second was another.
        let twice = (0..WINDOW).map(place).any(|other| other != at && holds(words[other].load(SeqCst)));
        return if twice { Err(Refused::Spent) } else { Ok(()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const NOW_S: u64 = 1_700_000_000;

    /// Spreads numbers as an HMAC would.
    fn mixed(number: u64) -> u64 {
        let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn small(places: usize) -> Vec<AtomicU64> {
        (0..places).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn a_nonce_counts_once_until_it_is_forgotten() {
        let words = small(1_024);
        assert_eq!(spend(&words, 7, NOW_S + 300, NOW_S), Ok(()));
        assert_eq!(spend(&words, 7, NOW_S + 300, NOW_S), Err(Refused::Spent));
        assert_eq!(spend(&words, 7, NOW_S + 301, NOW_S + 300), Err(Refused::Spent));
        assert_eq!(spend(&words, 7, NOW_S + 601, NOW_S + 301), Ok(()));
    }

    #[test]
    fn each_counts_exactly_once_whoever_asks_and_whatever_second_it_is_for_them() {
        let words = small(1 << 16);
        let admitted: Vec<_> = (0..20_000).map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (words, admitted) = (&words, &admitted);
                scope.spawn(move || {
                    for (number, count) in admitted.iter().enumerate() {
                        let now_s = NOW_S + (number as u64 + worker) % 2;
                        if spend(words, mixed(number as u64), NOW_S + 300, now_s).is_ok() {
                            count.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
        });
        assert!(admitted.iter().all(|count| count.load(SeqCst) == 1));
    }

    #[test]
    fn a_full_table_refuses_instead_of_forgetting() {
        let words = small(WINDOW);
        for number in 0..WINDOW as u64 {
            assert_eq!(spend(&words, mixed(number), NOW_S + 300, NOW_S), Ok(()), "{number}");
        }
        assert_eq!(spend(&words, mixed(1_000), NOW_S + 300, NOW_S), Err(Refused::Full));
        assert_eq!(spend(&words, mixed(3), NOW_S + 300, NOW_S), Err(Refused::Spent));
        assert_eq!(spend(&words, mixed(1_000), NOW_S + 700, NOW_S + 301), Ok(()));
    }

    #[test]
    fn two_processes_with_the_table_see_one_another() {
        let one = Nonces::new().unwrap();
        let other = Nonces::take_over(one.file().unwrap().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(one.spend(mixed(1), NOW_S + 300, NOW_S), Ok(()));
        assert_eq!(other.spend(mixed(1), NOW_S + 300, NOW_S), Err(Refused::Spent));
        assert_eq!(other.spend(mixed(2), NOW_S + 300, NOW_S), Ok(()));
        assert_eq!(one.spend(mixed(2), NOW_S + 300, NOW_S), Err(Refused::Spent));
    }

    #[test]
    fn another_descriptor_is_not_taken_for_the_table() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Nonces::take_over(file.into()).is_err());
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(Nonces::take_over(socket.into()).is_err());
    }
}
