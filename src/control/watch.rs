//! Watches the directories of the configuration's files.
//!
//! In scope: telling that something there may have changed. Directories, because an editor or a
//! deployment replaces a file instead of writing to it. Out of scope: waiting until the writer has
//! finished (`state`), and whether the text has changed (`reload`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::warn;

use super::state::Event;

/// What is watched now.
#[derive(Default)]
pub(super) struct Watch {
    /// Watches from when it is done until it is dropped.
    watcher: Option<JoinHandle<Option<RecommendedWatcher>>>,
}

impl Watch {
    /// Watches these files instead of those before; none switches it off.
    pub(super) fn follow(&mut self, files: Vec<PathBuf>, events: mpsc::Sender<Event>) {
        self.watcher = None;
        if files.is_empty() {
            return;
        }
        self.watcher = Some(spawn_blocking(move || {
            let watcher = watch(&files, events.clone()).inspect_err(|error| {
                warn!("files are not watched, use SIGHUP or /reload: {error}");
            });
            // A change since the files were read and before this watcher was seen by nobody.
            let _ = events.blocking_send(Event::Touched);
            watcher.ok()
        }));
    }
}

fn watch(files: &[PathBuf], events: mpsc::Sender<Event>) -> notify::Result<RecommendedWatcher> {
    let relevant = Relevant::to(files);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // The watcher has a thread of its own, which may wait for room.
        if event.is_ok_and(|event| relevant.event(&event)) {
            let _ = events.blocking_send(Event::Touched);
        }
    })?;
    for directory in directories(files) {
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The directories of the files as named, and of what symbolic links make of them.
fn directories(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let real = files.iter().filter_map(|file| file.canonicalize().ok());
    files.iter().cloned().chain(real).filter_map(|file| directory(&file)).collect()
}

fn directory(file: &Path) -> Option<PathBuf> {
    let parent = if file.parent()?.as_os_str().is_empty() { Path::new(".") } else { file.parent()? };
    parent.canonicalize().ok()
}

/// Which of a directory's events may be about the configuration.
struct Relevant {
    extensions: BTreeSet<OsString>,
    names: BTreeSet<OsString>,
}

impl Relevant {
    /// Files of the same kind count too: one that is not there yet may be read once it is. `..data`
    /// is the link that Kubernetes replaces when a mounted ConfigMap changes.
    fn to(files: &[PathBuf]) -> Self {
        let extensions = files.iter().filter_map(|file| file.extension()).map(OsString::from).collect();
        let names = files.iter().filter_map(|file| file.file_name()).map(OsString::from);
        Self { extensions, names: names.chain([OsString::from("..data")]).collect() }
    }

    fn event(&self, event: &notify::Event) -> bool {
        let changes = match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
                true
            }
        };
        changes && (event.need_rescan() || event.paths.iter().any(|path| self.path(path)))
    }

    fn path(&self, path: &Path) -> bool {
        path.extension().is_some_and(|extension| self.extensions.contains(extension))
            || path.file_name().is_some_and(|name| self.names.contains(name))
    }
}
