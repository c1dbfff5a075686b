//! `load_balance.type` and the keys that belong to it → `Balance`.

use std::sync::Arc;

use super::Desk;
use crate::wall::attribute::Attribute;
use crate::wall::balance::{Balance, HashKey, HashRule, Strategy};
use crate::wall::ring::Ring;
use crate::wall::snapshot::Endpoint;

/// How a service chooses among these endpoints.
pub(super) fn balance(desk: &mut Desk<'_>, endpoints: &[Endpoint], is_tcp: bool) -> Balance {
    let section = desk.section;
    let (strategy, weighted) = match section.text("type") {
        "round" | "RoundRobin" => (Strategy::RoundRobin, false),
        "random" | "Rand" => (Strategy::Random, false),
        "weight_random" => (Strategy::Random, true),
        "consistent_hash" | "hash" => {
            let key = hash_key(desk, is_tcp);
            (hash(desk, key, endpoints), true)
        }
        "ip_hash" | "IPHash" => (hash(desk, HashKey::Client, endpoints), true),
        "least_requests" | "least_conn" | "LeastConn" => (Strategy::LeastRequests, true),
        "peak_ewma" => (Strategy::PeakEwma, true),
        _ => (Strategy::RoundRobin, true),
    };
    idle_keys(desk, &strategy);
    Balance {
        strategy,
        weighted,
        slow_start_ms: section.ms("slow_start"),
        failure_percent: section.int_u32("failure_weight"),
    }
}

fn hash(desk: &Desk<'_>, key: HashKey, endpoints: &[Endpoint]) -> Strategy {
    let mut nodes: Vec<(&str, u32)> = endpoints.iter().map(|endpoint| (&*endpoint.node, endpoint.weight)).collect();
    if nodes.iter().all(|(_, weight)| *weight == 0)
        && let Some((_, weight)) = nodes.first_mut()
    {
        *weight = 1;
    }
    let ring = Arc::new(Ring::weighted(&nodes, desk.section.int_u32("hash_points") as usize));
    Strategy::Hash(HashRule { key, load_percent: desk.section.int_u32("hash_load_max"), ring })
}

fn hash_key(desk: &mut Desk<'_>, is_tcp: bool) -> HashKey {
    let written = desk.section.text("hash_key");
    let key = match written {
        "" if is_tcp => HashKey::Client,
        "" | "url" => HashKey::Url,
        "client" => HashKey::Client,
        text => match Attribute::parse(text) {
            Ok(attribute) => HashKey::Attribute(attribute),
            Err(message) => {
                desk.error("hash_key", message, "or write url or client");
                return HashKey::Client;
            }
        },
    };
    if is_tcp && key != HashKey::Client {
        let message = format!("a tcp service knows nothing of `{written}`");
        desk.error("hash_key", message, "write client, or leave it out");
    }
    key
}

/// Says of keys that belong to another type that they have no effect.
fn idle_keys(desk: &mut Desk<'_>, strategy: &Strategy) {
    let hashes = matches!(strategy, Strategy::Hash(_));
    let named = desk.section.text("type").to_owned();
    for key in ["hash_key", "hash_load_max", "hash_points"] {
        let by_address = key == "hash_key" && matches!(named.as_str(), "ip_hash" | "IPHash");
        if desk.section.gives(key) && (!hashes || by_address) {
            desk.warn(key, format!("{key} has no effect with type `{named}`"), "write type = \"consistent_hash\"");
        }
    }
}
