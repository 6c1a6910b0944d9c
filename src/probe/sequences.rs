//! Is a sequence behind what was handed out?

use super::{Compared, Found};

/// Compares one database.
pub async fn probe(_compared: &Compared<'_>) -> Found {
    Found::default()
}
