//! What a command wants to transfer, and how each connection begins with it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anabranch_core::files::{Accept, Names, Offer, Request, Token};
use anabranch_core::limits;
use anabranch_driver_smol::client::{RequestError, Transfer, TransferError};
use anabranch_storage::Folder;
use anabranch_transfers::{
    Buffers, Cache, Claims, Giver, Keeper, Measure, Origin, Printer, Receive, Source, Worker,
};

use super::view::Way;
use crate::cli::files::{Get, Send};
use crate::dial::{self, Link};
use crate::exit::{Exit, Failure};
use crate::units::{clean, count};

/// Standard input or output.
pub(super) const DASH: &str = "-";

/// What is to be transferred.
pub(super) enum Plan {
    Send(Sending),
    Get(Getting),
}

/// To a server.
pub(super) struct Sending {
    paths: Vec<PathBuf>,
    name: Option<String>,
    follow: bool,
    announce: anabranch_transfers::Send,
    offer: Offer,
    streams: Option<usize>,
    limit: Option<u64>,
    cache: Option<Cache>,
}

/// From a server.
pub(super) struct Getting {
    names: Vec<String>,
    /// `None`: standard output.
    root: Option<PathBuf>,
    receive: Receive,
    claims: Claims,
    limit: Option<u64>,
}

impl Plan {
    /// Which way the bytes go.
    pub(super) const fn way(&self) -> Way {
        match self {
            Self::Send(_) => Way::Send,
            Self::Get(_) => Way::Get,
        }
    }

    /// Whether it can be begun a second time: not with a pipe.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Send(sending) => !sending.is_piped(),
            Self::Get(getting) => getting.root.is_some(),
        }
    }

    /// For people: what it is.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Send(sending) => sending.offer.label.clone(),
            Self::Get(getting) => label(getting.names.iter().map(String::as_str)),
        }
    }

    /// Bytes and entries, where they are known.
    pub(super) const fn size(&self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::Send(sending) => (sending.offer.bytes, sending.offer.entries),
            Self::Get(_) => (None, None),
        }
    }

    /// What tells this transfer from others of the same user, as bytes.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let absolute = |path: &Path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            path.into_os_string().into_encoded_bytes()
        };
        match self {
            Self::Send(sending) => {
                parts.push(b"send".to_vec());
                parts.push(sending.offer.target.clone().into());
                parts.push(sending.name.clone().unwrap_or_default().into());
                parts.extend(sending.paths.iter().map(|path| absolute(path)));
            }
            Self::Get(getting) => {
                parts.push(b"get".to_vec());
                parts.push(getting.root.as_deref().map(absolute).unwrap_or_default());
                parts.push(getting.receive.top.clone().unwrap_or_default().into());
                parts.extend(getting.names.iter().map(|name| name.clone().into_bytes()));
            }
        }
        // With their lengths, so that no two lists look the same.
        let sized = parts.into_iter().flat_map(|part| [part.len().to_be_bytes().to_vec(), part]);
        sized.flatten().collect()
    }

    /// Begins with it on a connection.
    pub(super) async fn begin(&self, link: &Link, token: Token) -> Result<Transfer, Failure> {
        let (started, limit) = match self {
            Self::Send(sending) => {
                let worker = sending.worker(link.connection.buffers()).await?;
                let offer = Offer { token, ..sending.offer.clone() };
                (link.connection.offer_files(offer, worker).await, sending.limit)
            }
            Self::Get(getting) => {
                let accept = Accept { names: Names::Native, ..Accept::default() };
                let request = Request { token, names: getting.names.clone(), accept };
                let worker = getting.worker()?;
                (link.connection.request_files(request, worker).await, getting.limit)
            }
        };
        let transfer = started.map_err(|error| match error {
            TransferError::Request(error) => dial::request(&error, &link.name),
            TransferError::Thread(error) => {
                Failure::new(Exit::Temporary, format!("no thread for the disk: {error}"))
            }
        })?;
        let streams = match self {
            Self::Send(sending) => sending.streams,
            Self::Get(_) => None,
        };
        if streams.is_some() {
            went(transfer.set_streams(streams).await);
        }
        if limit.is_some() {
            went(transfer.set_limit(limit).await);
        }
        Ok(transfer)
    }
}

/// The transfer may be over already, which is told elsewhere.
pub(super) fn went(outcome: Result<(), RequestError>) {
    if let Err(error) = outcome {
        log::info!("{error}");
    }
}

impl Sending {
    /// Looks at what is to be sent. `servers`: to so many.
    pub(super) async fn new(args: &Send, servers: usize) -> Result<Self, Failure> {
        let usage = |text: &str| Err(Failure::new(Exit::Usage, text));
        let piped = args.paths.iter().any(|path| path == Path::new(DASH));
        if piped && servers > 1 {
            return usage("standard input can only be sent to one server");
        }
        if args.name.is_some() && args.paths.len() > 1 {
            return usage("--name is for a single file or folder");
        }
        if piped && args.paths.iter().filter(|path| *path == Path::new(DASH)).count() > 1 {
            return usage("there is only one standard input");
        }
        if args.into.len() > limits::MAX_PATH {
            return usage("the folder of --into has too long a name");
        }
        let course = &args.course;
        let mut sending = Self {
            paths: args.paths.clone(),
            name: args.name.clone(),
            follow: args.follow,
            announce: anabranch_transfers::Send {
                modes: !course.no_modes,
                times: !course.no_times,
                ..anabranch_transfers::Send::default()
            },
            offer: Offer::new(Token([0; 16])),
            streams: args.streams.0,
            limit: course.limit,
            cache: (servers > 1).then(Cache::default),
        };
        let names = sending.names()?;
        let measure = sending.measure().await?;
        sending.offer.label = label(names.iter().map(String::as_str));
        sending.offer.target.clone_from(&args.into);
        sending.offer.existing = course.policy.existing();
        sending.offer.entries = Some(measure.entries);
        sending.offer.bytes = measure.bytes;
        Ok(sending)
    }

    fn is_piped(&self) -> bool {
        self.paths.iter().any(|path| path == Path::new(DASH))
    }

    /// The names at the server.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let mut taken = BTreeSet::new();
        for path in &self.paths {
            let name = match &self.name {
                Some(name) => name.clone(),
                None if path == Path::new(DASH) => "stdin".to_owned(),
                None => name_of(path)?,
            };
            if !taken.insert(name.clone()) {
                let text = format!("two of them would be called {:?} at the server", clean(&name));
                return Err(Failure::new(Exit::Usage, text).hint("send them one by one"));
            }
        }
        Ok(taken.into_iter().collect())
    }

    /// How much there is. Blocks threads, not this one.
    async fn measure(&self) -> Result<Measure, Failure> {
        if self.is_piped() && self.paths.len() == 1 {
            return Ok(Measure { entries: 1, bytes: None });
        }
        let piped = u64::from(self.is_piped());
        let sources = self.disk_sources();
        let announce = self.announce;
        let measured = smol::unblock(move || {
            Ok(Giver::new(sources()?, announce, Buffers::default()).measure())
        });
        let Measure { entries, bytes } = measured.await?;
        let bytes = if piped > 0 { None } else { bytes };
        Ok(Measure { entries: entries + piped, bytes })
    }

    /// Opens what is on the disk, for another thread.
    fn disk_sources(
        &self,
    ) -> impl FnOnce() -> Result<Vec<Source>, Failure> + std::marker::Send + use<> {
        let (paths, name, follow) = (self.paths.clone(), self.name.clone(), self.follow);
        move || {
            let paths = paths.iter().filter(|path| *path != Path::new(DASH));
            paths.map(|path| source(path, name.as_deref(), follow)).collect()
        }
    }

    async fn worker(&self, buffers: Buffers) -> Result<Box<dyn Worker>, Failure> {
        let mut sources = smol::unblock(self.disk_sources()).await?;
        if self.is_piped() {
            let own = io::stdin().as_fd().try_clone_to_owned();
            let own = own.map_err(|error| Failure::reading(Path::new(DASH), &error))?;
            let name = self.name.clone().unwrap_or_else(|| "stdin".to_owned());
            sources.push(Source { name, origin: Origin::Pipe(Box::new(File::from(own))) });
        }
        let giver = Giver::new(sources, self.announce, buffers);
        Ok(match &self.cache {
            Some(cache) => Box::new(giver.with_cache(cache.clone())),
            None => Box::new(giver),
        })
    }
}

/// The last part of a path, through `.` and `..` if it ends with them.
fn name_of(path: &Path) -> Result<String, Failure> {
    let name = match path.file_name() {
        Some(name) => name.to_owned(),
        None => {
            let real = fs::canonicalize(path).map_err(|error| Failure::reading(path, &error))?;
            real.file_name().unwrap_or_default().to_owned()
        }
    };
    name.into_string().map_err(|_| {
        let text = format!("the name of {} is not UTF-8", path.display());
        Failure::new(Exit::NoInput, text).hint("give it another one with --name")
    })
}

fn source(path: &Path, name: Option<&str>, follow: bool) -> Result<Source, Failure> {
    let mut source = Source::at(path, follow).map_err(|error| {
        use anabranch_storage::Error;
        let exit = match error {
            Error::NotFound | Error::Denied | Error::NotAFile => Exit::NoInput,
            _ => Exit::Io,
        };
        let failure = Failure::new(exit, format!("cannot read {}: {error}", path.display()));
        match error {
            Error::NotAFile if !follow => failure.hint("send what a link points to with --follow"),
            _ => failure,
        }
    })?;
    source.name = match name {
        Some(name) => name.to_owned(),
        None => name_of(path)?,
    };
    Ok(source)
}

impl Getting {
    /// Looks at where to put it.
    pub(super) fn new(args: &Get) -> Result<Self, Failure> {
        let usage = |text: String| Err(Failure::new(Exit::Usage, text));
        if args.names.len() > limits::MAX_REQUEST_NAMES {
            let most = limits::MAX_REQUEST_NAMES;
            return usage(format!("at most {most} files and folders at once"));
        }
        let output = args.output.as_deref().unwrap_or(Path::new("."));
        let single = args.names.len() == 1;
        if output == Path::new(DASH) && !single {
            return usage("only one file can go to standard output".to_owned());
        }
        let (root, top) = match output {
            dash if dash == Path::new(DASH) => (None, None),
            folder if folder.is_dir() || !single || ends_as_folder(folder) => {
                (Some(folder.to_owned()), None)
            }
            file => {
                let parent = file.parent().filter(|parent| *parent != Path::new(""));
                (Some(parent.unwrap_or(Path::new(".")).to_owned()), Some(name_of(file)?))
            }
        };
        if let Some(root) = &root {
            fs::create_dir_all(root).map_err(|error| Failure::creating(root, &error))?;
        }
        let course = &args.course;
        let receive = Receive {
            top,
            existing: course.policy.existing(),
            modes: !course.no_modes,
            times: !course.no_times,
            sync: !args.no_sync,
            ..Receive::default()
        };
        let (names, limit) = (args.names.clone(), course.limit);
        Ok(Self { names, root, receive, claims: Claims::default(), limit })
    }

    fn worker(&self) -> Result<Box<dyn Worker>, Failure> {
        let Some(root) = &self.root else {
            let own = io::stdout().as_fd().try_clone_to_owned();
            let own = own.map_err(|error| Failure::writing("standard output", &error))?;
            return Ok(Box::new(Printer::new(Box::new(File::from(own)))));
        };
        let disk = Box::new(Folder::new(root));
        Ok(Box::new(Keeper::new(disk, self.claims.clone(), self.receive.clone())))
    }
}

/// Written with a slash at its end.
fn ends_as_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// What people call it, short enough to be told.
fn label<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = match names.len() {
        0 | 1 => String::new(),
        len => format!(" and {}", count(len - 1, "other")),
    };
    let first: String = names.first().map(|name| clean(name)).unwrap_or_default();
    let mut end = first.len().min(limits::MAX_LABEL - more.len());
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{more}", &first[..end])
}

#[cfg(test)]
mod tests;
