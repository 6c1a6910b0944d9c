//! Shares of a whole as SVG writes them, and the axis of time. Positions are percents, so that a picture is as wide as
//! its page while its text keeps its size.

use std::fmt;

use jiff::Timestamp;

/// Between 0 and 100 %, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u64);

impl Percent {
    const WHOLE: u64 = 10_000;

    /// `part` of `whole`; of nothing it is nothing.
    pub fn of(part: u64, whole: u64) -> Self {
        let share = u128::from(part.min(whole)) * u128::from(Self::WHOLE) / u128::from(whole.max(1));
        Self(u64::try_from(share).unwrap_or(Self::WHOLE))
    }

    /// How far it is from `start` to here.
    pub fn since(self, start: Self) -> Self {
        Self(self.0.saturating_sub(start.0))
    }

    /// Text that begins here would leave the picture at its right.
    pub fn is_right(self) -> bool {
        self.0 > Self::WHOLE / 2
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

/// A stretch of time, drawn from left to right.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Axis {
    /// From the earliest to the latest of some moments; None when there is none.
    pub fn over(moments: impl Iterator<Item = Timestamp> + Clone) -> Option<Self> {
        Some(Self { from: moments.clone().min()?, to: moments.max()? })
    }

    /// Where a moment lies; one outside lies at the near end.
    pub fn at(self, moment: Timestamp) -> Percent {
        let milliseconds = |to: Timestamp| {
            let span = i128::from(to.as_millisecond()) - i128::from(self.from.as_millisecond());
            u64::try_from(span.max(0)).unwrap_or(u64::MAX)
        };
        Percent::of(milliseconds(moment), milliseconds(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_outside_of_its_whole() {
        for (part, whole, expected) in [
            (0, 10, "0.00%"),
            (1, 3, "33.33%"),
            (10, 10, "100.00%"),
            (11, 10, "100.00%"),
            (0, 0, "0.00%"),
            (u64::MAX, u64::MAX, "100.00%"),
        ] {
            assert_eq!(Percent::of(part, whole).to_string(), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn a_moment_outside_of_the_axis_lies_at_its_end() {
        let [early, from, middle, to, late] = [0, 100, 125, 200, 300].map(|s| Timestamp::from_second(s).unwrap());
        let axis = Axis::over([to, from].into_iter()).unwrap();
        let places = [early, from, middle, to, late].map(|moment| axis.at(moment).to_string());
        assert_eq!(places, ["0.00%", "0.00%", "25.00%", "100.00%", "100.00%"]);
        assert!(Axis::over(std::iter::empty()).is_none());
    }

    #[test]
    fn an_axis_of_one_moment_is_no_division_by_zero() {
        let axis = Axis { from: Timestamp::UNIX_EPOCH, to: Timestamp::UNIX_EPOCH };
        assert_eq!(axis.at(Timestamp::UNIX_EPOCH).to_string(), "0.00%");
    }
}
