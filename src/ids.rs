//! Newtypes that index the slices of a snapshot, and the numbers of workers and epochs.
//!
//! In scope: the index types and nothing else. A raw integer never names a service, an endpoint,
//! a worker or an epoch anywhere in this crate.

/// Declares a newtype over an unsigned integer that indexes a slice.
macro_rules! index {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            /// The position in the slice that this number indexes.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index! {
    /// A service of the file (a `[[module]]`): indexes `Snapshot::services`.
    ServiceId(u32)
}
index! {
    /// A tenant of app.toml: indexes `Tenants`.
    TenantId(u32)
}
index! {
    /// One address of one service: indexes `Health`, dense over the whole snapshot.
    EndpointId(u32)
}
index! {
    /// A worker thread, counted from 0.
    WorkerId(u16)
}
index! {
    /// An address that accepts connections; never used again for another.
    ListenerId(u32)
}

/// The number of a published configuration and health table. Grows by one, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochId(pub u64);

impl std::fmt::Display for EpochId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
