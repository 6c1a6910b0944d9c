//! One run of a command: when it began, and its id, unique and a name for everything that it makes.

use jiff::Timestamp;

/// A run that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: String,
    pub started_at: Timestamp,
}

impl Run {
    pub fn begin() -> Self {
        let started_at = Timestamp::now();
        Self { id: new_run_id(started_at), started_at }
    }
}

/// Everything that a run makes is named so, followed by its id.
pub const PREFIX: &str = "walproof-";

/// `20261121t124500z-a1b2c3`: a second, and six random hexadecimal digits.
pub fn new_run_id(now: Timestamp) -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds each of these from the operating system's randomness.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish() & 0xFF_FFFF;
    format!("{}-{random:06x}", now.strftime("%Y%m%dt%H%M%Sz"))
}

pub fn is_run_id(text: &str) -> bool {
    let shape = "ddddddddtddddddz-hhhhhh";
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            other => byte == other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_recognises_the_names_that_runs_give() {
        assert!(is_run_id(&new_run_id("2026-11-21T12:45:00Z".parse().unwrap())));
        assert!(!is_run_id("20261121t124500z-A1B2C3"));
        assert!(!is_run_id("data"));
    }
}
