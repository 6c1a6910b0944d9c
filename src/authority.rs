//! The certificates of an authority, in PEM: read once here for the object store, the source and the restored server.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why a text is no authority.
#[derive(Debug, thiserror::Error)]
pub enum Defect {
    #[error("no certificate in it")]
    Empty,
    #[error("{0}")]
    Broken(String),
}

/// All certificates in `pem`; at least one, and none broken.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, Defect> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| Defect::Broken(error.to_string()))?;
        roots.add(certificate).map_err(|error| Defect::Broken(error.to_string()))?;
    }
    if roots.is_empty() { Err(Defect::Empty) } else { Ok(roots) }
}
