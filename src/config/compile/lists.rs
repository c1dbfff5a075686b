//! Lists of addresses: those of the module file, and files with an address or a range on each line.
//!
//! In scope: what a line may be, and that services that name the same file share its set. Out of scope: finding and
//! reading the files (`texts`), what a list decides (`wall::access`).

use std::collections::HashMap;
use std::sync::Arc;

use super::Desk;
use crate::config::source::{Faults, Source};
use crate::config::texts::Lists;
use crate::limits::LIST_FAULTS_TOLD_MAX;
use crate::wall::access::{AddressList, AddressSet};

/// The files, compiled, by their names in the module file.
pub(super) type Files = HashMap<String, Arc<AddressSet>>;

pub(super) fn files(lists: &Lists, faults: &mut Faults) -> Files {
    lists.iter().map(|(name, source)| (name.clone(), Arc::new(file(source, faults)))).collect()
}

/// A list of both: the items of `key`, and the file that `file_key` names.
pub(super) fn list(desk: &mut Desk<'_>, key: &str, file_key: &str, files: &Files) -> AddressList {
    AddressList { here: desk.addresses(key), file: files.get(desk.section.text(file_key)).cloned() }
}

fn file(source: &Source, faults: &mut Faults) -> AddressSet {
    let (mut nets, mut wrong, mut at) = (Vec::new(), 0, 0);
    for line in source.text.split_inclusive('\n') {
        let item = line.split('#').next().unwrap_or_default().trim();
        match AddressSet::parse_item(item) {
            _ if item.is_empty() => {}
            Ok(net) => nets.push(net),
            Err(message) => {
                wrong += 1;
                if wrong <= LIST_FAULTS_TOLD_MAX {
                    let place = at + line.find(item).unwrap_or(0);
                    faults.error(source, place, message, "one address or range on each line; # begins a remark");
                }
            }
        }
        at += line.len();
    }
    if let Some(more) = wrong.checked_sub(LIST_FAULTS_TOLD_MAX).filter(|more| *more > 0) {
        faults.whole(&source.path, false, format!("and {more} more lines that are no addresses"), None);
    }
    AddressSet::new(nets)
}
