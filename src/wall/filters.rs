//! A service's filters, frozen: which, in which order, made of which options.
//!
//! Written once by `config::compile`, read by every worker. In scope: asking each of them in the right order. Out of
//! scope: what they are asked about (`worker`), how they are made (`filter::Registry`).

use std::fmt;
use std::sync::Arc;

use httparse::Header;

use crate::filter::{Connection, HttpFilter, Refusal, Request, Response, TcpFilter, Verdict};
use crate::proto::coding;
use crate::proto::edits::{self, Edit};

/// The filters of one service, in the order of the file.
#[derive(Debug, Default)]
pub struct Filters {
    /// Of an http service.
    pub http: Box<[Enabled<dyn HttpFilter>]>,
    /// Of a tcp service.
    pub tcp: Box<[Enabled<dyn TcpFilter>]>,
}

/// One filter, as a file enables it.
pub struct Enabled<F: ?Sized> {
    /// The name it is registered by.
    pub name: Box<str>,
    /// What it was made of, as text.
    pub options: Box<str>,
    /// The largest body that is read for it, in bytes; of an http filter.
    pub body_bytes_max: usize,
    /// The filter.
    pub filter: Arc<F>,
}

impl<F: ?Sized> fmt::Debug for Enabled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}; {})", self.name, self.body_bytes_max, self.options)
    }
}

impl Filters {
    /// Asks about a request, in the order of the file.
    ///
    /// # Errors
    /// The first refusal, and whose it is.
    pub fn request(&self, request: &mut Request<'_>) -> Result<(), (&str, Refusal)> {
        self.http.iter().try_for_each(|enabled| named(enabled, enabled.filter.on_request(request)))
    }

    /// Asks about an answer's head, in the opposite order. The bound of the body that is to be read, if any asks for it.
    ///
    /// # Errors
    /// The first refusal.
    pub fn response(&self, request: &Request<'_>, response: &mut Response<'_>) -> Result<Option<usize>, Refusal> {
        let mut bound: Option<usize> = None;
        for enabled in self.http.iter().rev() {
            let asked = response.reads_body();
            enabled.filter.on_response(request, response)?;
            if response.reads_body() && !asked {
                bound = Some(enabled.body_bytes_max);
            }
        }
        Ok(bound)
    }

    /// Gives an answer's whole body to each, in the opposite order.
    ///
    /// # Errors
    /// The first refusal.
    pub fn body(&self, request: &Request<'_>, body: &mut Vec<u8>) -> Verdict {
        self.http.iter().rev().try_for_each(|enabled| enabled.filter.on_body(request, body))
    }

    /// Whether every filter lets a connection go on.
    #[must_use]
    pub fn admit(&self, connection: &Connection<'_>) -> bool {
        self.tcp.iter().all(|enabled| enabled.filter.admits(connection))
    }
}

/// Notes among the changes to a head that the upstream is asked for no content coding that could not be undone; a filter
/// may still ask for another. The first list is room to work in.
pub fn narrow(fields: &[Header<'_>], accepted: &mut Vec<u8>, list: &mut Vec<u8>) {
    accepted.clear();
    if coding::narrow(fields, accepted) {
        edits::push(list, Edit::Set, b"Accept-Encoding", accepted);
    }
}

fn named<F: ?Sized>(enabled: &Enabled<F>, verdict: Verdict) -> Result<(), (&str, Refusal)> {
    verdict.map_err(|refusal| (&*enabled.name, refusal))
}
