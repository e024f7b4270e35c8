import Foundation

/// Looking up the host of a broker before the library does, which says of every trouble "lookup error", and whose time to
/// connect would include it.
package enum BrokerName {
    /// Why `host` has no address, in words; nil where it has one. May block for long.
    package typealias Lookup = @Sendable (_ host: String) -> String?

    /// Asks the system.
    package static func system(_ host: String) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &first)
        if let first { freeaddrinfo(first) }
        return code == 0 ? nil : String(cString: gai_strerror(code))
    }
}
