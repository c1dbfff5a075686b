//! Tokens: `[module.jwt]` of module.toml and `[oauth]` of base.toml.

use super::{Key, Status, Table, flag, int, list, text};

pub(super) const JWT: Table = Table::one(
    "jwt",
    JWT_KEYS,
    "JSON Web Tokens (RFC 7519) that clients of the service bear in `Authorization: Bearer`. Asked for where `algorithms` \
     names any, from everybody, whatever the lists say. The keys come from exactly one of `secret`, `public_key_file`, \
     `jwks_file` and `jwks_url`. docs/tenants.md has examples.",
)
.status(Status::New);

const JWT_KEYS: &[Key] = &[
    list(
        "algorithms",
        "The only ones that a token may be signed with: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, \
         ES256, ES384, EdDSA. HS and the others need keys of different kinds and do not go together. `none` is none. Empty: \
         no token is asked for.",
    )
    .example("[\"HS256\"]")
    .ours(),
    text("secret", "", "The key of HS algorithms: at least as long as their hash, 32 bytes for HS256.")
        .example("change-me-5b1f0c35d2e94a7e8c60")
        .ours(),
    text(
        "public_key_file",
        "",
        "One public key in PEM, for algorithms of one kind: RS and PS, ES, or EdDSA. Relative to the module file's folder; \
         looked at again every `keys_refresh`.",
    )
    .example("issuer.pem")
    .ours(),
    text("jwks_file", "", "A JSON Web Key Set (RFC 7517) in a file; as `public_key_file` else.").example("keys.json").ours(),
    text(
        "jwks_url",
        "",
        "The URL of a JSON Web Key Set, `http` or `https`; the certificate is held against those that the machine trusts, \
         redirects are not followed. Until it has been fetched once, requests are answered 503; later, a fetch that fails \
         leaves the keys as they are. Not for HS algorithms.",
    )
    .example("https://issuer.example/.well-known/jwks.json")
    .ours(),
    int("keys_refresh", 1_000, 86_400_000, 300_000, "How often a file or a URL of keys is looked at again.").unit("ms").ours(),
    list("issuers", "`iss` must be one of these. Empty: any.").example("[\"https://issuer.example\"]").ours(),
    list("audiences", "`aud` must have one of these. Empty: any.").example("[\"orders\"]").ours(),
    list("scopes", "`scope` (or `scp`) must have all of these; else the answer is 403.").example("[\"orders.read\"]").ours(),
    int("leeway", 0, 600, 30, "How far the issuer's clock may differ, for `exp` and `nbf`. `exp` must be there.")
        .unit("s")
        .ours(),
    flag("required", true, "A request without a token is answered 401. Off, it passes; a token that is wrong never does.")
        .ours(),
    flag("pass_token", false, "The token goes on to the service. Off, `Authorization` is taken off.").ours(),
    list(
        "claims_to_headers",
        "Items `claim field`: the claim of the verified token is told to the service in that field; text, numbers and lists \
         of texts (with commas between). A client's own fields of these names are removed, token or not.",
    )
    .example("[\"sub X-User\"]")
    .ours(),
];

pub(super) const OAUTH: Table = Table::one(
    "oauth",
    OAUTH_KEYS,
    "Tokens that the gateway gives to tenants of app.toml: `POST` to `path` with `grant_type=client_credentials` and the \
     tenant's `app_id` and `secret` (RFC 6749 section 4.4). A service with `open = 1` takes them in place of a sign. Off \
     without a `signing_key`.",
)
.status(Status::New);

const OAUTH_KEYS: &[Key] = &[
    text(
        "signing_key",
        "",
        "The secret that tokens are signed with (HS256), 32 bytes or more. Gateways that take each other's tokens have the \
         same. Another one makes every token that was given invalid at once. Empty: no tokens are given.",
    )
    .example("change-me-9c2f4b8a1d7e4f60a3c5d8e7")
    .ours(),
    text("path", "/oauth/tokens", "Where tokens are asked for. It comes before every service.").example("/token").ours(),
    text("issuer", "gatekeeper", "`iss` of the tokens.").example("gateway.example").ours(),
    int("lifetime", 1, 2_592_000, 3_600, "How long a token holds.").unit("s").ours(),
    list(
        "scopes",
        "What `scope` may ask for; a tenant that asks for none gets all of them. Others are answered `invalid_scope`.",
    )
    .example("[\"read_write\"]")
    .ours(),
];
