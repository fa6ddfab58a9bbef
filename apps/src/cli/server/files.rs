//! The settings about files.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

use super::parsed;
use crate::units;

/// Who may do something: everybody at these addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who(Vec<IpNet>);

impl Who {
    /// Everybody.
    #[must_use]
    pub fn anyone() -> Self {
        Self(vec![net([0; 4].into(), 0), net([0; 16].into(), 0)])
    }

    /// Programs on the same machine.
    #[must_use]
    pub fn loopback() -> Self {
        Self(vec![net([127, 0, 0, 0].into(), 8), net(std::net::Ipv6Addr::LOCALHOST.into(), 128)])
    }

    /// Whether somebody at this address is among them. An IPv4 address in an IPv6 one counts as
    /// what it is.
    #[must_use]
    pub fn includes(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }
}

fn net(ip: IpAddr, prefix: u8) -> IpNet {
    IpNet::new_assert(ip, prefix)
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for part in text.split(',').map(str::trim) {
            match part {
                "anyone" => all.0.extend(Self::anyone().0),
                "loopback" => all.0.extend(Self::loopback().0),
                "nobody" => {}
                _ => all.0.push(address(part)?),
            }
        }
        Ok(all)
    }
}

/// An address, or all those that begin like it.
fn address(text: &str) -> Result<IpNet, String> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    single.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
        format!(
            "{text:?} is nobody; write anyone, loopback, nobody, or addresses such as \
             192.0.2.7,10.0.0.0/8,2001:db8::/32"
        )
    })
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A folder that clients see under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The name.
    pub name: String,
    /// Where it is.
    pub dir: PathBuf,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, dir) = text
            .split_once('=')
            .filter(|(_, dir)| !dir.is_empty())
            .ok_or_else(|| format!("{text:?} is no share; write NAME=DIR"))?;
        Ok(Self { name: name_at_the_top(name)?, dir: dir.into() })
    }
}

/// The name of a folder at the top of what clients see.
fn name_at_the_top(text: &str) -> Result<String, String> {
    use anabranch_core::files::name::check_portable;
    check_portable(text).map_err(|bad| bad.to_string())?;
    if text.contains('/') {
        return Err(format!("{text:?} is not a name: it has a slash"));
    }
    Ok(text.to_owned())
}

/// How much may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// As much as the disk takes.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "unlimited" => Ok(Self::Unlimited),
            size => units::size(size).map(Self::Bytes),
        }
    }
}

/// Settings about files, each of which may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Serve the files in this folder, and put those that clients send into it
    #[arg(long = "files", value_name = "DIR", env = "ANABRANCH_FILES")]
    pub dir: Option<PathBuf>,
    /// Serve another folder too, as /NAME, into which nobody writes; may be given several times
    #[arg(long = "files-share", value_name = "NAME=DIR", env = "ANABRANCH_FILES_SHARE")]
    #[arg(value_delimiter = ',')]
    #[serde(rename = "share", deserialize_with = "parsed::shares")]
    pub shares: Option<Vec<Share>>,
    /// What clients send goes into this folder of DIR alone, which they cannot look into
    #[arg(long = "files-inbox", value_name = "NAME", env = "ANABRANCH_FILES_INBOX")]
    #[arg(value_parser = name_at_the_top)]
    #[serde(deserialize_with = "parsed::inbox")]
    pub inbox: Option<String>,
    /// Who may list and fetch: anyone, loopback, nobody, or addresses (10.0.0.0/8,...)
    /// [default: anyone]
    #[arg(long = "files-read", value_name = "WHO", env = "ANABRANCH_FILES_READ")]
    pub read: Option<Who>,
    /// Who may send new files [default: anyone]
    #[arg(long = "files-write", value_name = "WHO", env = "ANABRANCH_FILES_WRITE")]
    pub write: Option<Who>,
    /// Who may replace and remove files [default: loopback]
    #[arg(long = "files-replace", value_name = "WHO", env = "ANABRANCH_FILES_REPLACE")]
    pub replace: Option<Who>,
    /// Who may see, pause, resume and cancel transfers, and look into the inbox
    /// [default: loopback]
    #[arg(long = "files-manage", value_name = "WHO", env = "ANABRANCH_FILES_MANAGE")]
    pub manage: Option<Who>,
    /// How much DIR may hold in all, or "unlimited" [default: 10GiB]
    #[arg(long = "files-quota", value_name = "SIZE", env = "ANABRANCH_FILES_QUOTA")]
    #[serde(deserialize_with = "parsed::quota")]
    pub quota: Option<Quota>,
    /// How much stays free on DIR's disk [default: 1GiB]
    #[arg(long = "files-reserve", value_name = "SIZE", env = "ANABRANCH_FILES_RESERVE")]
    #[arg(value_parser = units::size)]
    #[serde(deserialize_with = "parsed::size")]
    pub reserve: Option<u64>,
    /// Where transfers are remembered [default: anabranch_transfers.redb]
    #[arg(long = "files-store", value_name = "FILE", env = "ANABRANCH_FILES_STORE")]
    pub store: Option<PathBuf>,
}

impl Files {
    /// These, and those of `file` that are left out here.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        Self {
            dir: self.dir.or(file.dir),
            shares: self.shares.or(file.shares),
            inbox: self.inbox.or(file.inbox),
            read: self.read.or(file.read),
            write: self.write.or(file.write),
            replace: self.replace.or(file.replace),
            manage: self.manage.or(file.manage),
            quota: self.quota.or(file.quota),
            reserve: self.reserve.or(file.reserve),
            store: self.store.or(file.store),
        }
    }
}

/// Values of the settings file.
pub(super) mod values {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer};

    use super::{Share, name_at_the_top};

    pub(in super::super) fn shares<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<Share>>, D::Error> {
        let table = BTreeMap::<String, PathBuf>::deserialize(from)?;
        let share =
            |(name, dir): (String, PathBuf)| Ok(Share { name: name_at_the_top(&name)?, dir });
        let all: Result<Vec<Share>, String> = table.into_iter().map(share).collect();
        all.map(Some).map_err(D::Error::custom)
    }

    pub(in super::super) fn inbox<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<String>, D::Error> {
        name_at_the_top(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::server::{Args, Settings};

    fn who(text: &str) -> Who {
        text.parse().unwrap()
    }

    #[test]
    fn people_are_known_by_their_addresses() {
        let includes = |text: &str, ip: &str| who(text).includes(ip.parse().unwrap());
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(includes("anyone", ip) && includes("loopback", ip), "{ip}");
            assert!(!includes("nobody", ip), "{ip}");
        }
        for ip in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "::2"] {
            assert!(includes("anyone", ip) && !includes("loopback", ip), "{ip}");
        }
        let some = "loopback, 10.0.0.0/8,192.0.2.7,2001:db8::/32";
        for ip in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8::7", "::1"] {
            assert!(includes(some, ip), "{ip}");
        }
        for ip in ["11.0.0.1", "192.0.2.8", "2001:db9::1"] {
            assert!(!includes(some, ip), "{ip}");
        }
        for text in ["", "everyone", "10.0.0.0/33", "localhost", "loopback,"] {
            assert!(text.parse::<Who>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn shares_have_names_at_the_top() {
        let share: Share = "docs=/srv/a=b".parse().unwrap();
        assert_eq!((share.name.as_str(), share.dir), ("docs", PathBuf::from("/srv/a=b")));
        for text in ["docs", "docs=", "=/srv", "a/b=/srv", "..=/srv", "con=/srv", "a:b=/srv"] {
            assert!(text.parse::<Share>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_file_gives_the_same_settings_as_flags() {
        let file: Settings = toml::from_str(
            "[files]\ndir = 'd'\ninbox = 'in'\nread = 'loopback'\nwrite = '10.0.0.0/8'\n\
             replace = 'nobody'\nmanage = '::1'\nquota = '2GiB'\nreserve = 5\nstore = 's'\n\
             [files.share]\ndocs = '/srv/docs'\nmusic = 'm'",
        )
        .unwrap();
        let flags = [
            "anabranchd",
            "--files=d",
            "--files-inbox=in",
            "--files-read=loopback",
            "--files-write=10.0.0.0/8",
            "--files-replace=nobody",
            "--files-manage=::1",
            "--files-quota=2GiB",
            "--files-reserve=5B",
            "--files-store=s",
            "--files-share=docs=/srv/docs",
            "--files-share=music=m",
        ];
        assert_eq!(Args::try_parse_from(flags).unwrap().settings, file);
        let unlimited: Settings = toml::from_str("[files]\nquota = 'unlimited'").unwrap();
        assert_eq!(unlimited.files.quota, Some(Quota::Unlimited));
        for wrong in ["inbox = '../x'", "share = { 'a/b' = 'c' }", "read = 'me'", "dirr = 'd'"] {
            let text = format!("[files]\n{wrong}");
            let error = toml::from_str::<Settings>(&text).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
    }
}
