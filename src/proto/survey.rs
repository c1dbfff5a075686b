//! One pass over the fields of a head: what each is, and what the message as a whole says.
//!
//! In scope: finding and counting the fields that rule framing, routing and persistence, and marking
//! which positions are never sent on as received. Out of scope: deciding the length (`framing`).

use httparse::Header;

use super::field::{self, Kind};
use super::head::{Method, Version};
use crate::end::End;
use crate::limits;

/// A set of field positions in one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions([u64; 2]);

const _: () = assert!(limits::FIELDS_CEILING <= 128);

impl Positions {
    #[inline]
    pub(super) fn insert(&mut self, position: usize) {
        self.0[position / 64 % 2] |= 1 << (position % 64);
    }

    #[inline]
    pub(super) fn contains(self, position: usize) -> bool {
        self.0[position / 64 % 2] >> (position % 64) & 1 == 1
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == [0, 0]
    }

    #[inline]
    pub(super) fn union(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    #[inline]
    pub(super) fn minus(self, other: Self) -> Self {
        Self([self.0[0] & !other.0[0], self.0[1] & !other.0[1]])
    }

    /// The positions in ascending order.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        let mut words = self.0;
        std::iter::from_fn(move || {
            let (index, word) = words.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
            let position = index * 64 + word.trailing_zeros() as usize;
            *word &= *word - 1;
            Some(position)
        })
    }
}

/// What a survey remembers so that writing the head on needs no second classification.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// Never sent on as received.
    pub(super) dropped: Positions,
    /// Sent on only for a trusted peer.
    pub(super) forwarding: Positions,
    /// `X-Forwarded-For`; also in `dropped`.
    pub(super) forwarded_for: Positions,
    /// Has an underscore.
    pub(super) underscore: Positions,
    /// `X-Forwarded-Proto` was received.
    pub(super) has_forwarded_proto: bool,
    /// `X-Forwarded-Host` was received.
    pub(super) has_forwarded_host: bool,
}

/// The `Connection` options that mean something to us (RFC 9110 section 7.6.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

/// What the fields of a request say.
#[derive(Debug, Default)]
pub(super) struct Request<'h> {
    pub(super) marks: Marks,
    pub(super) options: Options,
    pub(super) host: Option<&'h [u8]>,
    pub(super) content_length: Option<&'h [u8]>,
    pub(super) transfer_encoding: Option<&'h [u8]>,
    pub(super) expects_continue: bool,
    pub(super) upgrade: Upgrade,
    pub(super) te_trailers: bool,
    pub(super) max_forwards: Option<u32>,
    pub(super) is_form: bool,
    connection: Positions,
}

/// What the fields of a response say.
#[derive(Debug, Default)]
pub(super) struct Response<'h> {
    pub(super) marks: Marks,
    pub(super) options: Options,
    pub(super) content_length: Option<&'h [u8]>,
    pub(super) transfer_encoding: Option<&'h [u8]>,
    pub(super) upgrade: Upgrade,
    pub(super) keep_alive_timeout_s: Option<u32>,
    pub(super) has_date: bool,
    connection: Positions,
}

/// What `Upgrade` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// There is no such field.
    #[default]
    Absent,
    /// Exactly `websocket`, once.
    Websocket,
    /// Anything else.
    Other,
}

impl Upgrade {
    fn and(self, value: &[u8]) -> Self {
        if self == Self::Absent && value.eq_ignore_ascii_case(b"websocket") { Self::Websocket } else { Self::Other }
    }
}

/// Keeps a value that may come once; a second one is the fault.
#[inline]
fn once<'h>(place: &mut Option<&'h [u8]>, value: &'h [u8], fault: End) -> Result<(), End> {
    if place.replace(value).is_some() { Err(fault) } else { Ok(()) }
}

/// Surveys a request.
#[inline(always)]
pub(super) fn request<'h>(fields: &'h [Header<'h>], method: Method, version: Version) -> Result<Request<'h>, End> {
    let mut survey = Request::default();
    for (position, field) in fields.iter().enumerate() {
        let kind = field::classify(field.name);
        if !matches!(kind, Kind::Plain | Kind::Protected | Kind::Date) {
            survey.take(position, kind, field.value, method, version)?;
        }
    }
    if !survey.connection.is_empty() {
        survey.options = options(fields, survey.connection, &mut survey.marks.dropped, Nominator::Client)?;
    }
    Ok(survey)
}

impl<'h> Request<'h> {
    /// Takes one field that is not plain; marks it and keeps what it says.
    fn take(
        &mut self,
        position: usize,
        kind: Kind,
        value: &'h [u8],
        method: Method,
        version: Version,
    ) -> Result<(), End> {
        match kind {
            Kind::ContentType => {
                self.is_form |= is_form(value);
                return Ok(());
            }
            Kind::Via | Kind::Plain | Kind::Protected | Kind::Date => return Ok(()),
            Kind::MaxForwards if !method.counts_forwards() => return Ok(()),
            Kind::Underscore => {
                self.marks.underscore.insert(position);
                return Ok(());
            }
            Kind::ForwardedProto | Kind::ForwardedHost | Kind::Forwarded => {
                self.marks.forwarding.insert(position);
                self.marks.has_forwarded_proto |= kind == Kind::ForwardedProto;
                self.marks.has_forwarded_host |= kind == Kind::ForwardedHost;
                return Ok(());
            }
            _ => self.marks.dropped.insert(position),
        }
        self.learn(position, kind, value, version)
    }

    /// Learns from a field that is not sent on as received.
    fn learn(&mut self, position: usize, kind: Kind, value: &'h [u8], version: Version) -> Result<(), End> {
        match kind {
            Kind::Host => once(&mut self.host, value, End::BadHost),
            Kind::ContentLength => once(&mut self.content_length, value, End::BadFraming),
            Kind::TransferEncoding => once(&mut self.transfer_encoding, value, End::BadFraming),
            Kind::Confusable => Err(End::BadFraming),
            Kind::Connection => {
                self.connection.insert(position);
                Ok(())
            }
            Kind::Upgrade => {
                self.upgrade = self.upgrade.and(value);
                Ok(())
            }
            Kind::Te => {
                self.te_trailers |= field::elements(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                Ok(())
            }
            Kind::ForwardedFor => {
                self.marks.forwarded_for.insert(position);
                Ok(())
            }
            Kind::Expect if version == Version::Http11 => self.expect(value),
            Kind::MaxForwards => self.count_forwards(value),
            _ => Ok(()),
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), End> {
        self.expects_continue = true;
        if value.eq_ignore_ascii_case(b"100-continue") { Ok(()) } else { Err(End::ExpectationFailed) }
    }

    /// `Max-Forwards` of RFC 9110 section 7.6.2; more than we can count is the most we can count.
    fn count_forwards(&mut self, value: &[u8]) -> Result<(), End> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) || self.max_forwards.is_some() {
            return Err(End::BadField);
        }
        let digits = value.iter().map(|digit| u32::from(digit - b'0'));
        self.max_forwards = Some(digits.fold(0, |number: u32, digit| number.saturating_mul(10).saturating_add(digit)));
        Ok(())
    }
}

/// Surveys a response.
#[inline]
pub(super) fn response<'h>(fields: &'h [Header<'h>]) -> Result<Response<'h>, End> {
    let mut survey = Response::default();
    let mut dates = Positions::default();
    for (position, field) in fields.iter().enumerate() {
        let kind = field::classify(field.name);
        match kind {
            Kind::Date => dates.insert(position),
            Kind::ContentLength => once(&mut survey.content_length, field.value, End::BadResponse)?,
            Kind::TransferEncoding => once(&mut survey.transfer_encoding, field.value, End::BadResponse)?,
            Kind::Connection => survey.connection.insert(position),
            Kind::KeepAlive => survey.keep_alive_timeout_s = timeout_s(field.value),
            Kind::Upgrade => survey.upgrade = survey.upgrade.and(field.value),
            Kind::Hop | Kind::Te | Kind::Confusable => {}
            _ => continue,
        }
        if kind != Kind::Date {
            survey.marks.dropped.insert(position);
        }
    }
    if !survey.connection.is_empty() {
        survey.options = options(fields, survey.connection, &mut survey.marks.dropped, Nominator::Upstream)
            .map_err(|_| End::BadResponse)?;
    }
    survey.has_date = !dates.minus(survey.marks.dropped).is_empty();
    Ok(survey)
}

/// Who names fields in `Connection`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nominator {
    /// May not have a protected field removed.
    Client,
    /// May: the service owns its answer, and framing is regenerated anyway.
    Upstream,
}

/// Reads the `Connection` fields and drops what they nominate.
fn options(fields: &[Header<'_>], at: Positions, dropped: &mut Positions, by: Nominator) -> Result<Options, End> {
    let mut options = Options::default();
    let mut elements_total = 0_usize;
    for element in at.iter().flat_map(|position| field::elements(fields[position].value)) {
        elements_total += 1;
        if elements_total > limits::CONNECTION_OPTIONS_MAX {
            return Err(End::HeadTooLarge);
        }
        if element.is_empty() {
            continue;
        }
        let Some(name) = str::from_utf8(element).ok().filter(|_| field::is_token(element)) else {
            return Err(End::BadField);
        };
        match field::classify(name) {
            Kind::KeepAlive => options.keep_alive = true,
            Kind::Upgrade => options.upgrade = true,
            Kind::Plain if element.eq_ignore_ascii_case(b"close") => options.close = true,
            kind if kind.is_protected() && by == Nominator::Client => return Err(End::BadNomination),
            _ => nominate(fields, name, dropped),
        }
    }
    Ok(options)
}

fn nominate(fields: &[Header<'_>], name: &str, dropped: &mut Positions) {
    for (position, field) in fields.iter().enumerate() {
        if field.name.eq_ignore_ascii_case(name) {
            dropped.insert(position);
        }
    }
}

/// Whether a media type is `application/x-www-form-urlencoded`, parameters aside.
fn is_form(value: &[u8]) -> bool {
    let media = value.split(|&byte| byte == b';').next().unwrap_or_default();
    field::trim(media).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// `timeout=N` of `Keep-Alive`, in seconds. Advice: what cannot be read is no advice.
fn timeout_s(value: &[u8]) -> Option<u32> {
    field::elements(value).find_map(|parameter| {
        let (name, number) = parameter.split_at_checked(8)?;
        let number = name.eq_ignore_ascii_case(b"timeout=").then(|| field::decimal(number))??;
        u32::try_from(number).ok()
    })
}
