//! A directory: what is seen of it, and what of that would survive a crash.

use std::collections::{BTreeMap, BTreeSet};

use anabranch_core::rng::Rng;
use anabranch_storage::Attributes;

use super::Order;
use super::file::Survives;

/// The number of a file or directory.
pub(super) type Node = u64;

/// Names that stand for something else, or for nothing, all at the same moment.
type Step = Vec<(String, Option<Node>)>;

/// A directory.
#[derive(Clone, Debug, Default)]
pub(super) struct DirNode {
    seen: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<Step>,
    /// Mode and time.
    pub(super) attributes: Attributes,
}

fn apply(names: &mut BTreeMap<String, Node>, step: &Step) {
    for (name, node) in step {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}

impl DirNode {
    /// What is seen of it.
    pub(super) const fn names(&self) -> &BTreeMap<String, Node> {
        &self.seen
    }

    /// Everything that it may yet refer to after a crash, or does now.
    pub(super) fn refers_to(&self) -> impl Iterator<Item = Node> {
        let pending = self.pending.iter().flatten().filter_map(|(_, node)| *node);
        self.seen.values().chain(self.durable.values()).copied().chain(pending)
    }

    pub(super) fn step(&mut self, step: Step) {
        apply(&mut self.seen, &step);
        self.pending.push(step);
    }

    /// A name is gone for good, at once.
    pub(super) fn vanish(&mut self, name: &str) {
        self.seen.remove(name);
        self.durable.remove(name);
        for step in &mut self.pending {
            step.retain(|(other, _)| other != name);
        }
    }

    pub(super) fn sync(&mut self) {
        for step in self.pending.drain(..) {
            apply(&mut self.durable, &step);
        }
    }

    pub(super) fn crash(&mut self, order: Order, rng: &mut Rng) {
        let survives = Survives::draw(rng);
        let steps = std::mem::take(&mut self.pending);
        match order {
            Order::Kept => {
                for step in &steps[..survives.first_of(steps.len(), rng)] {
                    apply(&mut self.durable, step);
                }
            }
            Order::Any => {
                // A name that has missed one step stays as it is.
                let mut stuck = BTreeSet::new();
                for step in &steps {
                    let missed = step.iter().any(|(name, _)| stuck.contains(name));
                    if missed || survives.first_of(1, rng) == 0 {
                        stuck.extend(step.iter().map(|(name, _)| name));
                    } else {
                        apply(&mut self.durable, step);
                    }
                }
            }
        }
        self.seen.clone_from(&self.durable);
    }
}
