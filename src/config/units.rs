//! Quantities as people write them: durations such as `1h30m` and sizes such as `512Mi`. A number without its unit is
//! refused, because nobody can see which unit was meant.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Reason;

/// A duration written with units, `1h30m`. A day is 24 hours and a week 7 days, whatever the clocks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// A number of bytes written with its unit: `1Gi` is 2^30, `1G` is 10^9, `100B` is 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// From the longest to the shortest, in milliseconds.
const PERIOD_UNITS: [(&str, u128); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Binary units first, so that 1073741824 is shown as `1Gi`.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
    ("B", 1),
];

impl Period {
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let refused =
            |why: &str| Reason(format!("`{text}` is not a duration: {why}, for example `90s`, `1h30m` or `7d`"));
        if text.starts_with('-') {
            return Err(refused("it must not be negative"));
        }
        let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
        let units: Vec<&str> = text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(refused("write a whole number with its unit"));
        }
        if numbers.len() != units.len() {
            return Err(refused("a number needs a unit"));
        }
        if let Some(unknown) = units.iter().find(|unit| !PERIOD_UNITS.iter().any(|(known, _)| known == *unit)) {
            return Err(refused(&format!("`{unknown}` is not one of the units w, d, h, m, s, ms")));
        }
        let span =
            SpanParser::new().parse_span(text).map_err(|_| refused("write each unit once, the longest first"))?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refused("it is too long"))?;
        Duration::try_from(duration).map(Self).map_err(|_| refused("it must not be negative"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return formatter.write_str("0s");
        }
        // Nobody says `1w19h`: weeks are understood, never written.
        for (unit, milliseconds) in &PERIOD_UNITS[1..] {
            if rest >= *milliseconds {
                write!(formatter, "{}{unit}", rest / milliseconds)?;
                rest %= milliseconds;
            }
        }
        Ok(())
    }
}

impl FromStr for Size {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let refused = |why: &str| Reason(format!("`{text}` is not a size: {why}, for example `512Mi`, `1Gi` or `10G`"));
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        if number.is_empty() {
            return Err(refused("write a whole number with its unit"));
        }
        if unit.is_empty() {
            return Err(refused("a number needs a unit"));
        }
        let (_, factor) = SIZE_UNITS
            .iter()
            .find(|(known, _)| *known == unit)
            .ok_or_else(|| refused(&format!("`{unit}` is not one of the units B, k, Ki, M, Mi, G, Gi, T, Ti")))?;
        let number: Option<u64> = number.parse().ok();
        number.and_then(|number| number.checked_mul(*factor)).map(Self).ok_or_else(|| refused("it is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZE_UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (unit, factor) = exact.copied().unwrap_or(("B", 1));
        write!(formatter, "{}{unit}", self.0 / factor)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "pattern": "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "examples": ["90s", "1h30m", "7d"]
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(B|k|[MGT]|[KMGT]i)$",
            "examples": ["512Mi", "1Gi", "10G"]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> u64 {
        text.parse::<Period>().unwrap().0.as_secs()
    }

    fn refusal<T: FromStr<Err = Reason> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        assert_eq!(seconds("90s"), 90);
        assert_eq!(seconds("15m"), 900);
        assert_eq!(seconds("1h30m"), 5_400);
        assert_eq!(seconds("26h"), 93_600);
        assert_eq!(seconds("1w"), seconds("7d"));
        assert_eq!("250ms".parse::<Period>().unwrap().0, Duration::from_millis(250));
    }

    #[test]
    fn a_duration_that_leaves_room_for_guessing_is_refused() {
        assert_eq!(
            refusal::<Period>("15"),
            "`15` is not a duration: a number needs a unit, for example `90s`, `1h30m` or `7d`"
        );
        assert!(refusal::<Period>("-5m").contains("must not be negative"));
        assert!(refusal::<Period>("3 months").contains("` months` is not one of the units"));
        assert!(refusal::<Period>("1h30").contains("a number needs a unit"));
        assert!(refusal::<Period>("30m1h").contains("the longest first"));
        assert!(refusal::<Period>("99999999999999999999h").contains("is not a duration"));
        for text in ["", "m", "1.5h", "+1h", "1h30m ago", "01:00:00", "PT1H", "1h ", "½h", "5µs"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_know_binary_and_decimal_units() {
        assert_eq!("1Gi".parse::<Size>().unwrap(), Size(1 << 30));
        assert_eq!("10G".parse::<Size>().unwrap(), Size(10_000_000_000));
        assert_eq!("100B".parse::<Size>().unwrap(), Size(100));
        assert_eq!(
            refusal::<Size>("1024"),
            "`1024` is not a size: a number needs a unit, for example `512Mi`, `1Gi` or `10G`"
        );
        assert!(refusal::<Size>("99999999Ti").contains("it is too large"));
        for text in ["", "Gi", "-1Gi", "1.5Gi", "1 Gi", "1gb", "1GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_the_same(milliseconds in 0..10_000_000_000_000u64, bytes in any::<u64>()) {
            let period = Period(Duration::from_millis(milliseconds));
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>().unwrap(), Size(bytes));
        }
    }
}
