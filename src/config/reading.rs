//! Reading the file. The YAML library stops at the first mistake, so the entry at fault is blanked out and the text
//! read again, until nothing new is found.

use std::path::Path;

use serde_saphyr::Error as YamlError;

use super::Config;
use super::mistakes::{Mistakes, Place};
use super::outline::{Entry, Outline};
use crate::error::Error;

/// More mistakes than a person mends in one go.
const ATTEMPTS: usize = 50;

impl Config {
    /// Reads and parses a file; every failure is wrong usage.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file_name = path.display().to_string();
        let refused = || Error::usage(format!("read the configuration {file_name}"));
        let bytes = std::fs::read(path).map_err(|error| {
            refused().because(error).hint("name the configuration file with --config, and see that it can be read")
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|error| refused().because(error.utf8_error()).hint("save the file as UTF-8"))?;
        Self::parse(&text, &file_name)
            .map_err(|mistakes| refused().because(mistakes).hint("`walproof config schema` prints every key and value"))
    }

    /// The configuration in `text`, or all mistakes in its structure. `file_name` is only used to name them.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::new(file_name);
        let mut error = match serde_saphyr::from_str::<Self>(text) {
            Ok(config) => return Ok(Self { file_name: file_name.to_owned(), ..config }),
            Err(error) => error,
        };
        let outline = if is_about_yaml_itself(&error) { None } else { Outline::of(text).ok() };
        let Some(mut outline) = outline else {
            mistakes.add(place(&error), message(&error));
            return Err(mistakes);
        };
        if outline.is_empty() {
            mistakes.add(None, "the file is empty: it needs at least the key `sources`");
            return Err(mistakes);
        }
        let mut remaining = text.to_owned();
        for _ in 0..ATTEMPTS {
            let Some(next) = blank_out(&mut outline, &remaining, &error, &mut mistakes) else { break };
            remaining = next;
            match serde_saphyr::from_str::<Self>(&remaining) {
                // What is left may be no YAML any more: that is not the writer's mistake.
                Err(next) if !is_about_yaml_itself(&next) => error = next,
                _ => break,
            }
        }
        Err(mistakes)
    }
}

/// Notes the mistake unless an earlier one caused it, and gives the text without its entry; none when the entry is the
/// whole document.
fn blank_out(outline: &mut Outline, text: &str, error: &YamlError, mistakes: &mut Mistakes) -> Option<String> {
    let error = error.without_snippet();
    let Some(offset) = error.location().and_then(|location| location.span().byte_offset()) else {
        mistakes.add(place(error), message(error));
        return None;
    };
    let offset = usize::try_from(offset).ok()?;
    let mut place = place(error);
    let (entry, is_consequence) = match error {
        YamlError::SerdeMissingField { .. } => {
            let entry = outline.mapping_with(offset).or_else(|| outline.at(offset))?;
            // The library names the mapping's last key, a person begins to look at its first.
            place = outline.first_within(entry).map(Entry::place).or(place);
            (entry, outline.lacks_a_child(entry))
        }
        // The anchor went with an entry that was blanked out.
        YamlError::UnknownAnchor { .. } => (outline.at(offset)?, !mistakes.is_empty()),
        YamlError::Unexpected { .. } => {
            let entry = outline.expected_at(offset)?;
            (entry, outline.is_damaged(entry))
        }
        _ => {
            let entry = outline.at(offset)?;
            (entry, outline.is_damaged(entry))
        }
    };
    if !is_consequence {
        let found = outline.entry(entry);
        let is_within = (found.bytes.start..=found.bytes.end).contains(&offset);
        mistakes.add(if is_within { place } else { Some(found.place()) }, message(error));
    }
    outline.entry(entry).parent?;
    Some(outline.blank(entry, text))
}

/// Whether the text is no single YAML document, so that nothing can be said about its entries.
fn is_about_yaml_itself(error: &YamlError) -> bool {
    matches!(
        error.without_snippet(),
        YamlError::ExternalMessage { .. } | YamlError::MultipleDocuments { .. } | YamlError::Budget { .. }
    )
}

fn place(error: &YamlError) -> Option<Place> {
    error.location().and_then(Place::of)
}

/// The library's finding in the words of somebody who writes YAML, not Rust.
fn message(error: &YamlError) -> String {
    match error.without_snippet() {
        YamlError::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        YamlError::SerdeUnknownVariant { variant, expected, .. } => unknown("choice", variant, expected),
        YamlError::SerdeMissingField { field, .. } => format!("missing key `{field}`"),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => format!("key `{key}` appears twice"),
        YamlError::DuplicateMappingKey { .. } => "a key appears twice".into(),
        YamlError::Unexpected { expected: "sequence start", .. } => "expected a list".into(),
        YamlError::Unexpected { expected: "mapping start", .. } => {
            "expected keys with values, such as `{key: value}`".into()
        }
        YamlError::Unexpected { expected: "string scalar", .. } => "expected a single value".into(),
        YamlError::NullIntoString { .. } => "expected a value, found nothing".into(),
        YamlError::InvalidScalar { ty: "u16", .. } => "expected a whole number from 0 to 65535".into(),
        YamlError::InvalidScalar { ty: "u64", .. } => "expected a whole number".into(),
        YamlError::UnexpectedValueForUnitEnumVariant { .. } => {
            "this choice takes no value: write its name alone".into()
        }
        YamlError::ExpectedMappingEndAfterEnumVariantValue { .. } => "only one of these choices can be made".into(),
        YamlError::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => "expected one choice".into(),
        YamlError::Message { msg, .. } => msg.clone(),
        YamlError::ExternalMessage { msg, .. } => format!("this is not valid YAML: {msg}"),
        YamlError::MultipleDocuments { .. } => "expected one YAML document, found several".into(),
        YamlError::UnknownAnchor { .. } => "this alias names no anchor".into(),
        YamlError::AliasError { error, .. } => message(error),
        other => without_place(&other.to_string()),
    }
}

fn unknown(what: &str, found: &str, expected: &[&str]) -> String {
    // The library writes a key without a value as a tilde.
    let found = if matches!(found, "~" | "") { format!("missing {what}") } else { format!("unknown {what} `{found}`") };
    let expected: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
    match expected.as_slice() {
        [] => format!("{found}: nothing is expected here"),
        [only] => format!("{found}, expected {only}"),
        several => format!("{found}, expected one of {}", several.join(", ")),
    }
}

/// The library ends its messages with the place, which is said in front.
fn without_place(text: &str) -> String {
    text.split(" at line ").next().unwrap_or(text).to_owned()
}
