//! A materialized view without data cannot be read, in the source as in the copy; and one that has data is the source's
//! own to make again.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE facts AS SELECT generate_series(1, 18) AS id, '2026-01-01'::timestamptz AS created_at;
        CREATE MATERIALIZED VIEW filled AS SELECT * FROM facts; CREATE UNIQUE INDEX ON filled (id);
        CREATE MATERIALIZED VIEW unfilled AS SELECT * FROM facts WITH NO DATA;
        CREATE MATERIALIZED VIEW impossible AS SELECT 1 / (id - 5) FROM facts WITH NO DATA;
        CREATE VIEW fails AS SELECT 1 / (id - 5) FROM facts",
    )],
    after: &[("postgres", "REFRESH MATERIALIZED VIEW filled; REFRESH MATERIALIZED VIEW CONCURRENTLY filled")],
};

#[test]
fn a_materialized_view_without_data_is_no_loss() {
    settled().leaves_out("postgres", "public", "unfilled");
    settled().leaves_out("postgres", "public", "impossible");
    settled().holds("postgres", "public", "facts", 18);
}
