//! JSON as walproof writes it: indented, with a line break at the end.

use serde::Serialize;

/// The text of a document whose keys are strings and whose values are finite, as all of walproof's are.
pub fn text(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("all keys are strings and all values finite") + "\n"
}
