//! Are roles, memberships, owners and grants the source's?

use super::{Compared, Found};

/// Compares one database.
pub async fn probe(_compared: &Compared<'_>) -> Found {
    Found::default()
}
