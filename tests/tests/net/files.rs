//! Files between two endpoints.

use std::time::Duration;

use anabranch_core::files::End;
use anabranch_core::transport::Offered;
use anabranch_tests::apps::{FilesApp, Source};
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const CLIENT: Who = Who::Client(0);

fn assorted() -> Vec<Source> {
    vec![
        Source::folder("tree"),
        Source::file("tree/empty", 1, 0),
        Source::file("tree/one", 2, 1),
        Source::file("tree/piece", 3, 64 << 10),
        Source::file("tree/piece and one", 4, (64 << 10) + 1),
        Source::file("tree/large", 5, 3_000_000),
        Source::open_ended("tree/pipe", 6, 1_000_000),
        Source::open_ended("tree/pipe of a piece", 7, 64 << 10),
        Source::open_ended("tree/empty pipe", 8, 0),
    ]
}

/// Who sends, and who starts it.
const WAYS: [(Who, bool); 4] =
    [(CLIENT, true), (CLIENT, false), (Who::Server, true), (Who::Server, false)];

#[test]
fn every_kind_of_file_arrives_in_every_way() {
    for (sender, pushes) in WAYS {
        for loss in [0, 3] {
            let mut options = Options::default();
            if loss > 0 {
                options.up = anabranch_tests::link::LinkConfig::rough(loss);
                options.down = anabranch_tests::link::LinkConfig::rough(loss);
            }
            let mut pair = Pair::new(1, options);
            let receiver = if sender == CLIENT { Who::Server } else { CLIENT };
            *pair.files(sender) = FilesApp::with(assorted());
            let conn = pair.up(0, Offered::V1);
            let starter = if pushes { sender } else { receiver };
            let conn = if starter == CLIENT { conn } else { pair.accepted()[0] };
            let key =
                if pushes { pair.push(starter, conn, "") } else { pair.pull(starter, conn, "") };
            let ended = pair.file_end(starter, key, SECONDS(60));
            assert_eq!(ended.how, End::Complete, "{sender:?} {pushes} {ended:?}");
            pair.run_for(SECONDS(2));
            pair.compare(sender, receiver);
            for who in [sender, receiver] {
                let ends: Vec<_> = pair.files(who).ended.values().map(|e| e.how.clone()).collect();
                assert_eq!(ends, [End::Complete], "{who:?}");
            }
        }
    }
}
