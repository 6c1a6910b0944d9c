//! Settings that a database or a role gives every session at its log-in, and that would change what walproof reads or
//! writes, or how values look.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        ("postgres", "CREATE DATABASE opinionated"),
        (
            "opinionated",
            "CREATE ROLE keeper LOGIN; CREATE TABLE readings (
                id int PRIMARY KEY, value float8, raw bytea, every interval, price money, created_at timestamptz);
            ALTER TABLE readings OWNER TO keeper;
            INSERT INTO readings SELECT n, n / 3.0, decode(md5(n::text), 'hex'), n * interval '1 hour 3 seconds', n,
                '2026-01-01 00:00:00+00'::timestamptz + n * interval '1 minute' FROM generate_series(1, 400) n;
            ALTER TABLE readings ENABLE ROW LEVEL SECURITY;
            CREATE POLICY half ON readings USING (id % 2 = 0)",
        ),
        (
            "postgres",
            "ALTER DATABASE opinionated SET default_transaction_read_only = on;
            ALTER DATABASE opinionated SET default_transaction_isolation = 'serializable';
            ALTER DATABASE opinionated SET default_transaction_deferrable = on;
            ALTER DATABASE opinionated SET search_path = '';
            ALTER DATABASE opinionated SET row_security = on;
            ALTER DATABASE opinionated SET DateStyle = 'German, DMY';
            ALTER DATABASE opinionated SET TimeZone = 'Pacific/Kiritimati';
            ALTER DATABASE opinionated SET IntervalStyle = 'iso_8601';
            ALTER DATABASE opinionated SET bytea_output = 'escape';
            ALTER DATABASE opinionated SET extra_float_digits = -10;
            ALTER DATABASE opinionated SET lc_monetary = 'C';
            ALTER DATABASE opinionated SET standard_conforming_strings = off;
            ALTER DATABASE opinionated SET quote_all_identifiers = on;
            ALTER DATABASE opinionated SET statement_timeout = '5s';
            ALTER DATABASE opinionated SET lock_timeout = '1s';
            ALTER DATABASE opinionated SET idle_in_transaction_session_timeout = '2s';
            ALTER DATABASE opinionated SET enable_seqscan = off;
            ALTER DATABASE opinionated SET work_mem = '64kB';
            ALTER DATABASE opinionated SET default_text_search_config = 'pg_catalog.german';
            ALTER DATABASE opinionated SET client_min_messages = 'error';
            ALTER ROLE ALL SET DateStyle = 'SQL, DMY';
            ALTER ROLE keeper SET default_transaction_read_only = on;
            ALTER ROLE keeper SET search_path = 'nowhere'",
        ),
    ],
    after: &[("opinionated", "SET default_transaction_read_only = off; DELETE FROM public.readings WHERE id > 390")],
};

#[test]
fn settings_of_databases_and_roles_change_no_value() {
    settled().holds("opinionated", "public", "readings", 390);
}
