//! What the system catalogs say of a database or a server, as text: of each kind, each object's name and definition.
//! The same SQL asks the source under its snapshot and the restored server. It reads catalog tables and nothing that
//! looks into PostgreSQL's caches (`format_type`, `pg_get_…def`, `::regclass` of a name that may change): those show the
//! catalogs as they are now, not as they are in the snapshot.

mod objects;
mod privileges;
mod read;
mod relations;
mod shared;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::SimpleQueryRow;

/// Of more objects of a kind than this a digest is kept: the document and the memory for it stay bounded.
pub const MOST: usize = 100_000;

/// Kind → name → definition. Names are quoted where SQL would quote them, and begin with those of what they belong to:
/// `public.accounts.balance`. What may hold data or a secret is hashed.
pub type Facts = BTreeMap<String, BTreeMap<String, String>>;

/// The facts of one database, or of what all databases of a server share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// What there is.
    pub objects: Section,
    /// Who owns it, and who may do what with it.
    pub privileges: Section,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// A kind of which there is nothing is here, and empty.
    pub facts: Facts,
    /// Kinds of which there is too much to keep each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
    /// Why a kind was not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_read: BTreeMap<String, String>,
}

/// All facts of a kind as one sum of hashes, whatever their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub objects: u64,
    /// A decimal number.
    pub sum: String,
}

impl Digest {
    /// The digest, and how many objects it leaves out; `None` when the rows are no answer to [`Question::digest`].
    pub fn of(rows: &[SimpleQueryRow]) -> Option<(Self, u64)> {
        let row = rows.first()?;
        Some((Self { objects: row.get(0)?.parse().ok()?, sum: row.get(1)?.to_owned() }, row.get(2)?.parse().ok()?))
    }
}

/// One kind of facts, and the SQL that asks for them.
#[derive(Debug, Clone)]
pub struct Question {
    pub kind: &'static str,
    pub is_privilege: bool,
    /// Columns: name, definition, the xmin of each row that it was read from.
    sql: String,
}

/// What `writer` says of a row that the restored server has written itself.
pub const COPY: &str = "copy";

/// Where the question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// By a role that may only read, and may not see everything.
    Source,
    /// By the superuser.
    Restored,
}

impl Question {
    fn object(kind: &'static str, sql: String) -> Self {
        Self { kind, is_privilege: false, sql }
    }

    fn privilege(kind: &'static str, sql: String) -> Self {
        Self { kind, is_privilege: true, sql }
    }

    /// SQL whose rows are name, definition and `writer`: an expression over `written`, an array of `xid`.
    pub fn sql(&self, writer: &str) -> String {
        let sql = &self.sql;
        format!(
            "SELECT name, definition, {writer} FROM ({sql}) AS asked (name, definition, written) LIMIT {}",
            MOST + 1
        )
    }

    /// SQL for [`Digest::of`], which leaves out what `writer` calls the copy's own.
    pub fn digest(&self, writer: &str) -> String {
        let sql = &self.sql;
        format!(
            "SELECT count(*) FILTER (WHERE writer <> '{COPY}'),
                coalesce(sum(hashtextextended(text, 0)::numeric) FILTER (WHERE writer <> '{COPY}'), 0),
                count(*) FILTER (WHERE writer = '{COPY}')
            FROM (SELECT concat_ws(' ', name, definition) COLLATE \"C\", {writer}
                FROM ({sql}) AS asked (name, definition, written)) AS told (text, writer)"
        )
    }
}

impl Catalog {
    fn section(&mut self, question: &Question) -> &mut Section {
        if question.is_privilege { &mut self.privileges } else { &mut self.objects }
    }
}

/// What is asked of each database of a server of this version (`server_version_num`).
pub fn of_database(version: u32) -> Vec<Question> {
    let mut questions = relations::questions(version);
    questions.extend(objects::questions(version));
    questions.extend(privileges::questions());
    questions
}

/// What is asked once: roles and what else all databases share.
pub fn of_server(version: u32, side: Side) -> Vec<Question> {
    shared::questions(version, side)
}

/// The objects that users made: PostgreSQL's own have smaller OIDs.
const MADE_BY_USERS: u32 = 16_384;

/// The kinds of relations but indexes: what a person calls them, and their `relkind`.
const RELATIONS: [(&str, char); 7] = [
    ("table", 'r'),
    ("partitioned table", 'p'),
    ("view", 'v'),
    ("materialized view", 'm'),
    ("foreign table", 'f'),
    ("sequence", 'S'),
    ("composite type", 'c'),
];

/// A short hash of a text, null for null.
fn hash(text: &str) -> String {
    format!("left(encode(sha256(convert_to({text}, getdatabaseencoding())), 'hex'), 16)")
}

/// True for a relation that a user made, and that is no extension's: its class and namespace by their aliases.
fn is_users_relation(class: &str, namespace: &str) -> String {
    let users = is_users("pg_class", class);
    format!("{users} AND {class}.relpersistence <> 't' AND {namespace}.nspname !~ '^pg_(toast|temp)'")
}

/// True for an object of a catalog that a user made, and that is no extension's. The extension stands for its members.
fn is_users(catalog: &str, alias: &str) -> String {
    format!(
        "{alias}.oid >= {MADE_BY_USERS} AND NOT EXISTS (SELECT FROM pg_depend AS member
            WHERE member.classid = '{catalog}'::regclass AND member.objid = {alias}.oid AND member.deptype = 'e')"
    )
}

/// `schema.name`, by the aliases of namespace and object.
fn qualified(namespace: &str, name: &str) -> String {
    format!("concat(quote_ident({namespace}.nspname), '.', quote_ident({name}))")
}

/// A type's name, with its schema unless it is PostgreSQL's own.
fn type_name(alias: &str, namespace: &str) -> String {
    format!(
        "CASE WHEN {namespace}.nspname = 'pg_catalog' THEN {alias}.typname::text
            ELSE concat(quote_ident({namespace}.nspname), '.', quote_ident({alias}.typname)) END"
    )
}

/// The names of types, by an array of their OIDs.
fn type_names(oids: &str) -> String {
    let name = type_name("named", "namespace");
    format!(
        "(SELECT string_agg({name}, ', ' ORDER BY listed.place)
            FROM unnest({oids}) WITH ORDINALITY AS listed (oid, place)
            LEFT JOIN pg_type AS named ON named.oid = listed.oid
            LEFT JOIN pg_namespace AS namespace ON namespace.oid = named.typnamespace)"
    )
}

/// The names of a relation's columns, by an array of their numbers.
fn column_names(relation: &str, numbers: &str) -> String {
    format!(
        "(SELECT string_agg(coalesce(quote_ident(named.attname), listed.number::text), ', ' ORDER BY listed.place)
            FROM unnest({numbers}) WITH ORDINALITY AS listed (number, place)
            LEFT JOIN pg_attribute AS named ON named.attrelid = {relation} AND named.attnum = listed.number)"
    )
}

/// Begins a query that names roles by [`owner`] and [`grants`]. Their order is by bytes: collations differ.
const WITH_ROLES: &str = "WITH role AS MATERIALIZED (SELECT oid, rolname FROM pg_roles)";

/// `owner …`, by the role's OID.
fn owner(oid: &str) -> String {
    format!("concat('owner ', {})", role(oid))
}

fn role(oid: &str) -> String {
    format!("coalesce((SELECT quote_ident(rolname) FROM role WHERE role.oid = {oid}), {oid}::text)")
}

/// An access control list, by grantee; null where none was ever set. `aclitem`'s own text looks names up in a cache.
fn grants(list: &str) -> String {
    let (grantee, grantor) = (role("entry.grantee"), role("entry.grantor"));
    format!(
        "CASE WHEN {list} IS NOT NULL THEN coalesce((
            SELECT string_agg(granted.text, '; ' ORDER BY granted.text COLLATE \"C\") FROM (
                SELECT concat(CASE entry.grantee WHEN 0 THEN 'PUBLIC' ELSE {grantee} END, ' may ',
                    string_agg(concat(entry.privilege_type, CASE WHEN entry.is_grantable THEN ' and grant it' END),
                        ', ' ORDER BY entry.privilege_type COLLATE \"C\"),
                    ' by ', {grantor}) AS text
                FROM aclexplode({list}) AS entry GROUP BY entry.grantee, entry.grantor) AS granted),
            'nobody may do anything') END"
    )
}
