//! Signs requests as a tenant would, by the page on tenants and not by the gateway's code.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

static NONCES: AtomicU64 = AtomicU64::new(0);

/// A request to be signed; each part can be lied about by changing it afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub(crate) app_id: String,
    pub(crate) secret: String,
    pub(crate) timestamp: u64,
    pub(crate) nonce: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
}

impl Signing {
    /// A request of this moment with a nonce of its own.
    pub(crate) fn of(app_id: &str, secret: &str, method: &str, target: &str, body: &str) -> Self {
        let nonce = format!("{}-{}", std::process::id(), NONCES.fetch_add(1, Ordering::Relaxed));
        Self {
            app_id: app_id.to_owned(),
            secret: secret.to_owned(),
            timestamp: now_s(),
            nonce,
            method: method.to_owned(),
            target: target.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The value of `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        let Self { app_id, timestamp, nonce, method, target, .. } = self;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = hexadecimal(digest(&SHA256, self.body.as_bytes()).as_ref());
        let lines =
            format!("Gatekeeper-HMAC-SHA256\n{app_id}\n{timestamp}\n{nonce}\n{method}\n{path}\n{query}\n{body}");
        let sign = hmac::sign(&Key::new(HMAC_SHA256, self.secret.as_bytes()), lines.as_bytes());
        let sign = hexadecimal(sign.as_ref());
        format!(
            "Gatekeeper-HMAC-SHA256 app_id={app_id}, timestamp={timestamp}, nonce={nonce}, body={body}, sign={sign}"
        )
    }

    /// The whole request.
    pub(crate) fn request(&self) -> String {
        let Self { method, target, body, .. } = self;
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let authorization = self.authorization();
        format!("{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n{length}\r\n{body}")
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
