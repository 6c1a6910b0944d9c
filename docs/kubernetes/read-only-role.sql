-- The role that reads the baseline. Run once as superuser, with the password as a psql variable:
--   psql --set ON_ERROR_STOP=1 --set password=... --file read-only-role.sql
-- Run again, it sets the password anew.
SELECT 'CREATE ROLE walproof' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'walproof') \gexec
ALTER ROLE walproof LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
ALTER ROLE walproof SET default_transaction_read_only = on;
GRANT pg_monitor, pg_read_all_data TO walproof;
