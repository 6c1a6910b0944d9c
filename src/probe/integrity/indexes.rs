//! An index that disagrees with itself or with its table, and whose fault that is.

use super::Programs;
use super::collations::{Collations, Version};
use super::relations::Relation;
use crate::finding::{Blame, Code, Finding};

/// What amcheck says of keys that are not in the order that their operator class and collation ask for.
const OUT_OF_ORDER: &str = "invariant violated";
const ROW_NOT_INDEXED: &str = "lacks matching index tuple";
/// Indexes on intervals that were built before November 2023 have this flag wrong everywhere.
const OLD_FLAG: &str = "incorrectly indicates that deduplication is safe";

const ASK_THE_SOURCE: &str = "run `pg_amcheck --install-missing --heapallindexed` on a standby of the source: where it \
     finds the same, REINDEX there and make a new base backup";

/// `message` says where, and is PostgreSQL's in English.
pub fn damaged(
    database: &str,
    index: &Relation,
    message: String,
    collations: &Collations,
    programs: Programs,
) -> Finding {
    let (blame, hint) = blame(index, &message, collations, programs);
    Finding::failed(Code::IntegrityIndex, blame, format!("index {} of {database} is wrong inside", index.name))
        .of(format!("{database}: {}", index.name))
        .expected("an index in order that holds every row of its table")
        .observed(message)
        .hint(hint)
}

fn blame(index: &Relation, message: &str, collations: &Collations, programs: Programs) -> (Blame, &'static str) {
    if message.contains(OLD_FLAG) {
        return (Blame::Source, "REINDEX it on the source: it was built by a PostgreSQL that set a flag wrong");
    }
    if message.contains(ROW_NOT_INDEXED) && index.is_computed {
        let hint = "is a function of the index marked IMMUTABLE, and its answer depends on a table or a setting? \
             Then the source's index is as wrong";
        return (Blame::Unknown, hint);
    }
    if message.contains(OUT_OF_ORDER) {
        let versions = index.collations.iter().map(|&collation| collations.version(collation));
        match versions.max() {
            Some(Version::Different) if programs == Programs::OfSource => {
                return (Blame::Source, "REINDEX it on the source, then ALTER COLLATION … REFRESH VERSION");
            }
            Some(Version::Different) => {
                return (Blame::Environment, "restore with the source's own image: this one sorts otherwise");
            }
            Some(Version::Unknown) => return (Blame::Unknown, ASK_THE_SOURCE),
            Some(Version::Same) | None => {}
        }
        if index.has_foreign_order && programs != Programs::OfSource {
            return (Blame::Unknown, "restore with the source's own image: this extension may order otherwise");
        }
    }
    (Blame::Backups, ASK_THE_SOURCE)
}

#[cfg(test)]
mod tests {
    use super::super::relations::Kind;
    use super::*;

    const DISORDER: &str = "XX002: item order invariant violated for index \"notes_body_idx\"";
    const NOT_INDEXED: &str =
        "XX002: heap tuple (0,1) from table \"notes\" lacks matching index tuple within index \"notes_body_idx\"";

    fn index() -> Relation {
        Relation {
            oid: 16401,
            name: "public.notes_body_idx".to_owned(),
            table: 16400,
            kind: Kind::BTree,
            bytes: 8192,
            collations: vec![100],
            is_computed: false,
            has_foreign_order: false,
        }
    }

    fn blamed(index: &Relation, message: &str, version: Version, programs: Programs) -> Blame {
        let collations = Collations::of([(100, version)]);
        damaged("shop", index, message.to_owned(), &collations, programs).blame.unwrap()
    }

    #[test]
    fn disorder_under_the_collation_that_made_the_order_is_damage() {
        assert_eq!(blamed(&index(), DISORDER, Version::Same, Programs::OfThisMachine), Blame::Backups);
        let by_number = Relation { collations: Vec::new(), ..index() };
        assert_eq!(blamed(&by_number, DISORDER, Version::Different, Programs::OfThisMachine), Blame::Backups);
    }

    #[test]
    fn another_image_sorts_otherwise_and_blames_no_backup() {
        for programs in [Programs::OfOtherImage, Programs::OfThisMachine] {
            assert_eq!(blamed(&index(), DISORDER, Version::Different, programs), Blame::Environment);
            assert_eq!(blamed(&index(), DISORDER, Version::Unknown, programs), Blame::Unknown);
        }
        assert_eq!(blamed(&index(), DISORDER, Version::Different, Programs::OfSource), Blame::Source);
    }

    #[test]
    fn a_collation_explains_no_row_that_is_not_indexed() {
        assert_eq!(blamed(&index(), NOT_INDEXED, Version::Different, Programs::OfOtherImage), Blame::Backups);
    }

    #[test]
    fn a_function_that_changed_its_mind_blames_no_backup() {
        let computed = Relation { is_computed: true, ..index() };
        assert_eq!(blamed(&computed, NOT_INDEXED, Version::Same, Programs::OfSource), Blame::Unknown);
        assert_eq!(blamed(&computed, DISORDER, Version::Same, Programs::OfSource), Blame::Backups);
    }

    #[test]
    fn an_extension_of_another_image_may_order_otherwise() {
        let foreign = Relation { has_foreign_order: true, collations: Vec::new(), ..index() };
        assert_eq!(blamed(&foreign, DISORDER, Version::Same, Programs::OfThisMachine), Blame::Unknown);
        assert_eq!(blamed(&foreign, DISORDER, Version::Same, Programs::OfSource), Blame::Backups);
    }

    #[test]
    fn an_old_indexs_wrong_flag_is_the_sources() {
        let message = "XX002: index \"i\" metapage incorrectly indicates that deduplication is safe";
        assert_eq!(blamed(&index(), message, Version::Same, Programs::OfSource), Blame::Source);
    }
}
