//! What is said of a course while it goes on.

use anabranch_driver_smol::client::Notice;
use serde_json::json;

use super::Course;
use crate::transfer::view::Way;
use crate::units::{clean, show_duration, show_size};

impl Course {
    pub(super) fn accepted(&self) {
        self.view.borrow_mut().accept();
        let (total, entries) = {
            let view = self.view.borrow();
            (view.total, view.entries)
        };
        let label = self.plan.label();
        let fields = json!({"bytes": total, "entries": entries, "label": label});
        let view = self.view.borrow();
        let size = total.map(|total| format!(", {}", show_size(total))).unwrap_or_default();
        let words = match view.way {
            Way::Send => format!("sending {label}{size} to {}", view.server),
            Way::Get => format!("getting {label}{size} from {}", view.server),
        };
        drop(view);
        let first = self.view.borrow().connections == 1;
        let words = if first { words.as_str() } else { "" };
        self.report.phase("accepted", self.about(fields), words);
    }

    /// The server has paused it, or would go on.
    pub(super) fn paused(&self, there: bool, reason: &str) {
        {
            let mut view = self.view.borrow_mut();
            view.paused.1 = there;
            view.settle();
        }
        let server = self.view.borrow().server.clone();
        let reason = clean(reason);
        let (phase, words) = match (there, reason.as_str()) {
            (true, "") => ("paused", format!("{server} has paused it")),
            (true, reason) => ("paused", format!("{server} has paused it: {reason}")),
            (false, _) => ("resumed", format!("{server} goes on")),
        };
        let fields = self.about(json!({"by": "server", "reason": reason}));
        self.report.phase(phase, fields, &words);
    }

    pub(super) fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Hello { agent } => log::info!("the server is {}", clean(agent)),
            Notice::Moved(path) => log::info!("the connection moved to {}", path.remote),
            Notice::GoAway { left } => {
                let (server, left) = (self.view.borrow().server.clone(), show_duration(*left));
                self.report.warning(&format!("{server} is shutting down, in {left} at the latest"));
            }
        }
    }
}
