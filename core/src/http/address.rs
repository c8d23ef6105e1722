//! Recognises addresses of the machine's own surroundings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of clouds' metadata services, which hand out a machine's secrets, that are not link-local: Amazon's on
/// IPv6 (instances, and containers), Google's and Scaleway's on IPv6, Alibaba's, Oracle's, and Azure's.
const METADATA: [IpAddr; 7] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// True if `address` is link-local (169.254.0.0/16, RFC 3927, or fe80::/10, RFC 4291) or a cloud's metadata service, in
/// any notation.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    let is_unicast = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || embedded(v6).is_some_and(|v4| is_link_local(v4.into())),
    };
    is_unicast || METADATA.contains(&address)
}

/// The IPv4 address embedded in an IPv6 address: mapped and compatible (RFC 4291), translated (RFC 2765), NAT64 (RFC
/// 6052, RFC 8215) and 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let bits = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => bits(high, low),
        [0x64, 0xff9b, 1, ..] => bits(high, low),
        [0x2002, high, low, ..] => bits(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_link_local;

    #[test]
    fn the_surroundings_are_known_in_every_spelling() {
        let near = [
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "fe80::1",
            "febf:ffff::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::ffff:0:169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
        ];
        for address in near {
            assert!(is_link_local(address.parse().expect(address)), "{address}");
        }
        let far = [
            "169.253.255.255",
            "169.255.0.0",
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "fe7f::1",
            "fec0::1",
            "::ffff:169.253.0.1",
            "2001:db8::a9fe:a9fe",
            "100.100.100.201",
        ];
        for address in far {
            assert!(!is_link_local(address.parse().expect(address)), "{address}");
        }
    }
}
