//! A publication that nobody follows, a subscription to a server that is gone, and replication slots, which no base
//! backup holds.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert');
        CREATE SUBSCRIPTION left_behind CONNECTION 'host=192.0.2.1 password=confidential' PUBLICATION everything
            WITH (connect = false);
        CREATE TABLE subscribed (id int); INSERT INTO subscribed SELECT generate_series(1, 13);
        SELECT pg_create_physical_replication_slot('never_used')",
    )],
    after: &[(
        "postgres",
        "SELECT pg_create_logical_replication_slot('not_read', 'test_decoding');
        SELECT pg_replication_origin_create('elsewhere'); CREATE PUBLICATION one FOR TABLE subscribed;
        INSERT INTO subscribed VALUES (14)",
    )],
};

#[test]
fn replication_that_leads_nowhere_is_no_loss() {
    settled().holds("postgres", "public", "subscribed", 14);
    for document in settled().documents() {
        assert!(!document.to_string().contains("confidential"));
    }
}
