//! Repeated measurements.

use std::fmt::Write as _;

/// Measurements of one quantity.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one; of an even number, the upper of the two in the middle. NaN if there are
    /// none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// `median (min..max)`, with so many digits after the point.
    #[must_use]
    pub fn show(&self, digits: usize) -> String {
        let sorted = self.sorted();
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return "none".to_owned();
        };
        let mut text = format!("{:.digits$}", self.median());
        if sorted.len() > 1 {
            // Writing to a String cannot fail.
            let _ = write!(text, " ({min:.digits$}..{max:.digits$})");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let mut samples = Samples::default();
        assert_eq!(samples.show(1), "none");
        samples.push(3.0);
        assert_eq!(samples.show(1), "3.0");
        samples.push(1.0);
        samples.push(2.25);
        assert_eq!(samples.show(2), "2.25 (1.00..3.00)");
    }
}
