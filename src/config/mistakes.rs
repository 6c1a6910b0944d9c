//! Mistakes in the configuration: all of them at once, each with its place in the file.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_saphyr::{Location, Spanned};

/// A line and a column of the file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// A value and where it was written; nowhere for a default.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    pub value: T,
    pub place: Option<Place>,
}

/// One mistake; the message is lower case, names its key and never a secret's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub place: Option<Place>,
    pub message: String,
}

/// All mistakes of one file, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    file_name: String,
    mistakes: Vec<Mistake>,
}

impl Place {
    /// None for a location that the parser does not know.
    pub fn of(location: Location) -> Option<Self> {
        (location.line() > 0).then(|| Self { line: location.line(), column: location.column() })
    }
}

impl<T> From<T> for Placed<T> {
    fn from(value: T) -> Self {
        Self { value, place: None }
    }
}

impl Mistakes {
    pub fn new(file_name: &str) -> Self {
        Self { file_name: file_name.to_owned(), mistakes: Vec::new() }
    }

    /// Notes a mistake; the same one at the same place is kept once.
    pub fn add(&mut self, place: Option<Place>, message: impl Into<String>) {
        let mistake = Mistake { place, message: message.into() };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
            self.mistakes.sort_by_key(|mistake| mistake.place);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    pub fn all(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// `value` if nothing was noted.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => formatter.write_str("1 mistake")?,
            count => write!(formatter, "{count} mistakes")?,
        }
        for Mistake { place, message } in &self.mistakes {
            match place {
                Some(Place { line, column }) => write!(formatter, "\n{}:{line}:{column}: {message}", self.file_name)?,
                None => write!(formatter, "\n{}: {message}", self.file_name)?,
            }
        }
        Ok(())
    }
}

impl StdError for Mistakes {}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { value, place: Place::of(referenced) })
    }
}

impl<T: Serialize> Serialize for Placed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
