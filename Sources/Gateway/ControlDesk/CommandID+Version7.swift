package import Model

extension CommandID {
    /// A new id: UUID version 7 (RFC 9562, 5.7), milliseconds first, so that ids sort by time.
    package init(at time: UnixTime, using generator: inout some RandomNumberGenerator) {
        let milliseconds = UInt64(max(0, time.microseconds / 1000)) & 0xFFFF_FFFF_FFFF
        let random = UInt64.random(in: 0...0xFFF, using: &generator)
        self.init(
            high: milliseconds << 16 | 0x7000 | random,
            low: 0x8000_0000_0000_0000 | UInt64.random(in: 0..<1 << 62, using: &generator))
    }
}
