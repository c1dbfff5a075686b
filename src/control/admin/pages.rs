//! What each path is answered.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{Timestamp, Unit};
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tracing::error;

use super::exposition::Format;
use super::{Shared, metrics, status, totals};
use crate::control::books::Page;
use crate::control::figures::Figures;
use crate::control::journal::Journal;
use crate::control::state::View;

type Asked = State<Arc<Shared>>;

/// Everything that pages are made of.
pub(super) struct Sight {
    pub(super) view: Box<View>,
    pub(super) figures: Figures,
    pub(super) page: Arc<Page>,
    pub(super) uptime_s: u64,
    pub(super) journal: Option<Journal>,
}

/// Looks at everything and makes a page of it on a helper thread, where the epoch may be dropped as well.
async fn render<P: IntoResponse + Send + 'static>(
    shared: Arc<Shared>,
    write: impl FnOnce(&Sight) -> P + Send + 'static,
) -> Response {
    let Some(view) = shared.view().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "control does not answer");
    };
    let rendered = spawn_blocking(move || {
        let page = shared.page.borrow().clone();
        let (figures, uptime_s) = (Figures::read(&shared.stats), shared.started.elapsed().as_secs());
        let sight = Sight { view, figures, page, uptime_s, journal: shared.journal.clone() };
        write(&sight)
    });
    match rendered.await {
        Ok(page) => page.into_response(),
        Err(broken) => {
            error!("a page of the admin listener broke down: {broken}");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "the page broke down")
        }
    }
}

/// `/metrics`
pub(super) async fn metrics(State(shared): Asked, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::of(accept);
    render(shared, move |sight| ([(header::CONTENT_TYPE, format.content_type())], metrics::write(sight, format))).await
}

/// `/health`: the process lives, and its control does.
pub(super) async fn health(State(shared): Asked) -> Response {
    Json(json!({
        "status": "healthy",
        "time": now(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": shared.started.elapsed().as_secs(),
    }))
    .into_response()
}

/// `/ready`: requests are welcome.
pub(super) async fn ready(State(shared): Asked) -> Response {
    let Some(view) = shared.view().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "control does not answer");
    };
    let workers = view.workers.iter().filter(|worker| worker.runs && worker.epoch.0 > 0).count();
    let (status, word) = match (view.is_ready(), view.stage) {
        (true, _) => (StatusCode::OK, "ready"),
        (false, super::super::state::Stage::Serving) => (StatusCode::SERVICE_UNAVAILABLE, "no worker runs"),
        (false, stage) => (StatusCode::SERVICE_UNAVAILABLE, stage.word()),
    };
    let body = json!({ "status": word, "epoch": view.epoch.id.0, "workers": workers });
    // The epoch may be the last handle on a large configuration.
    spawn_blocking(move || drop(view));
    (status, Json(body)).into_response()
}

/// `/health/metrics`
pub(super) async fn summary(State(shared): Asked) -> Response {
    render(shared, |sight| json_of(&status::summary(sight))).await
}

/// `/api/status`
pub(super) async fn status(State(shared): Asked) -> Response {
    render(shared, |sight| json_of(&status::status(sight))).await
}

/// `/api/totals`
pub(super) async fn totals(State(shared): Asked, query: Result<Query<totals::Query>, QueryRejection>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejected) => return refusal(StatusCode::BAD_REQUEST, &rejected.body_text()),
    };
    let asked = match query.asked() {
        Ok(asked) => asked,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, why),
    };
    let today = shared.page.borrow().day;
    match shared.archive.ask(asked).await {
        Ok(past) => Json(totals::Totals::of(past, today)).into_response(),
        Err(why) => refusal(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// Any other path.
pub(super) async fn nothing() -> Response {
    refusal(StatusCode::NOT_FOUND, "here are /metrics, /health, /ready, /health/metrics, /api/status and /api/totals")
}

/// Any other method.
pub(super) async fn only_get() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here")
}

/// Rendered here and not on the loop.
fn json_of(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// An answer that is not the page.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    let mut answer = (status, Json(json!({ "error": why }))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    answer
}

/// RFC 3339.
fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}
