//! The questions about a database's owners, grants and row-level security.

use super::{
    MADE_BY_USERS, Question, RELATIONS, WITH_ROLES, grants, hash, is_users, is_users_relation, owner, qualified, role,
    type_names,
};

pub fn questions() -> Vec<Question> {
    let mut questions = vec![schemas()];
    questions.extend(RELATIONS.iter().map(|&(kind, relkind)| relations(kind, relkind)));
    questions.extend([columns(), functions(), types(), default_privileges(), policies(), changed_by_users()]);
    questions.extend(
        [
            ("language", "pg_language", "lanname", "lanowner", "lanacl"),
            ("foreign-data wrapper", "pg_foreign_data_wrapper", "fdwname", "fdwowner", "fdwacl"),
            ("foreign server", "pg_foreign_server", "srvname", "srvowner", "srvacl"),
        ]
        .map(named),
    );
    questions
}

fn schemas() -> Question {
    let (owner, grants) = (owner("n.nspowner"), grants("n.nspacl"));
    let sql = format!(
        "{WITH_ROLES} SELECT quote_ident(n.nspname), concat_ws('; ', {owner}, {grants}), ARRAY[n.xmin]
        FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)'"
    );
    Question::privilege("schema", sql)
}

fn relations(kind: &'static str, relkind: char) -> Question {
    let (name, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let (owner, grants) = (owner("c.relowner"), grants("c.relacl"));
    let sql = format!(
        "{WITH_ROLES} SELECT {name}, concat_ws('; ', {owner},
            CASE WHEN c.relrowsecurity THEN 'row-level security' END,
            CASE WHEN c.relforcerowsecurity THEN 'for the owner too' END, {grants}), ARRAY[c.xmin, n.xmin]
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = '{relkind}' AND {users}"
    );
    Question::privilege(kind, sql)
}

fn columns() -> Question {
    let (relation, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let grants = grants("a.attacl");
    let sql = format!(
        "{WITH_ROLES} SELECT concat({relation}, '.', quote_ident(a.attname)), {grants}, ARRAY[a.xmin, c.xmin, n.xmin]
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND {users}"
    );
    Question::privilege("column", sql)
}

fn functions() -> Question {
    let (name, users) = (qualified("n", "p.proname"), is_users("pg_proc", "p"));
    let (takes, owner, grants) = (type_names("p.proargtypes::oid[]"), owner("p.proowner"), grants("p.proacl"));
    let sql = format!(
        "{WITH_ROLES} SELECT concat({name}, '(', {takes}, ')'), concat_ws('; ', {owner}, {grants}),
            ARRAY[p.xmin, n.xmin]
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_temp' AND {users}"
    );
    Question::privilege("function", sql)
}

fn types() -> Question {
    let (name, users) = (qualified("n", "t.typname"), is_users("pg_type", "t"));
    let (owner, grants) = (owner("t.typowner"), grants("t.typacl"));
    let sql = format!(
        "{WITH_ROLES} SELECT {name}, concat_ws('; ', {owner}, {grants}), ARRAY[t.xmin, n.xmin]
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typrelid = 0 AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
            AND n.nspname !~ '^pg_(toast|temp)' AND {users}"
    );
    Question::privilege("type", sql)
}

fn default_privileges() -> Question {
    let (role, grants) = (role("d.defaclrole"), grants("d.defaclacl"));
    let sql = format!(
        "{WITH_ROLES} SELECT concat_ws(' ', 'on', CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
                WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE d.defaclobjtype::text END,
            'of', {role}, 'in schema ' || quote_ident(n.nspname)), {grants}, ARRAY[d.xmin]
        FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"
    );
    Question::privilege("default privilege", sql)
}

fn policies() -> Question {
    let (relation, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let (condition, check) = (hash("p.polqual::text"), hash("p.polwithcheck::text"));
    let role = role("listed.oid");
    let sql = format!(
        "{WITH_ROLES} SELECT concat({relation}, '.', quote_ident(p.polname)), concat_ws(' ',
            CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            CASE p.polcmd WHEN 'r' THEN 'for select' WHEN 'a' THEN 'for insert' WHEN 'w' THEN 'for update'
                WHEN 'd' THEN 'for delete' END,
            'to ' || (SELECT string_agg(CASE listed.oid WHEN 0 THEN 'PUBLIC' ELSE {role} END, ', ' ORDER BY listed.oid)
                FROM unnest(p.polroles) AS listed (oid)),
            'using ' || {condition}, 'checking ' || {check}), ARRAY[p.xmin, c.xmin, n.xmin]
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {users}"
    );
    Question::privilege("policy", sql)
}

/// PostgreSQL's own functions and catalogs, where users have changed who may use them.
fn changed_by_users() -> Question {
    let (relation, relation_grants) = (qualified("n", "o.relname"), grants("o.relacl"));
    let (function, function_grants) = (qualified("n", "o.proname"), grants("o.proacl"));
    let takes = type_names("o.proargtypes::oid[]");
    let of = |catalog: &str, name: &str, namespace: &str, grants: &str, list: &str| {
        format!(
            "SELECT {name}, {grants}, ARRAY[o.xmin]
            FROM {catalog} o JOIN pg_namespace n ON n.oid = {namespace}
                LEFT JOIN pg_init_privs i ON i.classoid = '{catalog}'::regclass AND i.objoid = o.oid AND i.objsubid = 0
            WHERE n.nspname = 'pg_catalog' AND o.oid < {MADE_BY_USERS} AND {list} IS NOT NULL
                AND {list} IS DISTINCT FROM i.initprivs"
        )
    };
    let relations = of("pg_class", &relation, "o.relnamespace", &relation_grants, "o.relacl");
    let name = format!("concat({function}, '(', {takes}, ')')");
    let functions = of("pg_proc", &name, "o.pronamespace", &function_grants, "o.proacl");
    Question::privilege("built-in object", format!("{WITH_ROLES} {relations} UNION ALL {functions}"))
}

/// Objects without a schema: kind, catalog, and its columns for name, owner and grants.
fn named((kind, catalog, name, owned_by, list): (&'static str, &str, &str, &str, &str)) -> Question {
    let (users, owner) = (is_users(catalog, "o"), owner(&format!("o.{owned_by}")));
    let grants = grants(&format!("o.{list}"));
    let sql = format!(
        "{WITH_ROLES} SELECT quote_ident(o.{name}), concat_ws('; ', {owner}, {grants}), ARRAY[o.xmin]
        FROM {catalog} o WHERE {users}"
    );
    Question::privilege(kind, sql)
}
