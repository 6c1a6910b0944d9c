//! The questions about what all databases of a server share. No password is read, not even as a hash.

use super::{Question, Side, WITH_ROLES, grants, hash, owner, role};

pub fn questions(version: u32, side: Side) -> Vec<Question> {
    let mut questions = vec![
        roles(side),
        memberships(version),
        settings(),
        databases(version),
        tablespaces(),
        named("database", "pg_database", "datname", "datdba", "datacl"),
        named("tablespace", "pg_tablespace", "spcname", "spcowner", "spcacl"),
    ];
    if version >= 150_000 {
        questions.push(parameters());
    }
    questions
}

/// Only a superuser sees the table behind the view, and by it who wrote a row.
fn roles(side: Side) -> Question {
    let (table, xmin) = match side {
        Side::Source => ("pg_roles", "NULL::xid"),
        Side::Restored => ("pg_authid", "r.xmin"),
    };
    let sql = format!(
        "SELECT quote_ident(r.rolname), concat_ws(' ', CASE WHEN r.rolsuper THEN 'superuser' END,
            CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolcreatedb THEN 'createdb' END,
            CASE WHEN r.rolcanlogin THEN 'login' ELSE 'nologin' END, CASE WHEN r.rolreplication THEN 'replication' END,
            CASE WHEN r.rolbypassrls THEN 'bypassrls' END, CASE WHEN NOT r.rolinherit THEN 'noinherit' END,
            CASE WHEN r.rolconnlimit <> -1 THEN concat('connection limit ', r.rolconnlimit) END,
            'valid until ' || r.rolvaliduntil::text), ARRAY[{xmin}]
        FROM {table} r"
    );
    Question::object("role", sql)
}

fn memberships(version: u32) -> Question {
    let (member, group, grantor) = (role("m.member"), role("m.roleid"), role("m.grantor"));
    let options = if version < 160_000 {
        "NULL"
    } else {
        "CASE WHEN NOT m.inherit_option THEN 'without inheriting' END,
            CASE WHEN NOT m.set_option THEN 'without set' END"
    };
    let sql = format!(
        "{WITH_ROLES} SELECT concat({member}, ' in ', {group}, ' by ', {grantor}),
            concat_ws(' ', CASE WHEN m.admin_option THEN 'with admin' END, {options}), ARRAY[m.xmin]
        FROM pg_auth_members m"
    );
    Question::object("membership", sql)
}

/// Values may be secrets of an application.
fn settings() -> Question {
    let (role, value) = (role("s.setrole"), hash("substr(one.setting, strpos(one.setting, '=') + 1)"));
    let sql = format!(
        "{WITH_ROLES} SELECT concat_ws(' ', split_part(one.setting, '=', 1),
            CASE WHEN s.setrole <> 0 THEN 'of role ' || {role} END,
            CASE WHEN s.setdatabase <> 0 THEN 'in database ' ||
                coalesce(quote_ident(d.datname), s.setdatabase::text) END),
            {value}, ARRAY[s.xmin]
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS one (setting)
            LEFT JOIN pg_database d ON d.oid = s.setdatabase"
    );
    Question::object("setting", sql)
}

/// A connection limit of -2 marks a database that is being dropped. It is written in place, which no snapshot hides.
fn databases(version: u32) -> Question {
    let provider = if version < 150_000 { "NULL" } else { "'provider ' || d.datlocprovider::text" };
    let locale = match version {
        ..150_000 => "NULL",
        150_000..170_000 => "'locale ' || d.daticulocale",
        _ => "'locale ' || d.datlocale",
    };
    let sql = format!(
        "SELECT quote_ident(d.datname), concat_ws(' ', pg_encoding_to_char(d.encoding)::text,
            'collate ' || d.datcollate,
            'ctype ' || d.datctype, {provider}, {locale}, CASE WHEN d.datistemplate THEN 'template' END,
            CASE WHEN NOT d.datallowconn THEN 'without connections' END,
            CASE WHEN d.datconnlimit >= 0 THEN concat('connection limit ', d.datconnlimit) END,
            'in tablespace ' || nullif(t.spcname, 'pg_default')), ARRAY[d.xmin]
        FROM pg_database d LEFT JOIN pg_tablespace t ON t.oid = d.dattablespace"
    );
    Question::object("database", sql)
}

fn tablespaces() -> Question {
    let sql = "SELECT quote_ident(t.spcname), concat_ws(' ', array_to_string(t.spcoptions, ', ')), ARRAY[t.xmin]
        FROM pg_tablespace t";
    Question::object("tablespace", sql.to_owned())
}

fn named(kind: &'static str, catalog: &str, name: &str, owned_by: &str, list: &str) -> Question {
    let (owner, grants) = (owner(&format!("o.{owned_by}")), grants(&format!("o.{list}")));
    let sql = format!(
        "{WITH_ROLES} SELECT quote_ident(o.{name}), concat_ws('; ', {owner}, {grants}), ARRAY[o.xmin] FROM {catalog} o"
    );
    Question::privilege(kind, sql)
}

fn parameters() -> Question {
    let grants = grants("p.paracl");
    let sql = format!("{WITH_ROLES} SELECT p.parname, {grants}, ARRAY[p.xmin] FROM pg_parameter_acl p");
    Question::privilege("parameter", sql)
}
