//! Two transfers of one program never receive the same file at the same time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anabranch_storage::RelPath;

/// The files that are being received below one folder. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<Mutex<BTreeSet<RelPath>>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<RelPath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a file. `None`: somebody else has.
    pub(super) fn claim(&self, path: &RelPath) -> Option<Claim> {
        let new = self.lock().insert(path.clone());
        new.then(|| Claim { claims: self.clone(), path: path.clone() })
    }

    /// Whether something at or below this path is being received.
    #[must_use]
    pub fn holds_below(&self, path: &RelPath) -> bool {
        let below = format!("{path}/");
        self.lock().iter().any(|held| held == path || held.as_str().starts_with(&below))
    }
}

/// A claim, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    path: RelPath,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_claimed_once_at_a_time() {
        let claims = Claims::default();
        let path = RelPath::new("a/b").unwrap();
        let claim = claims.claim(&path).unwrap();
        assert!(claims.clone().claim(&path).is_none());
        assert!(claims.claim(&RelPath::new("a/c").unwrap()).is_some());
        assert!(claims.holds_below(&path) && claims.holds_below(&RelPath::new("a").unwrap()));
        assert!(!claims.holds_below(&RelPath::new("a/bb").unwrap()));
        drop(claim);
        assert!(claims.claim(&path).is_some());
    }
}
