//! Whether a key could write to the archive, asked without writing: a part for an upload that does not exist is refused
//! either for the permission, which is looked at first, or for the upload.

use std::sync::atomic::Ordering;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use super::store::Store;
use crate::error::chain;

/// Below the server's prefix, where a policy for this archive applies.
const KEY: &str = "walproof-write-probe";
const UPLOAD: &str = "walproof-does-not-exist";

/// What the store answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteAnswer {
    /// The key may not write here.
    Denied,
    /// Nothing but the missing upload was in the way.
    Allowed,
    /// The answer says neither; the store's words.
    Unclear(String),
}

impl Store {
    /// Asks once, without repetition.
    pub async fn could_write(&self) -> WriteAnswer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = self.client.upload_part().bucket(&self.bucket).key(self.full_key(KEY)).upload_id(UPLOAD);
        let request = request.part_number(1).body(ByteStream::from_static(b"")).customize();
        let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        match request.config_override(once).send().await {
            // No store should: there is no such upload.
            Ok(_) => WriteAnswer::Allowed,
            Err(SdkError::ServiceError(answer)) => {
                let status = answer.raw().status().as_u16();
                answer_of(status, answer.err().code().unwrap_or_default())
            }
            Err(error) => WriteAnswer::Unclear(chain(&error)),
        }
    }
}

fn answer_of(status: u16, code: &str) -> WriteAnswer {
    match (status, code) {
        // These are about who asks, not about what may be done.
        (403, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "ExpiredToken") => {}
        (403, _) => return WriteAnswer::Denied,
        (404, "NoSuchUpload") => return WriteAnswer::Allowed,
        _ => {}
    }
    WriteAnswer::Unclear(format!("the store answered {status} {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_for_want_of_permission_shows_a_key_that_can_only_read() {
        for (status, code, expected) in [
            (403, "AccessDenied", Some(WriteAnswer::Denied)),
            (403, "", Some(WriteAnswer::Denied)),
            (404, "NoSuchUpload", Some(WriteAnswer::Allowed)),
            (403, "InvalidAccessKeyId", None),
            (403, "SignatureDoesNotMatch", None),
            (404, "NoSuchBucket", None),
            (400, "InvalidRequest", None),
            (501, "NotImplemented", None),
            (503, "SlowDown", None),
        ] {
            let answer = answer_of(status, code);
            match expected {
                Some(expected) => assert_eq!(answer, expected, "{status} {code}"),
                None => assert!(matches!(answer, WriteAnswer::Unclear(_)), "{status} {code}: {answer:?}"),
            }
        }
    }
}
