//! The one error type: what we were doing, with which object; why, in `source`; what to do, in `hint`.
//!
//! The message reads after "failed to" and never repeats its source. Errors of libraries whose own text
//! embeds their source are flattened here, once, by [`Reason`].

use std::error::Error as StdError;

/// A failure that ends a command without a verdict.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct Error {
    doing: String,
    hint: Option<String>,
    usage: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `doing` says what failed and with which object: `read the configuration walproof.yaml`.
    pub fn new(doing: impl Into<String>) -> Self {
        Self { doing: doing.into(), hint: None, usage: false, source: None }
    }

    /// A mistake of the caller's: wrong usage or configuration (exit code 64).
    pub fn usage(doing: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(doing) }
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn is_usage(&self) -> bool {
        self.usage
    }

    /// The text a person sees: the chain of causes, then one thing to do.
    pub fn render(&self) -> String {
        let mut text = format!("error: failed to {self}");
        if let Some(source) = &self.source {
            text.push_str(": ");
            text.push_str(&chain(source.as_ref()));
        }
        if let Some(hint) = &self.hint {
            text.push_str("\n\nhint: ");
            text.push_str(hint);
        }
        text
    }
}

/// An error and its causes in one line, each said once although libraries embed their source's text in their own.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// A cause that is only known as text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = Error::new("read the configuration walproof.yaml")
            .because(std::io::Error::other("no such file"))
            .hint("name it with --config");
        assert_eq!(
            error.render(),
            "error: failed to read the configuration walproof.yaml: no such file\n\nhint: name it with --config"
        );
    }

    #[test]
    fn a_cause_that_its_parent_repeats_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("refused: {0}")]
        struct Parent(#[source] Reason);
        assert_eq!(chain(&Parent(Reason("no".into()))), "refused: no");
    }
}
