//! Routes one check of BoringSSL through `src/bin/anabranch/key_usage.rs`, where the linker can.

/// `bssl::ssl_cert_check_key_usage(CBS const*, ssl_key_usage_t)`.
const CHECK: &str = "_ZN4bssl24ssl_cert_check_key_usageEPK6cbs_stNS_15ssl_key_usage_tE";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(wrapped_key_usage)");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cfg=wrapped_key_usage");
        println!("cargo::rustc-link-arg-bin=anabranch=-Wl,--wrap={CHECK}");
    }
}
