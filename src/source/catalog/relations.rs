//! The questions about relations and what belongs to them.

use super::{Question, RELATIONS, column_names, hash, is_users, is_users_relation, qualified, type_name};

pub fn questions(version: u32) -> Vec<Question> {
    let mut questions: Vec<Question> = RELATIONS.iter().map(|&(kind, relkind)| relations(kind, relkind)).collect();
    questions.extend([columns(version), constraints(version), indexes(version), triggers(), rules()]);
    questions
}

fn relations(kind: &'static str, relkind: char) -> Question {
    let (name, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let parent = qualified("pn", "p.relname");
    let of_type = type_name("t", "tn");
    let (bound, keys) = (hash("c.relpartbound::text"), hash("pt.partexprs::text"));
    let (options, definition) = (hash("f.ftoptions::text"), hash("w.ev_action::text"));
    let sql = format!(
        "SELECT {name}, concat_ws(' ',
            CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
            'using ' || nullif(am.amname, 'heap'),
            CASE WHEN c.reloftype <> 0 THEN 'of ' || {of_type} END,
            CASE WHEN c.relispartition THEN 'partition of ' ELSE 'inherits ' END || (
                SELECT string_agg({parent}, ', ' ORDER BY i.inhseqno) FROM pg_inherits i
                LEFT JOIN pg_class p ON p.oid = i.inhparent LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
                WHERE i.inhrelid = c.oid),
            'bound ' || {bound},
            'by ' || CASE pt.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' WHEN 'h' THEN 'hash' END
                || ' of columns ' || pt.partattrs::text,
            'expressions ' || {keys},
            CASE s.seqtypid WHEN 20 THEN 'bigint' WHEN 23 THEN 'integer' WHEN 21 THEN 'smallint' END,
            'start ' || s.seqstart, 'step ' || s.seqincrement, 'from ' || s.seqmin,
            'to ' || s.seqmax, 'cache ' || s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END,
            'of server ' || quote_ident(fs.srvname), 'options ' || {options},
            'defined by ' || {definition},
            CASE WHEN NOT c.relispopulated THEN 'not populated' END,
            CASE WHEN c.relkind IN ('r', 'p') THEN CASE c.relreplident WHEN 'f' THEN 'replica identity full'
                WHEN 'n' THEN 'no replica identity' WHEN 'i' THEN 'replica identity by index' END END,
            'with (' || array_to_string(c.reloptions, ', ') || ')',
            'in tablespace ' || quote_ident(ts.spcname)),
            ARRAY[c.xmin, n.xmin, pt.xmin, s.xmin, f.xmin, w.xmin]
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_am am ON am.oid = c.relam
            LEFT JOIN pg_type t ON t.oid = c.reloftype LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
            LEFT JOIN pg_partitioned_table pt ON pt.partrelid = c.oid
            LEFT JOIN pg_sequence s ON s.seqrelid = c.oid
            LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid LEFT JOIN pg_foreign_server fs ON fs.oid = f.ftserver
            LEFT JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN'
            LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
        WHERE c.relkind = '{relkind}' AND {users}"
    );
    Question::object(kind, sql)
}

fn columns(version: u32) -> Question {
    let (relation, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let (kind, default) = (type_name("t", "tn"), hash("d.adbin::text"));
    let options = hash("a.attfdwoptions::text");
    let compression = if version < 140_000 { "NULL" } else { "'compression ' || nullif(a.attcompression::text, '')" };
    let sql = format!(
        "SELECT concat({relation}, '.', quote_ident(a.attname)), concat_ws(' ',
            concat({kind}, CASE WHEN a.atttypmod >= 0 THEN CASE t.typname
                WHEN 'numeric' THEN numerictypmodout(a.atttypmod)::text
                WHEN 'varchar' THEN varchartypmodout(a.atttypmod)::text
                WHEN 'bpchar' THEN bpchartypmodout(a.atttypmod)::text
                ELSE concat('(', a.atttypmod, ')') END END),
            'collate ' || quote_ident(l.collname),
            CASE WHEN a.attnotnull THEN 'not null' END,
            CASE a.attidentity WHEN 'a' THEN 'identity' WHEN 'd' THEN 'identity by default' END,
            CASE a.attgenerated WHEN '' THEN 'default ' ELSE 'generated ' END || {default},
            CASE WHEN a.attstorage <> t.typstorage THEN 'storage ' || a.attstorage::text END,
            {compression}, 'options ' || {options}),
            ARRAY[a.xmin, d.xmin, c.xmin, n.xmin]
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
            LEFT JOIN pg_collation l ON l.oid = a.attcollation AND a.attcollation <> t.typcollation
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND {users}"
    );
    Question::object("column", sql)
}

fn constraints(version: u32) -> Question {
    let enforced = if version < 180_000 { "NULL" } else { "CASE WHEN NOT k.conenforced THEN 'not enforced' END" };
    let (relation, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let (domain, users_domain) =
        (qualified("n", "t.typname"), format!("n.nspname !~ '^pg_temp' AND {}", is_users("pg_type", "t")));
    let referenced = qualified("fn", "f.relname");
    let (keys, foreign) = (column_names("k.conrelid", "k.conkey"), column_names("k.confrelid", "k.confkey"));
    let expression = hash("k.conbin::text");
    let action = |column: &str| {
        format!(
            "CASE k.{column} WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null'
                WHEN 'd' THEN 'set default' END"
        )
    };
    let (update, delete) = (action("confupdtype"), action("confdeltype"));
    let sql = format!(
        "SELECT concat({{name}}, '.', quote_ident(k.conname)), concat_ws(' ',
            CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'p' THEN 'primary key'
                WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclusion' WHEN 'n' THEN 'not null' ELSE 'trigger' END,
            '(' || {keys} || ')',
            CASE WHEN k.confrelid <> 0 THEN concat('references ', {referenced}, ' (', {foreign}, ')') END,
            'on update ' || {update}, 'on delete ' || {delete}, CASE k.confmatchtype WHEN 'f' THEN 'match full' END,
            {expression},
            CASE WHEN k.condeferrable THEN 'deferrable' END, CASE WHEN k.condeferred THEN 'deferred' END,
            CASE WHEN NOT k.convalidated THEN 'not valid' END, {enforced},
            CASE WHEN k.contype = 'c' AND k.connoinherit THEN 'no inherit' END),
            ARRAY[k.xmin, n.xmin, {{xmin}}]
        FROM pg_constraint k {{owner}} JOIN pg_namespace n ON n.oid = {{namespace}}
            LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
        WHERE {{users}}"
    );
    let of = |parts: [(&str, &str); 5]| {
        parts.iter().fold(sql.clone(), |sql, (place, part)| sql.replace(&format!("{{{place}}}"), part))
    };
    let of_relations = of([
        ("name", &relation),
        ("xmin", "c.xmin"),
        ("owner", "JOIN pg_class c ON c.oid = k.conrelid"),
        ("namespace", "c.relnamespace"),
        ("users", &users),
    ]);
    let of_domains = of([
        ("name", &domain),
        ("xmin", "t.xmin"),
        ("owner", "JOIN pg_type t ON t.oid = k.contypid"),
        ("namespace", "t.typnamespace"),
        ("users", &users_domain),
    ]);
    Question::object("constraint", format!("{of_relations} UNION ALL {of_domains}"))
}

fn indexes(version: u32) -> Question {
    let (table, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let (expressions, predicate) = (hash("i.indexprs::text"), hash("i.indpred::text"));
    let nulls =
        if version < 150_000 { "NULL" } else { "CASE WHEN i.indnullsnotdistinct THEN 'nulls not distinct' END" };
    let sql = format!(
        "SELECT concat({table}, '.', quote_ident(x.relname)), concat_ws(' ',
            am.amname::text,
            (SELECT concat('(', string_agg(concat_ws(' ', coalesce(quote_ident(a.attname), '(expression)'),
                    quote_ident(o.opcname), CASE WHEN k.option & 1 = 1 THEN 'desc' END,
                    CASE WHEN k.option & 2 = 2 THEN 'nulls first' END), ', ' ORDER BY k.place), ')')
                FROM unnest(i.indkey::int2[], i.indclass::oid[], i.indoption::int2[])
                    WITH ORDINALITY AS k (number, class, option, place)
                LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                LEFT JOIN pg_opclass o ON o.oid = k.class),
            CASE WHEN i.indnkeyatts < i.indnatts THEN 'including ' || i.indnatts - i.indnkeyatts END,
            CASE WHEN i.indisprimary THEN 'primary' WHEN i.indisunique THEN 'unique' END,
            CASE WHEN i.indisexclusion THEN 'exclusion' END, CASE WHEN NOT i.indimmediate THEN 'deferrable' END,
            {nulls}, 'expressions ' || {expressions}, 'where ' || {predicate},
            CASE WHEN NOT i.indisvalid THEN 'not valid' END, CASE WHEN NOT i.indisready THEN 'not ready' END,
            CASE WHEN NOT i.indislive THEN 'not live' END,
            CASE WHEN i.indisreplident THEN 'replica identity' END, CASE WHEN i.indisclustered THEN 'clustered' END,
            CASE x.relpersistence WHEN 'u' THEN 'unlogged' END,
            'with (' || array_to_string(x.reloptions, ', ') || ')', 'in tablespace ' || quote_ident(ts.spcname)),
            ARRAY[i.xmin, x.xmin, c.xmin, n.xmin]
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = x.relam
            LEFT JOIN pg_tablespace ts ON ts.oid = x.reltablespace
        WHERE {users}"
    );
    Question::object("index", sql)
}

fn triggers() -> Question {
    let (table, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let function = qualified("pn", "p.proname");
    let (condition, arguments) = (hash("t.tgqual::text"), hash("nullif(encode(t.tgargs, 'hex'), '')"));
    let columns = column_names("t.tgrelid", "t.tgattr::int2[]");
    let sql = format!(
        "SELECT concat({table}, '.', quote_ident(t.tgname)), concat_ws(' ',
            CASE WHEN t.tgtype & 2 = 2 THEN 'before' WHEN t.tgtype & 64 = 64 THEN 'instead of' ELSE 'after' END,
            concat_ws(' or ', CASE WHEN t.tgtype & 4 = 4 THEN 'insert' END,
                CASE WHEN t.tgtype & 8 = 8 THEN 'delete' END,
                CASE WHEN t.tgtype & 16 = 16 THEN 'update' END, CASE WHEN t.tgtype & 32 = 32 THEN 'truncate' END),
            'of ' || {columns}, CASE WHEN t.tgtype & 1 = 1 THEN 'for each row' END, 'when ' || {condition},
            concat('executes ', {function}), 'arguments ' || {arguments},
            CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replica' WHEN 'A' THEN 'always' END,
            CASE WHEN t.tgdeferrable THEN 'deferrable' END, CASE WHEN t.tginitdeferred THEN 'deferred' END),
            ARRAY[t.xmin, c.xmin, n.xmin]
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_proc p ON p.oid = t.tgfoid LEFT JOIN pg_namespace pn ON pn.oid = p.pronamespace
        WHERE {users}"
    );
    Question::object("trigger", sql)
}

fn rules() -> Question {
    let (table, users) = (qualified("n", "c.relname"), is_users_relation("c", "n"));
    let action = hash("concat(w.ev_qual::text, w.ev_action::text)");
    let sql = format!(
        "SELECT concat({table}, '.', quote_ident(w.rulename)), concat_ws(' ',
            CASE w.ev_type WHEN '1' THEN 'on select' WHEN '2' THEN 'on update' WHEN '3' THEN 'on insert'
                ELSE 'on delete' END,
            CASE WHEN w.is_instead THEN 'instead' END, 'action ' || {action},
            CASE w.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replica' WHEN 'A' THEN 'always' END),
            ARRAY[w.xmin, c.xmin, n.xmin]
        FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE w.rulename <> '_RETURN' AND {users}"
    );
    Question::object("rule", sql)
}
