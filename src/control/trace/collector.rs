//! One export: a POST over a connection that is kept, and what the collector says to it.
//!
//! As OTLP 1.x over HTTP has it: protobuf, one answer per export, which answers ask for another try. In scope: one try.
//! Out of scope: when there is another one (`exporter`).

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Export;
use crate::limits::TRACE_ANSWER_BYTES_MAX;

const PROTOBUF: &str = "application/x-protobuf";

/// The collector took an export.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Spans among it that it refused.
    pub(super) rejected: u64,
    /// Why, or what it warns of.
    pub(super) message: String,
}

/// It did not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Untaken {
    /// It may take it later: why not now, and when if it says so.
    Later(String, Option<Duration>),
    /// It never will.
    Never(String),
}

/// The way to a collector.
#[derive(Debug, Default)]
pub(super) struct Collector {
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Collector {
    /// Another one is asked from now on.
    pub(super) fn leave(&mut self) {
        self.kept = None;
    }

    /// Sends one export, within its timeout or `most` if that is less.
    pub(super) async fn post(&mut self, export: &Export, body: Bytes, most: Duration) -> Result<Taken, Untaken> {
        let bound = Duration::from_millis(export.timeout_ms.into()).min(most);
        let answer = timeout(bound, self.exchange(export, body)).await;
        let answer = answer.unwrap_or_else(|_| {
            self.kept = None;
            Err(Untaken::Later(format!("no answer within {} ms", bound.as_millis()), None))
        });
        if answer.is_err() {
            self.kept = None;
        }
        answer
    }

    async fn exchange(&mut self, export: &Export, body: Bytes) -> Result<Taken, Untaken> {
        // A kept connection may have been closed in the meantime: then a new one is tried at once.
        if let Some(sender) = self.kept.take()
            && let Ok(answer) = self.send(sender, export, body.clone()).await
        {
            return judge(answer).await;
        }
        let later = |error: io::Error| Untaken::Later(error.to_string(), None);
        let sender = connect(&export.authority).await.map_err(later)?;
        let answer = self.send(sender, export, body).await;
        judge(answer.map_err(|error| Untaken::Later(error.to_string(), None))?).await
    }

    async fn send(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        export: &Export,
        body: Bytes,
    ) -> hyper::Result<Response<Incoming>> {
        sender.ready().await?;
        let answer = sender.send_request(request(export, body)).await?;
        self.kept = Some(sender);
        Ok(answer)
    }
}

fn request(export: &Export, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::post(&*export.path)
        .header(HOST, &*export.authority)
        .header(USER_AGENT, concat!("gatekeeper/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, PROTOBUF);
    for (name, value) in &export.fields {
        request = request.header(&**name, &**value);
    }
    request.body(Full::new(body)).expect("the configuration was judged by the same rules")
}

async fn connect(authority: &str) -> io::Result<SendRequest<Full<Bytes>>> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let stream = match has_port {
        true => TcpStream::connect(authority).await?,
        false => TcpStream::connect(format!("{authority}:80")).await?,
    };
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// What the answer says (OTLP specification, "OTLP/HTTP Response").
async fn judge(answer: Response<Incoming>) -> Result<Taken, Untaken> {
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = Limited::new(answer.into_body(), TRACE_ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Untaken::Later(format!("its answer broke off: {error}"), None))?.to_bytes();
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Err(Untaken::Later(format!("status {}", status.as_u16()), after.map(Duration::from_secs)))
        }
        _ if status.is_success() => Ok(taken(&body)),
        _ => Err(Untaken::Never(format!("status {}", status.as_u16()))),
    }
}

/// An answer that is no message of OTLP has taken everything.
fn taken(body: &[u8]) -> Taken {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    partial.map_or_else(Taken::default, |partial| Taken {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: partial.error_message,
    })
}
