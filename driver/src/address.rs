//! One form for every address: connections are keyed on them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The form the core sees: IPv4-mapped IPv6 becomes IPv4, and there is no flow label.
pub(crate) fn normal(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) => match v6.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(IpAddr::V4(ip), v6.port()),
            // The scope is part of a link-local address and means nothing with any other.
            IpAddr::V6(ip) => {
                let scope = if ip.is_unicast_link_local() { v6.scope_id() } else { 0 };
                SocketAddr::V6(SocketAddrV6::new(ip, v6.port(), 0, scope))
            }
        },
    }
}

/// The form a socket of the given family takes: IPv4 becomes mapped for an IPv6 socket.
pub(crate) fn for_socket(addr: SocketAddr, socket_is_v6: bool) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if socket_is_v6 => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => addr,
    }
}

/// Whether something can be sent *from* this address. A datagram to a group or to everyone has
/// an address of ours that cannot be, and trying it makes Linux answer EINVAL, which turns
/// segmentation offload off (see [`crate::port`]).
pub(crate) fn can_be_source(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && ip.octets()[0] != 0,
        IpAddr::V6(ip) => !ip.is_multicast() && ip != Ipv6Addr::UNSPECIFIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn mapped_addresses_become_ipv4_and_back() {
        assert_eq!(normal(addr("[::ffff:10.0.0.1]:9")), addr("10.0.0.1:9"));
        assert_eq!(for_socket(addr("10.0.0.1:9"), true), addr("[::ffff:10.0.0.1]:9"));
        assert_eq!(for_socket(addr("10.0.0.1:9"), false), addr("10.0.0.1:9"));
        assert_eq!(normal(addr("[::1]:9")), addr("[::1]:9"));
    }

    #[test]
    fn flow_labels_go_and_only_link_local_addresses_keep_their_scope() {
        let with = |ip: &str| SocketAddrV6::new(ip.parse().unwrap(), 9, 77, 3).into();
        assert_eq!(normal(with("2001:db8::1")), addr("[2001:db8::1]:9"));
        let local = SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 0, 3).into();
        assert_eq!(normal(with("fe80::1")), local);
    }

    #[test]
    fn groups_and_nobody_are_no_sources() {
        for ip in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"] {
            assert!(!can_be_source(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["127.0.0.1", "10.1.2.3", "::1", "fe80::1"] {
            assert!(can_be_source(ip.parse().unwrap()), "{ip}");
        }
    }
}
