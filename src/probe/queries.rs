//! Are the configured queries answered as on the source?

use super::{Compared, Found};

/// Compares one database.
pub async fn probe(_compared: &Compared<'_>) -> Found {
    Found::default()
}
