//! The upstream side of one core: replicas of services, pools of endpoints, dialling.

pub mod mirror;
pub mod retry;
pub mod trial;

pub mod connect;
pub mod pool;
pub mod replica;
pub mod shelf;
