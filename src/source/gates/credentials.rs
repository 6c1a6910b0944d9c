//! The keys to the archive: whether production's own, which a person would use at 3 a.m., still reads it, and whether the
//! one that the drill uses could also write.

use crate::archive::layout;
use crate::archive::store::{Listing, Store, StoreError, StoreErrorKind};
use crate::archive::write_probe::WriteAnswer;
use crate::finding::{Blame, Code, Finding};
use crate::plan::ArchiveLocation;
use crate::source::cluster::{KeyOrigin, SourceCluster};

/// A backup.info has a few kilobytes; its beginning shows that it can be read.
const HEAD: u64 = 1024;

pub(super) async fn ask(source: &SourceCluster) -> Vec<Finding> {
    let production = async {
        let credentials = match &source.production_key {
            Ok(credentials) => credentials.clone(),
            Err(reason) => return unknown(reason),
        };
        let location = ArchiveLocation { credentials, ..source.location.clone() };
        match Store::open(&location).await {
            Ok(store) => judge_reading(&source.text(), read(&store).await),
            Err(error) => unknown(&error.to_string()),
        }
    };
    let writing = async {
        let answer = match Store::open(&source.location).await {
            Ok(store) => store.could_write().await,
            Err(error) => WriteAnswer::Unclear(error.to_string()),
        };
        judge_writing(source, answer)
    };
    let (production, writing) = tokio::join!(production, writing);
    vec![production, writing]
}

/// One listing and one small read; says what was read.
async fn read(store: &Store) -> Result<String, StoreError> {
    let page = store.list(Listing::Level { prefix: "base/", after: None }).await?;
    let Some(newest) = page.directories.iter().max() else {
        return Ok("listed the archive, which has no base backup to read".to_owned());
    };
    let backup = newest.trim_start_matches("base/").trim_end_matches('/');
    match store.get_head(&layout::backup_info_key(backup), HEAD).await {
        Ok(_) => Ok(format!("listed the archive and read from backup {backup}")),
        // An answer about the object is one that the key may have.
        Err(error) if error.is_absent() => Ok("listed the archive and may read from it".to_owned()),
        Err(error) => Err(error),
    }
}

fn unknown(reason: &str) -> Finding {
    Finding::note(Code::CredentialsProductionKey, "production's own key was not tried: it is not known here")
        .observed(reason)
        .hint("grant `get` on its Secret by name to have it tried each night: docs/kubernetes.md")
}

fn judge_reading(source: &str, answer: Result<String, StoreError>) -> Finding {
    let code = Code::CredentialsProductionKey;
    match answer {
        Ok(read) => Finding::passed(code, format!("production's own key {read}")).of(source),
        Err(error) if error.kind == StoreErrorKind::Denied => {
            Finding::failed(code, Blame::Source, "production's own key cannot read the archive")
                .of(source)
                .expected("s3:ListBucket on the bucket and s3:GetObject below the archive's prefix")
                .observed(error.to_string())
                .hint("a restore by hand would use this key: allow it to read, or have another at hand")
        }
        Err(error) => Finding::not_checked(code, "production's own key could not be tried")
            .of(source)
            .observed(error.to_string())
            .hint(error.hint()),
    }
}

fn judge_writing(source: &SourceCluster, answer: WriteAnswer) -> Finding {
    let code = Code::CredentialsCanWrite;
    let (whose, copied) = match source.key {
        KeyOrigin::Configured => ("the key of `archive.fromCluster.credentials`", ""),
        KeyOrigin::Production => (
            "production's own key",
            "; it is copied into the sandbox, which a read-only one in `archive.fromCluster.credentials` avoids",
        ),
    };
    let finding = match answer {
        WriteAnswer::Denied if copied.is_empty() => Finding::passed(code, format!("{whose} may not write")),
        WriteAnswer::Denied => Finding::note(code, format!("{whose} may not write{copied}")),
        WriteAnswer::Allowed => Finding::note(code, format!("{whose} could write to the archive{copied}"))
            .expected("a key that can only read")
            .observed("a part of an upload that does not exist was refused for the upload, not for the key")
            .hint(format!("make a key with this policy: {}", read_only_policy(&source.location))),
        WriteAnswer::Unclear(answer) => {
            Finding::note(code, format!("whether {whose} could write is not known{copied}")).observed(answer)
        }
    };
    finding.of(format!("s3://{}", source.location.bucket))
}

/// What barman needs to restore. The listing is of the whole bucket: barman first asks whether there is one (HEAD), a
/// request without a prefix, which a condition on prefixes would refuse.
fn read_only_policy(location: &ArchiveLocation) -> String {
    let prefix = layout::server_prefix(&location.path, &location.server_name);
    let bucket = format!("arn:aws:s3:::{}", location.bucket);
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": [bucket]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("{bucket}/{prefix}*")]},
        ]
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture;

    #[test]
    fn production_s_key_fails_only_when_the_store_refuses_it() {
        let judged = |answer| {
            let finding = judge_reading("postgres/prod", answer);
            (finding.outcome, finding.blame)
        };
        assert_eq!(judged(Ok("listed".to_owned())), (Outcome::Passed, None));
        let error = |kind| Err(StoreError::for_tests(kind));
        assert_eq!(judged(error(StoreErrorKind::Denied)), (Outcome::Failed, Some(Blame::Source)));
        for kind in [StoreErrorKind::Unreachable, StoreErrorKind::Refused, StoreErrorKind::NoBucket] {
            assert_eq!(judged(error(kind)), (Outcome::NotChecked, None), "{kind:?}");
        }
        assert_eq!(unknown("there is no Secret").outcome, Outcome::Note);
    }

    #[test]
    fn a_key_that_could_write_is_a_note_with_the_policy_that_makes_another() {
        let mut source = fixture::source();
        assert_eq!(judge_writing(&source, WriteAnswer::Denied).outcome, Outcome::Passed);
        let unclear = judge_writing(&source, WriteAnswer::Unclear("the store answered 400".to_owned()));
        assert_eq!(unclear.outcome, Outcome::Note);
        let allowed = judge_writing(&source, WriteAnswer::Allowed);
        assert_eq!(allowed.outcome, Outcome::Note);
        assert!(!allowed.summary.contains("copied"), "{}", allowed.summary);
        source.key = KeyOrigin::Production;
        for answer in [WriteAnswer::Denied, WriteAnswer::Allowed, WriteAnswer::Unclear(String::new())] {
            let finding = judge_writing(&source, answer);
            assert_eq!(finding.outcome, Outcome::Note);
            assert!(finding.summary.contains("copied into the sandbox"), "{}", finding.summary);
        }
    }

    #[test]
    fn the_policy_reads_this_archive_alone() {
        let mut location = fixture::source().location;
        location.path = "a/b".to_owned();
        assert_eq!(
            read_only_policy(&location),
            r#"{"Statement":[{"Action":["s3:ListBucket","s3:GetBucketLocation"],"Effect":"Allow","Resource":["arn:aws:s3:::postgres-wal"]},{"Action":["s3:GetObject"],"Effect":"Allow","Resource":["arn:aws:s3:::postgres-wal/a/b/prod/*"]}],"Version":"2012-10-17"}"#
        );
    }
}
