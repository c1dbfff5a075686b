//! The index from a path to the service that answers it.

use super::rewrite::Rewrite;
use crate::ids::ServiceId;

/// One `[[module.match_rule]]` of an http service.
#[derive(Debug)]
pub struct Route {
    /// Whose rule.
    pub service: ServiceId,
    /// The canonical prefix, without a trailing slash; empty matches every path.
    pub rule: Box<[u8]>,
    /// What becomes of the path.
    pub rewrite: Rewrite,
}

/// The rules of every http service, in file order, indexed.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Box<[Route]>,
}

impl Routes {
    /// Indexes the rules, given in file order.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes: routes.into() }
    }

    /// The first rule in file order that equals the path or is a whole-segment prefix of it.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| path.strip_prefix(&*route.rule).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'))
    }

    /// Every rule in file order.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.routes
    }
}
