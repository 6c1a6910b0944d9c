//! The questions about what a schema holds beside relations, and what a database holds beside schemas.

use super::{Question, column_names, hash, is_users, qualified, type_name, type_names};

pub fn questions(version: u32) -> Vec<Question> {
    let mut questions = vec![
        schemas(),
        extensions(),
        functions(version),
        types(),
        statistics(version),
        event_triggers(),
        publications(),
        published_tables(version),
        subscriptions(),
        foreign_data_wrappers(),
        foreign_servers(),
        user_mappings(),
    ];
    questions.extend(rarely_made(version));
    questions
}

fn schemas() -> Question {
    let users = is_users("pg_namespace", "n");
    let sql = format!(
        "SELECT quote_ident(n.nspname), '', ARRAY[n.xmin] FROM pg_namespace n
        WHERE n.nspname !~ '^pg_(toast|temp)' AND (n.nspname = 'public' OR {users})"
    );
    Question::object("schema", sql)
}

fn extensions() -> Question {
    let sql = "SELECT quote_ident(e.extname), concat('version ', e.extversion, ' in schema ', quote_ident(n.nspname)),
            ARRAY[e.xmin]
        FROM pg_extension e LEFT JOIN pg_namespace n ON n.oid = e.extnamespace";
    Question::object("extension", sql.to_owned())
}

fn functions(version: u32) -> Question {
    let (name, users) = (qualified("n", "p.proname"), is_users("pg_proc", "p"));
    let (takes, returns) = (type_names("p.proargtypes::oid[]"), type_name("t", "tn"));
    let body = if version < 140_000 { "NULL" } else { "p.prosqlbody::text" };
    let body = hash(&format!(
        "concat_ws('|', p.prosrc, p.probin, p.proargdefaults::text, p.proargnames::text, p.proallargtypes::text,
            p.proargmodes::text, {body}, g.aggkind, g.aggnumdirectargs, g.aggtransfn::oid, g.aggfinalfn::oid,
            g.aggcombinefn::oid, g.aggmtransfn::oid, g.aggminvtransfn::oid, g.aggmfinalfn::oid, g.aggsortop::oid,
            g.aggtranstype::oid, g.agginitval)"
    ));
    let settings = hash("p.proconfig::text");
    let sql = format!(
        "SELECT concat({name}, '(', {takes}, ')'), concat_ws(' ',
            CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' END,
            CASE WHEN p.prokind <> 'p' THEN concat('returns ', CASE WHEN p.proretset THEN 'setof ' END, {returns}) END,
            'language ' || quote_ident(l.lanname),
            CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END,
            CASE p.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' END,
            CASE WHEN p.proisstrict THEN 'strict' END, CASE WHEN p.prosecdef THEN 'security definer' END,
            CASE WHEN p.proleakproof THEN 'leakproof' END, 'settings ' || {settings}, 'body ' || {body}),
            ARRAY[p.xmin, n.xmin, g.xmin]
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            LEFT JOIN pg_type t ON t.oid = p.prorettype LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
            LEFT JOIN pg_language l ON l.oid = p.prolang LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
        WHERE n.nspname !~ '^pg_temp' AND {users}"
    );
    Question::object("function", sql)
}

/// Without those that come and go with something else: array types, and the row types of relations.
fn types() -> Question {
    let (name, users) = (qualified("n", "t.typname"), is_users("pg_type", "t"));
    let (base, default) = (type_name("b", "bn"), hash("t.typdefaultbin"));
    let functions = hash(
        "concat_ws('|', t.typinput::oid, t.typoutput::oid, t.typreceive::oid, t.typsend::oid, t.typlen, t.typbyval,
            r.rngsubtype, r.rngcollation, r.rngsubopc, r.rngcanonical::oid, r.rngsubdiff::oid)",
    );
    let labels = "(SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
        FROM pg_enum e WHERE e.enumtypid = t.oid)";
    let many_labels = hash(labels);
    let sql = format!(
        "SELECT {name}, CASE t.typtype
            WHEN 'e' THEN CASE WHEN length({labels}) > 1000 THEN 'enum of ' || {many_labels}
                ELSE concat('enum of ', {labels}) END
            WHEN 'd' THEN concat_ws(' ', 'domain over ' || {base}, '(' || nullif(t.typtypmod, -1) || ')',
                CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || {default})
            ELSE concat_ws(' ', CASE t.typtype WHEN 'r' THEN 'range' WHEN 'm' THEN 'multirange' WHEN 'p' THEN 'pseudo'
                ELSE 'base' END, CASE WHEN NOT t.typisdefined THEN 'shell' END, {functions}) END,
            ARRAY[t.xmin, n.xmin, r.xmin] || ARRAY(SELECT e.xmin FROM pg_enum e WHERE e.enumtypid = t.oid)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            LEFT JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_namespace bn ON bn.oid = b.typnamespace
            LEFT JOIN pg_range r ON r.rngtypid = t.oid
        WHERE t.typrelid = 0 AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
            AND n.nspname !~ '^pg_(toast|temp)' AND {users}"
    );
    Question::object("type", sql)
}

fn statistics(version: u32) -> Question {
    let (name, users) = (qualified("n", "s.stxname"), is_users("pg_statistic_ext", "s"));
    let relation = qualified("cn", "c.relname");
    let columns = column_names("s.stxrelid", "s.stxkeys::int2[]");
    let expressions = if version < 140_000 { "NULL".to_owned() } else { hash("s.stxexprs::text") };
    let sql = format!(
        "SELECT {name}, concat_ws(' ', s.stxkind::text, concat('of ', {relation}), '(' || {columns} || ')',
                {expressions}),
            ARRAY[s.xmin, n.xmin]
        FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
            LEFT JOIN pg_class c ON c.oid = s.stxrelid LEFT JOIN pg_namespace cn ON cn.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_temp' AND {users}"
    );
    Question::object("statistics object", sql)
}

fn event_triggers() -> Question {
    let (users, function) = (is_users("pg_event_trigger", "e"), qualified("n", "p.proname"));
    let sql = format!(
        "SELECT quote_ident(e.evtname), concat_ws(' ', 'on', e.evtevent, 'executes', {function},
            'for ' || array_to_string(e.evttags, ', '),
            CASE e.evtenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replica' WHEN 'A' THEN 'always' END),
            ARRAY[e.xmin]
        FROM pg_event_trigger e LEFT JOIN pg_proc p ON p.oid = e.evtfoid
            LEFT JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {users}"
    );
    Question::object("event trigger", sql)
}

fn publications() -> Question {
    let sql = "SELECT quote_ident(p.pubname), concat_ws(' ', CASE WHEN p.puballtables THEN 'of all tables' END,
            CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
            CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END,
            CASE WHEN p.pubviaroot THEN 'via the root' END), ARRAY[p.xmin]
        FROM pg_publication p";
    Question::object("publication", sql.to_owned())
}

fn published_tables(version: u32) -> Question {
    let table = qualified("n", "c.relname");
    let is_filtered = version >= 150_000;
    let filter = if is_filtered { hash("concat(r.prqual::text, r.prattrs::text)") } else { "NULL".to_owned() };
    let schemas = "UNION ALL SELECT concat(quote_ident(p.pubname), ': schema ', quote_ident(n.nspname)), '',
            ARRAY[r.xmin, n.xmin, p.xmin]
        FROM pg_publication_namespace r JOIN pg_publication p ON p.oid = r.pnpubid
            LEFT JOIN pg_namespace n ON n.oid = r.pnnspid";
    let schemas = if is_filtered { schemas } else { "" };
    let sql = format!(
        "SELECT concat(quote_ident(p.pubname), ': ', {table}), concat_ws(' ', {filter}),
            ARRAY[r.xmin, c.xmin, n.xmin, p.xmin]
        FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
            LEFT JOIN pg_class c ON c.oid = r.prrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace {schemas}"
    );
    Question::object("published table", sql)
}

/// Where it connects to is not readable for every role, and may hold a password.
fn subscriptions() -> Question {
    let sql = "SELECT quote_ident(s.subname), concat_ws(' ', CASE WHEN s.subenabled THEN 'enabled' ELSE 'disabled' END,
            'slot ' || quote_ident(s.subslotname), 'of ' || array_to_string(s.subpublications, ', ')), NULL::xid[]
        FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()";
    Question::object("subscription", sql.to_owned())
}

fn foreign_data_wrappers() -> Question {
    let (users, options) = (is_users("pg_foreign_data_wrapper", "w"), hash("w.fdwoptions::text"));
    let sql = format!(
        "SELECT quote_ident(w.fdwname), concat_ws(' ', concat('handler ', w.fdwhandler::oid), 'options ' || {options}),
            ARRAY[w.xmin]
        FROM pg_foreign_data_wrapper w WHERE {users}"
    );
    Question::object("foreign-data wrapper", sql)
}

fn foreign_servers() -> Question {
    let (users, options) = (is_users("pg_foreign_server", "s"), hash("s.srvoptions::text"));
    let sql = format!(
        "SELECT quote_ident(s.srvname), concat_ws(' ', 'by ' || quote_ident(w.fdwname), 'type ' || s.srvtype,
            'version ' || s.srvversion, 'options ' || {options}), ARRAY[s.xmin]
        FROM pg_foreign_server s LEFT JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE {users}"
    );
    Question::object("foreign server", sql)
}

/// The view hides what the role may not see, which are the options alone.
fn user_mappings() -> Question {
    let sql = "SELECT concat(quote_ident(m.usename), ' on ', quote_ident(m.srvname)), '', NULL::xid[]
        FROM pg_user_mappings m";
    Question::object("user mapping", sql.to_owned())
}

/// What few databases have outside of extensions.
fn rarely_made(version: u32) -> Vec<Question> {
    let locale = match version {
        ..150_000 => "NULL",
        150_000..170_000 => "o.colliculocale",
        _ => "o.colllocale",
    };
    let simple = |kind, catalog, name: &str, namespace: &str, definition: &str| {
        let (name, users, definition) = (qualified("n", name), is_users(catalog, "o"), hash(definition));
        let sql = format!(
            "SELECT {name}, {definition}, ARRAY[o.xmin, n.xmin] FROM {catalog} o
                JOIN pg_namespace n ON n.oid = {namespace} WHERE n.nspname !~ '^pg_temp' AND {users}"
        );
        Question::object(kind, sql)
    };
    let users_operator = is_users("pg_operator", "o");
    let operator = format!(
        "SELECT concat(quote_ident(n.nspname), '.', o.oprname, ' (', coalesce({}, 'none'), ', ',
            coalesce({}, 'none'), ')'),
            concat('function ', o.oprcode::oid), ARRAY[o.xmin, n.xmin]
        FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE {users_operator}",
        type_names("ARRAY[o.oprleft]"),
        type_names("ARRAY[o.oprright]"),
    );
    let (users_class, users_cast) = (is_users("pg_opclass", "o"), is_users("pg_cast", "o"));
    let class = format!(
        "SELECT concat(quote_ident(n.nspname), '.', quote_ident(o.opcname), ' for ', am.amname),
            concat_ws(' ', CASE WHEN o.opcdefault THEN 'default' END, 'for', {}), ARRAY[o.xmin, n.xmin]
        FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace LEFT JOIN pg_am am ON am.oid = o.opcmethod
        WHERE {users_class}",
        type_names("ARRAY[o.opcintype]"),
    );
    let cast = format!(
        "SELECT concat({}, ' as ', {}), concat_ws(' ', o.castcontext, o.castmethod, 'function', o.castfunc::oid),
            ARRAY[o.xmin]
        FROM pg_cast o WHERE {users_cast}",
        type_names("ARRAY[o.castsource]"),
        type_names("ARRAY[o.casttarget]"),
    );
    let language = format!(
        "SELECT quote_ident(o.lanname), concat_ws(' ', CASE WHEN o.lanpltrusted THEN 'trusted' END,
            concat('handler ', o.lanplcallfoid::oid)), ARRAY[o.xmin]
        FROM pg_language o WHERE {}",
        is_users("pg_language", "o"),
    );
    let collation = format!(
        "concat_ws('|', o.collprovider, o.collisdeterministic, o.collencoding, o.collcollate, o.collctype, {locale})"
    );
    let mapping = "(SELECT string_agg(concat_ws('|', m.maptokentype, m.mapseqno, m.mapdict), ','
        ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = o.oid)";
    vec![
        simple("collation", "pg_collation", "o.collname", "o.collnamespace", &collation),
        simple("text search configuration", "pg_ts_config", "o.cfgname", "o.cfgnamespace", mapping),
        simple("text search dictionary", "pg_ts_dict", "o.dictname", "o.dictnamespace", "o.dictinitoption"),
        Question::object("operator", operator),
        Question::object("operator class", class),
        Question::object("cast", cast),
        Question::object("language", language),
    ]
}
