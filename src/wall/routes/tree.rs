//! The index of paths: a tree of segments that holds prefixes, whole paths and patterns alike.
//!
//! A node is reached by the segments that lead to it: constants by one hash table for the whole tree, typed segments
//! by asking each. A lookup wants the earliest rule, so it looks at every branch that the path allows and leaves
//! those out that hold no earlier rule than it has. It comes to each node once at most, because a node has one depth:
//! going back and trying again never costs more than the rules there are, whatever the path. Out of
//! scope: which trees a request's host has (`hosts`), expressions (`expressions`).

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::pattern::Segment;

/// No rule.
pub(super) const NONE: u32 = u32::MAX;

/// Where a rule's path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// At this segment's end or anywhere below.
    Prefix,
    /// Here.
    Exact,
    /// Here, or at one slash more.
    Pattern,
    /// Anywhere below.
    Rest,
}

impl Ends {
    fn allows(self, rest: &[u8]) -> bool {
        match self {
            Self::Prefix => true,
            Self::Exact => rest.is_empty(),
            Self::Pattern => matches!(rest, [] | [b'/']),
            Self::Rest => rest.len() > 1,
        }
    }
}

/// A rule at its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its place in the order in which rules are tried.
    pub(super) rank: u32,
    /// The bits of its methods.
    pub(super) methods: u16,
    pub(super) ends: Ends,
    /// It demands more than a path, a host and a method.
    pub(super) guarded: bool,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    /// The constant that leads here; empty where a type does.
    label: Box<[u8]>,
    constants: Constants,
    /// Nodes that types lead to.
    typed: Vec<(Segment, u32)>,
    /// In the order of their ranks.
    entries: Vec<Entry>,
    /// The earliest rule here or below.
    least: u32,
}

/// The children of a node that constants lead to.
#[derive(Clone, Copy, Debug)]
enum Constants {
    None,
    One(u32),
    Many,
}

/// Trees that share their memory; each begins at a root of its own.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    children: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Tree {
    /// A new tree's root.
    pub(super) fn root(&mut self) -> u32 {
        self.node(NONE, &[])
    }

    fn node(&mut self, parent: u32, label: &[u8]) -> u32 {
        let number = u32::try_from(self.nodes.len()).expect("files are smaller than 4 Gi segments");
        self.nodes.push(Node {
            parent,
            label: label.into(),
            constants: Constants::None,
            typed: Vec::new(),
            entries: Vec::new(),
            least: NONE,
        });
        number
    }

    /// Adds a rule; rules come in the order in which they are tried.
    pub(super) fn insert(&mut self, root: u32, segments: &[Segment], entry: Entry) {
        let mut node = root;
        self.lower(node, entry.rank);
        for segment in segments.iter().filter(|segment| **segment != Segment::Rest) {
            node = match segment {
                Segment::Constant(label) => self.child(node, label),
                _ => self.typed_child(node, segment),
            };
            self.lower(node, entry.rank);
        }
        self.nodes[node as usize].entries.push(entry);
    }

    fn lower(&mut self, node: u32, rank: u32) {
        let least = &mut self.nodes[node as usize].least;
        *least = rank.min(*least);
    }

    fn child(&mut self, parent: u32, label: &[u8]) -> u32 {
        if let Some(child) = self.constant(parent, label) {
            return child;
        }
        let child = self.node(parent, label);
        let place = &mut self.nodes[parent as usize].constants;
        *place = if matches!(place, Constants::None) { Constants::One(child) } else { Constants::Many };
        let hash = self.hasher.hash_one((parent, label));
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.children.insert_unique(hash, child, |child| {
            let node = &nodes[*child as usize];
            hasher.hash_one((node.parent, &*node.label))
        });
        child
    }

    fn typed_child(&mut self, parent: u32, segment: &Segment) -> u32 {
        if let Some((_, child)) = self.nodes[parent as usize].typed.iter().find(|(known, _)| known == segment) {
            return *child;
        }
        let child = self.node(parent, &[]);
        self.nodes[parent as usize].typed.push((segment.clone(), child));
        child
    }

    /// The child that this constant leads to.
    #[inline]
    fn constant(&self, parent: u32, label: &[u8]) -> Option<u32> {
        match self.nodes[parent as usize].constants {
            Constants::None => None,
            Constants::One(child) => (*self.nodes[child as usize].label == *label).then_some(child),
            Constants::Many => {
                let hash = self.hasher.hash_one((parent, label));
                let is = |child: &u32| {
                    let node = &self.nodes[*child as usize];
                    node.parent == parent && *node.label == *label
                };
                self.children.find(hash, is).copied()
            }
        }
    }

    /// The earliest rule below the root that takes the path and that `admits`, if it is earlier than `best`;
    /// else `best`.
    #[inline]
    pub(super) fn find(&self, root: u32, path: &[u8], best: u32, admits: impl FnMut(&Entry) -> bool) -> u32 {
        let mut walk = Walk { tree: self, best, admits };
        walk.on(root, path);
        walk.best
    }
}

struct Walk<'w, A> {
    tree: &'w Tree,
    best: u32,
    admits: A,
}

impl<A: FnMut(&Entry) -> bool> Walk<'_, A> {
    /// Goes on from a node with what of the path lies beyond it: nothing, or a slash and more. Nests once for each
    /// typed segment.
    fn on(&mut self, mut node: u32, mut rest: &[u8]) {
        loop {
            let here = &self.tree.nodes[node as usize];
            if here.least >= self.best {
                return;
            }
            self.entries(&here.entries, rest);
            let [b'/', tail @ ..] = rest else { return };
            if matches!(here.constants, Constants::None) && here.typed.is_empty() {
                return;
            }
            let end = tail.iter().position(|&byte| byte == b'/').unwrap_or(tail.len());
            let (segment, beyond) = tail.split_at(end);
            for (kind, child) in &here.typed {
                if kind.takes(segment) {
                    self.on(*child, beyond);
                }
            }
            let Some(child) = self.tree.constant(node, segment) else { return };
            (node, rest) = (child, beyond);
        }
    }

    #[inline]
    fn entries(&mut self, entries: &[Entry], rest: &[u8]) {
        for entry in entries {
            if entry.rank >= self.best {
                return;
            }
            if entry.ends.allows(rest) && (self.admits)(entry) {
                self.best = entry.rank;
                return;
            }
        }
    }
}
