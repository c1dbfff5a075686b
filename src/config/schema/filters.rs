//! `[[module.filter]]`: which filters of the program a service has.

use super::{Key, Shape, Status, Table, int, text};

pub(super) const TABLE: Table = Table::one(
    "filter",
    KEYS,
    "A filter of the service, asked in the order of the file about requests and in the opposite one about answers. \
     Filters are part of the program: docs/filters.md says how one is written and registered. The program as it is \
     shipped has none.",
)
.many()
.status(Status::New)
.tables(&[Table::one(
    "options",
    &[],
    "What the filter is made of. Which keys there are, the filter says; what it cannot be made of is a fault.",
)
.shape(Shape::Free)
.status(Status::New)]);

const KEYS: &[Key] = &[
    text("name", "", "The name by which the program registers it.").required().ours().example("city"),
    int(
        "body_bytes_max",
        1,
        64 * 1024 * 1024,
        1024 * 1024,
        "The largest body that is read whole for it, as it came and decoded, where the filter of an http service asks \
         for one. A larger one is answered 502, never passed on unfiltered.",
    )
    .unit("bytes")
    .ours(),
];
