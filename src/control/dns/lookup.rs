//! One name's lookups: the hosts file first, then A and AAAA through the servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::hosts;
use crate::control::state::Event;
use crate::limits;

/// The servers asked; the resolver is made at the first lookup that needs one.
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    resolver: OnceCell<TokioResolver>,
}

/// What a lookup found: addresses, sorted, and how long they hold.
type Found = (Vec<IpAddr>, Duration);

impl Servers {
    /// These; none are the system's.
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, resolver: OnceCell::new() }
    }

    async fn lookup(&self, name: &str) -> Result<Found, String> {
        let resolver = self.resolver.get_or_try_init(|| self.resolver()).await?;
        let answer = resolver.lookup_ip(name).await.map_err(|error| told(&error))?;
        let holds = answer.valid_until().saturating_duration_since(Instant::now());
        Ok((answer.iter().collect(), holds))
    }

    async fn resolver(&self) -> Result<TokioResolver, String> {
        let mut builder = if self.addresses.is_empty() {
            let read = spawn_blocking(TokioResolver::builder_tokio).await.map_err(|error| error.to_string())?;
            read.map_err(|error| format!("the system's resolver configuration: {error}"))?
        } else {
            let servers = self.addresses.iter().copied().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // Answers are kept here, and the hosts file is read here: a second cache would hide changes.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map_err(|error| error.to_string())
    }
}

/// What went wrong, in words: the resolver's own show its insides.
fn told(error: &NetError) -> String {
    match error {
        error if error.is_nx_domain() => "there is no such name".to_owned(),
        error if error.is_no_records_found() => "no name server has an address for it".to_owned(),
        NetError::Timeout => "no name server has answered in time".to_owned(),
        error => error.to_string(),
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// Keeps one name resolved.
pub(super) struct Follower {
    pub(super) name: Box<str>,
    pub(super) servers: Arc<Servers>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) events: mpsc::Sender<Event>,
}

impl Follower {
    /// Looks up again and again, until aborted or the loop has gone.
    pub(super) async fn run(self) {
        let ttl = Duration::from_millis(limits::TTL_MIN_MS)..=Duration::from_millis(limits::TTL_MAX_MS);
        let mut retry = *ttl.start();
        loop {
            match self.look_up().await {
                Ok((addresses, holds)) => {
                    retry = *ttl.start();
                    if !self.tell(addresses).await {
                        return;
                    }
                    sleep(holds.clamp(*ttl.start(), *ttl.end())).await;
                }
                Err(why) => {
                    if retry == *ttl.start() {
                        warn!("{} does not resolve: {why}", self.name);
                    }
                    if !self.tell(Vec::new()).await {
                        return;
                    }
                    sleep(retry).await;
                    retry = (retry * 2).min(Duration::from_millis(limits::LOOKUP_RETRY_MAX_MS));
                }
            }
        }
    }

    async fn look_up(&self) -> Result<Found, String> {
        let _permit = self.permits.acquire().await;
        if let Some(found) = self.at_home().await {
            return Ok(found);
        }
        let deadline = Duration::from_millis(limits::LOOKUP_TIMEOUT_MS);
        let (mut addresses, holds) = timeout(deadline, self.servers.lookup(&self.name))
            .await
            .map_err(|_| format!("no answer within {} ms", deadline.as_millis()))??;
        // Servers rotate their answers; that is no change.
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() { Err("no addresses".into()) } else { Ok((addresses, holds)) }
    }

    /// The hosts file, and `localhost` whatever it says (RFC 6761 section 6.3).
    async fn at_home(&self) -> Option<Found> {
        let name = self.name.clone();
        let listed = spawn_blocking(move || hosts::addresses_of(&name)).await.unwrap_or_default();
        let holds = Duration::from_millis(limits::LOOKUP_RETRY_MAX_MS);
        if !listed.is_empty() {
            return Some((listed, holds));
        }
        let plain = self.name.trim_end_matches('.').to_ascii_lowercase();
        let local = plain == "localhost" || plain.ends_with(".localhost");
        local.then(|| (vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], holds))
    }

    /// False when nobody listens any more.
    async fn tell(&self, addresses: Vec<IpAddr>) -> bool {
        let event = Event::Resolved { name: self.name.clone(), addresses: addresses.into() };
        self.events.send(event).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::net::{DnsError, NoRecords};
    use hickory_resolver::proto::op::{Query, ResponseCode};

    use super::*;

    #[test]
    fn a_lookup_that_fails_is_told_in_words() {
        let without = |code| told(&DnsError::NoRecordsFound(NoRecords::new(Query::default(), code)).into());
        assert_eq!(without(ResponseCode::NXDomain), "there is no such name");
        assert_eq!(without(ResponseCode::NoError), "no name server has an address for it");
        assert_eq!(told(&NetError::Timeout), "no name server has answered in time");
    }
}
