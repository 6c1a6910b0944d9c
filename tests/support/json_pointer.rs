//! Setting one value of a document by its JSON pointer.

use serde_json::Value;

/// Sets what `pointer` (`/sources/0/target`) names, making what is missing on the way.
pub fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for part in pointer.split('/').skip(1) {
        place = match part.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[part],
        };
    }
    *place = value;
}
