//! What a peer asks for.

use anabranch_core::Code;
use anabranch_storage::{Kind, RelPath, Storage as _};
use anabranch_transfers::{Buffers, Giver, Measure, Origin, Send, Source};

use super::questions::Refusal;
use super::view::{Sight, Tree};
use crate::units::clean;

/// What was asked for, in a few words.
pub(super) fn label(paths: &[RelPath]) -> String {
    let names = paths.iter().map(|path| match path.split() {
        Some((_, name)) => name,
        None => "/",
    });
    let all = clean(&names.collect::<Vec<_>>().join(", "));
    let mut end = all.len().min(anabranch_core::limits::MAX_LABEL);
    while !all.is_char_boundary(end) {
        end -= 1;
    }
    all[..end].to_owned()
}

/// Looks at what is asked for.
pub(super) fn prepare(
    tree: &Tree,
    sight: Sight,
    paths: Vec<RelPath>,
    buffers: Buffers,
) -> Result<(Giver, Measure), Refusal> {
    let mut sources = Vec::new();
    for path in paths {
        let mut view = tree.view(sight);
        let shown = format!("/{path}");
        let status = view.status(&path).map_err(|error| Refusal::disk(&shown, error))?;
        if status.metadata.kind == Kind::Other {
            let reason = format!("{shown} is neither a file nor a folder");
            return Err(Refusal::new(Code::Unsupported, reason));
        }
        let name = path.split().map_or_else(String::new, |(_, name)| name.to_owned());
        sources.push(Source { name, origin: Origin::Disk { storage: Box::new(view), path } });
    }
    let mut giver = Giver::new(sources, Send::default(), buffers);
    let measure = giver.measure();
    Ok((giver, measure))
}
