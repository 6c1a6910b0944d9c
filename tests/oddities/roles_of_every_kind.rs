//! Roles with strange names and settings, owners that cannot reach their own tables on the source either, and databases
//! that refuse what they are asked by design.

use serde_json::Value;

use crate::{Source, assert_passes, finding};

#[test]
fn owners_of_every_kind_and_databases_that_refuse_pass() {
    let source = Source::start();
    let roles = r#"CREATE ROLE "of ""strange"" 'name' ç" LOGIN; CREATE SCHEMA "its own" AUTHORIZATION "of ""strange"" 'name' ç";
        CREATE TABLE "its own"."its table" (id int); ALTER TABLE "its own"."its table" OWNER TO "of ""strange"" 'name' ç";
        CREATE ROLE team NOLOGIN; CREATE ROLE heir LOGIN IN ROLE team; CREATE ROLE stranger LOGIN NOINHERIT IN ROLE team;
        ALTER ROLE heir SET default_transaction_read_only = on;
        CREATE TABLE of_team (id int); ALTER TABLE of_team OWNER TO team;
        CREATE ROLE locked_out LOGIN; CREATE SCHEMA closed; CREATE TABLE closed.own (id int);
        ALTER TABLE closed.own OWNER TO locked_out;
        CREATE ROLE tenant LOGIN; CREATE TABLE of_tenant (id int); ALTER TABLE of_tenant OWNER TO tenant;
        ALTER TABLE of_tenant ENABLE ROW LEVEL SECURITY; ALTER TABLE of_tenant FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON of_tenant USING (id = current_setting('app.not_set')::int);
        INSERT INTO of_tenant VALUES (1);
        CREATE DATABASE frozen; ALTER DATABASE frozen SET default_transaction_read_only = on;
        CREATE DATABASE refusing"#;
    source.postgres.sql("postgres", roles);
    let refuse = "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''no DDL in this database''; END';
        CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION refuse();";
    source.postgres.sql("postgres", refuse);
    source.postgres.sql("refusing", &format!("{refuse} ALTER EVENT TRIGGER no_ddl ENABLE ALWAYS"));
    let document = source.baseline(&source.walproof().connection(&source.postgres), "roles.json");
    source.write();
    source.postgres.archive_wal();

    let outcome = source.drill_with(&document);

    assert_passes(&outcome);
    let passed = finding(&outcome, "server.role_access", "passed");
    // The stranger inherits nothing, and so owns nothing.
    assert_eq!(passed["summary"], "4 roles that own tables", "{outcome}");
    let locked_out = finding(&outcome, "server.role_access", "note");
    assert_eq!(locked_out["object"], "postgres: locked_out", "{outcome}");
    let written = finding(&outcome, "server.write", "passed");
    assert_eq!(written["summary"], "2 databases, written to by their superuser and 4 owners of tables", "{outcome}");
    let refused = finding(&outcome, "server.write", "note");
    assert_eq!(refused["object"], "refusing", "{outcome}");
    assert!(refused["observed"].as_str().unwrap().contains("no DDL in this database"), "{outcome}");
    let report = outcome.report();
    let is_about_strangers = |finding: &Value| finding["object"].as_str().is_some_and(|it| it.contains("stranger"));
    assert!(!report["findings"].as_array().unwrap().iter().any(is_about_strangers), "{outcome}");
}
