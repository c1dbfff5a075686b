//! The filters that a program has, by name, and how each is made from its `options`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{HttpFilter, TcpFilter};

/// Makes a filter of the table `options`; the error is for whoever wrote the file.
type Make<F> = Arc<dyn Fn(toml::Table) -> Result<Arc<F>, String> + Send + Sync>;

/// The filters that a program has. [`Gateway`](crate::Gateway) is how they are put here.
#[derive(Clone, Default)]
pub struct Registry {
    http: BTreeMap<Box<str>, Make<dyn HttpFilter>>,
    tcp: BTreeMap<Box<str>, Make<dyn TcpFilter>>,
}

impl Registry {
    pub(crate) fn add_http<O: DeserializeOwned, F: HttpFilter>(
        &mut self,
        name: &str,
        make: impl Fn(O) -> Result<F, String> + Send + Sync + 'static,
    ) {
        let make = move |options| Ok(Arc::new(make(read(options)?)?) as Arc<dyn HttpFilter>);
        put(&mut self.http, name, Arc::new(make));
    }

    pub(crate) fn add_tcp<O: DeserializeOwned, F: TcpFilter>(
        &mut self,
        name: &str,
        make: impl Fn(O) -> Result<F, String> + Send + Sync + 'static,
    ) {
        let make = move |options| Ok(Arc::new(make(read(options)?)?) as Arc<dyn TcpFilter>);
        put(&mut self.tcp, name, Arc::new(make));
    }

    /// How the http filter of this name is made.
    pub(crate) fn http(&self, name: &str) -> Option<&Make<dyn HttpFilter>> {
        self.http.get(name)
    }

    /// How the tcp filter of this name is made.
    pub(crate) fn tcp(&self, name: &str) -> Option<&Make<dyn TcpFilter>> {
        self.tcp.get(name)
    }

    /// The names of either kind, in their order.
    pub(crate) fn names(&self, tcp: bool) -> impl Iterator<Item = &str> {
        let (of_tcp, of_http) = (self.tcp.keys().filter(move |_| tcp), self.http.keys().filter(move |_| !tcp));
        of_tcp.chain(of_http).map(|name| &**name)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names(false)).entries(self.names(true)).finish()
    }
}

fn put<F: ?Sized>(among: &mut BTreeMap<Box<str>, Make<F>>, name: &str, make: Make<F>) {
    assert!(!name.is_empty() && name.trim() == name, "`{name}` is no name for a filter");
    assert!(among.insert(name.into(), make).is_none(), "two filters are called `{name}`");
}

fn read<O: DeserializeOwned>(options: toml::Table) -> Result<O, String> {
    options.try_into().map_err(|error: toml::de::Error| error.message().trim().to_owned())
}
