//! The files of one configuration as they are read: which there are, and what stands for all their text.
//!
//! In scope: finding the files beside the module file, reading each once, the fingerprint. Out of scope: what a
//! text means (`read`, `compile`), watching the files (`control`).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::compile::Page;
use super::schema::{self, File};
use super::source::{Faults, Source};

/// Files of addresses by their names as services give them.
pub(super) type Lists = HashMap<String, Source>;

/// Keys of `[module.access_control]` that name such a file.
const LIST_FILE_KEYS: [&str; 2] = ["black_list_file", "white_list_file"];

/// What to do where a file was there and is not any more.
const PUT_BACK: &str = "put it back; an empty one says that its defaults are meant";

/// The texts, each read once: the fingerprint stands for what is loaded, whatever is written meanwhile.
#[derive(Debug)]
pub(super) struct Texts {
    module_file: PathBuf,
    /// By the name in the schema.
    found: HashMap<&'static str, Source>,
    /// The files that are there, the module file first.
    pub(super) files: Vec<PathBuf>,
    hasher: DefaultHasher,
}

impl Texts {
    /// Reads the module file and what lies beside it. What cannot be read is a fault, and so is the lack of a file that
    /// is among these, the last ones read: defaults take its place only where somebody has chosen them.
    pub(super) fn read(module_file: &Path, host_name: &str, last: &[PathBuf], faults: &mut Faults) -> Self {
        let mut texts = Self {
            module_file: module_file.to_path_buf(),
            found: HashMap::new(),
            files: Vec::new(),
            hasher: DefaultHasher::new(),
        };
        host_name.hash(&mut texts.hasher);
        if let Some(wrong) = sibling_given(module_file) {
            faults.whole(module_file, false, wrong, None);
            return texts;
        }
        texts.add(schema::MODULE_FILE.name, module_file.to_path_buf(), faults);
        for file in beside() {
            let path = module_file.with_file_name(file.name);
            if is_there(&path) {
                texts.add(file.name, path, faults);
            } else if last.contains(&path) {
                faults.whole(&path, false, "is gone", Some(PUT_BACK.to_owned()));
            }
        }
        texts
    }

    fn add(&mut self, name: &'static str, path: PathBuf, faults: &mut Faults) {
        if let Some(source) = Source::open(&path, faults) {
            (&source.path, &source.text).hash(&mut self.hasher);
            self.found.insert(name, source);
        }
        self.files.push(path);
    }

    /// Whether a service may name a file of addresses: those belong to the fingerprint, and are known only once the
    /// module file has been read against the schema.
    pub(super) fn may_name_lists(&self) -> bool {
        let module = self.found.get(schema::MODULE_FILE.name);
        module.is_some_and(|source| LIST_FILE_KEYS.iter().any(|key| source.text.contains(key)))
    }

    /// Reads the files of addresses that the services name, each once.
    pub(super) fn read_lists(&mut self, module_file: &Page, faults: &mut Faults) -> Lists {
        let mut lists = Lists::new();
        for module in module_file.root.many("module") {
            let section = module.one("access_control");
            for key in LIST_FILE_KEYS {
                let name = section.text(key);
                if name.is_empty() || lists.contains_key(name) {
                    continue;
                }
                let path = self.module_file.parent().unwrap_or(Path::new("")).join(name);
                if let Some(source) = Source::open_named(&path, &module_file.source, section.at(key), faults) {
                    (&source.path, &source.text).hash(&mut self.hasher);
                    lists.insert(name.to_owned(), source);
                }
                self.files.push(path);
            }
        }
        lists
    }

    /// Stands for the texts, their names and the host name, where all could be read. Two runs of one program
    /// agree on it.
    pub(super) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }

    /// The text of a file, if it is there and could be read. A second call finds none.
    pub(super) fn take(&mut self, file: &File) -> Option<Source> {
        self.found.remove(file.name)
    }

    /// The text of a file that is not there.
    pub(super) fn absent(&self, file: &File) -> Source {
        Source::new(&self.module_file.with_file_name(file.name), String::new())
    }
}

fn beside() -> impl Iterator<Item = &'static File> {
    schema::FILES.iter().filter(|file| file.name != schema::MODULE_FILE.name)
}

/// A link to nowhere is there and cannot be read, which is an error: what protects must not vanish in silence.
fn is_there(path: &Path) -> bool {
    !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Says so where a file beside the module file is named in its place.
fn sibling_given(module_file: &Path) -> Option<String> {
    let name = module_file.file_name()?;
    let sibling = beside().find(|file| file.name == name)?;
    Some(format!("{} is read from beside the module file: name that one, such as module.toml", sibling.name))
}
