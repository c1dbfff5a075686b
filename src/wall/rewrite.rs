//! `url_rewrite`: GateKeeper's rewrite language, compiled once at load.

/// The compiled `url_rewrite` of one rule.
#[derive(Debug, Default)]
pub struct Rewrite {}
