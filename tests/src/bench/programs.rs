//! Builds the programs under test, and starts servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Outcome;
use super::proc::Running;

/// How long a server may take to open its port.
const START: Duration = Duration::from_secs(20);

/// The programs, built for release.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    scratch: PathBuf,
}

impl Programs {
    /// Builds them, and makes the folder that the benchmarks work in.
    ///
    /// # Errors
    /// The build fails, or the folder cannot be made.
    pub fn build() -> Outcome<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--release", "--locked", "--bins"])
            .args(["-p", "anabranch-apps", "-p", "anabranch-tests"])
            .status()?;
        if !built.success() {
            return Err("the programs cannot be built".into());
        }
        Self::beside_this_one()
    }

    /// Those that lie in the folder of this program.
    ///
    /// # Errors
    /// The folder for the benchmarks cannot be made.
    pub fn beside_this_one() -> Outcome<Self> {
        let here = std::env::current_exe()?;
        let folder = here.parent().ok_or("this program is in no folder")?.to_owned();
        let scratch = folder.parent().unwrap_or(&folder).join("bench");
        std::fs::create_dir_all(&scratch)?;
        Ok(Self { folder, scratch })
    }

    /// The folder for files of the benchmarks.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// A program.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.current_dir(&self.scratch).stdin(Stdio::null());
        command
    }

    /// Starts a server, and waits for the port it writes to the file of `--port-file`.
    ///
    /// # Errors
    /// It does not start, or opens no port.
    pub fn serve(&self, name: &str, args: &[&str]) -> Outcome<(Running, u16)> {
        let file = self.scratch.join(format!("{name}-{}.port", std::process::id()));
        let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        if let Err(error) = std::fs::remove_file(&file)
            && !gone(&error)
        {
            return Err(error.into());
        }
        let log = std::fs::File::create(self.scratch.join(format!("{name}.log")))?;
        let mut command = self.command(name);
        command.args(args).arg("--port-file").arg(&file);
        let mut running = Running(command.stdout(Stdio::null()).stderr(log).spawn()?);
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Ok(text) = std::fs::read_to_string(&file)
                && let Ok(port) = text.trim().parse()
            {
                std::fs::remove_file(&file)?;
                return Ok((running, port));
            }
            if let Some(status) = running.0.try_wait()? {
                return Err(format!("{name} ends with {status}; see {name}.log").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{name} opens no port").into())
    }
}

/// A number in a line of JSON.
#[must_use]
pub fn number(json: &str, key: &str) -> Option<f64> {
    serde_json::from_str::<serde_json::Value>(json).ok()?.get(key)?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_key() {
        let line = r#"{"event":"summary","bytes":12, "seconds": 0.5}"#;
        assert_eq!(number(line, "bytes"), Some(12.0));
        assert_eq!(number(line, "seconds"), Some(0.5));
        assert_eq!(number(line, "event"), None);
        assert_eq!(number(line, "byte"), None);
    }
}
