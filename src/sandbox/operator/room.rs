//! How large the volumes of a sandbox must be: pure arithmetic over what the source has and what the base backup says.
//! A retry of the recovery keeps the first attempt's files, hence the factor.

pub mod quantity;

use crate::cnpg::{ClusterSpec, Storage};
use crate::finding::{Code, Finding};
use crate::source::cluster::SourceCluster;

/// Room beside the databases, which is all that `cluster_size` of backup.info counts: a fifth more.
const BESIDE_DATABASES_PERCENT: u64 = 120;
const MEBIBYTE: u64 = 1 << 20;

/// The volumes of a scratch cluster, as quantities in whole `Mi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    pub data: String,
    /// Present when the source keeps WAL on a volume of its own.
    pub wal: Option<String>,
    /// In the order of the source's tablespaces.
    pub tablespaces: Vec<String>,
}

impl Sizes {
    /// The volume for data has room for the largest of what the source has and what the base backup (`cluster_size`
    /// bytes) and `wal` bytes of WAL to replay need; all volumes are `factor` times that.
    pub fn of(source: &SourceCluster, cluster_size: Option<u64>, wal: u64, factor: f64) -> Result<Self, Box<Finding>> {
        Self::of_spec(&source.cluster.spec, cluster_size, wal, factor).map_err(|reason| {
            let summary = "how much room the sandbox needs is not known";
            Box::new(Finding::not_checked(Code::SandboxNoSpace, summary).of(source.text()).observed(reason))
        })
    }

    fn of_spec(spec: &ClusterSpec, cluster_size: Option<u64>, wal: u64, factor: f64) -> Result<Self, String> {
        let source = size(&spec.storage, "storage")?;
        let restored =
            cluster_size.map(|bytes| (bytes.saturating_mul(BESIDE_DATABASES_PERCENT) / 100).saturating_add(wal));
        let data = source.max(restored).ok_or("neither the Cluster's `storage` nor backup.info says a size")?;
        let of_volume = |storage: &Storage, name: &str| {
            let bytes = size(storage, name)?.ok_or_else(|| format!("`{name}` of the Cluster says no size"))?;
            Ok::<_, String>(scaled(bytes, factor))
        };
        let tablespaces = spec.tablespaces.iter().map(|tablespace| {
            let name = format!("storage of tablespace {}", tablespace.name);
            of_volume(&tablespace.storage, &name)
        });
        Ok(Self {
            data: scaled(data, factor),
            wal: spec.wal_storage.as_ref().map(|storage| of_volume(storage, "walStorage")).transpose()?,
            tablespaces: tablespaces.collect::<Result<_, _>>()?,
        })
    }

    /// Every volume's quantity.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.data).chain(&self.wal).chain(&self.tablespaces).map(String::as_str)
    }

    /// Bytes of all volumes together.
    pub fn bytes(&self) -> u64 {
        self.volumes().filter_map(quantity::units).sum()
    }
}

/// The size that a volume of the source asks for; None when it says none.
fn size(storage: &Storage, name: &str) -> Result<Option<u64>, String> {
    let template = || {
        let request = storage.pvc_template.as_ref()?.pointer("/resources/requests/storage")?;
        request.as_str().map(str::to_owned).or_else(|| request.as_u64().map(|bytes| bytes.to_string()))
    };
    let Some(written) = storage.size.clone().or_else(template) else { return Ok(None) };
    match quantity::units(&written) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(format!("`{name}` of the Cluster: {written} is not a size")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a float beyond 2^53 bytes is wrong by less than the mebibyte it is rounded to; `as` saturates"
)]
fn scaled(bytes: u64, factor: f64) -> String {
    let bytes = (bytes as f64 * factor).ceil() as u64;
    format!("{}Mi", bytes.div_ceil(MEBIBYTE).max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn spec(json: serde_json::Value) -> ClusterSpec {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_data_volume_has_room_for_the_larger_of_source_and_restore() {
        let spec = spec(json!({"storage": {"size": "2Gi"}}));
        let data = |cluster_size, wal, factor| Sizes::of_spec(&spec, cluster_size, wal, factor).unwrap().data;
        assert_eq!(data(None, 0, 1.0), "2048Mi");
        assert_eq!(data(Some(GIB), GIB / 10, 1.0), "2048Mi");
        assert_eq!(data(Some(5 * GIB), GIB, 1.0), "7168Mi");
        assert_eq!(data(Some(GIB), 0, 2.0), "4096Mi");
        assert_eq!(data(Some(GIB), 0, 1.0001), "2049Mi");
    }

    #[test]
    fn volumes_for_wal_and_tablespaces_grow_with_the_source() {
        let spec = spec(json!({
            "storage": {"pvcTemplate": {"resources": {"requests": {"storage": "1Gi"}}}},
            "walStorage": {"size": "512M"},
            "tablespaces": [
                {"name": "a", "storage": {"size": "1Ti"}},
                {"name": "b", "storage": {"size": "10Mi"}}
            ]
        }));
        let sizes = Sizes::of_spec(&spec, None, 0, 2.0).unwrap();
        let expected = Sizes {
            data: "2048Mi".to_owned(),
            wal: Some("977Mi".to_owned()),
            tablespaces: vec!["2097152Mi".to_owned(), "20Mi".to_owned()],
        };
        assert_eq!(sizes, expected);
        assert_eq!(sizes.bytes(), (2048 + 977 + 2_097_152 + 20) * MEBIBYTE);
    }

    #[test]
    fn a_size_that_nobody_says_or_that_is_none_is_an_error() {
        for written in [
            json!({}),
            json!({"storage": {"size": "much"}}),
            json!({"storage": {"size": "1Gi"}, "walStorage": {}}),
            json!({"storage": {"size": "1Gi"}, "tablespaces": [{"name": "a"}]}),
        ] {
            assert!(Sizes::of_spec(&spec(written.clone()), None, 0, 2.0).is_err(), "{written}");
        }
        assert!(Sizes::of_spec(&spec(json!({})), Some(GIB), 0, 1.0).is_ok());
    }
}
