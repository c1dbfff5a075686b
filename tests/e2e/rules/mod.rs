//! GateKeeper's rules: routes, rewrites, lists, tenants, rates.

mod lists;
mod rates;
mod rewrites;
mod routes;
mod signatures;
mod tenants;
mod tokens;
