//! The first filter of docs/filters.md, as it stands there: who bears a key is let in and named to the service.

use gatekeeper::Gateway;
use gatekeeper::filter::{HttpFilter, Refusal, Request, Verdict};

/// Lets in who bears a key, and tells the service who it is.
struct Keys {
    header: String,
    keys: std::collections::HashMap<String, String>,
}

impl HttpFilter for Keys {
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        let key = request.header(&self.header).and_then(|key| std::str::from_utf8(key).ok());
        let name = key.and_then(|key| self.keys.get(key)).ok_or_else(|| Refusal::new(401, "no such key"))?;
        request.remove(&self.header)?;
        request.set("x-caller", name)?;
        Ok(())
    }
}

/// The table `[module.filter.options]`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    header: String,
    keys: std::collections::HashMap<String, String>,
}

fn main() -> std::process::ExitCode {
    Gateway::new().http_filter("keys", |Options { header, keys }| Ok(Keys { header, keys })).main()
}
