//! The form of a line of the request log: one that is built in, or a text of the user's with variables.
//!
//! In scope: the table of variables, reading such a text. Out of scope: what a variable's value is (`control::journal`).

/// The form of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// GateKeeper's own: `[INFO][time][gatekeeper] _com_request_out||traceid=…||…`.
    GateKeeper,
    /// Text with variables in it.
    Text(Box<[Piece]>),
}

/// A part of a text with variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This.
    Text(Box<str>),
    /// The value of that.
    Variable(Variable),
}

/// nginx's `combined`.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";

macro_rules! variables {
    ($( $name:ident = $text:literal, $doc:literal; )*) => {
        /// What may stand in a text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Variable { $( #[doc = $doc] $name, )* }

        impl Variable {
            /// Every variable with its name and what it stands for, in the order of the documents.
            pub const ALL: &'static [(Variable, &'static str, &'static str)] =
                &[ $( (Variable::$name, $text, $doc), )* ];
        }
    };
}

variables! {
    RemoteAddr = "remote_addr", "The client: the connection's peer, or whom `http.trusted_proxies` name.";
    PeerAddr = "peer_addr", "The connection's peer.";
    RemoteUser = "remote_user", "Always `-`: credentials are not read.";
    TimeLocal = "time_local", "When the request began: `28/Nov/2026:14:17:43 +0800`.";
    TimeIso8601 = "time_iso8601", "The same: `2026-11-28T14:17:43+08:00`.";
    Msec = "msec", "The same in seconds since 1970, with milliseconds.";
    Request = "request", "The request line: method, target and version; the first line as sent where it was not understood.";
    RequestMethod = "request_method", "The method.";
    RequestUri = "request_uri", "The target as sent, without secrets.";
    Uri = "uri", "The target up to `?`.";
    Args = "args", "The target after `?`, without secrets.";
    ServerProtocol = "server_protocol", "`HTTP/1.0`, `HTTP/1.1`, or `TCP` for a connection of a tcp service.";
    Host = "host", "The host that was asked for.";
    HttpReferer = "http_referer", "`Referer`, without secrets.";
    HttpUserAgent = "http_user_agent", "`User-Agent`.";
    Status = "status", "The status that the client was sent; `0` where it was sent none.";
    BodyBytesSent = "body_bytes_sent", "Bytes of the answer's body.";
    BytesSent = "bytes_sent", "Bytes sent to the client, heads included.";
    RequestLength = "request_length", "Bytes received from the client, head included.";
    RequestTime = "request_time", "From the first byte to the end: seconds with milliseconds.";
    UpstreamAddr = "upstream_addr", "The endpoint of the last attempt, as in `ip_list`.";
    UpstreamConnectTime = "upstream_connect_time", "Until that was connected: seconds with milliseconds.";
    UpstreamHeaderTime = "upstream_header_time", "From the request handed over to the answer's head: seconds with milliseconds.";
    UpstreamResponseTime = "upstream_response_time", "From the request handed over to the end: seconds with milliseconds.";
    RequestId = "request_id", "The request's id, as `trace_id`.";
    TraceId = "trace_id", "The request's id: that of our own answers' `trace_id` and of `didi-header-rid`.";
    W3cTraceId = "w3c_trace_id", "The id of the trace, where it is recorded.";
    Kind = "kind", "`request`, `tunnel`, or `connection` for one that came to nothing.";
    Service = "service", "The service's name.";
    Tenant = "tenant", "The tenant's `app_id`.";
    End = "end", "How it ended early: a code of [ends.md](ends.md).";
    DryRun = "dry_run", "What a rule in dry run would have refused it for: such a code.";
    Side = "side", "Whose doing that was: `client`, `gateway` or `service`.";
    Attempts = "attempts", "How often an endpoint was tried.";
    Retries = "retries", "One less, but not below 0.";
    Reused = "reused", "`1` where the last attempt went over a kept connection, else `0`.";
    Timers = "timers", "The following five, divided by `/`, as HAProxy writes them.";
    TimerHead = "TR", "Milliseconds for the request's head; `-1`, here and below, where it did not come to that.";
    TimerQueue = "Tw", "Milliseconds in the queue for a connection.";
    TimerConnect = "Tc", "Milliseconds to connect; `0` for a kept connection.";
    TimerResponse = "Tr", "Milliseconds from the request handed over to the answer's head.";
    TimerTotal = "Ta", "Milliseconds from the first byte to the end.";
    Worker = "worker", "The number of the worker.";
    Pid = "pid", "The number of the process.";
}

/// What is wrong with a text, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub at: usize,
    /// What stands there instead of a variable's name.
    pub name: String,
}

impl Format {
    /// The words that name a form that is built in.
    pub const WORDS: &'static [&'static str] = &["gatekeeper", "json", "combined"];

    /// Reads a form: one of the words, or a text with `$name` or `${name}` in it; `$$` is a dollar sign.
    ///
    /// # Errors
    /// The first variable that there is none of.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "json" => Ok(Self::Json),
            "gatekeeper" => Ok(Self::GateKeeper),
            "combined" => pieces(COMBINED).map(Self::Text),
            text => pieces(text).map(Self::Text),
        }
    }
}

fn pieces(text: &str) -> Result<Box<[Piece]>, Wrong> {
    let (mut found, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(dollar) = rest.find('$') {
        plain.push_str(&rest[..dollar]);
        let at = text.len() - rest.len() + dollar;
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, after) = braced.unwrap_or_else(|| {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            rest.split_at(end)
        });
        let variable = Variable::ALL.iter().find(|(_, known, _)| *known == name);
        let Some((variable, ..)) = variable else { return Err(Wrong { at, name: name.to_owned() }) };
        if !plain.is_empty() {
            found.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        found.push(Piece::Variable(*variable));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(Piece::Text(plain.into()));
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    #[test]
    fn variables_stand_alone_or_in_braces_and_all_else_is_text() {
        let Ok(Format::Text(found)) = Format::parse("a $status${uri}b $$5 $Ta.") else { panic!("a text") };
        let [status, uri, total] = [Variable::Status, Variable::Uri, Variable::TimerTotal].map(Piece::Variable);
        assert_eq!(*found, [text("a "), status, uri, text("b $5 "), total, text(".")]);
    }

    #[test]
    fn a_variable_that_there_is_none_of_is_named_with_its_place() {
        let wrong = |text| Format::parse(text).expect_err("a fault");
        assert_eq!(wrong("ab $statsu"), Wrong { at: 3, name: "statsu".into() });
        assert_eq!(wrong("$").name, "");
        assert_eq!(wrong("${uri").name, "");
    }

    #[test]
    fn every_form_that_is_built_in_is_there() {
        assert!(Format::WORDS.iter().all(|word| Format::parse(word) != Ok(Format::Text([text(word)].into()))));
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = Variable::ALL.iter().map(|(_, name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Variable::ALL.len());
    }
}
