//! The settings about files, made into what the server runs with.

use std::path::{Path, PathBuf};

use crate::cli::server::files::{self, Quota, Share, Who};
use crate::exit::{Exit, Failure, plain};

const DEFAULT_QUOTA: u64 = 10 << 30;
const DEFAULT_RESERVE: u64 = 1 << 30;
const DEFAULT_STORE: &str = "anabranch_transfers.redb";

/// What is served, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder that clients see as `/`, and send to.
    pub dir: Option<PathBuf>,
    /// Folders that they see as `/NAME`.
    pub shares: Vec<Share>,
    /// The name of the folder of `dir` that all they send goes into, and nobody looks into.
    pub inbox: Option<String>,
    /// Who may list and fetch.
    pub read: Who,
    /// Who may send new files.
    pub write: Who,
    /// Who may replace and remove files.
    pub replace: Who,
    /// Who may see and order transfers.
    pub manage: Who,
    /// Bytes that `dir` may hold. `None`: as many as the disk takes.
    pub quota: Option<u64>,
    /// Bytes that stay free on the disk.
    pub reserve: u64,
    /// Where transfers are remembered.
    pub store: PathBuf,
}

impl Files {
    /// `None`: no files are served.
    pub(super) fn new(chosen: files::Files) -> Result<Option<Self>, Failure> {
        let shares = chosen.shares.clone().unwrap_or_default();
        if chosen.dir.is_none() && shares.is_empty() {
            if chosen == files::Files::default() {
                return Ok(None);
            }
            let what = "settings of files mean nothing without a folder";
            return Err(Failure::new(Exit::Config, what).hint("add --files DIR"));
        }
        let mut names: Vec<&str> = shares.iter().map(|share| share.name.as_str()).collect();
        names.extend(chosen.inbox.as_deref());
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            let what = format!("two folders for files have the name {:?}", twice[0]);
            return Err(Failure::new(Exit::Config, what));
        }
        if chosen.inbox.is_some() && chosen.dir.is_none() {
            let what = "an inbox is a folder in that of --files, which is not given";
            return Err(Failure::new(Exit::Config, what));
        }
        Ok(Some(Self {
            shares,
            dir: chosen.dir,
            inbox: chosen.inbox,
            read: chosen.read.unwrap_or_else(Who::anyone),
            write: chosen.write.unwrap_or_else(Who::anyone),
            replace: chosen.replace.unwrap_or_else(Who::loopback),
            manage: chosen.manage.unwrap_or_else(Who::loopback),
            quota: match chosen.quota {
                Some(Quota::Unlimited) => None,
                Some(Quota::Bytes(bytes)) => Some(bytes),
                None => Some(DEFAULT_QUOTA),
            },
            reserve: chosen.reserve.unwrap_or(DEFAULT_RESERVE),
            store: chosen.store.unwrap_or_else(|| DEFAULT_STORE.into()),
        }))
    }

    /// Looks at the folders: they are there, and clients cannot get at what is not for them
    /// (`secrets`: what it is, and where). The folders' paths are then absolute.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&mut self, secrets: &[(&str, &Path)]) -> Result<(), Failure> {
        for dir in self.dir.iter_mut().chain(self.shares.iter_mut().map(|share| &mut share.dir)) {
            *dir = folder(dir)?;
        }
        let store = ("the list of transfers", self.store.as_path());
        for (what, path) in secrets.iter().copied().chain([store]) {
            let Ok(path) = absolute(path) else { continue };
            let mut folders = self.dir.iter().chain(self.shares.iter().map(|share| &share.dir));
            if let Some(dir) = folders.find(|dir| path.starts_with(dir)) {
                let (path, dir) = (path.display(), dir.display());
                let what = format!("{what}, {path}, is in the folder of files {dir}");
                return Err(Failure::new(Exit::Config, what)
                    .hint("whoever may fetch files could fetch it: keep it elsewhere"));
            }
        }
        if let (Some(dir), Some(_)) = (&self.dir, &self.inbox)
            && let Some(share) = self.shares.iter().find(|share| dir.starts_with(&share.dir))
        {
            let what = format!("the inbox could be looked into as /{}", share.name);
            return Err(Failure::new(Exit::Config, what).hint("share another folder"));
        }
        Ok(())
    }
}

fn folder(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |what: String| {
        Failure::new(Exit::Config, format!("the folder of files {}: {what}", path.display()))
    };
    let real = path.canonicalize().map_err(|error| wrong(plain(&error)))?;
    if real.is_dir() { Ok(real) } else { Err(wrong("it is not a folder".to_owned())) }
}

/// Where a file is, or would be.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    path.canonicalize().or_else(|_| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
        Ok(folder.join(path.file_name().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::server::Settings;

    fn files(text: &str) -> Result<Option<Files>, Failure> {
        Files::new(toml::from_str::<Settings>(&format!("[files]\n{text}")).unwrap().files)
    }

    #[test]
    fn files_are_served_if_there_is_a_folder_and_safely_unless_told_otherwise() {
        assert_eq!(files("").unwrap(), None);
        let files = files("dir = 'd'").unwrap().unwrap();
        let [far, near] = ["192.0.2.1", "127.0.0.1"].map(|ip| ip.parse().unwrap());
        assert!(files.read.includes(far) && files.write.includes(far));
        assert!(!files.replace.includes(far) && !files.manage.includes(far));
        assert!(files.replace.includes(near) && files.manage.includes(near));
        assert_eq!((files.quota, files.reserve), (Some(DEFAULT_QUOTA), DEFAULT_RESERVE));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let shares = "[files.share]\na = 'x'";
        for text in [
            "quota = 5",
            "inbox = 'a'",
            &format!("inbox = 'b'\n{shares}"),
            &format!("dir = 'd'\ninbox = 'a'\n{shares}"),
        ] {
            assert_eq!(files(text).unwrap_err().exit, Exit::Config, "{text}");
        }
        assert!(files(shares).unwrap().is_some());
    }

    #[test]
    fn what_is_secret_is_not_served() {
        let dir = tempfile::tempdir().unwrap();
        let [served, other] = ["served", "other"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(served.join("deep")).unwrap();
        std::fs::create_dir(&other).unwrap();
        let base = Files {
            dir: Some(served.join("deep/..")),
            store: other.join("store"),
            ..files("dir = 'd'").unwrap().unwrap()
        };
        let mut good = base.clone();
        good.check(&[("the key", &other.join("key"))]).unwrap();
        assert_eq!(good.dir, Some(served.canonicalize().unwrap()));
        for key in [served.join("key"), served.join("deep/key"), other.join("../served/key")] {
            let failure = base.clone().check(&[("the key", &key)]).unwrap_err();
            assert!(failure.to_string().contains("the key"), "{failure}");
        }
        let mut inside = Files { store: served.join("store"), ..base.clone() };
        assert!(inside.check(&[]).unwrap_err().to_string().contains("list of transfers"));
        let mut gone = Files { dir: Some(other.join("gone")), ..base.clone() };
        assert!(gone.check(&[]).unwrap_err().to_string().contains("No such file"));
        let share = Share { name: "all".to_owned(), dir: dir.path().to_owned() };
        let mut around = Files { shares: vec![share], inbox: Some("in".to_owned()), ..base };
        around.store = "/nowhere/store".into();
        assert!(around.check(&[]).unwrap_err().to_string().contains("/all"));
    }
}
