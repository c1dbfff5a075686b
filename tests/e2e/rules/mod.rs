//! GateKeeper's rules: routes, rewrites, lists, tenants, rates.

mod limits;
mod lists;
mod precedence;
mod rates;
mod rewrites;
mod routes;
mod signatures;
mod tenants;
mod tokens;
