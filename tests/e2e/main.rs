//! End-to-end tests: the built binary, real sockets, peers that misbehave.
//!
//! In scope: what a client, an origin and an operator can observe. Every suite is named after the
//! behaviours it holds; `GK_CORES` says how many workers each gateway runs. Out of scope: unit
//! behaviour, which is tested beside its code, and throughput, which is measured in bench/.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod attack;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod log;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod resilience;
mod routing;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod shaping;
#[cfg(test)]
mod stats;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod tunnel;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod workers;
