//! Command lines of the benchmarks: one word, and `--key value` or `--key`.

use std::str::FromStr;

/// The arguments of a program.
#[derive(Clone, Debug)]
pub struct Args(Vec<String>);

impl Args {
    /// Those of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The first argument, if it is a word.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        self.0.first().map(String::as_str).filter(|word| !word.starts_with('-'))
    }

    /// Whether `--key` is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|arg| arg.strip_prefix("--") == Some(key))
    }

    /// What follows `--key`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg.strip_prefix("--") == Some(key))?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// What follows `--key`, or a default.
    ///
    /// # Errors
    /// It is something else than a `T`.
    pub fn get<T: FromStr>(&self, key: &str, default: T) -> Result<T, String> {
        match self.value(key) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{text:?} is no value for --{key}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_flags_and_values() {
        let args = Args(["play", "--runs", "3", "--quick"].map(str::to_owned).to_vec());
        assert_eq!(args.word(), Some("play"));
        assert!(args.has("quick") && !args.has("runs3"));
        assert_eq!(args.get("runs", 5), Ok(3));
        assert_eq!(args.get("size", 7), Ok(7));
        assert!(args.get::<u8>("quick", 0).is_ok());
        assert!(Args(vec!["--runs".into(), "x".into()]).get("runs", 5).is_err());
    }
}
