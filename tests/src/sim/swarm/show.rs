//! All options of a world in one line.

use std::fmt;
use std::time::Duration;

use super::{Faults, Swarm};
use crate::link::{LinkConfig, Ratio};

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "servers {}, clients {}", self.servers, self.clients)?;
        write!(f, ", chaos {:?}, clips", self.chaos)?;
        for clip in &self.clips {
            write!(f, " {}", clip.len)?;
            if let Some(bitrate) = clip.bitrate {
                write!(f, "@{bitrate}")?;
            }
        }
        write!(f, ", acts {:?}/{:?}", self.client_every, self.server_every)?;
        write!(f, ", mix {:?}", self.mix)?;
        write!(f, ", paced {}, live {}", Share(self.paced), Share(self.live))?;
        write!(f, ", classic {}", Share(self.classic))?;
        write!(f, ", supply {:?}, slow readers {}", self.supply_delay, self.slow_readers)?;
        let media = &self.server.media;
        write!(f, ", retry {:?}, chunk {}", self.server.retry, media.max_chunk)?;
        write!(f, ", heartbeat {}/{} s", media.keepalive, media.timeout)?;
        write!(f, ", pacing {:?}, burst {:?}", media.pacing, media.startup_burst)?;
        write!(f, ", keep-alive {:?}", self.client.keep_alive)?;
        write!(f, ", handshake {:?}", self.client.handshake_timeout)?;
        write!(f, ", idle {:?}", self.stack.idle_timeout)?;
        write!(f, ", datagram {}", self.stack.max_datagram)?;
        write!(f, ", discovery {}", self.stack.discover_mtu)?;
        write!(f, ", file window {}", self.file_window)?;
        write!(f, ", recorded {}", self.record.is_some())?;
        match &self.disk {
            None => write!(f, ", no disks")?,
            Some(disk) => write!(
                f,
                ", disks {} bytes {:?}+{:?}, errors {} {} {}, {:?}",
                disk.capacity,
                disk.latency,
                disk.jitter,
                Share(disk.read_error),
                Share(disk.write_error),
                Share(disk.sync_error),
                disk.order
            )?,
        }
        write!(f, ", faults {}, links", self.faults)?;
        for (up, down) in &self.access {
            write!(f, " [{} | {}]", Line(up), Line(down))?;
        }
        let nats = self.nats.iter().map(|nat| match nat {
            None => "none".to_owned(),
            Some(nat) => format!("{:?}/{:?}/{:?}", nat.mapping, nat.filtering, nat.timeout),
        });
        write!(f, ", translators {}", nats.collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("crash-server", self.crash_server),
            ("crash-client", self.crash_client),
            ("partition", self.partition),
            ("blackhole", self.blackhole),
            ("rebind", self.rebind),
            ("weather", self.weather),
            ("garbage", self.garbage),
            ("rogue", self.rogue),
        ];
        let every = |(name, every): (&str, Option<Duration>)| Some(format!("{name} {:?}", every?));
        let some: Vec<String> = all.into_iter().filter_map(every).collect();
        f.write_str(if some.is_empty() { "none" } else { "" })?;
        f.write_str(&some.join(" "))
    }
}

struct Share(Ratio);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.num, self.0.den)
    }
}

struct Line<'a>(&'a LinkConfig);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.0;
        write!(f, "{:?}+{:?}", link.latency, link.jitter)?;
        if let Some(rate) = link.bytes_per_second {
            write!(f, " {rate} B/s queue {}", link.queue_bytes)?;
        }
        let damages = [
            ("loss", link.loss),
            ("copy", link.duplicate),
            ("late", link.reorder),
            ("flip", link.corrupt),
            ("cut", link.truncate),
        ];
        for (name, ratio) in damages {
            if ratio.num > 0 {
                write!(f, " {name} {}", Share(ratio))?;
            }
        }
        if link.reorder.num > 0 || link.duplicate.num > 0 {
            write!(f, " by {:?}", link.reorder_by)?;
        }
        if let Some(burst) = link.burst {
            let (enter, leave) = (Share(burst.enter), Share(burst.leave));
            write!(f, " bursts {enter} {leave} {}", Share(burst.loss))?;
        }
        if let Some(mtu) = link.mtu {
            write!(f, " mtu {mtu}")?;
        }
        Ok(())
    }
}
