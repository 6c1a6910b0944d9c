//! The table of what recovery logs say: which words, which code, whose fault. Texts of PostgreSQL 13 to 18, of barman
//! 3.13 to 3.19 and of CloudNativePG 1.28 to 1.30.

use crate::finding::{Blame, Code};

/// Who decides on the blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The words alone.
    Is(Blame),
    /// The rest need the listing, a second attempt, or other words of the log.
    WrongSize,
    Page,
    Configuration,
    Timeline,
    Vanished,
    BaseBackup,
    Segment,
    BackupsWal,
    EndedEarly,
}

/// A way to fail.
#[derive(Debug)]
pub struct Class {
    /// Any of these in one notable message.
    pub texts: &'static [&'static str],
    /// None of these in the same message.
    pub unless: &'static [&'static str],
    pub code: Code,
    pub judgement: Judgement,
    pub summary: &'static str,
    pub hint: &'static str,
    /// Whether another attempt of the same recovery may succeed.
    pub may_heal: bool,
}

const fn class(
    texts: &'static [&'static str],
    code: Code,
    judgement: Judgement,
    summary: &'static str,
    hint: &'static str,
) -> Class {
    Class { texts, unless: &[], code, judgement, summary, hint, may_heal: false }
}

impl Class {
    const fn may_heal(self) -> Self {
        Self { may_heal: true, ..self }
    }

    const fn unless(self, unless: &'static [&'static str]) -> Self {
        Self { unless, ..self }
    }
}

/// PostgreSQL's words for a segment that is too short or too long.
pub const WRONG_SIZE: &str = "has wrong size";

/// A real recovery would meet this as well.
const IMAGE: Judgement = Judgement::Is(Blame::Source);
const ENVIRONMENT: Judgement = Judgement::Is(Blame::Environment);
const NEWER_BARMAN: &str = "set `sandbox.operator.imageOverride` to an image with a newer barman; a real recovery with \
    the source's own image would fail the same way";

/// The first that occurs decides: what the machine lacks, then what the image lacks, then what the store refuses, and
/// last what may follow from all of these.
pub const CLASSES: &[Class] = &[
    class(
        &["No space left on device", "Disk quota exceeded"],
        Code::SandboxNoSpace,
        ENVIRONMENT,
        "the scratch cluster's volume is full",
        "raise `sandbox.operator.storageFactor`",
    ),
    class(
        &["Cannot allocate memory", "could not resize shared memory segment", "was terminated by signal 9"],
        Code::SandboxUnusable,
        ENVIRONMENT,
        "the recovery pod has too little memory",
        "give the sandbox's namespace more memory; a copied shared_buffers must fit",
    ),
    class(
        &["no plugin supports the restore job hooks capability", "requested plugin is not available"],
        Code::OperatorVersion,
        ENVIRONMENT,
        "the operator and the Barman Cloud plugin do not fit together",
        "bring CloudNativePG, the plugin and its sidecar image to versions that belong together",
    ),
    // Said by barman when its own command line is wrong, which the operator writes.
    class(
        &["unrecognized arguments", "error: argument ", "(exit code 3)", "executable file not found in $PATH"],
        Code::ImageUnsuitable,
        IMAGE,
        "the image's barman does not take what the operator passes, or there is none",
        NEWER_BARMAN,
    ),
    class(
        &["found in backup metadata", "'BackupInfo' object has no attribute"],
        Code::ImageUnsuitable,
        IMAGE,
        "the image's barman is older than the one that made this backup, and cannot read it",
        NEWER_BARMAN,
    ),
    class(
        &["database files are incompatible with server"],
        Code::ImageUnsuitable,
        ENVIRONMENT,
        "the image's PostgreSQL is not the one that wrote the backup",
        "set `sandbox.operator.imageOverride` to an image with the backup's PostgreSQL, or choose a backup of this one",
    ),
    class(
        &["could not access file", "could not load library", "WAL resource manager with ID", "locale is incompatible"],
        Code::ImageUnsuitable,
        ENVIRONMENT,
        "the image lacks a library or locale that the source uses",
        "set `sandbox.operator.imageOverride` to an image with the source's extensions",
    ),
    class(
        &["recovery aborted because of insufficient parameter settings"],
        Code::ServerUp,
        ENVIRONMENT,
        "a setting of the scratch cluster is lower than the source's was",
        "the source's setting was raised after this base backup: make a new one",
    ),
    class(
        &["contains errors"],
        Code::ServerUp,
        Judgement::Configuration,
        "the scratch cluster's configuration is not accepted",
        "compare the source's parameters with what this major version knows",
    ),
    class(
        &["/var/lib/postgresql/tablespaces/", "directory \"pg_tblspc/"],
        Code::SandboxUnusable,
        ENVIRONMENT,
        "the WAL makes or drops a tablespace that this base backup does not know",
        "choose a base backup that is newer than the tablespace; until there is one, no recovery gets past this point",
    ),
    class(
        &["already exists and it is not empty"],
        Code::SandboxUnusable,
        ENVIRONMENT,
        "a directory to restore into is not empty",
        "compare the scratch cluster's tablespaces with the source's; run the drill again",
    ),
    class(
        &["Expected empty archive"],
        Code::SandboxUnusable,
        ENVIRONMENT,
        "the scratch cluster has an archive to write to, which is not empty",
        "the scratch cluster must have neither `spec.backup` nor `spec.plugins`: does a webhook add them?",
    ),
    class(
        &["waiting for the API server to be reachable"],
        Code::SandboxUnusable,
        ENVIRONMENT,
        "the recovery pod does not reach the API server",
        "let the sandbox's pods reach the API server: see the network policies in docs/kubernetes",
    )
    .may_heal(),
    class(
        &[WRONG_SIZE],
        Code::WalSegmentDamaged,
        Judgement::WrongSize,
        "a segment has not the size of one, so nothing from it on can be recovered",
        "make a new base backup now; then find out what wrote or changed this object",
    ),
    // What Python's gzip, bz2 and lzma say of bytes that arrived and make no sense, in barman-cloud-wal-restore's words.
    class(
        &[
            "WAL restore exception: Compressed file ended before",
            "WAL restore exception: Not a gzipped file",
            "WAL restore exception: CRC check failed",
            "WAL restore exception: Incorrect length of data",
            "WAL restore exception: Invalid data stream",
            "WAL restore exception: Corrupt input data",
            "WAL restore exception: Input format not supported",
            "while decompressing data",
        ],
        Code::WalSegmentDamaged,
        Judgement::Segment,
        "a segment does not decompress whole, so nothing from it on can be recovered",
        "make a new base backup now; then find out what changed this segment after it was archived",
    )
    .unless(&["cloud restore exception"])
    .may_heal(),
    class(
        &["invalid page in block", "WAL contains references to invalid pages"],
        Code::ServerUp,
        Judgement::Page,
        "the base backup holds a damaged page",
        "make a new base backup",
    ),
    class(
        &["requested timeline"],
        Code::RecoveryStop,
        Judgement::Timeline,
        "the archive's timelines contradict one another",
        "look at the .history objects: which server forked off, and when?",
    ),
    class(
        &["AccessDenied", "Access Denied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "(403)", "ExpiredToken"],
        Code::ArchiveUnreadable,
        ENVIRONMENT,
        "the object store refuses the sandbox's key",
        "compare the key that was copied into the sandbox, and its policy: list and get on bucket and prefix",
    ),
    class(
        &[
            "NoSuchBucket",
            "HeadBucket operation: Not Found",
            "CERTIFICATE_VERIFY_FAILED",
            "SSL validation failed",
            "Invalid endpoint",
        ],
        Code::ArchiveUnreadable,
        ENVIRONMENT,
        "the recovery pod cannot use the object store's address",
        "compare the address, the bucket and the authority's certificate of the sandbox with the source's",
    ),
    class(
        &["x-amz-content-sha256 must be", "Checksum Type mismatch", "MissingContentMD5"],
        Code::ArchiveUnreadable,
        ENVIRONMENT,
        "the object store does not take the checksums of this boto3",
        "set AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION to when_required",
    ),
    class(
        &[
            "Could not connect to the endpoint URL",
            "onnect timeout on endpoint URL",
            "ead timeout on endpoint URL",
            "Connection was closed before",
            "Can't connect to cloud provider",
            "Network error (exit code 2)",
            "code = Unavailable",
        ],
        Code::ArchiveUnreadable,
        ENVIRONMENT,
        "the recovery pod does not reach the object store",
        "which NetworkPolicy stands between the sandbox's pods and the object store? It may be on the store's side",
    )
    .may_heal(),
    class(
        &["IncompleteRead", "Connection broken"],
        Code::ArchiveUnreadable,
        ENVIRONMENT,
        "the object store broke off a download",
        "run the drill again; if it stays, look at time-outs of proxies before the object store",
    )
    .may_heal(),
    class(
        &["wal-restore command failed", "Failed restoring WAL file"],
        Code::ArchiveUnreadable,
        ENVIRONMENT,
        "the operator could not fetch WAL",
        "run the drill again; if it stays, look at the object store's log",
    )
    // This is how the archive's end looks.
    .unless(&["not found", "NotFound", "does not exist", "end-of-wal-stream"])
    .may_heal(),
    class(
        &["no target backup found", "no backup found with ID", "NoSuchKey"],
        Code::BackupVanished,
        Judgement::Vanished,
        "the operator does not find the base backup that the listing shows",
        "run the drill again: retention may have taken it; if it stays, the image's barman may be too old to read it, and \
         `sandbox.operator.imageOverride` may name another image",
    ),
    // What Python's tarfile, gzip and bz2 say of bytes that arrived and make no sense.
    class(
        &[
            "unexpected end of data",
            "ended before the end-of-stream marker",
            "invalid compressed data",
            "not a gzip file",
            "Not a gzipped file",
            "CRC check failed",
            "while decompressing data",
            "invalid header",
            "bad checksum",
        ],
        Code::BackupDamaged,
        Judgement::BaseBackup,
        "the base backup does not unpack whole",
        "make a new base backup now; then find out what changed this one after it was written",
    )
    .unless(&["WAL restore exception"])
    .may_heal(),
    class(
        &[
            "while checking the presence of first needed WAL",
            "could not locate required checkpoint record",
            "could not locate a valid checkpoint record",
        ],
        Code::WalMissingForBackup,
        Judgement::BackupsWal,
        "the WAL does not hold the checkpoint that the base backup begins with",
        "make a new base backup",
    ),
    class(
        &["WAL ends before end of online backup", "WAL ends before consistent recovery point"],
        Code::WalMissingForBackup,
        Judgement::BackupsWal,
        "the WAL ends before the base backup is consistent",
        "make a new base backup",
    ),
    class(&[crate::sandbox::complaint::ENDED_EARLY], Code::RecoveryStop, Judgement::EndedEarly, "", ""),
];
