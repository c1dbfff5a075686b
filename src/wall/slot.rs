//! The stats file: one single-writer slot for each worker, and a part for control, in memory that others can read.
//!
//! It is a mapped file on tmpfs, named by the process's number, so it can be read while the process is stuck or gone. A
//! worker writes to its own slot only, with relaxed loads and stores: no other core writes there, and no
//! read-modify-write is needed. What stands where is in `layout`; the file says it itself (`describe`), and `read` reads
//! it without knowing more.
//!
//! **Rows.** A service, endpoint or tenant has a row with the same number in every slot. Control gives the numbers out by
//! name and publishes them with the epoch (`Epoch::rows`), so counters go on over reloads. A row of
//! something that is gone may be given to something else: under a larger generation, which the worker that first counts
//! there takes the row over for (`Slot::row`), and what is still counted for the former owner is dropped.
//!
//! **Memory.** The file is sparse and as large as it can ever be. What is used of it is given memory beforehand (`back`),
//! so a full tmpfs means rows that are not counted, said in the log, and never a signal. A core takes some 20 KiB, a
//! service 640 bytes on each core, an endpoint or tenant 64, and their names 192 bytes each, once.
//!
//! **Liveness.** The owner holds a lock (flock) on the file for as long as it lives; the kernel lets go of it.

pub mod buckets;
pub mod describe;
pub mod layout;
mod mapping;
pub mod read;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize, fence};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, fstatfs};

use self::layout::{
    CORE_OWN_WORDS, CORE_STRIDE, CORES_AT, FRONT_WORDS, LAYOUT_VERSION, MAGIC, PAGE_WORDS, PROCESS_AT, Process, Rows,
    TEXT_AT, TITLE_STRIDE, file_words,
};
pub(super) use self::mapping::Mapping;
use crate::ids::{EndpointId, ServiceId, TenantId, WorkerId};
use crate::limits::STATS_ROWS_STEP;

/// What a stats file's name begins and ends with; the process's number stands in between.
pub const NAME: (&str, &str) = ("gatekeeper-", ".stats");

/// Where a stats file is put, and looked for, where nothing else is said: the first that can be written to.
pub const FOLDERS: [&str; 2] = ["/run", "/dev/shm"];

/// statfs(2): the type of a tmpfs.
const TMPFS: u64 = 0x0102_1994;

/// The row of a service, endpoint or tenant, and since when it is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowId {
    /// Its number; `u32::MAX` is no row.
    pub row: u32,
    /// Larger than that of whoever had the row before, and never 0.
    pub generation: u32,
}

impl RowId {
    /// Not counted.
    pub const NONE: Self = Self { row: u32::MAX, generation: 0 };
}

impl Default for RowId {
    fn default() -> Self {
        Self::NONE
    }
}

/// Which row each service, endpoint and tenant of an epoch has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowIds {
    /// Indexed by `ServiceId`.
    pub services: Box<[RowId]>,
    /// Indexed by `EndpointId`.
    pub endpoints: Box<[RowId]>,
    /// Indexed by `TenantId`.
    pub tenants: Box<[RowId]>,
}

impl RowIds {
    /// A service's.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> RowId {
        self.services.get(id.index()).copied().unwrap_or_default()
    }

    /// An endpoint's.
    #[must_use]
    pub fn endpoint(&self, id: EndpointId) -> RowId {
        self.endpoints.get(id.index()).copied().unwrap_or_default()
    }

    /// A tenant's.
    #[must_use]
    pub fn tenant(&self, id: TenantId) -> RowId {
        self.tenants.get(id.index()).copied().unwrap_or_default()
    }
}

/// The process's own stats file.
#[derive(Debug)]
pub struct StatsFile {
    words: &'static [AtomicU64],
    workers: usize,
    /// `None` where it is memory of the process alone.
    file: Option<(File, PathBuf)>,
    /// Rows of each kind that have memory on every core.
    backed: [AtomicUsize; Rows::ALL.len()],
}

impl StatsFile {
    /// Makes the file in the first of the folders that is a tmpfs and can be written to, for the rest of the process.
    /// Where there is none it is memory of the process alone, and the texts say why.
    ///
    /// # Errors
    /// When there is no room for it in the process's address space.
    pub fn open(folders: &[PathBuf], workers: usize) -> io::Result<(&'static Self, Vec<String>)> {
        let mut told = Vec::new();
        for folder in folders {
            match Self::create(folder, workers) {
                Ok(made) => return Ok((Box::leak(Box::new(made)), Vec::new())),
                Err(error) => told.push(format!("no stats file in {}: {error}", folder.display())),
            }
        }
        Ok((Self::anonymous(workers)?, told))
    }

    /// The same in memory of the process alone.
    ///
    /// # Errors
    /// As `open`.
    pub fn anonymous(workers: usize) -> io::Result<&'static Self> {
        let mapping = Mapping::anonymous(file_words(workers))?;
        Ok(Box::leak(Box::new(Self::on(mapping, None, workers)?)))
    }

    fn create(folder: &Path, workers: usize) -> io::Result<Self> {
        remove_stale(folder);
        let path = folder.join(format!("{}{}{}", NAME.0, std::process::id(), NAME.1));
        // It gets its name when it is whole and locked: before that it would be taken for one that was left.
        let unnamed = path.with_extension("new");
        let _ = std::fs::remove_file(&unnamed);
        // A file of another's making is not written to, whatever it links to.
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(&unnamed)?;
        let mapping = Self::on_file(&file, workers);
        let made = mapping.and_then(|mapping| Self::on(mapping, Some((file, path.clone())), workers));
        let named = made.and_then(|made| std::fs::rename(&unnamed, &path).map(|()| made));
        named.inspect_err(|_| drop(std::fs::remove_file(&unnamed)))
    }

    fn on_file(file: &File, workers: usize) -> io::Result<Mapping> {
        if u64::try_from(fstatfs(file)?.f_type) != Ok(TMPFS) {
            return Err(io::Error::other("the folder is not on a tmpfs, and every count would be written to a disk"));
        }
        flock(file, FlockOperation::NonBlockingLockExclusive)?;
        let words = file_words(workers);
        file.set_len((words * size_of::<u64>()) as u64)?;
        // The process's umask may have taken the group's right.
        rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(0o640))?;
        Mapping::of_file(file, words, true)
    }

    fn on(mapping: Mapping, file: Option<(File, PathBuf)>, workers: usize) -> io::Result<Self> {
        let words = Box::leak(Box::new(mapping)).words();
        let made = Self { words, workers, file, backed: Default::default() };
        made.give_memory(0, FRONT_WORDS + PAGE_WORDS)?;
        for worker in 0..workers {
            made.give_memory(CORES_AT + worker * CORE_STRIDE, CORE_OWN_WORDS)?;
        }
        made.write_front();
        Ok(made)
    }

    fn write_front(&self) {
        let text = describe::write(&layout::sections(self.workers));
        for (word, bytes) in self.words[TEXT_AT..].iter().zip(text.as_bytes().chunks(size_of::<u64>())) {
            word.store(packed(bytes), Relaxed);
        }
        self.words[1].store(LAYOUT_VERSION, Relaxed);
        self.words[2].store(text.len() as u64, Relaxed);
        self.process(Process::Pid).store(u64::from(std::process::id()), Relaxed);
        self.process(Process::Workers).store(self.workers as u64, Relaxed);
        // Who sees this sees all of the above.
        self.words[0].store(MAGIC, Release);
    }

    /// Makes sure that words can be written to.
    fn give_memory(&self, at: usize, words: usize) -> io::Result<()> {
        let Some((file, _)) = &self.file else { return Ok(()) };
        let (from, bytes) = (at * size_of::<u64>(), words * size_of::<u64>());
        Ok(fallocate(file, FallocateFlags::KEEP_SIZE, from as u64, bytes as u64)?)
    }

    /// Gives memory to so many rows of a kind, on every core, as far as there is some. How many have it now.
    ///
    /// # Errors
    /// Why there are not more.
    pub fn back(&self, rows: Rows, count: usize) -> Result<usize, (usize, io::Error)> {
        let backed = &self.backed[rows as usize];
        let wanted = count.next_multiple_of(STATS_ROWS_STEP).min(rows.most());
        while backed.load(Relaxed) < wanted {
            let from = backed.load(Relaxed);
            let until = (from + STATS_ROWS_STEP * 16).min(wanted);
            self.back_range(rows, from, until).map_err(|error| (from, error))?;
            backed.store(until, Release);
        }
        Ok(backed.load(Relaxed))
    }

    fn back_range(&self, rows: Rows, from: usize, until: usize) -> io::Result<()> {
        let count = until - from;
        self.give_memory(rows.titles_at() + from * TITLE_STRIDE, count * TITLE_STRIDE)?;
        for worker in 0..self.workers {
            let core = CORES_AT + worker * CORE_STRIDE;
            self.give_memory(core + rows.at() + from * rows.stride(), count * rows.stride())?;
        }
        Ok(())
    }

    /// Where the file is; `None` where it is memory of the process alone.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(_, path)| &**path)
    }

    /// All of it, for a reader in this process.
    #[must_use]
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// A value of the process: control's to write.
    #[must_use]
    pub fn process(&self, word: Process) -> &AtomicU64 {
        &self.words[PROCESS_AT + word as usize]
    }

    /// The title of a row that has memory: control's to write.
    #[must_use]
    pub fn title(&self, rows: Rows, row: usize) -> Option<&[AtomicU64]> {
        if row >= self.backed[rows as usize].load(Relaxed) {
            return None;
        }
        let at = rows.titles_at() + row * TITLE_STRIDE;
        self.words.get(at..at + TITLE_STRIDE)
    }

    /// A worker's own part, for it alone to write.
    #[must_use]
    pub fn slot(&'static self, worker: WorkerId) -> Slot {
        let at = CORES_AT + worker.index() * CORE_STRIDE;
        Slot { words: &self.words[at..at + CORE_STRIDE], backed: &self.backed }
    }
}

/// Bytes of a text as a word.
pub fn packed(bytes: &[u8]) -> u64 {
    let mut word = [0; size_of::<u64>()];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

/// Removes what processes that are gone have left in the folder.
fn remove_stale(folder: &Path) {
    for path in read::stats_files(folder) {
        if File::open(&path).is_ok_and(|file| !read::is_live(&file)) {
            // Another's, in a folder where only the owner may; its own next start will.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// One worker's part.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    words: &'static [AtomicU64],
    backed: &'static [AtomicUsize; Rows::ALL.len()],
}

/// A count that one thread writes: no read-modify-write.
#[inline]
pub fn add(word: &AtomicU64, count: u64) {
    word.store(word.load(Relaxed).wrapping_add(count), Relaxed);
}

impl Slot {
    /// A word of the core's own.
    #[inline]
    #[must_use]
    pub fn word(&self, at: usize) -> &'static AtomicU64 {
        &self.words[at]
    }

    /// The row of somebody who is counted here. Takes it over from whoever had it before; `None` where it is a later
    /// one's by now, or has no memory.
    #[inline]
    #[must_use]
    pub fn row(&self, rows: Rows, id: RowId) -> Option<&'static [AtomicU64]> {
        if id.row as usize >= self.backed[rows as usize].load(Relaxed) {
            return None;
        }
        let at = rows.at() + id.row as usize * rows.stride();
        let row = &self.words[at..at + rows.stride()];
        let generation = row[0].load(Relaxed);
        if generation != u64::from(id.generation) {
            return take_over(row, generation, u64::from(id.generation));
        }
        Some(row)
    }

    /// What only goes up and down begins anew with a worker that takes the place of one that has died.
    pub fn begin(&self, gauges: &[usize], endpoint_gauges: &[usize]) {
        for &at in gauges {
            self.words[at].store(0, Relaxed);
        }
        let endpoints = self.backed[Rows::Endpoints as usize].load(Relaxed);
        for row in 0..endpoints {
            let at = Rows::Endpoints.at() + row * Rows::Endpoints.stride();
            for gauge in endpoint_gauges {
                self.words[at + gauge].store(0, Relaxed);
            }
        }
    }
}

#[cold]
fn take_over(row: &'static [AtomicU64], former: u64, generation: u64) -> Option<&'static [AtomicU64]> {
    if former > generation {
        return None;
    }
    // A reader sees a generation of 0, or the old one before and another after, and takes the row for empty.
    row[0].store(0, Relaxed);
    fence(Release);
    for word in &row[1..] {
        word.store(0, Relaxed);
    }
    row[0].store(generation, Release);
    Some(row)
}
