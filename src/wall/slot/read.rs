//! Reading stats files: finding the one of the running gateway, and taking a picture of what it says.
//!
//! All that is known beforehand is the front and the form of its text; sections and fields are found by name. Reading
//! takes nothing from the writer and waits for nobody, so it works on a process that is stopped or gone. Out of scope:
//! what is made of the numbers.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicU64, fence};

use rustix::fs::{FlockOperation, flock};

use super::layout::{Field, Kind, LAYOUT_VERSION, MAGIC, REASON_SHIFT, Section, TEXT_AT};
use super::mapping::Mapping;
use super::{FOLDERS, NAME, StatsFile, describe};

/// A stats file, open to be read.
#[derive(Debug)]
pub struct Stats {
    source: Source,
    path: Option<PathBuf>,
    sections: Arc<[Section]>,
}

#[derive(Debug)]
enum Source {
    Own(&'static [AtomicU64]),
    Opened(Mapping, File),
}

/// What a stats file said at one time. Each number is right by itself; numbers may be a request apart.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Of the process.
    pub process: Record,
    /// Of each worker.
    pub cores: Vec<Record>,
    /// Of each service, over all cores.
    pub services: Vec<Row>,
    /// Of each endpoint.
    pub endpoints: Vec<Row>,
    /// Of each tenant.
    pub tenants: Vec<Row>,
}

/// A service, endpoint or tenant.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its row.
    pub row: usize,
    /// Its name; as much of it as there is room for.
    pub name: String,
    /// What control says of it.
    pub title: Record,
    /// What all cores have counted.
    pub counts: Record,
}

/// Values of one form, found by name.
#[derive(Clone, Debug)]
pub struct Record {
    form: Arc<[Section]>,
    section: usize,
    words: Box<[u64]>,
}

impl Stats {
    /// This process's own.
    ///
    /// # Errors
    /// When it is not readable, which would be a fault of ours.
    pub fn own(file: &'static StatsFile) -> io::Result<Self> {
        let sections = sections_of(file.words())?;
        Ok(Self { source: Source::Own(file.words()), path: file.path().map(Path::to_path_buf), sections })
    }

    /// The file of that path.
    ///
    /// # Errors
    /// When it cannot be opened or is no stats file, or one of another layout.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let words = usize::try_from(file.metadata()?.len()).unwrap_or(0) / size_of::<u64>();
        let mapping = Mapping::of_file(&file, words, false)?;
        let sections = sections_of(mapping.words())?;
        Ok(Self { source: Source::Opened(mapping, file), path: Some(path.to_path_buf()), sections })
    }

    /// The running gateway's: the one started last in any of the folders. Where none runs, the one that ran last.
    ///
    /// # Errors
    /// `NotFound` where there is none, or why the one there is cannot be read.
    pub fn newest(folders: &[PathBuf]) -> io::Result<Self> {
        let mut found = Vec::new();
        let mut refused = None;
        for path in folders.iter().flat_map(|folder| stats_files(folder)) {
            match Self::open(&path) {
                Ok(stats) => found.push(stats),
                Err(error) => refused = Some(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            }
        }
        found.into_iter().max_by_key(|stats| (stats.is_live(), stats.started_unix_ms())).ok_or_else(|| {
            refused.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no stats file of a gateway"))
        })
    }

    /// Where it is looked for where nothing else is said.
    #[must_use]
    pub fn folders() -> Vec<PathBuf> {
        FOLDERS.iter().map(PathBuf::from).collect()
    }

    /// Where it is; `None` where it is memory of this process alone.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the process that writes it lives; one that is stopped does.
    #[must_use]
    pub fn is_live(&self) -> bool {
        match &self.source {
            Source::Own(_) => true,
            Source::Opened(_, file) => is_live(file),
        }
    }

    /// What it holds.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Takes a picture.
    #[must_use]
    pub fn read(&self) -> Reading {
        let process = self.process();
        let cores = self.section("cores");
        let count = cores.map_or(0, |index| self.sections[index].rows);
        Reading {
            cores: (0..count).filter_map(|core| self.record(cores?, 0, core)).collect(),
            services: self.rows("services", &process),
            endpoints: self.rows("endpoints", &process),
            tenants: self.rows("tenants", &process),
            process,
        }
    }

    /// What it says of the process alone: little work.
    #[must_use]
    pub fn process(&self) -> Record {
        let empty = || Record { form: self.sections.clone(), section: usize::MAX, words: Box::default() };
        self.section("process").and_then(|section| self.record(section, 0, 0)).unwrap_or_else(empty)
    }

    fn started_unix_ms(&self) -> u64 {
        self.process().get("started_unix_ms")
    }

    fn words(&self) -> &[AtomicU64] {
        match &self.source {
            Source::Own(words) => words,
            Source::Opened(mapping, _) => mapping.words(),
        }
    }

    fn section(&self, name: &str) -> Option<usize> {
        self.sections.iter().position(|section| section.name == name)
    }

    /// The place of a record.
    fn place(&self, section: usize, base: usize, row: usize) -> Option<&[AtomicU64]> {
        let Section { at, stride, rows, fields, .. } = &self.sections[section];
        let used = fields.iter().map(|field| field.at.saturating_add(field.words)).max().unwrap_or(0);
        let from = row.checked_mul(*stride)?.checked_add(*at)?.checked_add(base)?;
        if row < *rows { self.words().get(from..from.checked_add(used)?) } else { None }
    }

    fn record(&self, section: usize, base: usize, row: usize) -> Option<Record> {
        let words = self.place(section, base, row)?.iter().map(|word| word.load(Relaxed)).collect();
        Some(Record { form: self.sections.clone(), section, words })
    }

    /// Every row of a kind that is somebody's.
    fn rows(&self, name: &str, process: &Record) -> Vec<Row> {
        let titles = self.section(&format!("{name}_titles"));
        let (Some(titles), Some(counts), Some(cores)) = (titles, self.section(name), self.section("cores")) else {
            return Vec::new();
        };
        let used = usize::try_from(process.get(&format!("{name}_rows"))).unwrap_or(0);
        let row = |row: usize| {
            let title = self.whole(titles, 0, row, None)?;
            let generation = title[0];
            let title = Record { form: self.sections.clone(), section: titles, words: title };
            let counts = self.summed(counts, cores, row, generation)?;
            Some(Row { row, name: title.text("name"), title, counts })
        };
        (0..used).filter_map(row).collect()
    }

    /// A row's words, if it is of that generation, or of any, from beginning to end.
    fn whole(&self, section: usize, base: usize, row: usize, wanted: Option<u64>) -> Option<Box<[u64]>> {
        let place = self.place(section, base, row)?;
        let before = place.first()?.load(Acquire);
        if before == 0 || wanted.is_some_and(|wanted| wanted != before) {
            return None;
        }
        let words: Box<[u64]> = place.iter().map(|word| word.load(Relaxed)).collect();
        fence(Acquire);
        (place[0].load(Relaxed) == before).then_some(words)
    }

    /// The sum over all cores of what counts for that generation.
    fn summed(&self, section: usize, cores: usize, row: usize, generation: u64) -> Option<Record> {
        let Section { at, rows, stride, .. } = self.sections[cores];
        let fields = &self.sections[section].fields;
        let length = self.place(section, at, row)?.len();
        let mut sum = vec![0_u64; length].into_boxed_slice();
        sum[0] = generation;
        for core in 0..rows {
            let Some(words) = self.whole(section, at + core * stride, row, Some(generation)) else { continue };
            for field in fields.iter().filter(|field| field.at > 0) {
                let (into, from) = (&mut sum[field.at..], &words[field.at..field.at + field.words]);
                if field.kind == Kind::Reasons {
                    add_reasons(&mut into[..field.words], from);
                } else {
                    into.iter_mut().zip(from).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
                }
            }
        }
        Some(Record { form: self.sections.clone(), section, words: sum })
    }
}

/// Adds counts by their numbers; cores have met them in different orders.
fn add_reasons(sum: &mut [u64], words: &[u64]) {
    for &word in words.iter().filter(|word| **word > 0) {
        let number = word >> REASON_SHIFT;
        let same = sum.iter().position(|known| *known == 0 || *known >> REASON_SHIFT == number);
        let place = same.unwrap_or(sum.len() - 1);
        let count = word & ((1 << REASON_SHIFT) - 1);
        sum[place] = if sum[place] == 0 { word } else { sum[place] + count };
    }
}

impl Record {
    fn fields(&self) -> &[Field] {
        self.form.get(self.section).map_or(&[], |section| &section.fields)
    }

    fn field(&self, name: &str) -> Option<(&Field, &[u64])> {
        let field = self.fields().iter().find(|field| field.name == name)?;
        Some((field, self.words.get(field.at..field.at + field.words)?))
    }

    /// The value of that name; 0 where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.field(name).and_then(|(_, words)| words.first().copied()).unwrap_or(0)
    }

    /// Every single value, with its field.
    pub fn values(&self) -> impl Iterator<Item = (&Field, u64)> {
        let single = self.fields().iter().filter(|field| field.words == 1 && field.kind != Kind::Text);
        single.filter_map(|field| Some((field, *self.words.get(field.at)?)))
    }

    /// What is counted under each label of that field, where that is anything.
    #[must_use]
    pub fn labelled(&self, name: &str) -> Vec<(&str, u64)> {
        let Some((field, words)) = self.field(name) else { return Vec::new() };
        let label = |index: usize| field.labels.get(index).map_or("unknown", String::as_str);
        let counted = words.iter().enumerate().filter(|(_, word)| **word > 0);
        match field.kind {
            Kind::Reasons => counted
                .map(|(_, word)| {
                    let number = usize::try_from(word >> REASON_SHIFT).unwrap_or(0);
                    (label(number.wrapping_sub(1)), word & ((1 << REASON_SHIFT) - 1))
                })
                .collect(),
            _ => counted.map(|(index, word)| (label(index), *word)).collect(),
        }
    }

    /// A histogram's counts, and where each bucket but the last ends, in its unit.
    #[must_use]
    pub fn histogram(&self, name: &str) -> (&[u64], &[u64]) {
        self.field(name).map_or((&[], &[]), |(field, words)| (words, &field.bounds))
    }

    fn text(&self, name: &str) -> String {
        let Some((_, words)) = self.field(name) else { return String::new() };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte > 0).collect();
        // The place may end within a character.
        let whole = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        whole.to_owned()
    }
}

fn sections_of(words: &[AtomicU64]) -> io::Result<Arc<[Section]>> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let front = words.get(..TEXT_AT).ok_or_else(|| invalid("too short for a stats file".into()))?;
    if front[0].load(Acquire) != MAGIC {
        return Err(invalid("not a stats file, or one that is being made".into()));
    }
    let version = front[1].load(Relaxed);
    if version != LAYOUT_VERSION {
        return Err(invalid(format!("layout {version}, and this program knows layout {LAYOUT_VERSION}")));
    }
    let length = usize::try_from(front[2].load(Relaxed)).unwrap_or(usize::MAX);
    let text = words.get(TEXT_AT..TEXT_AT + length.div_ceil(size_of::<u64>()).min(words.len()));
    let text = text.ok_or_else(|| invalid("shorter than it says".into()))?;
    let mut bytes: Vec<u8> = text.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    bytes.truncate(length);
    let sections = describe::read(&String::from_utf8_lossy(&bytes)).map_err(invalid)?;
    Ok(sections.into())
}

/// The stats files of a folder, whoever wrote them.
pub(super) fn stats_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| pid_of(path).is_some() && is_plain(path)).collect()
}

/// A folder that anybody may write to may hold links to anywhere.
fn is_plain(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

/// The process whose stats file has that name.
#[must_use]
pub fn pid_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?.parse().ok()
}

/// Whether the file's owner holds its lock.
pub(super) fn is_live(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            let _ = flock(file, FlockOperation::Unlock);
            false
        }
        Err(_) => true,
    }
}
