//! Key sets kept up to date: each is fetched from its URL, or read from its file, again and again.
//!
//! In scope: when, and what is said of it. A set that cannot be had, or is none, leaves the one before in force. Out of
//! scope: what a set is (`wall::keys`), loading the configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::limits::{KEY_SET_AGAIN_MS, KEY_SET_BYTES_MAX, KEY_SET_PATIENCE_MS};
use crate::wall::keys::{Kept, Keys, Origin};
use crate::wall::words::counted;

/// The sets that are kept up to date now.
#[derive(Default)]
pub(super) struct KeySets {
    running: Vec<(Kept, AbortHandle)>,
}

impl KeySets {
    /// Keeps these, and no others.
    pub(super) fn follow(&mut self, wanted: Vec<Kept>) {
        let same = |one: &Kept, other: &Kept| {
            Arc::ptr_eq(&one.place, &other.place) && one.refresh_ms == other.refresh_ms && one.origin == other.origin
        };
        let (kept, ended): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(running, _)| wanted.iter().any(|wanted| same(running, wanted)));
        ended.into_iter().for_each(|(_, task)| task.abort());
        self.running = kept;
        for kept in wanted {
            if !self.running.iter().any(|(running, _)| same(running, &kept)) {
                let task = tokio::spawn(keep(kept.clone())).abort_handle();
                self.running.push((kept, task));
            }
        }
    }
}

/// Where it comes from, for people: a URL without its query, which may hold a secret.
fn told(origin: &Origin) -> String {
    match origin {
        Origin::File(path) | Origin::Pem(path) => path.display().to_string(),
        Origin::Url(url) => url.split('?').next().unwrap_or_default().to_owned(),
    }
}

async fn keep(kept: Kept) {
    // The set before the one in force: no worker is the last to let a set go.
    let mut _before = None;
    let mut trouble = String::new();
    if matches!(kept.origin, Origin::File(_) | Origin::Pem(_)) {
        // The load has just read it.
        sleep(Duration::from_millis(kept.refresh_ms.into())).await;
    }
    loop {
        let read = read(&kept).await;
        let pause_ms = match read {
            Ok(keys) => {
                trouble.clear();
                let print = keys.print();
                let known = kept.place.look().as_ref().map(|known| known.print());
                if known != Some(print) {
                    info!("{}: {} for tokens", told(&kept.origin), counted(keys.count(), "key"));
                    _before = kept.place.put(Arc::new(keys));
                }
                u64::from(kept.refresh_ms)
            }
            Err(why) => {
                if why != trouble {
                    let state =
                        if kept.place.look().is_some() { "the keys before stay" } else { "no token is taken yet" };
                    warn!("{}: {why}; {state}", told(&kept.origin));
                }
                trouble = why;
                u64::from(kept.refresh_ms).min(KEY_SET_AGAIN_MS)
            }
        };
        sleep(Duration::from_millis(pause_ms)).await;
    }
}

async fn read(kept: &Kept) -> Result<Keys, String> {
    match &kept.origin {
        Origin::File(path) => Keys::of_set(&read_file(path).await?, &kept.algorithms),
        Origin::Pem(path) => Keys::of_pem(&read_file(path).await?, &kept.algorithms),
        Origin::Url(url) => {
            let patience = Duration::from_millis(KEY_SET_PATIENCE_MS);
            let text = timeout(patience, fetch(url)).await;
            let text = text.map_err(|_| format!("no answer within {KEY_SET_PATIENCE_MS} ms"))??;
            Keys::of_set(&text, &kept.algorithms)
        }
    }
}

/// Files may be on a slow disk: not here.
async fn read_file(path: &Path) -> Result<String, String> {
    let path = path.to_path_buf();
    let read = spawn_blocking(move || std::fs::read_to_string(path)).await;
    read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

async fn fetch(url: &str) -> Result<String, String> {
    let request = Request::get(url).header("accept", "application/json").header("user-agent", "gatekeeper");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = if url.starts_with("https:") {
        let roots = spawn_blocking(|| HttpsConnectorBuilder::new().with_native_roots()).await;
        let builder = roots.map_err(|error| error.to_string())?.map_err(|error| format!("no certificates: {error}"))?;
        ask(builder.https_only().enable_http1().build(), request).await?
    } else {
        ask(HttpConnector::new(), request).await?
    };
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| error.to_string())?.to_bytes();
    String::from_utf8(bytes.into()).map_err(|_| "not UTF-8".to_owned())
}

/// Connector and client are made for each fetch, so that the machine's own certificates are those of the time.
async fn ask<C>(connector: C, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new()).build(connector);
    client.request(request).await.map_err(|error| in_full(&error))
}

/// An error with its causes, which often say more.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
}
