//! What a filter sees of a request, an answer, a connection, and what it may change there.

use std::net::IpAddr;

use httparse::Header;

use super::{BadField, note};
use crate::proto::edits::Edit;
use crate::proto::head::{self, RequestHead, ResponseHead};
use crate::proto::{field, form};

/// A request that lists, tenant and rates have let pass.
#[derive(Debug)]
pub struct Request<'r> {
    head: &'r RequestHead<'r>,
    path: &'r [u8],
    client: IpAddr,
    service: &'r str,
    tenant: Option<&'r str>,
    edits: Vec<u8>,
}

impl<'r> Request<'r> {
    /// The view of a request, with room for changes to the head that goes on.
    pub(crate) fn new(
        head: &'r RequestHead<'r>,
        path: &'r [u8],
        client: IpAddr,
        (service, tenant): (&'r str, Option<&'r str>),
        edits: Vec<u8>,
    ) -> Self {
        Self { head, path, client, service, tenant, edits }
    }

    /// The changes asked for.
    pub(crate) fn into_edits(self) -> Vec<u8> {
        self.edits
    }

    /// The method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.head.method_text
    }

    /// The path that rules were asked about: normalised, not rewritten.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.path
    }

    /// The query as received, without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.head.query
    }

    /// The first value of a name in the query, decoded; what is not UTF-8 in it becomes U+FFFD.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut decoded = Vec::new();
        let value = form::find(self.head.query?, name.as_bytes(), &mut decoded)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// The host that was asked for, as received; may be empty for HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.head.host
    }

    /// The first field of a name, case aside, as received.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        head::field(self.head.fields, name)
    }

    /// Every field, as received.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.fields.iter().map(pair)
    }

    /// The client's address, as far as proxies in between are trusted.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        self.service
    }

    /// The `app_id` of the tenant, where the service demands one.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant
    }

    /// Sends this field on in place of every one of that name.
    ///
    /// # Errors
    /// Where a filter may not set such a field.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), BadField> {
        note(&mut self.edits, Edit::Set, name, value.as_ref())
    }

    /// Sends this field on beside those of that name.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), BadField> {
        note(&mut self.edits, Edit::Add, name, value.as_ref())
    }

    /// Sends no field of that name on.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn remove(&mut self, name: &str) -> Result<(), BadField> {
        note(&mut self.edits, Edit::Delete, name, b"")
    }
}

/// The head of a service's final answer.
#[derive(Debug)]
pub struct Response<'r> {
    head: &'r ResponseHead<'r>,
    edits: Vec<u8>,
    reads_body: bool,
}

impl<'r> Response<'r> {
    /// The view of an answer, with room for changes to the head that the client gets.
    pub(crate) fn new(head: &'r ResponseHead<'r>, edits: Vec<u8>) -> Self {
        Self { head, edits, reads_body: false }
    }

    /// Whether the body is wanted.
    pub(crate) fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// The changes asked for.
    pub(crate) fn into_edits(self) -> Vec<u8> {
        self.edits
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first field of a name, case aside, as received.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        head::field(self.head.fields, name)
    }

    /// Every field, as received.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.fields.iter().map(pair)
    }

    /// Whether `Content-Type` says this type, such as `application/json`; case and parameters aside.
    #[must_use]
    pub fn is_of_type(&self, media_type: &str) -> bool {
        let value = self.header("content-type").unwrap_or_default();
        let said = field::trim(value.split(|byte| *byte == b';').next().unwrap_or_default());
        said.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// Gives the client this field in place of every one of that name.
    ///
    /// # Errors
    /// Where a filter may not set such a field.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), BadField> {
        note(&mut self.edits, Edit::Set, name, value.as_ref())
    }

    /// Gives the client this field beside those of that name.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), BadField> {
        note(&mut self.edits, Edit::Add, name, value.as_ref())
    }

    /// Gives the client no field of that name.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn remove(&mut self, name: &str) -> Result<(), BadField> {
        note(&mut self.edits, Edit::Delete, name, b"")
    }

    /// Has the body read whole, before anything goes to the client, and given to every filter of the service
    /// ([`HttpFilter::on_body`](super::HttpFilter::on_body)). An answer that cannot be given whole is refused with 502:
    /// one whose body is larger than `body_bytes_max` of the filter that asks, coded or not; one in another coding than
    /// gzip, deflate or br; a part of something (206). An answer without a body stays without.
    pub fn read_body(&mut self) {
        self.reads_body = true;
    }
}

/// A fresh connection to a tcp service.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'c> {
    pub(crate) client: IpAddr,
    pub(crate) service: &'c str,
}

impl Connection<'_> {
    /// The client's address: the peer's, or what a trusted PROXY protocol header says.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        self.service
    }
}

fn pair<'f>(field: &'f Header<'f>) -> (&'f str, &'f [u8]) {
    (field.name, field.value)
}
