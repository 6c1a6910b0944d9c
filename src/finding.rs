//! Findings: the outcome of one gate, probe or step, with what was expected, what was observed, whose fault it is,
//! and one thing to do. Codes are stable; docs/findings.md has one entry each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a finding came to. There is no default: nobody gets *passed* by forgetting to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Looked at, and as it should be.
    Passed,
    /// Looked at, and wrong; `blame` says whose fault it is.
    Failed,
    /// Could not be decided. Never counts as passed, never as failed.
    NotChecked,
    /// Worth knowing; has no influence on the verdict.
    Note,
}

/// Whose fault a failed finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The archive cannot bring the source back. The only blame that makes a verdict FAIL.
    Backups,
    /// The production server or its configuration.
    Source,
    /// The machine, network, credentials or sandbox of the drill.
    Environment,
    /// The baseline could not be read, or does not belong to this archive.
    Baseline,
    Unknown,
}

/// Declares the codes once: variant, stable name, and the title that a person reads.
macro_rules! codes {
    ($($variant:ident = $name:literal, $title:literal;)*) => {
        /// The stable code of a finding: `subject.defect`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Code { $(#[serde(rename = $name)] $variant,)* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// What is asked under this code, as a person would say it.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    ArchiveUnreadable = "archive.unreadable", "the archive can be listed and read";
    ArchiveEmpty = "archive.empty", "the archive holds something";
    ArchiveFrozen = "archive.frozen", "every object can be read at once";
    ArchiveOrphan = "archive.orphan", "every object belongs to a backup or to WAL";
    ArchiveBehindTarget = "archive.behind_target", "the archive reaches the baseline";
    BackupNone = "backup.none", "there is a completed base backup";
    BackupStale = "backup.stale", "the newest base backup is young enough";
    BackupNotRestorable = "backup.not_restorable", "each base backup can be restored";
    BackupDamaged = "backup.damaged", "the base backup unpacks whole";
    BackupUnsafeMember = "backup.unsafe_member", "the base backup stays inside its directory";
    BackupVanished = "backup.vanished", "the base backup is still there";
    WalGap = "wal.gap", "WAL is unbroken";
    WalMissingForBackup = "wal.missing_for_backup", "the WAL that a backup needs is there";
    WalStale = "wal.stale", "WAL keeps arriving";
    WalZeroLength = "wal.zero_length", "no WAL object is empty";
    WalWrongSize = "wal.wrong_size", "uncompressed WAL objects have the size of a segment";
    WalDuplicate = "wal.duplicate", "each segment is stored once";
    WalSegmentInvalid = "wal.segment_invalid", "sampled segments are what their names say";
    WalSegmentDamaged = "wal.segment_damaged", "each replayed segment decompresses whole";
    WalHistoryDamaged = "wal.history_damaged", "timeline history files can be read";
    WalOtherBranch = "wal.other_branch", "the newest timeline is the source's";
    KubernetesUnreachable = "kubernetes.unreachable", "the API server answers what the drill asks";
    SourceClusterUnreadable = "source.cluster_unreadable", "the source's Cluster can be read";
    SourceNotSupported = "source.not_supported", "the source archives in a supported way";
    SourcePaused = "source.paused", "the source is running";
    SourceUnreachable = "source.unreachable", "the source answers";
    SourceArchivingFailing = "source.archiving_failing", "the source's archiver works";
    SourceReplicaLag = "source.replica_lag", "the replica that was asked is up to date";
    SourceMixedServers = "source.mixed_servers", "one server answered every question";
    SourceRoleCanWrite = "source.role_can_write", "the baseline's role cannot write";
    SourceShrank = "source.shrank", "the source has not shrunk";
    BaselineNotCaptured = "baseline.not_captured", "a baseline was read";
    BaselineVoid = "baseline.void", "the baseline belongs to this archive's timeline";
    BaselineTableNotRead = "baseline.table_not_read", "every selected table was read";
    BaselineInexact = "baseline.inexact", "the baseline is exact";
    AccessCanWrite = "access.can_write", "the drill cannot write to production";
    CredentialsUnusable = "credentials.unusable", "there is a key to the archive";
    CredentialsProductionKey = "credentials.production_key", "production's own key reads the archive";
    CredentialsCanWrite = "credentials.can_write", "the key to the archive can only read";
    OperatorVersion = "operator.version", "the operator restores this archive right";
    ImageUnsuitable = "image.unsuitable", "the image suits the operator and the backup";
    BackupNotScheduled = "backup.not_scheduled", "base backups are scheduled";
    BackupNotInArchive = "backup.not_in_archive", "completed backups are in the archive";
    BackupUnpinnedChoice = "backup.unpinned_choice", "an unpinned recovery would choose a sound base backup";
    ArchiveBesideSource = "archive.beside_source", "the archive does not share the database's fate";
    TargetOutsideWindow = "target.outside_window", "the target lies in the recovery window";
    SandboxNoSpace = "sandbox.no_space", "the sandbox has room";
    SandboxNamespace = "sandbox.namespace", "the sandbox's namespace is there";
    SandboxQuota = "sandbox.quota", "the sandbox's quota leaves room";
    SandboxVolumesRetained = "sandbox.volumes_retained", "volumes go with their claims";
    SandboxPending = "sandbox.pending", "the sandbox's pods run";
    NetworkStoreBlocked = "network.store_blocked", "the recovery pod reaches the object store";
    NetworkEgressOpen = "network.egress_open", "the sandbox reaches nothing it should not";
    SandboxUnusable = "sandbox.unusable", "the sandbox can be made";
    SandboxLeftBehind = "sandbox.left_behind", "nothing is left behind";
    ServerUp = "server.up", "the restored server came up";
    ServerIdentity = "server.identity", "the restored server is this source's";
    ServerIsolation = "server.isolation", "the restored server cannot reach the archive";
    ServerObjects = "server.objects", "roles and databases are the source's own, by OID too";
    RestoreNeeds = "restore.needs", "what a restore needs beside the archive";
    RecoveryPaused = "recovery.paused", "recovery does not pause";
    RecoveryStop = "recovery.stop", "recovery stopped where it was told to";
    RecoveryTransactionsMissing = "recovery.transactions_missing", "no transaction of the baseline is missing";
    RecoveryCertificate = "recovery.certificate", "no transaction beyond the baseline was replayed";
    TableRowCount = "table.row_count", "row counts equal the baseline's";
    TableTimestamps = "table.timestamps", "timestamps equal the baseline's";
    TableAfterTarget = "table.after_target", "no row is newer than the target";
    TableContent = "table.content", "the rows hold the baseline's values";
    LargeObjectContent = "large_object.content", "large objects hold the baseline's bytes";
    SchemaObjects = "schema.objects", "the schema equals the baseline's";
    SchemaMigrations = "schema.migrations", "the applied migrations are the baseline's";
    RoleDefinition = "role.definition", "roles, memberships and settings are the source's";
    RolePrivileges = "role.privileges", "owners, grants and row-level security are the source's";
    SequenceBehind = "sequence.behind", "no sequence is behind";
    QueryAnswer = "query.answer", "the configured queries are answered as expected";
    ServerVersion = "server.version", "the restored server runs the source's PostgreSQL";
    ServerWrite = "server.write", "every database can be written to";
    ServerRoleAccess = "server.role_access", "owners reach what is theirs";
    IntegrityTable = "integrity.table", "tables are sound inside";
    IntegrityIndex = "integrity.index", "indexes agree with their tables";
    IntegrityChecksums = "integrity.checksums", "data checksums hold";
    IntegrityLibrary = "integrity.library", "every library that functions need can be loaded";
    IntegrityCollation = "integrity.collation", "collations sort as on the source";
    AppCheck = "app.check", "the application's own check passes";
    ObjectiveRecoveryTime = "objective.recovery_time", "the restore is within the recovery time objective";
    ObjectiveRecoveryPoint = "objective.recovery_point", "the loss is within the recovery point objective";
    ObjectiveRecoveryWindow = "objective.recovery_window", "the recovery window is as long as promised";
    HistoryUnreadable = "history.unreadable", "the history can be read";
    RunStopped = "run.stopped", "the run came to its end";
    RunFailed = "run.failed", "walproof itself did not fail";
    RunKilled = "run.killed", "no former run was killed";
}

/// One finding. Made by its constructors, so that a failed one always carries blame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub code: Code,
    pub outcome: Outcome,
    /// Present when, and only when, the outcome is *failed*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What it is about: a backup id, a segment, a table; absent when it is about the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// One sentence, readable alone.
    pub summary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// One thing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    pub fn passed(code: Code, summary: impl Into<String>) -> Self {
        Self::new(code, Outcome::Passed, None, summary.into())
    }

    pub fn failed(code: Code, blame: Blame, summary: impl Into<String>) -> Self {
        Self::new(code, Outcome::Failed, Some(blame), summary.into())
    }

    pub fn not_checked(code: Code, summary: impl Into<String>) -> Self {
        Self::new(code, Outcome::NotChecked, None, summary.into())
    }

    pub fn note(code: Code, summary: impl Into<String>) -> Self {
        Self::new(code, Outcome::Note, None, summary.into())
    }

    fn new(code: Code, outcome: Outcome, blame: Option<Blame>, summary: String) -> Self {
        Self { code, outcome, blame, object: None, summary, expected: None, observed: None, hint: None }
    }

    #[must_use]
    pub fn of(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    #[must_use]
    pub fn observed(mut self, observed: impl Into<String>) -> Self {
        self.observed = Some(observed.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same observation without influence on the verdict.
    #[must_use]
    pub fn into_note(self) -> Self {
        Self { outcome: Outcome::Note, blame: None, ..self }
    }

    pub fn blames_backups(&self) -> bool {
        self.outcome == Outcome::Failed && self.blame == Some(Blame::Backups)
    }
}
