//! Lets a client meet classic servers whose certificate forbids signatures.
//!
//! Such servers make themselves an RSA certificate with keyUsage keyEncipherment and
//! dataEncipherment only. BoringSSL always refuses that in TLS 1.3, before any callback and with no
//! setting to change it. Where a key is trusted because it is known (`known_hosts`), or not checked
//! at all (`--insecure`), what the certificate says about its use decides nothing, so the
//! check is skipped there. With `--ca` it stays: then the certificate is what is trusted.
//!
//! The linker routes BoringSSL's call here (`--wrap`, see `build.rs`); on systems whose linker
//! cannot, such a server is refused with a message that says why.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use anabranch_apps::trust::key_usage_matters;

unsafe extern "C" {
    /// The check itself.
    #[link_name = "__real__ZN4bssl24ssl_cert_check_key_usageEPK6cbs_stNS_15ssl_key_usage_tE"]
    fn real(certificate: *const c_void, bit: c_int) -> bool;
}

/// What BoringSSL calls instead of the check.
#[unsafe(export_name = "__wrap__ZN4bssl24ssl_cert_check_key_usageEPK6cbs_stNS_15ssl_key_usage_tE")]
extern "C" fn wrapped(certificate: *const c_void, bit: c_int) -> bool {
    // SAFETY: the arguments are those that BoringSSL meant for this very function.
    !key_usage_matters() || unsafe { real(certificate, bit) }
}
