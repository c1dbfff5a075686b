//! The admin listener: metrics, health and state over HTTP, on a port of its own.
//!
//! In scope: accepting there, within bounds, and which path is answered by what. Questions are answered on control's
//! loop as far as asking the state goes; reading the workers' figures and writing pages is done on helper threads, so
//! a large page delays nothing. A control that is stuck answers nothing, which is what a liveness probe is for. Out of
//! scope: who may ask (`guard`), the pages (`pages`, `metrics`, `status`), what is counted (`figures`).

mod exposition;
mod guard;
mod metrics;
mod pages;
mod process;
mod resilience;
mod status;
mod totals;

use std::net::TcpListener;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::error;

use super::books::{Archive, Books, Page};
use super::journal::Journal;
use super::state::{Event, View};
use crate::config::Token;
use crate::limits;
use crate::wall::slot::read::Stats;

/// What every question needs.
struct Shared {
    events: mpsc::Sender<Event>,
    token: RwLock<Option<Token>>,
    stats: Arc<Stats>,
    page: watch::Receiver<Arc<Page>>,
    archive: Archive,
    journal: Option<Journal>,
    started: Instant,
    /// One for each connection.
    seats: Arc<Semaphore>,
    /// Connections answer what they have in hand, and end.
    ending: watch::Sender<bool>,
}

impl Shared {
    fn token(&self) -> Option<Token> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the state; `None` where it does not answer.
    async fn view(&self) -> Option<Box<View>> {
        let (whom, view) = oneshot::channel();
        let ask = async {
            self.events.send(Event::Watched(whom)).await.ok()?;
            view.await.ok()
        };
        timeout(Duration::from_millis(limits::ADMIN_PATIENCE_MS), ask).await.ok().flatten()
    }
}

/// The listener.
pub(super) struct Admin {
    shared: Arc<Shared>,
    /// A handle on its socket, and who accepts there.
    open: Option<(TcpListener, JoinHandle<()>)>,
}

impl Admin {
    /// One that is closed.
    pub(super) fn new(events: mpsc::Sender<Event>, stats: Arc<Stats>, books: &Books, journal: Option<Journal>) -> Self {
        let (page, archive, started) = (books.page(), books.archive(), Instant::now());
        let (token, seats) = (RwLock::default(), Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX)));
        let ending = watch::Sender::new(false);
        let shared = Shared { events, token, stats, page, archive, journal, started, seats, ending };
        Self { shared: Arc::new(shared), open: None }
    }

    /// Answers at this socket from now on, and at no other.
    pub(super) fn open(&mut self, socket: TcpListener) {
        self.close();
        let listener = socket.try_clone().and_then(tokio::net::TcpListener::from_std);
        match listener {
            Ok(listener) => {
                let accepting = tokio::spawn(accept(listener, self.shared.clone()));
                self.open = Some((socket, accepting));
            }
            Err(error) => error!("the admin listener cannot be served: {error}"),
        }
    }

    /// Answers those who bear this from now on; without one, everybody.
    pub(super) fn ask_for(&self, token: Option<Token>) {
        *self.shared.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Accepts no more. Connections that are open are served to their end.
    pub(super) fn close(&mut self) {
        if let Some((_, accepting)) = self.open.take() {
            accepting.abort();
        }
    }

    /// The process ends: waits a moment until whoever has asked is answered. Control must answer questions meanwhile.
    pub(super) fn finish(&mut self) -> impl Future<Output = ()> + 'static {
        self.close();
        let shared = self.shared.clone();
        async move {
            shared.ending.send_replace(true);
            let all = u32::try_from(limits::ADMIN_CONNECTIONS_MAX).unwrap_or(u32::MAX);
            let _ = timeout(Duration::from_millis(limits::ADMIN_FINISH_MS), shared.seats.acquire_many(all)).await;
        }
    }

    /// Its socket.
    pub(super) fn socket(&self) -> Option<&TcpListener> {
        self.open.as_ref().map(|(socket, _)| socket)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(pages::metrics))
        .route("/health", get(pages::health))
        .route("/ready", get(pages::ready))
        .route("/health/metrics", get(pages::summary))
        .route("/api/status", get(pages::status))
        .route("/api/totals", get(pages::totals))
        .fallback(pages::nothing)
        .method_not_allowed_fallback(pages::only_get)
        .layer(from_fn_with_state(shared.clone(), guard::guard))
        .with_state(shared)
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let router = router(shared.clone());
    while let Ok(seat) = Arc::clone(&shared.seats).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors; they come back.
            sleep(Duration::from_millis(limits::EXHAUSTED_PAUSE_MS)).await;
            continue;
        };
        let (router, ending) = (router.clone(), shared.ending.subscribe());
        tokio::spawn(async move {
            serve(stream, router, ending).await;
            drop(seat);
        });
    }
}

/// One connection. What is wrong with it is its client's affair.
async fn serve(stream: TcpStream, router: Router, mut ending: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(limits::ADMIN_HEAD_MS));
    http.max_buf_size(limits::ADMIN_HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(Duration::from_millis(limits::ADMIN_LIFE_MS)) => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(Duration::from_millis(limits::ADMIN_CUT_MS), connection).await;
}
