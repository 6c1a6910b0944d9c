//! Checks that many keys share; each notes what it finds and lets its caller go on.

use std::collections::HashSet;
use std::time::Duration;

use crate::config::mistakes::{Mistakes, Placed};
use crate::config::units::Period;

/// A source's name is the value of a label in Kubernetes, which has no room for more.
const SOURCE_NAME_BYTES: usize = 63;

/// A part may not be given more time than the whole.
pub(super) fn check_order(part: (&str, &Placed<Period>), whole: (&str, &Placed<Period>), mistakes: &mut Mistakes) {
    let ((part, shorter), (whole, longer)) = (part, whole);
    if shorter.value > longer.value {
        let message = format!("limit `{part}` ({}) is longer than limit `{whole}` ({})", shorter.value, longer.value);
        mistakes.add(shorter.place.or(longer.place), message);
    }
}

pub(super) fn positive(key: &str, period: &Placed<Period>, mistakes: &mut Mistakes) -> Duration {
    if period.value.0.is_zero() {
        mistakes.add(period.place, format!("`{key}` must be longer than zero"));
    }
    period.value.0
}

pub(super) fn check_not_empty(key: &str, text: &Placed<String>, mistakes: &mut Mistakes) {
    if text.value.trim().is_empty() {
        mistakes.add(text.place, format!("`{key}` is empty"));
    }
}

/// Names that become labels of metrics and objects, and parts of file names.
pub(super) fn check_name(key: &str, name: &Placed<String>, mistakes: &mut Mistakes) {
    let Placed { value, place } = name;
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let has_ends =
        value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !is_plain || !has_ends || value.len() > SOURCE_NAME_BYTES {
        let message = format!(
            "`{key}`: `{value}` must be at most {SOURCE_NAME_BYTES} letters, digits, `.`, `_` and `-`, with a letter or \
             digit at both ends"
        );
        mistakes.add(*place, message);
    }
}

pub(super) fn check_unique<'a>(what: &str, names: impl Iterator<Item = &'a Placed<String>>, mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(&name.value) {
            mistakes.add(name.place, format!("{what} `{}`", name.value));
        }
    }
}
