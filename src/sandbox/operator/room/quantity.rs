//! Kubernetes quantities: `10Gi`, `500M`, `1.5Ti`, `250m`, `12e6`. The API has them as text only.

/// In thousandths, rounded up; None for what is no quantity, is negative, or is beyond 2^127 thousandths.
pub fn thousandths(text: &str) -> Option<u128> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, shift) = scale(suffix)?;
    let shift = shift + 3 - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(times)?;
    let power = 10_u128.checked_pow(shift.unsigned_abs())?;
    if shift < 0 { Some(scaled.div_ceil(power)) } else { scaled.checked_mul(power) }
}

/// In whole units, rounded up.
pub fn units(text: &str) -> Option<u64> {
    u64::try_from(thousandths(text)?.div_ceil(1000)).ok()
}

/// What a suffix multiplies by: a factor, and a power of ten.
fn scale(suffix: &str) -> Option<(u128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        exponent => (1, exponent.strip_prefix(['e', 'E'])?.parse().ok().filter(|power| (-30..=30).contains(power))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_quantity_is_read() {
        for (text, expected) in [
            ("0", 0),
            ("10Gi", 10 << 30),
            ("500M", 500_000_000),
            ("1.5Ti", 3 << 39),
            ("100000k", 100_000_000),
            ("2147483648", 2 << 30),
            ("12e6", 12_000_000),
            ("12E6", 12_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("1.5e3", 1500),
            ("+3Ki", 3072),
            (".5Ki", 512),
            ("5.", 5),
            ("128974848000m", 128_974_848),
            ("1m", 1),
            ("1500e-3", 2),
        ] {
            assert_eq!(units(text), Some(expected), "{text}");
        }
        assert_eq!(thousandths("50m"), Some(50));
        assert_eq!(thousandths("0.05"), Some(50));
        assert_eq!(thousandths("1n"), Some(1));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        let long = "9".repeat(60);
        for text in ["", "Gi", ".", "1.2.3", "-1", "10gi", "10 Gi", "ten", "1e", "1e999", "0x10", "99999999E", &long] {
            assert_eq!(units(text), None, "{text}");
        }
    }
}
