//! Who may do what.

use std::path::Path;

use anabranch_core::Code;
use anabranch_core::files::{Existing, Offer};
use anabranch_storage::{Folder, RelPath};
use anabranch_transfers::{Quota, Receive};

use super::Peer;
use super::questions::{self, Refusal};
use super::view::{Sight, Tree};
use crate::cli::server::files::Who;
use crate::exit::{Exit, Failure};
use crate::settings::files::Files as Settings;
use crate::units::show_size;

/// What is served, and who may do what with it.
#[derive(Debug)]
pub(crate) struct Policy {
    settings: Settings,
    pub(super) tree: Tree,
    pub(super) quota: Option<Quota>,
}

impl Policy {
    /// Looks at the disk: it counts what is there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn new(settings: Settings) -> Result<Self, Failure> {
        let shares = settings.shares.iter().map(|share| (share.name.clone(), share.dir.clone()));
        let tree = Tree {
            dir: settings.dir.clone(),
            shares: shares.collect(),
            inbox: settings.inbox.clone(),
        };
        let quota = match (&settings.dir, settings.quota) {
            (Some(dir), Some(limit)) => Some(quota(dir, limit)?),
            (Some(_) | None, _) => None,
        };
        Ok(Self { settings, tree, quota })
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let Settings { dir, shares, inbox, .. } = &self.settings;
        let mut all: Vec<String> = Vec::new();
        if let Some(dir) = dir {
            all.push(dir.display().to_string());
        }
        if let Some(inbox) = inbox {
            all.push(format!("with the inbox /{inbox}"));
        }
        all.extend(shares.iter().map(|share| format!("/{} read-only", share.name)));
        if let Some(quota) = &self.quota {
            let (used, limit) = (show_size(quota.used()), show_size(quota.limit()));
            all.push(format!("{used} of {limit} used"));
        }
        all.join(", ")
    }

    /// A peer that has moved may do what is permitted at both places.
    fn may(who: &Who, peer: Peer) -> bool {
        who.includes(peer.first) && who.includes(peer.now.ip())
    }

    pub(super) fn may_manage(&self, peer: Peer) -> Result<(), Refusal> {
        allow(Self::may(&self.settings.manage, peer), "managing transfers")
    }

    pub(super) fn may_read(&self, peer: Peer) -> Result<(), Refusal> {
        allow(Self::may(&self.settings.read, peer), "listing and fetching files")
    }

    pub(super) fn may_remove(&self, peer: Peer) -> Result<(), Refusal> {
        allow(Self::may(&self.settings.replace, peer), "removing files")
    }

    /// What a peer sees.
    pub(super) fn sight(&self, peer: Peer) -> Sight {
        Sight { inbox: self.may_manage(peer).is_ok(), ..Sight::default() }
    }

    /// How an offer is received.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn receive(&self, peer: Peer, offer: &Offer) -> Result<Receive, Refusal> {
        if self.tree.dir.is_none() {
            return Err(Refusal::new(Code::Denied, "no files are received here"));
        }
        allow(Self::may(&self.settings.write, peer), "sending files")?;
        let folder = self.target(&offer.target)?;
        if let (Some(quota), Some(bytes)) = (&self.quota, offer.bytes)
            && bytes > quota.limit()
        {
            let (bytes, limit) = (show_size(bytes), show_size(quota.limit()));
            let reason = format!("{bytes} are more than the quota, {limit}");
            return Err(Refusal::new(Code::NoSpace, reason));
        }
        let may_replace = Self::may(&self.settings.replace, peer);
        Ok(Receive {
            folder,
            existing: match offer.existing {
                // Files that are there with other content are refused, one by one.
                Existing::Overwrite if !may_replace => Existing::Refuse,
                granted => granted,
            },
            quota: self.quota.clone(),
            reserve: self.settings.reserve,
            ..Receive::default()
        })
    }

    /// Where files go. Nobody chooses where the inbox is.
    fn target(&self, target: &str) -> Result<RelPath, Refusal> {
        let path = questions::path(target)?;
        let inbox = self.tree.inbox.as_deref();
        match inbox {
            Some(inbox) if path.is_root() => {
                RelPath::new(inbox).ok_or_else(|| Refusal::new(Code::BadName, "no inbox"))
            }
            Some(inbox) if !self.tree.is_in_inbox(&path) => {
                let reason = format!("what is sent goes to /{inbox} here");
                Err(Refusal::new(Code::Denied, reason))
            }
            Some(_) => Ok(path),
            None if self.tree.is_shared(&path) => {
                Err(Refusal::new(Code::Denied, format!("/{path} is for reading only")))
            }
            None => Ok(path),
        }
    }
}

fn allow(is_allowed: bool, what: &str) -> Result<(), Refusal> {
    let refusal = || Refusal::new(Code::Denied, format!("{what} is not permitted from there"));
    if is_allowed { Ok(()) } else { Err(refusal()) }
}

fn quota(dir: &Path, limit: u64) -> Result<Quota, Failure> {
    let used = questions::measure(&mut Folder::new(dir)).map_err(|error| {
        let what = format!("the folder of files {} cannot be read: {error}", dir.display());
        Failure::new(Exit::Config, what)
    })?;
    if used >= limit {
        log::warn!(
            "{} holds {}, and may hold {}: no files will be received (--files-quota)",
            dir.display(),
            show_size(used),
            show_size(limit)
        );
    }
    Ok(Quota::new(limit, used))
}

#[cfg(test)]
mod tests {
    use anabranch_core::files::Token;

    use super::*;
    use crate::cli::server::files::Share;

    fn settings(dir: &Path) -> Settings {
        Settings {
            dir: Some(dir.to_owned()),
            shares: vec![Share { name: "docs".to_owned(), dir: dir.to_owned() }],
            inbox: None,
            read: "10.0.0.0/8".parse().unwrap(),
            write: Who::anyone(),
            replace: Who::loopback(),
            manage: Who::loopback(),
            quota: Some(1000),
            reserve: 7,
            store: "store".into(),
        }
    }

    fn peer(first: &str, now: &str) -> Peer {
        Peer {
            first: first.parse().unwrap(),
            now: (now.parse::<std::net::IpAddr>().unwrap(), 5).into(),
        }
    }

    fn offer() -> Offer {
        Offer::new(Token([1; 16]))
    }

    #[test]
    fn permissions_go_by_both_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy::new(settings(dir.path())).unwrap();
        assert!(policy.may_read(peer("10.0.0.1", "10.0.0.2")).is_ok());
        for moved in [peer("10.0.0.1", "192.0.2.1"), peer("192.0.2.1", "10.0.0.1")] {
            assert_eq!(policy.may_read(moved).unwrap_err().code, Code::Denied);
        }
        let near = peer("127.0.0.1", "127.0.0.1");
        assert!(policy.may_manage(near).is_ok() && policy.may_remove(near).is_ok());
        let far = peer("127.0.0.1", "192.0.2.1");
        assert!(policy.may_manage(far).is_err() && policy.may_remove(far).is_err());
        assert!(policy.sight(near).inbox && !policy.sight(far).inbox);
    }

    #[test]
    fn offers_are_granted_as_far_as_permitted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("old"), [0; 100]).unwrap();
        let policy = Policy::new(settings(dir.path())).unwrap();
        let (near, far) = (peer("127.0.0.1", "127.0.0.1"), peer("192.0.2.1", "192.0.2.1"));
        let quota = policy.quota.as_ref().unwrap();
        assert_eq!((quota.used(), quota.limit()), (100, 1000));
        use Existing::{Overwrite, Refuse, Rename, Skip};
        for (peer, wish, granted) in [
            (near, Overwrite, Overwrite),
            (far, Overwrite, Refuse),
            (far, Skip, Skip),
            (far, Rename, Rename),
            (far, Refuse, Refuse),
        ] {
            let offer = Offer { existing: wish, ..offer() };
            let receive = policy.receive(peer, &offer).unwrap();
            assert_eq!((receive.existing, receive.reserve), (granted, 7));
        }
        let refused = |offer: Offer| policy.receive(far, &offer).unwrap_err().code;
        assert_eq!(refused(Offer { bytes: Some(1001), ..offer() }), Code::NoSpace);
        for (target, code) in [("../x", Code::BadName), ("docs", Code::Denied)] {
            assert_eq!(refused(Offer { target: target.into(), ..offer() }), code, "{target}");
        }
        let deep = Offer { target: "/a/docs/".into(), ..offer() };
        assert_eq!(policy.receive(far, &deep).unwrap().folder.as_str(), "a/docs");
        let nobody = Settings { write: Who::default(), ..settings(dir.path()) };
        let closed = Policy::new(nobody).unwrap();
        assert_eq!(closed.receive(near, &offer()).unwrap_err().code, Code::Denied);
        let shares = Policy::new(Settings { dir: None, ..settings(dir.path()) }).unwrap();
        assert_eq!(shares.receive(near, &offer()).unwrap_err().code, Code::Denied);
    }

    #[test]
    fn with_an_inbox_everything_goes_there() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Settings { inbox: Some("in".to_owned()), ..settings(dir.path()) };
        let policy = Policy::new(inbox).unwrap();
        let near = peer("127.0.0.1", "127.0.0.1");
        let folder = |target: &str| {
            let offer = Offer { target: target.to_owned(), ..offer() };
            policy.receive(near, &offer).map(|receive| receive.folder.to_string())
        };
        for (target, is) in [("", "in"), ("/", "in"), ("in/a", "in/a"), ("/in", "in")] {
            assert_eq!(folder(target).unwrap(), is);
        }
        for target in ["a", "inn", "docs"] {
            let refusal = folder(target).unwrap_err();
            assert_eq!(refusal.code, Code::Denied);
            assert!(refusal.reason.contains("/in"), "{}", refusal.reason);
        }
    }
}
