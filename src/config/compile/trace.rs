//! base.toml, `[trace]` → `Sampling` for the workers, `Export` for control.

use hyper::Uri;
use hyper::http::uri::Scheme;

use super::Desk;
use super::address::Wrong;
use crate::config::Export;
use crate::config::section::Section;
use crate::proto::field::{is_token, is_value_byte};
use crate::wall::trace::Sampling;

/// Fields that an export has already, or that rule the message.
const TAKEN: [&str; 6] = ["host", "content-type", "content-length", "transfer-encoding", "connection", "user-agent"];

/// How traces are begun and which are recorded; `None` where there are none.
pub(super) fn sampling(section: &Section) -> Option<Sampling> {
    section.flag("on").then(|| Sampling {
        ratio_millionths: section.millionths("sample_ratio"),
        parent_based: section.flag("parent_based"),
    })
}

/// Where spans go. Judged even where nothing is traced: a fault is told when it is written.
pub(super) fn export(desk: &mut Desk<'_>) -> Option<Export> {
    let collector = collector(desk.section.text("endpoint"));
    let (authority, path) = match collector {
        Ok(collector) => collector,
        Err((message, help)) => {
            desk.error("endpoint", message, help);
            return None;
        }
    };
    let fields = desk.each("headers", field).into();
    let section = desk.section;
    section.flag("on").then(|| Export {
        authority,
        path,
        service_name: section.text("service_name").into(),
        fields,
        timeout_ms: section.ms("timeout"),
    })
}

/// Host with port, and path.
fn collector(text: &str) -> Result<(Box<str>, Box<str>), Wrong> {
    let no_url = || (format!("`{text}` is not a URL of a collector"), "write http://host:4318/v1/traces");
    let url: Uri = text.parse().map_err(|_| no_url())?;
    let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else { return Err(no_url()) };
    if *scheme == Scheme::HTTPS {
        let message = format!("`{text}`: spans cannot be sent over https yet");
        return Err((message, "send them to a collector on this machine, and let that one speak TLS"));
    }
    if *scheme != Scheme::HTTP || authority.host().is_empty() {
        return Err(no_url());
    }
    if authority.as_str().contains('@') {
        return Err((format!("`{}` holds a name or a password", authority.host()), "write credentials into `headers`"));
    }
    let path = url.path_and_query().map(ToString::to_string).filter(|path| path != "/");
    Ok((authority.as_str().into(), path.unwrap_or_else(|| "/v1/traces".to_owned()).into()))
}

/// One item of `headers`.
fn field(text: &str) -> Result<(Box<str>, Box<str>), Wrong> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let value = value.trim();
    // Values may be secrets: only the name is told.
    if !is_token(name.as_bytes()) || value.is_empty() || !value.bytes().all(is_value_byte) {
        return Err((format!("the field `{name}` cannot be sent"), "write \"name: value\""));
    }
    if TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(name)) {
        return Err((format!("`{name}` is written by the gateway itself"), "leave it out"));
    }
    Ok((name.into(), value.into()))
}
