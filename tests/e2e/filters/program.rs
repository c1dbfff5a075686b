//! A gateway with the filters that the tests of filters need: one for each thing that a filter may do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use gatekeeper::Gateway;
use gatekeeper::filter::{Connection, HttpFilter, Refusal, Request, Response, TcpFilter, Verdict};
use serde::Deserialize;

/// Counts how often it is asked, and tells the service and the client: `mark` and the count.
struct Count {
    mark: String,
    asked: AtomicU64,
}

impl HttpFilter for Count {
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        request.add("x-asked", format!("{} {asked}", self.mark))?;
        Ok(())
    }

    fn on_response(&self, _request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        Ok(response.add("x-answered", &self.mark)?)
    }

    fn on_body(&self, _request: &Request<'_>, body: &mut Vec<u8>) -> Verdict {
        body.extend_from_slice(self.mark.as_bytes());
        Ok(())
    }
}

/// Shows what it sees of a request, to the service.
#[derive(Deserialize)]
struct Show {}

impl HttpFilter for Show {
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let seen = [
            text(request.method()),
            text(request.path()),
            text(request.query().unwrap_or_default()),
            request.query_value("q").unwrap_or_default(),
            text(request.host()),
            text(request.header("x-say").unwrap_or_default()),
            request.headers().count().to_string(),
            request.client().to_string(),
            request.service().to_owned(),
            request.tenant().unwrap_or("nobody").to_owned(),
        ];
        Ok(request.set("x-seen", seen.join(" | "))?)
    }
}

/// Sets and removes fields, both ways, and refuses where that is not possible.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    remove: Vec<String>,
}

impl HttpFilter for Fields {
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        self.remove.iter().try_for_each(|name| request.remove(name))?;
        Ok(self.set.iter().try_for_each(|(name, value)| request.set(name, value))?)
    }

    fn on_response(&self, _request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        self.remove.iter().try_for_each(|name| response.remove(name))?;
        Ok(self.set.iter().try_for_each(|(name, value)| response.set(name, value))?)
    }
}

/// Refuses at one of three moments.
#[derive(Deserialize)]
struct Refuse {
    at: String,
    status: u16,
    #[serde(default)]
    location: String,
    #[serde(default)]
    text: String,
}

impl Refuse {
    fn verdict(&self, at: &str) -> Verdict {
        if self.at != at {
            return Ok(());
        }
        assert_ne!(self.at, "panic", "as asked for");
        let text = if self.text.is_empty() { format!("refused at the {at}") } else { self.text.clone() };
        let refusal = Refusal::new(self.status, text);
        Err(if self.location.is_empty() { refusal } else { refusal.with("Location", &self.location)? })
    }
}

impl HttpFilter for Refuse {
    fn on_request(&self, _request: &mut Request<'_>) -> Verdict {
        self.verdict("panic")?;
        self.verdict("request")
    }

    fn on_response(&self, _request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        if self.at == "body" {
            response.read_body();
        }
        self.verdict("response")
    }

    fn on_body(&self, _request: &Request<'_>, _body: &mut Vec<u8>) -> Verdict {
        self.verdict("body")
    }
}

/// Reads bodies and writes them in capitals.
#[derive(Deserialize)]
struct Capitals {
    /// Only of this type; empty is any.
    #[serde(default)]
    media_type: String,
}

impl HttpFilter for Capitals {
    fn on_response(&self, _request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        if self.media_type.is_empty() || response.is_of_type(&self.media_type) {
            response.read_body();
        }
        Ok(())
    }

    fn on_body(&self, _request: &Request<'_>, body: &mut Vec<u8>) -> Verdict {
        body.make_ascii_uppercase();
        Ok(())
    }
}

/// Lets connections of one client in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    client: IpAddr,
    service: String,
}

impl TcpFilter for Only {
    fn admits(&self, connection: &Connection<'_>) -> bool {
        connection.client() == self.client && connection.service() == self.service
    }
}

fn main() -> ExitCode {
    #[derive(Deserialize)]
    struct Mark {
        mark: String,
    }
    Gateway::new()
        .http_filter("count", |Mark { mark }| Ok(Count { mark, asked: AtomicU64::new(0) }))
        .http_filter("show", |show: Show| Ok(show))
        .http_filter("fields", |fields: Fields| Ok(fields))
        .http_filter("refuse", |refuse: Refuse| Ok(refuse))
        .http_filter("capitals", |capitals: Capitals| Ok(capitals))
        .tcp_filter("only", |only: Only| Ok(only))
        .main()
}
