//! `End`: the closed list of how an exchange ends early, and the one table that says what each means.
//!
//! In scope: the reasons, whose side they lie on, the status a client sees (ours and GateKeeper's own
//! odd ones), the flag in logs and metrics, and whether another attempt is allowed. Out of scope:
//! writing the answer (`proto::reply`) and choosing to retry (`worker::session::exchange`).

/// Whose doing it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client broke the protocol, left, or was too slow.
    Downstream,
    /// A rule or a bound of this gateway.
    Gateway,
    /// The service behind us.
    Upstream,
}

/// Whether the exchange may be tried again on another connection or endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never.
    No,
    /// Always: no byte of the request reached the upstream.
    Unsent,
    /// Only an idempotent request (RFC 9110 section 9.2.2) that is still whole in our hands.
    Idempotent,
}

/// What one `End` means everywhere: the row of the one table.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// Stable name in logs, metrics and documentation.
    pub code: &'static str,
    /// Status sent to the client; 0 where no answer can be sent any more.
    pub status: u16,
    /// Status under `legacy_status`, as GateKeeper v1 sent it; 0 as above.
    pub legacy_status: u16,
    /// Whose doing.
    pub side: Side,
    /// Whether another attempt is allowed.
    pub retry: Retry,
    /// One sentence for the client (`errmsg`).
    pub text: &'static str,
    /// When this is the end: the variant's own documentation, for the page made of this table.
    pub doc: &'static str,
}

macro_rules! ends {
    ($( #[doc = $doc:literal] $name:ident = $code:literal, $status:literal, $legacy:literal, $side:ident, $retry:ident, $text:literal; )*) => {
        /// How an exchange ends early. Closed: every variant has a row in the table and a test.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum End { $( #[doc = $doc] $name, )* }

        impl End {
            /// Every variant, in table order.
            pub const ALL: &'static [End] = &[ $( End::$name, )* ];

            /// The row of the one table.
            #[must_use]
            pub const fn meaning(self) -> &'static Meaning {
                &TABLE[self as usize]
            }
        }

        static TABLE: &[Meaning] = &[ $( Meaning {
            code: $code, status: $status, legacy_status: $legacy,
            side: Side::$side, retry: Retry::$retry, text: $text, doc: $doc.trim_ascii(),
        }, )* ];
    };
}

ends! {
    /// The request line is not `method SP target SP HTTP/1.x` (RFC 9112 section 3).
    BadRequestLine = "bad_request_line", 400, 400, Downstream, No, "malformed request line";
    /// The request target has a form or a byte that is not allowed (RFC 9112 section 3.2).
    BadTarget = "bad_target", 400, 400, Downstream, No, "malformed request target";
    /// The path cannot be normalised safely (`%00`, a hidden `..`, a climb above the root).
    BadPath = "bad_path", 400, 400, Downstream, No, "path refused by the normaliser";
    /// A header field breaks the grammar (RFC 9110 section 5, RFC 9112 sections 2.2 and 5).
    BadField = "bad_field", 400, 400, Downstream, No, "malformed header field";
    /// `Host` is missing, repeated or not an authority (RFC 9112 section 3.2).
    BadHost = "bad_host", 400, 400, Downstream, No, "missing, repeated or malformed Host";
    /// `Content-Length` and `Transfer-Encoding` do not give one certain length (RFC 9112 section 6).
    BadFraming = "bad_framing", 400, 400, Downstream, No, "ambiguous or malformed message length";
    /// A chunk line, its data or the trailers break the grammar (RFC 9112 section 7.1).
    BadChunk = "bad_chunk", 400, 400, Downstream, No, "malformed chunked body";
    /// `Connection` names a field that must not be removed on a client's word.
    BadNomination = "bad_nomination", 400, 400, Downstream, No, "Connection names a protected field";
    /// A transfer coding other than `chunked` (RFC 9112 section 6.1).
    UnknownCoding = "unknown_coding", 501, 501, Downstream, No, "transfer coding not implemented";
    /// The method name is longer than any known one.
    MethodTooLong = "method_too_long", 501, 501, Downstream, No, "method not implemented";
    /// Not HTTP/1.0 or HTTP/1.1.
    VersionUnsupported = "version_unsupported", 505, 505, Downstream, No, "HTTP version not supported";
    /// The request target is longer than the limit.
    UriTooLong = "uri_too_long", 414, 414, Downstream, No, "request target too long";
    /// The head is longer, or has more fields, than the limit.
    HeadTooLarge = "head_too_large", 431, 431, Downstream, No, "request header fields too large";
    /// The body is longer than the service allows.
    BodyTooLarge = "body_too_large", 413, 413, Downstream, No, "request body too large";
    /// `Expect` asks for something other than `100-continue`.
    ExpectationFailed = "expectation_failed", 417, 417, Downstream, No, "expectation not supported";
    /// `CONNECT` or `TRACE`.
    MethodNotAllowed = "method_not_allowed", 405, 405, Downstream, No, "method not allowed";
    /// Our own pseudonym is in `Via`: the request came back to us.
    Loop = "loop", 508, 508, Gateway, No, "request loops through this gateway";
    /// The request head did not arrive in time.
    HeadTimeout = "head_timeout", 408, 408, Downstream, No, "request head not received in time";
    /// The request body made no progress in time.
    BodyTimeout = "body_timeout", 408, 408, Downstream, No, "request body not received in time";
    /// The request body came more slowly than the minimum rate.
    BodyTooSlow = "body_too_slow", 408, 408, Downstream, No, "request body received too slowly";
    /// A trusted proxy's connection does not begin with a PROXY protocol header.
    BadProxyHeader = "bad_proxy_header", 0, 0, Downstream, No, "malformed PROXY protocol header";
    /// The client closed before its request body was complete.
    ClientTruncated = "client_truncated", 0, 0, Downstream, No, "client closed before the end of its request";
    /// The client left while the answer was awaited or relayed, or broke its tunnel.
    ClientLeft = "client_left", 0, 0, Downstream, No, "client left";
    /// The client took no bytes of the answer in time.
    WriteTimeout = "write_timeout", 0, 0, Downstream, No, "client did not take the answer in time";
    /// The client took the answer more slowly than the minimum rate.
    WriteTooSlow = "write_too_slow", 0, 0, Downstream, No, "client took the answer too slowly";

    /// No rule takes the request.
    NoRoute = "no_route", 404, 400, Gateway, No, "module not found";
    /// The service is switched off (`status = "down"`).
    ServiceDown = "service_down", 503, 503, Gateway, No, "service is switched off";
    /// The client's address is on the service's black list.
    BlackListed = "black_listed", 403, 401, Gateway, No, "address is on the black list";
    /// The client's address is not on the white list of a service that lets in only those.
    NotListed = "not_listed", 403, 401, Gateway, No, "address is not on the white list";
    /// `/reload` from an address that may not, or with forwarding headers.
    ReloadDenied = "reload_denied", 403, 400, Gateway, No, "ClusterAuth error";
    /// A preflight from a page of an origin that may not read the service's answers.
    CorsOrigin = "cors_origin", 403, 403, Gateway, No, "origin not allowed";
    /// The request does not have what the service's validation rules demand.
    Invalid = "invalid", 400, 400, Gateway, No, "request does not meet the service's rules";
    /// The service's target cannot be composed from this request: a value would make its path climb.
    BadRewrite = "bad_rewrite", 400, 400, Gateway, No, "request gives no target for the service";
    /// The service demands a tenant and the request names none.
    TenantMissing = "tenant_missing", 401, 401, Gateway, No, "app_id empty";
    /// No such tenant.
    TenantUnknown = "tenant_unknown", 401, 401, Gateway, No, "unknown app_id";
    /// The tenant's `sign` is wrong.
    TenantSign = "tenant_sign", 401, 401, Gateway, No, "sign error";
    /// The signed request is older or newer than the tenant's window.
    SignExpired = "sign_expired", 401, 401, Gateway, No, "timestamp outside the window";
    /// The nonce of the signed request was used before.
    SignReplayed = "sign_replayed", 401, 401, Gateway, No, "nonce used before";
    /// The table of nonces has no free place for another one.
    NoncesFull = "nonces_full", 503, 503, Gateway, No, "nonce table full";
    /// The tenant may not call this path.
    TenantPath = "tenant_path", 403, 401, Gateway, No, "no rights for this path";
    /// The service asks for a token and the request bears none.
    TokenMissing = "token_missing", 401, 401, Gateway, No, "no bearer token";
    /// The token is malformed, signed by nobody who is known, or with an algorithm that is not allowed.
    TokenInvalid = "token_invalid", 401, 401, Gateway, No, "token not valid";
    /// The token has expired, or does not hold yet.
    TokenExpired = "token_expired", 401, 401, Gateway, No, "token expired or not valid yet";
    /// A claim of the token is missing, or is for somebody else.
    TokenClaims = "token_claims", 401, 401, Gateway, No, "token of another issuer or for another audience";
    /// The token has not every scope that the service wants.
    TokenScope = "token_scope", 403, 403, Gateway, No, "token without the scope";
    /// No key that tokens are verified with has been fetched yet.
    KeysMissing = "keys_missing", 503, 503, Gateway, No, "no keys for tokens yet";
    /// The tenant's rate is used up.
    TenantRate = "tenant_rate", 429, 401, Gateway, No, "tenant QPS limit";
    /// The tenant's calls of the day are used up.
    TenantQuota = "tenant_quota", 429, 401, Gateway, No, "tenant daily query limit";
    /// The client address's rate for this service is used up.
    ClientRate = "client_rate", 429, 400, Gateway, No, "client QPS limit";
    /// The service's rate, of all clients together, is used up.
    ServiceRate = "service_rate", 429, 400, Gateway, No, "service QPS limit";
    /// The rate of every endpoint that could be picked is used up.
    EndpointRate = "endpoint_rate", 429, 429, Gateway, No, "endpoint rate limit";
    /// The rate of those who send this value of a field, a cookie or a parameter is used up.
    ValueRate = "value_rate", 429, 429, Gateway, No, "rate limit of this value";
    /// The client's address has as many connections to the tcp service as it may.
    ClientConnections = "client_connections", 0, 0, Gateway, No, "too many connections of this address to the service";
    /// The tcp service has as many connections as it may.
    ServiceConnections = "service_connections", 0, 0, Gateway, No, "too many connections to the service";
    /// The table of rate limits has no free place for another key.
    RateTableFull = "rate_table_full", 503, 503, Gateway, No, "rate limit table full";
    /// A filter of the service refuses. The status and the text are the filter's.
    FilterRefused = "filter_refused", 403, 403, Gateway, No, "refused by a filter";
    /// The answer is longer than a filter that wants it whole may read.
    FilterTooLarge = "filter_too_large", 502, 502, Gateway, No, "answer too large to be filtered";
    /// A filter wants an answer whole that is a part, or in a coding that cannot be undone.
    Unfilterable = "unfilterable", 502, 502, Gateway, No, "answer cannot be filtered";
    /// This core holds as many bytes of answers for filters as it may.
    FilterBusy = "filter_busy", 503, 503, Gateway, No, "too many answers to be filtered at once";
    /// No endpoint is up.
    NoEndpoint = "no_endpoint", 503, 407, Gateway, No, "no endpoint available";
    /// The service's breaker is open, or that of every endpoint that is up.
    BreakerOpen = "breaker_open", 503, 503, Gateway, No, "service is failing and not asked for a while";
    /// As many requests of the service as may wait for their turn do.
    ConcurrencyFull = "concurrency_full", 503, 503, Gateway, No, "too many requests at once for the service";
    /// No turn came in time: the service has as many requests under way as it may.
    ConcurrencyTimeout = "concurrency_timeout", 503, 503, Gateway, No, "waited too long for a turn at the service";
    /// The queue for the endpoint's connections is full.
    QueueFull = "queue_full", 503, 503, Gateway, No, "queue for the service is full";
    /// No connection to the endpoint came free in time.
    QueueTimeout = "queue_timeout", 503, 503, Gateway, No, "queued too long for the service";
    /// This core holds as many client connections as it may.
    CoreConnections = "core_connections", 503, 503, Gateway, No, "too many connections";
    /// The client's address has as many connections as it may.
    AddressConnections = "address_connections", 429, 429, Gateway, No, "too many connections from this address";
    /// This core holds as many bytes of long request heads, and of bodies read whole, as it may.
    LongHeads = "long_heads", 503, 503, Gateway, No, "too many long request heads at once";
    /// The whole request took longer than the service allows.
    RequestTimeout = "request_timeout", 504, 504, Gateway, No, "request not served in time";
    /// This process has no descriptor or port left for another connection.
    Exhausted = "exhausted", 503, 503, Gateway, No, "gateway out of descriptors or ports";
    /// The gateway is stopping and did not finish the exchange in its window.
    Drained = "drained", 503, 503, Gateway, No, "gateway is stopping";
    /// Nothing moved in a tunnel, or one side did not take what the other had sent, for too long.
    TunnelIdle = "tunnel_idle", 0, 0, Gateway, No, "tunnel idle for too long";
    /// A tunnel reached the longest life that its service allows.
    TunnelExpired = "tunnel_expired", 0, 0, Gateway, No, "tunnel open for too long";

    /// The endpoint refused the connection or is unreachable.
    ConnectRefused = "connect_refused", 502, 504, Upstream, Unsent, "connection to the service refused";
    /// The endpoint did not accept the connection in time.
    ConnectTimeout = "connect_timeout", 504, 504, Upstream, Unsent, "connection to the service timed out";
    /// A kept connection turned out closed before a byte of the answer.
    UpstreamStale = "upstream_stale", 502, 504, Upstream, Idempotent, "kept connection was closed by the service";
    /// A new connection was closed or reset before a byte of the answer.
    UpstreamClosed = "upstream_closed", 502, 504, Upstream, No, "service closed the connection without an answer";
    /// The response head did not arrive in time.
    ResponseTimeout = "response_timeout", 504, 504, Upstream, No, "service did not answer in time";
    /// One attempt took longer to the response head than the service's rules of retries allow.
    AttemptTimeout = "attempt_timeout", 504, 504, Upstream, No, "service did not answer in time";
    /// The response was thrown away for another attempt, and then no endpoint was left to make it.
    UnwantedStatus = "unwanted_status", 502, 504, Upstream, No, "service failed and no endpoint is left to try again";
    /// The upstream did not take the request in time.
    UpstreamWriteTimeout = "upstream_write_timeout", 504, 504, Upstream, No, "service did not take the request in time";
    /// The response head or its framing is malformed.
    BadResponse = "bad_response", 502, 504, Upstream, No, "malformed response from the service";
    /// The response head is longer than the bound.
    ResponseHeadTooLarge = "response_head_too_large", 502, 504, Upstream, No, "response header fields too large";
    /// The response body ended before its length, or its chunks are malformed.
    ResponseTruncated = "response_truncated", 0, 0, Upstream, No, "response from the service ended early";
    /// The response body made no progress in time.
    ResponseStalled = "response_stalled", 0, 0, Upstream, No, "response from the service stalled";
    /// The service's side of a tunnel broke.
    UpstreamLeft = "upstream_left", 0, 0, Upstream, No, "service broke the tunnel";
}

impl End {
    /// The status to send: ours, or GateKeeper's own when the file asks for it. `None` where no
    /// answer can be sent any more.
    #[must_use]
    pub const fn status(self, legacy: bool) -> Option<u16> {
        let meaning = self.meaning();
        match if legacy { meaning.legacy_status } else { meaning.status } {
            0 => None,
            status => Some(status),
        }
    }

    /// The stable name of this end in logs, metrics and documentation.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.meaning().code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_distinct_code() {
        let mut codes: Vec<_> = End::ALL.iter().map(|end| end.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), End::ALL.len());
    }

    #[test]
    fn what_cannot_be_answered_in_one_mode_cannot_in_the_other() {
        for end in End::ALL {
            assert_eq!(end.status(false).is_none(), end.status(true).is_none(), "{end:?}");
        }
    }

    #[test]
    fn only_an_upstreams_failure_is_ever_retried() {
        for end in End::ALL {
            let meaning = end.meaning();
            assert!(meaning.retry == Retry::No || meaning.side == Side::Upstream, "{end:?}");
        }
    }
}
