//! Who may ask: whoever bears the token, where there is one; without one, this machine, by a name of its own.
//!
//! The listener is at a loopback address where there is no token, but a page in a browser of this machine could reach it
//! by a name of its own that leads here (DNS rebinding). Such a question names that name in `Host`, and is refused.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::task::spawn_blocking;
use tracing::error;

use super::Shared;
use super::pages::refusal;
use crate::config::Token;
use crate::wall::secret;

/// Lets a question through, or answers it.
pub(super) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match judge(&shared, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err((status, why)) => refusal(status, why),
    }
}

async fn judge(shared: &Shared, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let Some(token) = shared.token() else {
        let host = headers.get(header::HOST).map_or(Ok(""), |host| host.to_str());
        return match host {
            Ok(host) if is_own_name(host) => Ok(()),
            _ => Err((StatusCode::MISDIRECTED_REQUEST, "ask by an address of this machine, or set a token")),
        };
    };
    let token = match token {
        Token::Text(text) => text.into_string(),
        Token::File(path) => spawn_blocking(move || read(&path)).await.unwrap_or_default(),
    };
    let said = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let said =
        said.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).unwrap_or_default().1;
    if secret::matches(token.as_bytes(), said.trim_ascii()) {
        Ok(())
    } else {
        Err((StatusCode::UNAUTHORIZED, "the token is missing or wrong"))
    }
}

/// What cannot be read lets nobody in.
fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) => {
            error!("the token of [admin] cannot be read: {}: {error}", path.display());
            String::new()
        }
    }
}

/// An address, or the name that every machine has for itself; HTTP/1.0 may leave it out.
fn is_own_name(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = without_port.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(without_port);
    host.is_empty() || bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_here_is_not_our_own() {
        for own in ["localhost", "LOCALHOST:8790", "127.0.0.1:8790", "[::1]:8790", "127.0.0.1", "[::1]", ""] {
            assert!(is_own_name(own), "{own}");
        }
        for other in ["evil.example", "evil.example:8790", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
            assert!(!is_own_name(other), "{other}");
        }
    }
}
